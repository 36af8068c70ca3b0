//! Identities, in a table of their own: nothing that lists twins or searches history has a statement about it.
//!
//! A row stays when its identity goes, so that the generation of a former device of the same id is never used again.

use std::sync::Arc;

use async_trait::async_trait;
use hierarchy_models::TwinId;
use persistence::{Error, Identities, Identity, OwnCertificate, SealedKey, Thumbprint, metrics};

use crate::{
    cql::{Cql, Statement, Use, for_each},
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

pub(crate) struct Statements {
    put: Statement,
    clear: Statement,
    get: Statement,
    highest: Statement,
    first: Statement,
    behind: Statement,
    put_credential: Statement,
    clear_credential: Statement,
    credential: Statement,
    gateway: Statement,
    put_behind: Statement,
    clear_behind: Statement,
    first_behind: Statement,
    next_behind: Statement,
}

type Keys = Vec<(String, Vec<u8>, Vec<u8>)>;
type Row = (bool, bool, i64, i64, Vec<String>, Keys);
type Certificates = Vec<(String, Vec<u8>)>;
/// Generation, password, gateway (empty: none), certificates.
type Credential = (i64, String, String, Certificates);

impl Statements {
    pub async fn prepare(cql: &Cql) -> Result<Self, Error> {
        let put =
            "INSERT INTO identity (device, highest, present, enabled, generation, kid, slots, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let get = "SELECT present, enabled, generation, kid, slots, sealed FROM identity WHERE device = ?";
        let clear =
            "UPDATE identity SET present = false, enabled = false, generation = 0, kid = 0, slots = [], sealed = [] WHERE device = ?";
        let put_credential = "INSERT INTO credential (device, generation, password, gateway, certificates) VALUES (?, ?, ?, ?, ?)";
        let clear_credential = "UPDATE credential SET generation = 0, password = '', gateway = '', certificates = [] WHERE device = ?";
        let credential = "SELECT generation, password, gateway, certificates FROM credential WHERE device = ?";
        let next_behind = "SELECT device FROM behind_gateway WHERE gateway = ? AND device > ? LIMIT ?";
        Ok(Self {
            put: cql.prepare(Use::Write, put).await?,
            clear: cql.prepare(Use::Write, clear).await?,
            get: cql.prepare(Use::Read, get).await?,
            highest: cql.prepare(Use::Read, "SELECT highest FROM identity WHERE device = ?").await?,
            first: cql.prepare(Use::Read, "SELECT device, highest FROM identity LIMIT ?").await?,
            behind: cql.prepare(Use::Read, "SELECT device, highest FROM identity WHERE token(device) > token(?) LIMIT ?").await?,
            put_credential: cql.prepare(Use::Write, put_credential).await?,
            clear_credential: cql.prepare(Use::Write, clear_credential).await?,
            credential: cql.prepare(Use::Read, credential).await?,
            gateway: cql.prepare(Use::Read, "SELECT gateway FROM credential WHERE device = ?").await?,
            put_behind: cql.prepare(Use::Write, "INSERT INTO behind_gateway (gateway, device) VALUES (?, ?)").await?,
            clear_behind: cql.prepare(Use::Write, "DELETE FROM behind_gateway WHERE gateway = ? AND device = ?").await?,
            first_behind: cql.prepare(Use::Read, "SELECT device FROM behind_gateway WHERE gateway = ? LIMIT ?").await?,
            next_behind: cql.prepare(Use::Read, next_behind).await?,
        })
    }
}

impl ScyllaIdentities {
    pub(crate) fn new(core: Arc<Core>, statements: Statements) -> Self {
        Self { core, statements, writing: tokio::sync::Mutex::new(()) }
    }

    async fn highest(&self, device: &TwinId) -> Result<Option<i64>, Error> {
        let row: Option<(i64,)> = self.core.cql.row(READING, &self.statements.highest, (device.as_str(),)).await?;
        Ok(row.map(|(highest,)| highest))
    }

    async fn gateway(&self, device: &TwinId) -> Result<Option<String>, Error> {
        let row: Option<(String,)> = self.core.cql.row(READING, &self.statements.gateway, (device.as_str(),)).await?;
        Ok(row.map(|(gateway,)| gateway).filter(|gateway| !gateway.is_empty()))
    }

    /// What stands beside the keys goes first: it counts only once an identity of its generation stands there.
    async fn put(&self, identity: Identity) -> Result<(), Error> {
        let (cql, statements, device) = (&self.core.cql, &self.statements, identity.device.as_str());
        let generation = identity.generation as i64;
        let highest = self.highest(&identity.device).await?.map_or(generation, |highest| highest.max(generation));
        let gateway = identity.gateway.as_ref().map_or("", TwinId::as_str);
        let before = self.gateway(&identity.device).await?;
        if !gateway.is_empty() {
            cql.write(WRITING, &statements.put_behind, (gateway, device)).await?;
        }
        let password = identity.password.as_deref().unwrap_or_default();
        let certificates: Certificates = identity.certificates.into_iter().map(|own| (own.slot, own.sha256.to_vec())).collect();
        cql.write(WRITING, &statements.put_credential, (device, generation, password, gateway, certificates)).await?;
        let sealed: Keys = identity.sealed.into_iter().map(|key| (key.slot, key.nonce, key.sealed)).collect();
        let values = (device, highest, true, identity.enabled, generation, i64::from(identity.kid), identity.slots, sealed);
        cql.write(WRITING, &statements.put, values).await?;
        match before.filter(|before| before != gateway) {
            Some(before) => cql.write(WRITING, &statements.clear_behind, (before, device)).await,
            None => Ok(()),
        }
    }

    async fn clear(&self, device: &TwinId) -> Result<(), Error> {
        const DELETING: &str = "deleting an identity";
        let (cql, statements) = (&self.core.cql, &self.statements);
        if self.highest(device).await?.is_none() {
            return Ok(());
        }
        cql.write(DELETING, &statements.clear, (device.as_str(),)).await?;
        let before = self.gateway(device).await?;
        cql.write(DELETING, &statements.clear_credential, (device.as_str(),)).await?;
        match before {
            Some(before) => cql.write(DELETING, &statements.clear_behind, (before, device.as_str())).await,
            None => Ok(()),
        }
    }

    /// Those of a page that still stand behind it.
    async fn still_behind(&self, gateway: &TwinId, page: Vec<(String,)>) -> Result<Vec<TwinId>, Error> {
        let mut still = Vec::with_capacity(page.len());
        for (device,) in page {
            let device = TwinId::new(&device).map_err(|e| crate::cql::damaged(READING, e))?;
            if self.gateway(&device).await?.as_deref() == Some(gateway.as_str()) {
                still.push(device);
            }
        }
        Ok(still)
    }
}

fn certificate((slot, sha256): (String, Vec<u8>)) -> Result<OwnCertificate, Error> {
    let sha256 = Thumbprint::try_from(sha256).map_err(|_| crate::cql::damaged(READING, "a thumbprint has another length"))?;
    Ok(OwnCertificate { slot, sha256 })
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
        let (cql, statements) = (&self.core.cql, &self.statements);
        let row = cql.row::<Row>(READING, &statements.get, (device.as_str(),));
        let credential = cql.row::<Credential>(READING, &statements.credential, (device.as_str(),));
        let (row, credential) = tokio::try_join!(row, credential)?;
        let Some((true, enabled, generation, kid, slots, sealed)) = row else { return Ok(None) };
        let sealed = sealed.into_iter().map(|(slot, nonce, sealed)| SealedKey { slot, nonce, sealed }).collect();
        let kid = u32::try_from(kid).map_err(|e| crate::cql::damaged(READING, e))?;
        let mut identity = Identity { enabled, slots, sealed, ..Identity::new(device.clone(), generation as u64, kid) };
        if let Some((of, password, gateway, certificates)) = credential {
            let gateway = Some(gateway).filter(|gateway| !gateway.is_empty());
            identity.gateway = gateway.map(TwinId::new).transpose().map_err(|e| crate::cql::damaged(READING, e))?;
            if of == generation {
                identity.password = Some(password).filter(|password| !password.is_empty());
                identity.certificates = certificates.into_iter().map(certificate).collect::<Result<_, _>>()?;
            }
        }
        Ok(Some(identity))
    }

    async fn delete_identity(&self, device: &TwinId) -> Result<(), Error> {
        let clear = async {
            let _alone = self.writing.lock().await;
            self.clear(device).await
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

    async fn behind_gateway(&self, gateway: &TwinId, after: Option<TwinId>, limit: usize) -> Result<Vec<TwinId>, Error> {
        let (cql, statements) = (&self.core.cql, &self.statements);
        let (mut behind, mut last) = (Vec::new(), after.map(|after| after.to_string()));
        while behind.len() < limit {
            let wanted = i32::try_from(limit - behind.len()).unwrap_or(i32::MAX);
            let page: Vec<(String,)> = match &last {
                None => cql.rows(READING, &statements.first_behind, (gateway.as_str(), wanted)).await?,
                Some(last) => cql.rows(READING, &statements.next_behind, (gateway.as_str(), last, wanted)).await?,
            };
            let Some((end,)) = page.last().cloned() else { break };
            last = Some(end);
            behind.extend(self.still_behind(gateway, page).await?);
        }
        Ok(behind)
    }
}
