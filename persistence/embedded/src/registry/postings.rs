//! What twins are found by, written in one transaction with their rows; and how it is read.

use hierarchy_models::{Name, TwinId};
use persistence::{
    Error, RegistryEntry,
    search::{self, From, Index, List, Posting, Span},
};
use rusqlite::{Connection, OptionalExtension, params_from_iter, types::Value as Sql};

use super::{entry, rows, twin_id};
use crate::sqlite::doing;

/// Raised when postings are made another way: a store of an older form makes them anew when it opens.
const FORM: i64 = 1;
const WRITING: &str = "writing what twins are found by";
const READING: &str = "searching the registry";

fn term(posting: Posting) -> Vec<u8> {
    [posting.key, posting.value].concat()
}

/// The postings of a row that stands at `path`, in order.
fn terms(entry: &RegistryEntry) -> Vec<Vec<u8>> {
    let mut all: Vec<_> = search::postings_of(&entry.row).into_iter().map(term).collect();
    all.extend(above(entry.path.as_str()));
    all.sort_unstable();
    all
}

/// What a twin at this path is listed under as one that stands below others.
fn above(path: &str) -> impl Iterator<Item = Vec<u8>> {
    let tops = path.rsplit_once('/').map_or("", |(above, _)| above).split('/').filter(|top| !top.is_empty());
    tops.map(|top| term(search::under(top)))
}

fn change(conn: &Connection, twin: &str, old: &[Vec<u8>], new: &[Vec<u8>]) -> Result<(), Error> {
    let run = |sql: &str, term: &[u8]| {
        conn.prepare_cached(sql).and_then(|mut s| s.execute(rusqlite::params![term, twin])).map(drop).map_err(doing(WRITING))
    };
    for gone in old.iter().filter(|term| new.binary_search(term).is_err()) {
        run("DELETE FROM posting WHERE term = ?1 AND twin = ?2", gone)?;
    }
    for come in new.iter().filter(|term| old.binary_search(term).is_err()) {
        run("INSERT OR IGNORE INTO posting (term, twin) VALUES (?1, ?2)", come)?;
    }
    Ok(())
}

/// To be called around every change of a row: with what was there, and with what is.
pub fn replace(conn: &Connection, twin: &TwinId, old: Option<&RegistryEntry>, new: Option<&RegistryEntry>) -> Result<(), Error> {
    change(conn, twin.as_str(), &old.map(terms).unwrap_or_default(), &new.map(terms).unwrap_or_default())
}

/// The twin itself has not changed, but stands elsewhere.
pub fn moved(conn: &Connection, twin: &str, from: &str, to: &str) -> Result<(), Error> {
    let sorted = |path: &str| {
        let mut terms: Vec<_> = above(path).collect();
        terms.sort_unstable();
        terms
    };
    change(conn, twin, &sorted(from), &sorted(to))
}

/// Makes all postings anew where the file is from before they were, or from before their form.
pub fn make_missing(conn: &mut Connection) -> Result<(), Error> {
    let doing = doing("making what twins are found by");
    let form: Option<i64> =
        conn.query_row("SELECT form FROM posting_form WHERE id = 1", [], |row| row.get(0)).optional().map_err(&doing)?;
    if form == Some(FORM) {
        return Ok(());
    }
    let all = conn.transaction().map_err(&doing)?;
    all.execute("DELETE FROM posting", []).map_err(&doing)?;
    {
        let mut select = all.prepare(&format!("SELECT {} FROM twin ORDER BY id", rows::COLUMNS)).map_err(&doing)?;
        let mut found = select.query([]).map_err(&doing)?;
        while let Some(row) = found.next().map_err(&doing)? {
            let entry = rows::stored(row).map_err(&doing)?.entry()?;
            replace(&all, &entry.row.id, None, Some(&entry))?;
        }
    }
    all.execute("INSERT OR REPLACE INTO posting_form (id, form) VALUES (1, ?1)", [FORM]).map_err(&doing)?;
    all.commit().map_err(&doing)
}

/// A store's file as the search reads it. Nothing here waits for anything, so that a search is over at its first poll.
pub struct Searched<'c>(pub &'c Connection);

/// Behind every id.
const LAST_ID: &str = "\u{7f}";

