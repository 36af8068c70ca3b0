//! The search itself. Each call looks at so much and no more; a page may then hold fewer twins than were asked for, and its cursor goes on.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use hierarchy_models::{
    TwinId,
    filter::{SortBy, Verdict},
};

use super::{
    key,
    lists::{Clause, From, Index, List, Span, Walk, is_before},
    place::Place,
    plan::{Leaf, Plan},
    query::RegistryQuery,
};
use crate::{error::Error, query::Page, store::RegistryEntry};

/// What one call may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Twins that are gathered and sorted anew for each page; where more can be meant, the order is walked and each looked at.
    pub sorted_in_memory_max: usize,
    /// Ids of lists that are read.
    pub looks_max: usize,
    /// Rows that are read.
    pub rows_max: usize,
    /// Twins that are counted of each list, to find the shortest.
    pub counted_max: usize,
    /// Where so few can be meant, their rows are read, and no second list.
    pub walked_alone_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { sorted_in_memory_max: 4_096, looks_max: 200_000, rows_max: 20_000, counted_max: 1_024, walked_alone_max: 256 }
    }
}

/// Rows that are read together.
const ROWS_AT_ONCE: usize = 128;

/// Twins whose rows do not say that they are not meant.
pub async fn search(index: &impl Index, query: &RegistryQuery) -> Result<Page<RegistryEntry>, Error> {
    search_within(index, query, Bounds::default()).await
}

pub async fn search_within(index: &impl Index, query: &RegistryQuery, bounds: Bounds) -> Result<Page<RegistryEntry>, Error> {
    let after = Place::read(&query.cursor, &query.sort)?;
    let plan = Plan::of(query);
    let resolved = resolve(index, &plan, query, bounds).await?;
    let mut clauses = clauses(&plan, &mut resolved.into_iter());
    clauses.sort_by_key(|clause| clause.count);
    let few = clauses.first().map_or(usize::MAX, |clause| clause.count);
    if few <= bounds.walked_alone_max {
        clauses.truncate(1);
    }
    if clauses.is_empty() {
        clauses.push(Clause { walks: vec![Walk::of(List::All)], count: usize::MAX });
    }
    let search = Search { index, query, taken: Taken::new(query.limit.max(1), bounds), passed: None };
    match (&query.sort.by, few) {
        (SortBy::Id, _) => search.by_id(clauses, after).await,
        (_, few) if few <= bounds.sorted_in_memory_max => search.sorted(clauses, after).await,
        _ => search.by_value(clauses, after).await,
    }
}

/// What each list and span of the plan comes to, in the order in which they stand there; `None` for a span of too many twins.
async fn resolve(index: &impl Index, plan: &Plan, query: &RegistryQuery, bounds: Bounds) -> Result<Vec<Option<Clause>>, Error> {
    let leaves = plan.leaves();
    // One list alone is walked however long it is.
    let count_max = match (&query.sort.by, leaves.len()) {
        (SortBy::Id, 0..=1) => 0,
        (SortBy::Id, _) => bounds.counted_max,
        _ => bounds.sorted_in_memory_max,
    };
    let mut resolved = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        resolved.push(match leaf {
            Leaf::Twin(id) => Some(Clause { walks: vec![Walk::fixed(vec![id.clone()])], count: 1 }),
            Leaf::List(list) => {
                let count = index.count(list, count_max).await?;
                Some(Clause { walks: vec![Walk::of(list.clone())], count })
            }
            Leaf::Span(span) => {
                let found = index.values(span, None, false, bounds.sorted_in_memory_max + 1).await?;
                (found.len() <= bounds.sorted_in_memory_max)
                    .then(|| of_ids(found.into_iter().map(|(_, id)| id).collect(), query.sort.descending))
            }
        });
    }
    Ok(resolved)
}

fn of_ids(mut ids: Vec<TwinId>, descending: bool) -> Clause {
    ids.sort_unstable();
    ids.dedup();
    if descending {
        ids.reverse();
    }
    Clause { count: ids.len(), walks: vec![Walk::fixed(ids)] }
}

