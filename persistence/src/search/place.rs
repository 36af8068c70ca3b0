//! Where a twin stands in the order of a search, and cursors, which name a place and no count: what comes and goes meanwhile neither
//! repeats nor hides another twin.

use std::{cmp::Ordering, fmt, fmt::Write, str::FromStr};

use hierarchy_models::{
    TwinId,
    filter::{Sort, SortBy, find},
};

use super::key::{created_value, value_key};
use crate::{error::Error, store::RegistryEntry};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What it is sorted by before its id: empty when that is nothing, `None` when it does not have it.
    pub value: Option<Vec<u8>>,
    pub id: TwinId,
}

impl Place {
    pub fn of(entry: &RegistryEntry, sort: &Sort) -> Self {
        let value = match &sort.by {
            SortBy::Id => Some(Vec::new()),
            SortBy::CreatedAt => Some(created_value(entry.row.created_at)),
            SortBy::Metadata(names) => find(&entry.row.metadata, names).and_then(value_key),
        };
        Self { value, id: entry.row.id.clone() }
    }

    /// Those without a value come last whatever the direction.
    pub fn order(&self, other: &Self, descending: bool) -> Ordering {
        let turned = |order: Ordering| if descending { order.reverse() } else { order };
        match (&self.value, &other.value) {
            (Some(a), Some(b)) => turned(a.cmp(b).then_with(|| self.id.cmp(&other.id))),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => turned(self.id.cmp(&other.id)),
        }
    }

    /// Reads the cursor of a search with this order.
    pub fn read(cursor: &Option<String>, sort: &Sort) -> Result<Option<Self>, Error> {
        let Some(text) = cursor else { return Ok(None) };
        let place: Self = text.parse().map_err(|()| Error::BadCursor)?;
        let is_by_id = place.value.as_ref().is_some_and(Vec::is_empty);
        if is_by_id == (sort.by == SortBy::Id) { Ok(Some(place)) } else { Err(Error::BadCursor) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) if value.is_empty() => write!(f, "r.{}", self.id),
            Some(value) => {
                let mut hex = String::with_capacity(value.len() * 2);
                value.iter().try_for_each(|byte| write!(hex, "{byte:02x}"))?;
                write!(f, "v.{hex}.{}", self.id)
            }
            None => write!(f, "n.{}", self.id),
        }
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let id = |text: &str| TwinId::new(text).map_err(drop);
        let (kind, rest) = text.split_once('.').ok_or(())?;
        match kind {
            "r" => Ok(Self { value: Some(Vec::new()), id: id(rest)? }),
            "n" => Ok(Self { value: None, id: id(rest)? }),
            "v" => {
                let (hex, twin) = rest.split_once('.').ok_or(())?;
                let is_hex = !hex.is_empty() && hex.len().is_multiple_of(2) && hex.bytes().all(|b| b.is_ascii_hexdigit());
                let byte = |n: usize| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).map_err(drop);
                let value = if is_hex { (0..hex.len() / 2).map(byte).collect::<Result<_, _>>()? } else { return Err(()) };
                Ok(Self { value: Some(value), id: id(twin)? })
            }
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nonsense_does_not() {
        let id = TwinId::new("a.b:c@d").unwrap();
        for value in [None, Some(vec![]), Some(vec![3, 0, 255])] {
            let place = Place { value, id: id.clone() };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for bad in ["", "r.a/b", "v..a", "v.0.a", "v.zz.a", "v.é.a", "x.a", "n."] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
        let by = |text: &str| Sort::parse(text).unwrap();
        assert!(Place::read(&Some("v.00.a".into()), &by("id")).is_err());
        assert!(Place::read(&Some("r.a".into()), &by("metadata.x")).is_err());
        assert!(Place::read(&Some("n.a".into()), &by("-metadata.x")).is_ok());
    }
}
