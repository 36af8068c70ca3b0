//! Identities, in a file of their own: nothing that lists twins or searches history has a connection to it.
//!
//! A row stays when its identity goes, so that the generation of a former device of the same id is never used again. What is
//! deleted is overwritten on disk.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use hierarchy_models::TwinId;
use persistence::{Error, Identities, Identity, OwnCertificate, SealedKey};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    Core, metrics,
    registry::twin_id,
    sqlite::{self, Migrations, doing},
};

const MIGRATIONS: Migrations = &[include_str!("../schema/identities_1.sql"), include_str!("../schema/identities_2.sql")];
const READING: &str = "reading an identity";
const WRITING: &str = "writing an identity";

/// Who may connect, and with which keys.
pub struct EmbeddedIdentities {
    pub(crate) core: Arc<Core>,
}

pub fn open(path: &Path) -> Result<Connection, Error> {
    let conn = sqlite::open(path, MIGRATIONS)?;
    conn.pragma_update(None, "secure_delete", true).map_err(doing("opening identities.db"))?;
    Ok(conn)
}

fn run(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<(), Error> {
    conn.prepare_cached(sql).and_then(|mut s| s.execute(params)).map(drop).map_err(doing(WRITING))
}

fn forget_keys(conn: &Connection, device: &TwinId) -> Result<(), Error> {
    run(conn, "DELETE FROM slot WHERE device = ?1", [device.as_str()])?;
    run(conn, "DELETE FROM sealed_key WHERE device = ?1", [device.as_str()])?;
    run(conn, "DELETE FROM certificate WHERE device = ?1", [device.as_str()])
}

fn put(conn: &Connection, identity: &Identity) -> Result<(), Error> {
    const UPSERT: &str = "INSERT INTO identity (device, highest, present, enabled, generation, kid, password, gateway) \
        VALUES (?1, ?2, 1, ?3, ?2, ?4, ?5, ?6) \
        ON CONFLICT (device) DO UPDATE SET highest = max(highest, excluded.highest), present = 1, enabled = excluded.enabled, \
        generation = excluded.generation, kid = excluded.kid, password = excluded.password, gateway = excluded.gateway";
    let device = identity.device.as_str();
    let gateway = identity.gateway.as_ref().map(TwinId::as_str);
    run(conn, UPSERT, params![device, identity.generation as i64, identity.enabled, identity.kid, identity.password, gateway])?;
    forget_keys(conn, &identity.device)?;
    for (slot, position) in identity.slots.iter().zip(0i64..) {
        run(conn, "INSERT INTO slot (device, position, name) VALUES (?1, ?2, ?3)", params![device, position, slot])?;
    }
    for (key, position) in identity.sealed.iter().zip(0i64..) {
        let insert = "INSERT INTO sealed_key (device, position, slot, nonce, sealed) VALUES (?1, ?2, ?3, ?4, ?5)";
        run(conn, insert, params![device, position, key.slot, key.nonce, key.sealed])?;
    }
    for (own, position) in identity.certificates.iter().zip(0i64..) {
        let insert = "INSERT INTO certificate (device, position, slot, sha256) VALUES (?1, ?2, ?3, ?4)";
        run(conn, insert, params![device, position, own.slot, own.sha256])?;
    }
    Ok(())
}

fn delete(conn: &Connection, device: &TwinId) -> Result<(), Error> {
    forget_keys(conn, device)?;
    let clear = "UPDATE identity SET present = 0, enabled = 0, generation = 0, kid = 0, password = NULL, gateway = NULL WHERE device = ?1";
    run(conn, clear, [device.as_str()])
}

fn get(conn: &Connection, device: TwinId) -> Result<Option<Identity>, Error> {
    let _view = sqlite::View::begin(conn, READING)?;
    const SELECT: &str = "SELECT enabled, generation, kid, password, gateway FROM identity WHERE device = ?1 AND present = 1";
    let read = |row: &rusqlite::Row<'_>| {
        let identity = Identity {
            enabled: row.get(0)?,
            password: row.get(3)?,
            ..Identity::new(device.clone(), row.get::<_, i64>(1)? as u64, row.get(2)?)
        };
        Ok((identity, row.get::<_, Option<String>>(4)?))
    };
    let row = conn.prepare_cached(SELECT).and_then(|mut s| s.query_row([device.as_str()], read).optional());
    let Some((identity, gateway)) = row.map_err(doing(READING))? else { return Ok(None) };
    let slots = all(conn, "SELECT name FROM slot WHERE device = ?1 ORDER BY position", &device, |row| row.get(0))?;
    let sealed = all(conn, "SELECT slot, nonce, sealed FROM sealed_key WHERE device = ?1 ORDER BY position", &device, |row| {
        Ok(SealedKey { slot: row.get(0)?, nonce: row.get(1)?, sealed: row.get(2)? })
    })?;
    let certificates = all(conn, "SELECT slot, sha256 FROM certificate WHERE device = ?1 ORDER BY position", &device, |row| {
        Ok(OwnCertificate { slot: row.get(0)?, sha256: row.get(1)? })
    })?;
    Ok(Some(Identity { slots, sealed, certificates, gateway: gateway.map(twin_id).transpose()?, ..identity }))
}