/// Clauses that a twin must all be in.
fn clauses(plan: &Plan, resolved: &mut impl Iterator<Item = Option<Clause>>) -> Vec<Clause> {
    match plan {
        Plan::All(parts) => parts.iter().flat_map(|part| clauses(part, resolved)).collect(),
        Plan::Any(parts) => {
            // Of what each part says the shortest is enough; where one says nothing, all say nothing.
            let parts: Vec<_> = parts.iter().map(|part| clauses(part, resolved).into_iter().min_by_key(|c| c.count)).collect();
            let Some(parts) = parts.into_iter().collect::<Option<Vec<_>>>() else { return Vec::new() };
            let count = parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.count));
            vec![Clause { walks: parts.into_iter().flat_map(|part| part.walks).collect(), count }]
        }
        Plan::Leaf(_) => resolved.next().flatten().into_iter().collect(),
    }
}

/// The page while it is filled.
struct Taken {
    entries: Vec<RegistryEntry>,
    limit: usize,
    looks: usize,
    rows: usize,
    bounds: Bounds,
}

impl Taken {
    fn new(limit: usize, bounds: Bounds) -> Self {
        Self { entries: Vec::new(), limit, looks: 0, rows: 0, bounds }
    }

    fn is_full(&self) -> bool {
        self.entries.len() > self.limit
    }

    fn is_tired(&self) -> bool {
        self.looks > self.bounds.looks_max || self.rows > self.bounds.rows_max
    }
}

struct Search<'a, I> {
    index: &'a I,
    query: &'a RegistryQuery,
    taken: Taken,
    /// The last id that was held against all clauses.
    passed: Option<TwinId>,
}

