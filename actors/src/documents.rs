//! The kinds of documents that the runtime keeps in its store. Whoever moves a store moves all of them.

use crate::{access, alerts, identity, jobs, models, rules};

pub const KINDS: [&str; 11] = [
    access::DOCUMENT_KINDS[0],
    access::DOCUMENT_KINDS[1],
    models::DOCUMENT_KIND,
    rules::RULE_KIND,
    rules::CALL_KIND,
    alerts::STANDING,
    alerts::CLEARED,
    jobs::DOCUMENT_KIND,
    jobs::PART_DOCUMENT_KIND,
    identity::CLAIM_KIND,
    identity::ENROLMENT_KIND,
];

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn sources(folder: &Path, all: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, all);
            } else if path.extension().is_some_and(|e| e == "rs") {
                all.push(fs::read_to_string(path).unwrap());
            }
        }
    }

    /// A kind that is written and not listed would stay behind.
    #[test]
    fn every_kind_that_is_written_is_listed() {
        let mut all = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
        // In two parts, or this file would be found too.
        let call = concat!("put_", "document(");
        let mut found = 0;
        for text in &all {
            for name in text.split(call).skip(1).filter_map(|rest| rest.split([',', ')']).next()) {
                let (name, owner) =
                    (name.rsplit("::").next().unwrap().trim(), format!("const {}: &str = \"", name.rsplit("::").next().unwrap().trim()));
                let of_file = |text: &String| text.split(&owner).nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
                let kind = of_file(text).or_else(|| all.iter().find_map(of_file));
                let kind = kind.unwrap_or_else(|| panic!("{name} is no constant of a kind of documents"));
                assert!(KINDS.contains(&kind.as_str()), "{name} = {kind:?} is not among the kinds");
                found += 1;
            }
        }
        assert!(found >= 4, "only {found} calls were found");
    }
}
