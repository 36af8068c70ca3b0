//! Lists of ids in one order, read piece by piece, and what a store gives for them.

use std::collections::VecDeque;

use hierarchy_models::{Name, TwinId};

use super::key::Posting;
use crate::{error::Error, store::RegistryEntry};

/// Ids of a piece, when a list is read from a new place; more follow when it is read on.
const PIECE_MIN: usize = 16;
const PIECE_MAX: usize = 512;

/// A list of twins, by id.
#[derive(Debug, Clone, PartialEq)]
pub enum List {
    /// All that are registered.
    All,
    Posting(Posting),
    Children(TwinId),
    /// All below a twin, itself not included.
    Under(TwinId),
    /// Those whose id begins so.
    IdPrefix(Name),
}

/// Postings of one key whose values lie here, both ends included.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub key: Vec<u8>,
    pub from: Vec<u8>,
    pub to: Vec<u8>,
}

/// Where a piece begins; without an id at the list's beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct From {
    pub id: Option<TwinId>,
    /// Whether that id itself is wanted.
    pub included: bool,
    /// Towards smaller ids.
    pub descending: bool,
}

/// What a store gives. Lists may hold twins that are gone or are not meant any more, and lack none that is meant.
pub trait Index {
    /// The next ids of a list, at most `limit`; fewer only at its end.
    fn ids(&self, list: &List, from: &From, limit: usize) -> impl Future<Output = Result<Vec<TwinId>, Error>> + Send;
    /// How many ids a list has; of more than `max` it may say any number above it.
    fn count(&self, list: &List, max: usize) -> impl Future<Output = Result<usize, Error>> + Send;
    /// Postings by value and id, behind `after`, at most `limit`; fewer only at the end.
    fn values(
        &self,
        span: &Span,
        after: Option<(&[u8], &TwinId)>,
        descending: bool,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Vec<u8>, TwinId)>, Error>> + Send;
    /// Each of these that is registered.
    fn entries(&self, ids: Vec<TwinId>) -> impl Future<Output = Result<Vec<RegistryEntry>, Error>> + Send;
}

/// Whether `a` comes before `b`.
pub fn is_before(a: &TwinId, b: &TwinId, descending: bool) -> bool {
    if descending { a > b } else { a < b }
}

/// A list while it is walked. Places are sought in their order, never backwards.
pub struct Walk {
    list: Option<List>,
    piece: VecDeque<TwinId>,
    /// Nothing follows the piece.
    is_over: bool,
    /// Behind what the piece held, once there was one.
    read_to: Option<TwinId>,
    next_piece: usize,
}

impl Walk {
    pub fn of(list: List) -> Self {
        Self { list: Some(list), piece: VecDeque::new(), is_over: false, read_to: None, next_piece: PIECE_MIN }
    }

    /// Of ids that are known, in order.
    pub fn fixed(ids: Vec<TwinId>) -> Self {
        Self { list: None, piece: ids.into(), is_over: true, read_to: None, next_piece: 0 }
    }

    /// The first id at `from` or behind it. `looks` counts what was read for it.
    pub async fn seek(&mut self, index: &impl Index, from: &From, looks: &mut usize) -> Result<Option<TwinId>, Error> {
        let is_passed = |id: &TwinId| match &from.id {
            None => false,
            Some(place) => is_before(id, place, from.descending) || (!from.included && id == place),
        };
        while self.piece.front().is_some_and(is_passed) {
            self.piece.pop_front();
        }
        if self.piece.is_empty()
            && !self.is_over
            && let Some(list) = &self.list
        {
            // Sought further on: the pieces begin small again.
            let reads_on = self.read_to.is_some() && self.read_to == from.id;
            self.next_piece = if reads_on { (self.next_piece * 4).min(PIECE_MAX) } else { self.next_piece.clamp(PIECE_MIN, PIECE_MIN * 4) };
            self.piece = index.ids(list, from, self.next_piece).await?.into();
            *looks += self.piece.len();
            self.is_over = self.piece.len() < self.next_piece;
            self.read_to = self.piece.back().cloned();
        }
        Ok(self.piece.front().cloned())
    }
}

/// Twins that are in one of several lists.
pub struct Clause {
    pub walks: Vec<Walk>,
    /// How many twins that can be; above the bound of whoever counted, any number above it.
    pub count: usize,
}

impl Clause {
    pub async fn seek(&mut self, index: &impl Index, from: &From, looks: &mut usize) -> Result<Option<TwinId>, Error> {
        let mut first: Option<TwinId> = None;
        for walk in &mut self.walks {
            if let Some(id) = walk.seek(index, from, looks).await?
                && first.as_ref().is_none_or(|first| is_before(&id, first, from.descending))
            {
                first = Some(id);
            }
        }
        Ok(first)
    }
}
