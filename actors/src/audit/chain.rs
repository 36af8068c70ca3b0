//! How records hang on each other, and whether those of a store do.
//!
//! A hash is SHA-256 over the hash before it, the number, the time and the body. Who changes a record, or takes one out, must make all
//! that follow anew; who wrote down the end of the chain elsewhere (every `GET /audit` shows it) sees that this was done, and also that an
//! end was cut off.

use hierarchy_models::Timestamp;
use persistence::{AUDIT_BEGINNING, Audit, AuditHash, AuditRecord, Error};
use ring::digest;

use super::entry::Entry;

/// Records read at once.
const READ_AT_ONCE: usize = 1_000;

pub fn hash(before: &AuditHash, number: u64, at: Timestamp, body: &[u8]) -> AuditHash {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(before);
    context.update(&number.to_be_bytes());
    context.update(&at.as_millis().to_be_bytes());
    context.update(body);
    let mut hash = AUDIT_BEGINNING;
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// As people write it down.
pub fn written(hash: &AuditHash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A chain that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub records: u64,
    /// Of the last record, in hexadecimal digits.
    pub head: String,
}

/// Why a chain does not hold.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Broken {
    #[error("the audit log breaks at record {number}: {why}")]
    At { number: u64, why: &'static str },
    #[error("record {number} should have the hash {wanted} and has {found}")]
    NotAsWrittenDown { number: u64, wanted: String, found: String },
    #[error("the audit log ends at record {last}, and record {number} was written down: its end was cut off")]
    CutOff { number: u64, last: u64 },
    #[error("the audit log cannot be read: {0}")]
    Store(#[from] Error),
}

/// Reads all of it. `written_down`: a record's number and hash, as somebody saw them once.
pub async fn verify(store: &dyn Audit, written_down: Option<(u64, String)>) -> Result<Verified, Broken> {
    let (mut before, mut last) = (AUDIT_BEGINNING, 0);
    loop {
        let records = store.audit_after(last, READ_AT_ONCE).await?;
        if records.is_empty() {
            break;
        }
        for record in records {
            check(&before, last, &record)?;
            if let Some((number, wanted)) = &written_down
                && *number == record.number
                && !wanted.eq_ignore_ascii_case(&written(&record.hash))
            {
                return Err(Broken::NotAsWrittenDown { number: *number, wanted: wanted.clone(), found: written(&record.hash) });
            }
            (before, last) = (record.hash, record.number);
        }
    }
    match written_down {
        Some((number, _)) if number > last => Err(Broken::CutOff { number, last }),
        _ => Ok(Verified { records: last, head: written(&before) }),
    }
}

fn check(before: &AuditHash, last: u64, record: &AuditRecord) -> Result<(), Broken> {
    let broken = |why| Err(Broken::At { number: last + 1, why });
    if record.number != last + 1 {
        return broken("it is missing");
    }
    if record.hash != hash(before, record.number, record.at, &record.body) {
        return broken("its hash is not that of what it says and what stands before it");
    }
    if serde_json::from_slice::<Entry>(&record.body).is_err() { broken("it cannot be read") } else { Ok(()) }
}
