//! Passwords that people chose: argon2id, slow on purpose, and what keeps that from melting the machine.
//!
//! As many are hashed at once as there are cores, some may wait, and each device may try so often; whoever was let in once is
//! known again by an HMAC under a key of this process, which takes under a microsecond. Keys and tokens never come here:
//! they are 256 random bits, for which a fast hash is right.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use hierarchy_models::{Timestamp, TwinId};
use parking_lot::RwLock;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::Denied;
use crate::{
    error::TwinError,
    rate::{Rate, Rates},
};

/// Bytes of a password.
pub const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=256;
/// Memory and rounds of a new hash: OWASP's least for argon2id. What a stored hash took stands in it.
const MEMORY_KIB: u32 = 19 * 1024;
const ROUNDS: u32 = 2;
const LANES: u32 = 1;
/// A stored hash that would take more is damaged.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Passwords that were right once and are known by their HMAC.
pub const PASSWORDS_CACHED_MAX: usize = 100_000;
/// Connections that may wait for a hash; the next is told to come again.
pub const PASSWORDS_WAITING_MAX: usize = 256;
/// Hashes a device may cause in a minute. Its own right password, once known, causes none.
pub const PASSWORD_TRIES_PER_MINUTE: u32 = 10;
const TRIES_KEYS_MAX: usize = 65_536;

type Tag = [u8; 32];

pub struct Passwords {
    key: hmac::Key,
    known: RwLock<HashMap<TwinId, Tag>>,
    cores: Semaphore,
    waiting: AtomicUsize,
    tries: Rates,
}

/// Counted down when its holder goes away, however that happens.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Passwords {
    pub fn new() -> Self {
        let mut secret = [0; 32];
        // Tags never leave the process: a key without randomness would weaken nothing but a dump of its memory.
        let _ = SystemRandom::new().fill(&mut secret);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            known: RwLock::default(),
            cores: Semaphore::new(cores),
            waiting: AtomicUsize::new(0),
            tries: Rates::new(Rate::per_minute(PASSWORD_TRIES_PER_MINUTE), TRIES_KEYS_MAX),
        }
    }

    /// Depends on the stored hash too, so that another password, or another salt, is another tag.
    fn tag(&self, device: &TwinId, generation: u64, stored: &str, password: &[u8]) -> Tag {
        let mut signer = hmac::Context::with_key(&self.key);
        for part in [device.as_str().as_bytes(), &generation.to_be_bytes(), stored.as_bytes(), password] {
            signer.update(&(part.len() as u32).to_be_bytes());
            signer.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(signer.sign().as_ref());
        tag
    }

    pub async fn verify(&self, device: &TwinId, generation: u64, stored: &str, password: &[u8], now: Timestamp) -> Result<bool, Denied> {
        if !PASSWORD_BYTES.contains(&password.len()) {
            return Ok(false);
        }
        let tag = self.tag(device, generation, stored, password);
        if self.known.read().get(device).is_some_and(|known| bool::from(known.ct_eq(&tag))) {
            return Ok(true);
        }
        let now = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
        if self.tries.take(device, now).is_err() {
            return Err(Denied::TooManyTries);
        }
        let right = self.hash_and_compare(stored.to_owned(), password.to_vec()).await?;
        if right {
            self.remember(device.clone(), tag);
        }
        Ok(right)
    }

    async fn hash_and_compare(&self, stored: String, password: Vec<u8>) -> Result<bool, Denied> {
        self.on_a_core(move || matches(&stored, &password)).await
    }

    /// The hash of a new password, in PHC form.
    pub async fn hash(&self, password: String) -> Result<String, TwinError> {
        let failed = |detail: String| persistence::Error::Unavailable { doing: "hashing a password", detail };
        let mut salt = [0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).map_err(|_| failed("no randomness".into()))?;
        let hashed = self.on_a_core(move || {
            let hash = argon2id(password.as_bytes(), &salt, (MEMORY_KIB, ROUNDS, LANES))?;
            Some(format!("$argon2id$v=19$m={MEMORY_KIB},t={ROUNDS},p={LANES}${}${}", BASE64.encode(salt), BASE64.encode(hash)))
        });
        Ok(hashed.await.map_err(|_| TwinError::Overloaded)?.ok_or_else(|| failed("argon2id failed".into()))?)
    }

    /// Tens of milliseconds and 19 MiB each: as many at once as there are cores, and so many waiting.
    async fn on_a_core<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Denied> {
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= PASSWORDS_WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(Denied::Busy);
        }
        let _waiting = Waiting(&self.waiting);
        let _core = self.cores.acquire().await.map_err(|_| Denied::Busy)?;
        metrics::counter!("twinfold_passwords_hashed_total").increment(1);
        tokio::task::spawn_blocking(work).await.map_err(|_| Denied::Busy)
    }

    fn remember(&self, device: TwinId, tag: Tag) {
        let mut known = self.known.write();
        if known.len() >= PASSWORDS_CACHED_MAX
            && !known.contains_key(&device)
            && let Some(any) = known.keys().next().cloned()
        {
            known.remove(&any);
        }
        known.insert(device, tag);
    }
}

