//! The configuration file: TOML, flattened to dotted keys, each with the line it stands on.

use toml::de::{DeTable, DeValue};

/// One value of the file, as text that a setting parses.
#[derive(Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub text: String,
    pub line: usize,
}

/// Reads the text of a file; the error is one line without the file's name.
pub fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        format!("line {line}: {}", error.message().replace('\n', " "))
    })?;
    let mut entries = Vec::new();
    flatten(text, "", table.get_ref(), &mut entries)?;
    Ok(entries)
}

fn flatten(text: &str, prefix: &str, table: &DeTable<'_>, into: &mut Vec<Entry>) -> Result<(), String> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
        let line = line_of(text, name.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => flatten(text, &key, inner, into)?,
            other => into.push(Entry { text: scalar(other).ok_or(format!("line {line}: {key} cannot be a list of tables"))?, key, line }),
        }
    }
    Ok(())
}

/// A list stands for its items joined by commas.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => items.iter().map(|item| scalar(item.get_ref())).collect::<Option<Vec<_>>>()?.join(","),
        DeValue::Table(_) => return None,
    })
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_dotted_keys_mean_the_same() {
        let dotted = parse("http.bind = \"[::1]:0\"").unwrap();
        let table = parse("[http]\nbind = \"[::1]:0\"").unwrap();
        assert_eq!((&dotted[0].key, &dotted[0].text), (&table[0].key, &table[0].text));
        assert_eq!((dotted[0].line, table[0].line), (1, 2));
    }

    #[test]
    fn numbers_switches_and_lists_become_text() {
        let entries = parse("a = 5\nb = true\nc = [\"x\", \"y\"]\n").unwrap();
        let texts: Vec<_> = entries.iter().map(|e| e.text.as_str()).collect();
        assert_eq!(texts, ["5", "true", "x,y"]);
    }

    #[test]
    fn what_is_not_toml_is_told_with_its_line() {
        assert!(parse("a = 1\nb = = 2\n").unwrap_err().starts_with("line 2: "));
    }
}