impl Searched<'_> {
    fn ids_now(&self, list: &List, from: &From, limit: usize) -> Result<Vec<TwinId>, Error> {
        let (column, rest, mut params) = ids_of(list);
        let (after, direction) = match (from.descending, from.included) {
            (false, true) => (">=", "ASC"),
            (false, false) => (">", "ASC"),
            (true, true) => ("<=", "DESC"),
            (true, false) => ("<", "DESC"),
        };
        let place = from.id.as_ref().map_or(if from.descending { LAST_ID } else { "" }, TwinId::as_str);
        params.push(Sql::Text(place.to_owned()));
        params.push(Sql::Integer(limit as i64));
        let select = format!("SELECT {column} {rest} AND {column} {after} ? ORDER BY {column} {direction} LIMIT ?");
        let doing = doing(READING);
        let mut select = self.0.prepare_cached(&select).map_err(&doing)?;
        let ids = select.query_map(params_from_iter(params), |row| row.get(0)).map_err(&doing)?;
        ids.map(|id| id.map_err(&doing).and_then(twin_id)).collect()
    }

    fn count_now(&self, list: &List, max: usize) -> Result<usize, Error> {
        let (_, rest, mut params) = ids_of(list);
        params.push(Sql::Integer(max as i64 + 1));
        let select = format!("SELECT count(*) FROM (SELECT 1 {rest} LIMIT ?)");
        let count = self.0.prepare_cached(&select).and_then(|mut s| s.query_row(params_from_iter(params), |row| row.get::<_, i64>(0)));
        count.map(|count| count as usize).map_err(doing(READING))
    }

    fn values_now(
        &self,
        span: &Span,
        after: Option<(&[u8], &TwinId)>,
        descending: bool,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, TwinId)>, Error> {
        let whole = |value: &[u8]| [span.key.as_slice(), value].concat();
        let (first, last) = (whole(&span.from), whole(&span.to));
        let (from, twin) = match after {
            Some((value, twin)) => (whole(value), twin.as_str()),
            None if descending => (last.clone(), LAST_ID),
            None => (first.clone(), ""),
        };
        let (sign, direction) = if descending { ("<", "DESC") } else { (">", "ASC") };
        let select = format!(
            "SELECT term, twin FROM posting WHERE (term, twin) {sign} (?1, ?2) AND term >= ?3 AND term <= ?4 \
             ORDER BY term {direction}, twin {direction} LIMIT ?5"
        );
        let doing = doing(READING);
        let mut select = self.0.prepare_cached(&select).map_err(&doing)?;
        let found = select.query_map(rusqlite::params![from, twin, first, last, limit as i64], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?))
        });
        let found = found.map_err(&doing)?;
        found
            .map(|row| {
                let (mut term, twin) = row.map_err(&doing)?;
                Ok((term.split_off(span.key.len()), twin_id(twin)?))
            })
            .collect()
    }

    fn entries_now(&self, ids: &[TwinId]) -> Result<Vec<RegistryEntry>, Error> {
        ids.iter().filter_map(|id| entry(self.0, id).transpose()).collect()
    }
}

/// The column of the ids, the table with its condition, and what is bound in that.
fn ids_of(list: &List) -> (&'static str, &'static str, Vec<Sql>) {
    let text = |id: &TwinId| Sql::Text(id.to_string());
    match list {
        List::All => ("id", "FROM twin WHERE 1 = 1", Vec::new()),
        List::Posting(posting) => ("twin", "FROM posting WHERE term = ?", vec![Sql::Blob(term(posting.clone()))]),
        List::Children(parent) => ("id", "FROM twin WHERE parent = ?", vec![text(parent)]),
        List::Under(top) => ("twin", "FROM posting WHERE term = ?", vec![Sql::Blob(term(search::under(top.as_str())))]),
        List::IdPrefix(prefix) => ("id", "FROM twin WHERE id >= ? AND id < ?", prefix_bounds(prefix)),
    }
}

fn prefix_bounds(prefix: &Name) -> Vec<Sql> {
    vec![Sql::Text(prefix.to_string()), Sql::Text(format!("{prefix}{LAST_ID}"))]
}

impl Index for Searched<'_> {
    fn ids(&self, list: &List, from: &From, limit: usize) -> impl Future<Output = Result<Vec<TwinId>, Error>> + Send {
        std::future::ready(self.ids_now(list, from, limit))
    }

    fn count(&self, list: &List, max: usize) -> impl Future<Output = Result<usize, Error>> + Send {
        std::future::ready(self.count_now(list, max))
    }

    fn values(
        &self,
        span: &Span,
        after: Option<(&[u8], &TwinId)>,
        descending: bool,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Vec<u8>, TwinId)>, Error>> + Send {
        std::future::ready(self.values_now(span, after, descending, limit))
    }

    fn entries(&self, ids: Vec<TwinId>) -> impl Future<Output = Result<Vec<RegistryEntry>, Error>> + Send {
        std::future::ready(self.entries_now(&ids))
    }
}