fn all<T>(
    conn: &Connection,
    sql: &str,
    device: &TwinId,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Error> {
    let mut select = conn.prepare_cached(sql).map_err(doing(READING))?;
    let rows = select.query_map([device.as_str()], read).map_err(doing(READING))?;
    rows.collect::<Result<_, _>>().map_err(doing(READING))
}

fn highest(conn: &Connection, device: &TwinId) -> Result<Option<i64>, Error> {
    let highest = conn
        .prepare_cached("SELECT highest FROM identity WHERE device = ?1")
        .and_then(|mut s| s.query_row([device.as_str()], |row| row.get(0)).optional());
    highest.map_err(doing(READING))
}

fn generations(conn: &Connection, after: &str, limit: usize) -> Result<Vec<(TwinId, u64)>, Error> {
    let select = "SELECT device, highest FROM identity WHERE device > ?1 ORDER BY device LIMIT ?2";
    let mut select = conn.prepare_cached(select).map_err(doing(READING))?;
    let rows = select.query_map(params![after, limit as i64], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
    let rows = rows.map_err(doing(READING))?.map(|row| row.map_err(doing(READING)));
    rows.map(|row| row.and_then(|(device, highest)| Ok((twin_id(device)?, highest as u64)))).collect()
}

fn behind_gateway(conn: &Connection, gateway: &TwinId, after: &str, limit: usize) -> Result<Vec<TwinId>, Error> {
    let select = "SELECT device FROM identity WHERE gateway = ?1 AND device > ?2 ORDER BY device LIMIT ?3";
    let mut select = conn.prepare_cached(select).map_err(doing(READING))?;
    let rows = select.query_map(params![gateway.as_str(), after, limit as i64], |row| row.get::<_, String>(0));
    rows.map_err(doing(READING))?.map(|row| row.map_err(doing(READING)).and_then(twin_id)).collect()
}

#[async_trait]
impl Identities for EmbeddedIdentities {
    async fn put_identities(&self, identities: Vec<Identity>) -> Result<(), Error> {
        let result = self.core.identities.write(WRITING, move |conn| identities.iter().try_for_each(|identity| put(conn, identity))).await;
        result.inspect_err(|error| metrics::failed("put_identities", error))
    }

    async fn identity(&self, device: &TwinId) -> Result<Option<Identity>, Error> {
        let device = device.clone();
        self.core.identity_readers.run(move |conn| get(conn, device)).await
    }

    async fn delete_identity(&self, device: &TwinId) -> Result<(), Error> {
        let device = device.clone();
        self.core.identities.write("deleting an identity", move |conn| delete(conn, &device)).await
    }

    async fn next_generation(&self, device: &TwinId) -> Result<u64, Error> {
        let device = device.clone();
        let highest = self.core.identity_readers.run(move |conn| highest(conn, &device)).await?;
        Ok(highest.map_or(1, |highest| highest as u64 + 1))
    }

    async fn generations(&self, after: Option<TwinId>, limit: usize) -> Result<Vec<(TwinId, u64)>, Error> {
        let after = after.map_or_else(String::new, |after| after.to_string());
        self.core.identity_readers.run(move |conn| generations(conn, &after, limit)).await
    }

    async fn behind_gateway(&self, gateway: &TwinId, after: Option<TwinId>, limit: usize) -> Result<Vec<TwinId>, Error> {
        let (gateway, after) = (gateway.clone(), after.map_or_else(String::new, |after| after.to_string()));
        self.core.identity_readers.run(move |conn| behind_gateway(conn, &gateway, &after, limit)).await
    }
}
