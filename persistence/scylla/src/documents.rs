//! Small documents that do not belong to a twin: one partition for each kind.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use persistence::{Document, Documents, Error};

use crate::{
    ScyllaStore,
    cql::{Cql, Statement, Use},
};

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
            put: cql.prepare(Use::Write, "INSERT INTO document (kind, id, body) VALUES (?, ?, ?)").await?,
            get: cql.prepare(Use::Read, "SELECT body FROM document WHERE kind = ? AND id = ?").await?,
            delete: cql.prepare(Use::Write, "DELETE FROM document WHERE kind = ? AND id = ?").await?,
            list: cql.prepare(Use::Read, "SELECT id, body FROM document WHERE kind = ? AND id > ? LIMIT ?").await?,
            cql,
        })
    }
}

#[async_trait]
impl Documents for ScyllaStore {
    async fn put_document(&self, kind: &'static str, id: &str, body: Bytes) -> Result<(), Error> {
        let documents = &self.core.documents;
        self.core.owned(documents.cql.write(WRITING, &documents.put, (kind, id, &body[..]))).await
    }

    async fn document(&self, kind: &'static str, id: &str) -> Result<Option<Bytes>, Error> {
        let documents = &self.core.documents;
        let row: Option<(Vec<u8>,)> = documents.cql.row(READING, &documents.get, (kind, id)).await?;
        Ok(row.map(|(body,)| body.into()))
    }

    async fn delete_document(&self, kind: &'static str, id: &str) -> Result<bool, Error> {
        let documents = &self.core.documents;
        let delete = async {
            let was_there = self.document(kind, id).await?.is_some();
            documents.cql.write("deleting a document", &documents.delete, (kind, id)).await?;
            Ok(was_there)
        };
        self.core.owned(delete).await
    }

    async fn documents(&self, kind: &'static str, after: Option<String>, limit: usize) -> Result<Vec<Document>, Error> {
        let documents = &self.core.documents;
        let values = (kind, after.unwrap_or_default(), i32::try_from(limit).unwrap_or(i32::MAX));
        let rows = documents.cql.rows::<(String, Vec<u8>)>(READING, &documents.list, values).await?;
        Ok(rows.into_iter().map(|(id, body)| Document { id, body: body.into() }).collect())
    }
}