impl<I: Index> Search<'_, I> {
    /// `last` is the last twin that was looked at, when there may be further ones.
    fn page(mut self, last: Option<Place>) -> Page<RegistryEntry> {
        let cursor = if self.taken.is_full() {
            self.taken.entries.truncate(self.taken.limit);
            self.taken.entries.last().map(|entry| Place::of(entry, &self.query.sort))
        } else {
            last
        };
        Page { items: self.taken.entries, cursor: cursor.map(|place| place.to_string()) }
    }

    /// Takes those of these that are meant, in their order.
    async fn take(&mut self, ids: Vec<TwinId>, also: impl Fn(&RegistryEntry) -> bool) -> Result<(), Error> {
        self.taken.rows += ids.len();
        for entry in self.index.entries(ids).await? {
            if also(&entry) {
                self.consider(entry);
            }
        }
        Ok(())
    }

    fn consider(&mut self, entry: RegistryEntry) {
        if !self.taken.is_full() && self.query.judge(&entry) != Verdict::No {
            self.taken.entries.push(entry);
        }
    }

    /// The next ids that all clauses have, behind `from`; and whether there are no more. Fewer than `limit` too when the call has looked at
    /// enough; it always gets further than it was.
    async fn next_ids(&mut self, clauses: &mut [Clause], from: &mut From, limit: usize) -> Result<(Vec<TwinId>, bool), Error> {
        let mut ids = Vec::new();
        'next: while ids.len() < limit && !self.taken.is_tired() {
            let Some((first, others)) = clauses.split_first_mut() else { return Ok((ids, true)) };
            let Some(id) = first.seek(self.index, from, &mut self.taken.looks).await? else { return Ok((ids, true)) };
            let at = From { id: Some(id.clone()), included: true, descending: from.descending };
            for other in others {
                let Some(there) = other.seek(self.index, &at, &mut self.taken.looks).await? else { return Ok((ids, true)) };
                if is_before(&id, &there, from.descending) {
                    self.passed = Some(id);
                    *from = From { id: Some(there), included: true, descending: from.descending };
                    continue 'next;
                }
            }
            self.passed = Some(id.clone());
            *from = From { id: Some(id.clone()), included: false, descending: from.descending };
            ids.push(id);
        }
        Ok((ids, false))
    }

    fn from(&self, id: Option<TwinId>) -> From {
        From { id, included: false, descending: self.query.sort.descending }
    }

    async fn by_id(mut self, mut clauses: Vec<Clause>, after: Option<Place>) -> Result<Page<RegistryEntry>, Error> {
        let is_over = self.walk(&mut clauses, after.map(|place| place.id), |_| true).await?;
        let last = self.passed.take().filter(|_| !is_over).map(|id| Place { value: Some(Vec::new()), id });
        Ok(self.page(last))
    }

    /// Fills the page in the order of the ids; whether there are no more.
    async fn walk(&mut self, clauses: &mut [Clause], after: Option<TwinId>, also: impl Fn(&RegistryEntry) -> bool) -> Result<bool, Error> {
        let mut from = self.from(after);
        loop {
            let wanted = (self.taken.limit + 1).saturating_sub(self.taken.entries.len()).clamp(1, ROWS_AT_ONCE);
            let (ids, is_end) = self.next_ids(clauses, &mut from, wanted).await?;
            self.take(ids, &also).await?;
            if is_end || self.taken.is_full() || self.taken.is_tired() {
                return Ok(is_end);
            }
        }
    }

    /// Gathers all that can be meant, and sorts it.
    async fn sorted(mut self, mut clauses: Vec<Clause>, after: Option<Place>) -> Result<Page<RegistryEntry>, Error> {
        clauses.truncate(1);
        // It is few enough already.
        self.taken.bounds.looks_max = usize::MAX;
        let (sort, limit) = (&self.query.sort, self.taken.limit);
        let mut found: Vec<(Place, RegistryEntry)> = Vec::new();
        let mut from = self.from(None);
        loop {
            let (ids, is_end) = self.next_ids(&mut clauses, &mut from, ROWS_AT_ONCE).await?;
            for entry in self.index.entries(ids).await? {
                let place = Place::of(&entry, sort);
                let is_behind = after.as_ref().is_none_or(|after| after.order(&place, sort.descending) == Ordering::Less);
                if is_behind && self.query.judge(&entry) != Verdict::No {
                    found.push((place, entry));
                }
            }
            if is_end {
                break;
            }
        }
        found.sort_by(|(a, _), (b, _)| a.order(b, sort.descending));
        self.taken.entries = found.into_iter().take(limit + 1).map(|(_, entry)| entry).collect();
        Ok(self.page(None))
    }

    /// Walks the values in their order, then those that have none.
    async fn by_value(mut self, mut clauses: Vec<Clause>, after: Option<Place>) -> Result<Page<RegistryEntry>, Error> {
        let sort = self.query.sort.clone();
        let key = match &sort.by {
            SortBy::Metadata(names) => key::metadata_key(names),
            SortBy::CreatedAt | SortBy::Id => key::created_key(),
        };
        let span = Span { key, from: vec![0], to: vec![0xff; 9] };
        let (mut last, mut id) = (None, None);
        match after {
            Some(Place { value: Some(value), id }) => last = Some((value, id)),
            Some(Place { value: None, id: after }) => id = Some(after),
            None => {}
        }
        while id.is_none() {
            let found =
                self.index.values(&span, last.as_ref().map(|(value, id)| (value.as_slice(), id)), sort.descending, ROWS_AT_ONCE).await?;
            let is_end = found.len() < ROWS_AT_ONCE;
            last = found.last().cloned().or(last);
            self.take_valued(found).await?;
            if self.taken.is_full() || self.taken.is_tired() {
                return Ok(self.page(last.map(|(value, id)| Place { value: Some(value), id })));
            }
            if is_end {
                break;
            }
        }
        if sort.by == SortBy::CreatedAt {
            return Ok(self.page(None));
        }
        let has_none = |entry: &RegistryEntry| Place::of(entry, &sort).value.is_none();
        let is_over = self.walk(&mut clauses, id, has_none).await?;
        let last = self.passed.take().filter(|_| !is_over).map(|id| Place { value: None, id });
        Ok(self.page(last))
    }

    /// A posting may be older than its row: a twin stands where its row says, once.
    async fn take_valued(&mut self, found: Vec<(Vec<u8>, TwinId)>) -> Result<(), Error> {
        self.taken.rows += found.len();
        let ids: BTreeSet<TwinId> = found.iter().map(|(_, id)| id.clone()).collect();
        let entries = self.index.entries(ids.into_iter().collect()).await?;
        let mut rows: BTreeMap<TwinId, RegistryEntry> = entries.into_iter().map(|entry| (entry.row.id.clone(), entry)).collect();
        for (value, id) in found {
            let is_here = |entry: &RegistryEntry| Place::of(entry, &self.query.sort).value.as_ref() == Some(&value);
            if rows.get(&id).is_some_and(is_here)
                && let Some(entry) = rows.remove(&id)
            {
                self.consider(entry);
            }
        }
        Ok(())
    }
}
