//! Roll-ups as data: what a twin or its model says it folds from below, by name.

use super::{Aggregate, ask::Ask, figures::Partial, parse, results::Results};
use crate::{
    expression::SyntaxError,
    id::Name,
    limits::{NAME_BYTES_MAX, ROLLUP_DEFINITIONS_MAX},
};

/// What is made of the answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    Last,
    /// From 0 to 100.
    Percentile(f64),
    Worst,
}

/// One roll-up by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    pub name: Name,
    /// As it was written.
    pub text: Name,
    pub figure: Figure,
    pub ask: Ask,
}

/// Definitions in the order of their names: at most [`ROLLUP_DEFINITIONS_MAX`] of one twin or one model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RollupSet(Box<[Definition]>);

/// Which definition is none, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    #[error("{definitions} roll-ups are defined; at most {ROLLUP_DEFINITIONS_MAX} are allowed")]
    TooMany { definitions: usize },
    #[error("a roll-up's name has 1 to {NAME_BYTES_MAX} bytes and no control characters")]
    Name { name: Name },
    #[error("{name:?} is defined twice")]
    Twice { name: Name },
    #[error("{error}")]
    Text { name: Name, error: SyntaxError },
}

impl DefinitionError {
    /// The definition at fault.
    pub fn name(&self) -> Option<&Name> {
        match self {
            Self::TooMany { .. } => None,
            Self::Name { name } | Self::Twice { name } | Self::Text { name, .. } => Some(name),
        }
    }
}

impl RollupSet {
    /// Reads definitions: names, and texts such as `avg(children.temperature)`.
    pub fn parse<N: AsRef<str>, T: AsRef<str>>(definitions: &[(N, T)]) -> Result<Self, DefinitionError> {
        if definitions.len() > ROLLUP_DEFINITIONS_MAX {
            return Err(DefinitionError::TooMany { definitions: definitions.len() });
        }
        let mut all = definitions.iter().map(|(name, text)| one(name.as_ref(), text.as_ref())).collect::<Result<Vec<_>, _>>()?;
        all.sort_by(|a, b| a.name.cmp(&b.name));
        match all.windows(2).find(|two| two[0].name == two[1].name) {
            Some(two) => Err(DefinitionError::Twice { name: two[0].name.clone() }),
            None => Ok(Self(all.into())),
        }
    }

    /// The same of texts that were read before they were stored. What this program cannot read, because a newer one wrote it, is left out.
    pub fn of_stored(definitions: &[(Name, Name)]) -> Self {
        let mut all: Vec<Definition> = definitions.iter().filter_map(|(name, text)| one(name, text).ok()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all.dedup_by(|a, b| a.name == b.name);
        Self(all.into())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&Definition> {
        self.0.binary_search_by(|known| known.name.as_str().cmp(name)).ok().map(|at| &self.0[at])
    }

    /// Names and texts, as they are stored and shown.
    pub fn texts(&self) -> impl Iterator<Item = (&Name, &Name)> {
        self.0.iter().map(|definition| (&definition.name, &definition.text))
    }

    /// These definitions, and those of `base` under other names: a twin's over its model's, a model's over the one it extends.
    pub fn over(&self, base: &Self) -> Self {
        let inherited = base.iter().filter(|definition| self.get(&definition.name).is_none());
        let mut all: Vec<Definition> = self.iter().chain(inherited).cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Self(all.into())
    }

    /// What they come to over all that is below.
    pub fn results(&self, below: &Aggregate) -> Results {
        let result = |definition: &Definition| {
            let all = below.answered(&definition.ask).unwrap_or_else(|| Partial::none(&definition.ask.what));
            (definition.name.clone(), definition.compute(&all))
        };
        Results::from_sorted(self.iter().map(result).collect())
    }

    /// Bytes held, to the nearest guess.
    pub fn heap_bytes(&self) -> usize {
        self.0.iter().map(|definition| size_of::<Definition>() + definition.text.len()).sum()
    }
}

fn one(name: &str, text: &str) -> Result<Definition, DefinitionError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(DefinitionError::Name { name: name.into() });
    }
    let (figure, ask) = parse::definition(text).map_err(|error| DefinitionError::Text { name: name.into(), error })?;
    Ok(Definition { name: name.into(), text: text.into(), figure, ask })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_twin_defines_goes_before_what_its_model_does() {
        let own = RollupSet::parse(&[("a", "sum(devices.power)"), ("c", "count()")]).unwrap();
        let base = RollupSet::parse(&[("b", "max(devices.power)"), ("a", "min(devices.power)")]).unwrap();
        let both: Vec<_> = own.over(&base).texts().map(|(name, text)| format!("{name}: {text}")).collect();
        assert_eq!(both, ["a: sum(devices.power)", "b: max(devices.power)", "c: count()"]);
    }

    #[test]
    fn a_set_names_the_definition_at_fault() {
        let wrong = |definitions: &[(&str, &str)]| RollupSet::parse(definitions).unwrap_err();
        let error = wrong(&[("a", "count()"), ("b", "sum(power)")]);
        assert_eq!((error.name().map(Name::as_str), error.to_string().starts_with("column 5: ")), (Some("b"), true), "{error}");
        assert_eq!(wrong(&[("a", "count()"), ("a", "count()")]), DefinitionError::Twice { name: "a".into() });
        assert_eq!(wrong(&[("", "count()")]), DefinitionError::Name { name: "".into() });
        let many: Vec<(String, &str)> = (0..=ROLLUP_DEFINITIONS_MAX).map(|n| (format!("n{n}"), "count()")).collect();
        assert_eq!(RollupSet::parse(&many), Err(DefinitionError::TooMany { definitions: ROLLUP_DEFINITIONS_MAX + 1 }));
    }

    #[test]
    fn a_stored_text_that_this_program_cannot_read_leaves_the_others() {
        let stored = [("a".into(), "count()".into()), ("b".into(), "median(devices.power)".into())];
        assert_eq!(RollupSet::of_stored(&stored), RollupSet::parse(&[("a", "count()")]).unwrap());
    }
}
