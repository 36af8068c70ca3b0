//! Small documents that do not belong to a twin. A kind lies in several partitions: calls of webhooks and alerts are written and deleted
//! like a queue, what was deleted is read again until the server forgets it, and of one partition it reads only so much of that.

use std::{cmp::Ordering, collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use persistence::{Document, Documents, Error};

use crate::{
    ScyllaStore,
    cql::{Cql, Statement, Use, for_each},
    projections::shelves::bucket,
};

/// Partitions of a kind. Cassandra reads no more than 100,000 deleted rows of one, which so is some four a second in the ten days that it
/// keeps them.
const PARTS: i16 = 32;
/// Rows read of a part beyond its share of a page, so that few pages want a second look.
const ROWS_OVER_SHARE: usize = 8;

const WRITING: &str = "writing a document";
const READING: &str = "reading a document";

pub struct Statements {
    cql: Arc<Cql>,
    put: Statement,
    get: Statement,
    delete: Statement,
    list: Statement,
}

impl Statements {
    pub async fn prepare(cql: Arc<Cql>) -> Result<Self, Error> {
        Ok(Self {
            put: cql.prepare(Use::Write, "INSERT INTO document (kind, part, id, body) VALUES (?, ?, ?, ?)").await?,
            get: cql.prepare(Use::Read, "SELECT body FROM document WHERE kind = ? AND part = ? AND id = ?").await?,
            delete: cql.prepare(Use::Write, "DELETE FROM document WHERE kind = ? AND part = ? AND id = ?").await?,
            list: cql.prepare(Use::Read, "SELECT id, body FROM document WHERE kind = ? AND part = ? AND id > ? LIMIT ?").await?,
            cql,
        })
    }
}

#[async_trait]
impl Documents for ScyllaStore {
    async fn put_document(&self, kind: &'static str, id: &str, body: Bytes) -> Result<(), Error> {
        let documents = &self.core.documents;
        self.core.owned(documents.cql.write(WRITING, &documents.put, (kind, bucket(id, PARTS), id, &body[..]))).await
    }

    async fn document(&self, kind: &'static str, id: &str) -> Result<Option<Bytes>, Error> {
        let documents = &self.core.documents;
        let row: Option<(Vec<u8>,)> = documents.cql.row(READING, &documents.get, (kind, bucket(id, PARTS), id)).await?;
        Ok(row.map(|(body,)| body.into()))
    }

    async fn delete_document(&self, kind: &'static str, id: &str) -> Result<bool, Error> {
        let documents = &self.core.documents;
        let delete = async {
            let was_there = self.document(kind, id).await?.is_some();
            documents.cql.write("deleting a document", &documents.delete, (kind, bucket(id, PARTS), id)).await?;
            Ok(was_there)
        };
        self.core.owned(delete).await
    }

    async fn documents(&self, kind: &'static str, after: Option<String>, limit: usize) -> Result<Vec<Document>, Error> {
        let share = limit.div_ceil(PARTS as usize) + ROWS_OVER_SHARE;
        let mut parts = Vec::new();
        for part in 0..PARTS {
            parts.push(Part { part, rows: VecDeque::new(), after: after.clone().unwrap_or_default(), is_read: false });
        }
        let mut all = Vec::new();
        while all.len() < limit {
            parts = for_each(parts, PARTS as usize, |part| part.fill(&self.core.documents, kind, share)).await?;
            // What comes next is known for as long as no part has run out that may have more.
            while all.len() < limit
                && !parts.iter().any(Part::wants_rows)
                && let Some(next) = parts.iter_mut().min_by(|a, b| a.order(b)).and_then(|part| part.rows.pop_front())
            {
                all.push(next);
            }
            if parts.iter().all(|part| part.is_read && part.rows.is_empty()) {
                break;
            }
        }
        Ok(all)
    }
}

/// A part of a kind on its way into a page.
struct Part {
    part: i16,
    rows: VecDeque<Document>,
    /// The last id that was read.
    after: String,
    is_read: bool,
}

impl Part {
    fn wants_rows(&self) -> bool {
        self.rows.is_empty() && !self.is_read
    }

    async fn fill(mut self, documents: &Statements, kind: &'static str, rows_max: usize) -> Result<Self, Error> {
        if self.wants_rows() {
            let values = (kind, self.part, &self.after, i32::try_from(rows_max).unwrap_or(i32::MAX));
            let rows = documents.cql.rows::<(String, Vec<u8>)>(READING, &documents.list, values).await?;
            self.is_read = rows.len() < rows_max;
            self.rows.extend(rows.into_iter().map(|(id, body)| Document { id, body: body.into() }));
            self.after = self.rows.back().map_or(self.after, |last| last.id.clone());
        }
        Ok(self)
    }

    /// By the id that comes next, those behind which there is none last.
    fn order(&self, other: &Self) -> Ordering {
        match (self.rows.front(), other.rows.front()) {
            (Some(a), Some(b)) => a.id.cmp(&b.id),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }
}
