//! The audit log: the records themselves, hashes and all, so that what was written down of the old one verifies the new one.

use persistence::{AUDIT_TOGETHER_MAX, Error as StoreError};

use super::Error;
use crate::app::Opened;

/// How many records there are. What the other side holds must be the beginning of them; the rest is appended.
pub(super) async fn copy(from: &Opened, to: &Opened) -> Result<u64, Error> {
    let head = from.store.audit_head().await.map_err(Error::From)?;
    let mut last = match to.store.audit_head().await.map_err(Error::To)? {
        None => 0,
        Some(there) => {
            // Each hash is over all before it: where one is the same, all are.
            let before = there.number - 1;
            let same = from.store.audit_after(before, 1).await.map_err(Error::From)?.pop();
            if same.as_ref() != Some(&there) {
                return Err(Error::OtherAudit(there.number));
            }
            there.number
        }
    };
    loop {
        let some = from.store.audit_after(last, AUDIT_TOGETHER_MAX).await.map_err(Error::From)?;
        let Some(end) = some.last() else { break };
        last = end.number;
        to.store.append_audit(some).await.map_err(|error| match error {
            StoreError::Refused(_) => Error::OtherAudit(last),
            error => Error::To(error),
        })?;
    }
    let copied = to.store.audit_head().await.map_err(Error::To)?;
    if copied == head { Ok(last) } else { Err(Error::OtherAudit(last)) }
}