fn argon2id(password: &[u8], salt: &[u8], (memory, rounds, lanes): (u32, u32, u32)) -> Option<Tag> {
    let params = Params::new(memory, rounds, lanes, Some(HASH_BYTES)).ok()?;
    let mut hash = [0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(password, salt, &mut hash).ok()?;
    Some(hash)
}

fn matches(stored: &str, password: &[u8]) -> bool {
    let compare = || {
        let (cost, salt, hash) = parse(stored)?;
        Some(bool::from(argon2id(password, &salt, cost)?.ct_eq(&hash)))
    };
    compare().unwrap_or_else(|| {
        tracing::error!("a stored password hash cannot be read");
        false
    })
}

type Stored = ((u32, u32, u32), Vec<u8>, Tag);

fn parse(stored: &str) -> Option<Stored> {
    let rest = stored.strip_prefix("$argon2id$v=19$")?;
    let mut parts = rest.split('$');
    let (cost, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut costs = cost.split(',');
    let mut number = |name: &str| costs.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let cost = (number("m=")?, number("t=")?, number("p=")?);
    let fits = cost.0 <= MEMORY_KIB_MAX && cost.1 <= 16 && cost.2 <= 16 && parts.next().is_none();
    let (salt, hash) = (BASE64.decode(salt).ok()?, BASE64.decode(hash).ok()?);
    fits.then_some((cost, salt, hash.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::EPOCH;

    #[tokio::test]
    async fn a_password_is_hashed_once_and_then_known() {
        let passwords = Passwords::new();
        let device = TwinId::new("d").unwrap();
        let stored = passwords.hash("a password of somebody".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !stored.contains("somebody"));
        let verify = |generation, text: &'static str| passwords.verify(&device, generation, &stored, text.as_bytes(), NOW);
        assert_eq!(verify(1, "a password of somebody").await, Ok(true));
        assert_eq!(verify(1, "a password of nobody").await, Ok(false));
        assert_eq!(verify(1, "").await, Ok(false));
        let tag = passwords.tag(&device, 1, &stored, b"a password of somebody");
        assert_eq!(passwords.known.read().get(&device), Some(&tag));
        for _ in 0..PASSWORD_TRIES_PER_MINUTE {
            let _ = verify(1, "a guess of somebody").await;
        }
        assert_eq!(verify(1, "a guess of somebody").await, Err(Denied::TooManyTries));
        assert_eq!(verify(1, "a password of somebody").await, Ok(true), "who is known is not locked out by who guesses");
        assert_eq!(verify(2, "a password of somebody").await, Err(Denied::TooManyTries), "another generation is not known");
        let later = NOW.plus(Duration::from_secs(60));
        assert_eq!(passwords.verify(&device, 1, &stored, b"a guess of somebody", later).await, Ok(false));
    }

    #[tokio::test]
    async fn no_more_wait_than_may() {
        let passwords = Passwords::new();
        passwords.waiting.store(PASSWORDS_WAITING_MAX, Ordering::Release);
        let device = TwinId::new("d").unwrap();
        assert_eq!(passwords.verify(&device, 1, "$argon2id", b"12345678", NOW).await, Err(Denied::Busy));
        assert_eq!(passwords.waiting.load(Ordering::Acquire), PASSWORDS_WAITING_MAX);
    }

    #[test]
    fn a_damaged_hash_opens_nothing() {
        let hash = BASE64.encode([0; 32]);
        for bad in ["", "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", &format!("$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ${hash}")] {
            assert!(!matches(bad, b"12345678"), "{bad}");
        }
        assert!(parse(&format!("$argon2id$v=19$m=9999999,t=1,p=1$c2FsdHNhbHQ${hash}")).is_none());
        assert!(parse(&format!("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ${hash}")).is_some());
    }

    #[test]
    fn what_is_known_is_bounded() {
        let passwords = Passwords::new();
        for n in 0..PASSWORDS_CACHED_MAX + 10 {
            passwords.remember(TwinId::new(n.to_string()).unwrap(), [0; 32]);
        }
        assert_eq!(passwords.known.read().len(), PASSWORDS_CACHED_MAX);
    }
}
