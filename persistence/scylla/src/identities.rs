//! Identities, in a table of their own: nothing that lists twins or searches history has a statement about it.
//!
//! A row stays when its identity goes, so that the generation of a former device of the same id is never used again.

use std::sync::Arc;

use async_trait::async_trait;
use hierarchy_models::TwinId;
use persistence::{Error, Identities, Identity, SealedKey, metrics};

use crate::{
    cql::{Statement, Use, for_each},
    projections::shelves::AT_ONCE,
    store::Core,
};

const WRITING: &str = "writing an identity";
const READING: &str = "reading an identity";

/// Who may connect, and with which keys.
pub struct ScyllaIdentities {
    pub(crate) core: Arc<Core>,
    statements: Statements,
    /// A row is read before it is written.
    writing: tokio::sync::Mutex<()>,
}

struct Statements {
    put: Statement,
    clear: Statement,
    get: Statement,
    highest: Statement,
    first: Statement,
    behind: Statement,
}

type Keys = Vec<(String, Vec<u8>, Vec<u8>)>;
type Row = (bool, bool, i64, i64, Vec<String>, Keys);

impl ScyllaIdentities {
    pub(crate) async fn prepare(core: Arc<Core>) -> Result<Self, Error> {
        let put =
            "INSERT INTO identity (device, highest, present, enabled, generation, kid, slots, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let get = "SELECT present, enabled, generation, kid, slots, sealed FROM identity WHERE device = ?";
        let clear =
            "UPDATE identity SET present = false, enabled = false, generation = 0, kid = 0, slots = [], sealed = [] WHERE device = ?";
        let cql = &core.cql;
        let statements = Statements {
            put: cql.prepare(Use::Write, put).await?,
            clear: cql.prepare(Use::Write, clear).await?,
            get: cql.prepare(Use::Read, get).await?,
            highest: cql.prepare(Use::Read, "SELECT highest FROM identity WHERE device = ?").await?,
            first: cql.prepare(Use::Read, "SELECT device, highest FROM identity LIMIT ?").await?,
            behind: cql.prepare(Use::Read, "SELECT device, highest FROM identity WHERE token(device) > token(?) LIMIT ?").await?,
        };
        Ok(Self { core, statements, writing: tokio::sync::Mutex::new(()) })
    }

    async fn highest(&self, device: &TwinId) -> Result<Option<i64>, Error> {
        let row: Option<(i64,)> = self.core.cql.row(READING, &self.statements.highest, (device.as_str(),)).await?;
        Ok(row.map(|(highest,)| highest))
    }

    async fn put(&self, identity: Identity) -> Result<(), Error> {
        let generation = identity.generation as i64;
        let highest = self.highest(&identity.device).await?.map_or(generation, |highest| highest.max(generation));
        let sealed: Keys = identity.sealed.into_iter().map(|key| (key.slot, key.nonce, key.sealed)).collect();
        let (device, kid) = (identity.device.as_str(), i64::from(identity.kid));
        let values = (device, highest, true, identity.enabled, generation, kid, identity.slots, sealed);
        self.core.cql.write(WRITING, &self.statements.put, values).await
    }
}

/// Rounds of identities in each of which a device stands once, in their order.
fn rounds(identities: Vec<Identity>) -> Vec<Vec<Identity>> {
    let mut rounds: Vec<Vec<Identity>> = Vec::new();
    let mut seen = std::collections::HashMap::new();
    for identity in identities {
        let round = seen.entry(identity.device.clone()).and_modify(|round| *round += 1).or_insert(0);
        if rounds.len() <= *round {
            rounds.push(Vec::new());
        }
        rounds[*round].push(identity);
    }
    rounds
}

#[async_trait]
impl Identities for ScyllaIdentities {
    async fn put_identities(&self, identities: Vec<Identity>) -> Result<(), Error> {
        let put = async {
            let _alone = self.writing.lock().await;
            for round in rounds(identities) {
                for_each(round, AT_ONCE, |identity| self.put(identity)).await?;
            }
            Ok(())
        };
        self.core.owned(put).await.inspect_err(|error| metrics::failed("put_identities", error))
    }

    async fn identity(&self, device: &TwinId) -> Result<Option<Identity>, Error> {
        let row: Option<Row> = self.core.cql.row(READING, &self.statements.get, (device.as_str(),)).await?;
        let Some((true, enabled, generation, kid, slots, sealed)) = row else { return Ok(None) };
        let sealed = sealed.into_iter().map(|(slot, nonce, sealed)| SealedKey { slot, nonce, sealed }).collect();
        let kid = u32::try_from(kid).map_err(|e| crate::cql::damaged(READING, e))?;
        Ok(Some(Identity { device: device.clone(), enabled, generation: generation as u64, kid, slots, sealed }))
    }

    async fn delete_identity(&self, device: &TwinId) -> Result<(), Error> {
        let clear = async {
            let _alone = self.writing.lock().await;
            match self.highest(device).await? {
                None => Ok(()),
                Some(_) => self.core.cql.write("deleting an identity", &self.statements.clear, (device.as_str(),)).await,
            }
        };
        self.core.owned(clear).await
    }

    async fn next_generation(&self, device: &TwinId) -> Result<u64, Error> {
        Ok(self.highest(device).await?.map_or(1, |highest| highest as u64 + 1))
    }

    async fn generations(&self, after: Option<TwinId>, limit: usize) -> Result<Vec<(TwinId, u64)>, Error> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let cql = &self.core.cql;
        let rows: Vec<(String, i64)> = match after {
            None => cql.rows(READING, &self.statements.first, (limit,)).await?,
            Some(after) => cql.rows(READING, &self.statements.behind, (after.as_str(), limit)).await?,
        };
        let twin = |device: &str| TwinId::new(device).map_err(|e| crate::cql::damaged(READING, e));
        rows.into_iter().map(|(device, highest)| Ok((twin(&device)?, highest as u64))).collect()
    }
}
