//! What all connections share, on whichever thread: the runtime, the settings, who is connected, and wills that wait.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use actors::rate::{Bucket, Rate, Rates};
use actors::{
    Twins,
    audit::{Entry, Outcome, Target},
    device::CloseReason,
};
use hierarchy_models::TwinId;
use tokio::{sync::Notify, time::Instant};

use crate::{
    Settings,
    certificates::{Authorities, Chain, Judged},
    dialects::{Dialect, native::Native},
    meters::Meters,
    session::{PendingWills, SessionLink, Whole},
};

/// Devices whose connections are counted at once.
const CONNECT_KEYS_MAX: usize = 131_072;

pub(crate) struct House {
    pub(crate) twins: Twins,
    pub(crate) settings: Settings,
    pub(crate) meters: Meters,
    pub(crate) wills: PendingWills,
    /// With TLS: who vouches for devices' certificates.
    pub(crate) authorities: Option<Authorities>,
    /// What time is counted from, where it is only counted.
    pub(crate) opened_at: Instant,
    connects: Mutex<Bucket>,
    device_connects: Rates,
    /// What all connections sent together, where there is a bound for it.
    pub(crate) whole: Whole,
    stopping: AtomicBool,
    connections: AtomicUsize,
    emptied: Notify,
    links: Mutex<HashMap<u64, Weak<SessionLink>>>,
    /// Sessions that were opened with a certificate.
    certified: Mutex<HashMap<u64, Certified>>,
}

/// What a session's certificate is judged again by.
pub(crate) struct Certified {
    pub(crate) device: TwinId,
    /// The address it came from.
    pub(crate) from: String,
    pub(crate) chain: Chain,
    pub(crate) link: Weak<SessionLink>,
}

/// A connection past its CONNECT; dropping it gives its place back.
pub(crate) struct Place {
    house: Arc<House>,
    number: Option<u64>,
}

impl House {
    pub(crate) fn new(twins: Twins, settings: Settings, authorities: Option<Authorities>) -> Self {
        let device_connects = Rates::new(Rate::per_minute(settings.device_connects_per_minute), CONNECT_KEYS_MAX);
        Self {
            twins,
            settings,
            authorities,
            opened_at: Instant::now(),
            connects: Mutex::default(),
            whole: Whole::default(),
            device_connects,
            meters: Meters::new(),
            wills: PendingWills::default(),
            stopping: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            emptied: Notify::new(),
            links: Mutex::default(),
            certified: Mutex::default(),
        }
    }

    /// Whether one more CONNECT may be looked at now.
    pub(crate) fn may_look_at_a_connect(&self) -> bool {
        let rate = Rate::per_second(self.settings.connects_per_second);
        self.connects.lock().unwrap_or_else(PoisonError::into_inner).take(rate, self.opened_at.elapsed()).is_ok()
    }

    /// Whether this device, which has proved who it is, may open one more connection now.
    pub(crate) fn may_connect(&self, device: &TwinId) -> bool {
        self.device_connects.take(device, self.opened_at.elapsed()).is_ok()
    }

    /// Ends the sessions whose certificates are fit no more, and records whose.
    pub(crate) async fn judge_again(&self) {
        for (device, from, why) in self.end_the_unfit() {
            let path = self.twins.entry(&device).await.ok().map(|entry| entry.path);
            let entry = Entry::at_the_door(&from, "REVOKE", Target::device(device.as_str()), Outcome::Done);
            self.twins.audit().queue(Entry { path, reason: Some(why.into()), ..entry }).await;
        }
    }

    fn end_the_unfit(&self) -> Vec<(TwinId, String, &'static str)> {
        let Some(authorities) = &self.authorities else { return Vec::new() };
        let (now, mut ended) = (self.twins.clock().now(), Vec::new());
        let certified = self.certified.lock().unwrap_or_else(PoisonError::into_inner);
        for Certified { device, from, chain, link } in certified.values() {
            if let Judged::Unfit(why) = authorities.judge(chain, now)
                && let Some(link) = link.upgrade()
            {
                tracing::info!(%device, why, "a session ends with its certificate");
                link.close(CloseReason::Revoked);
                ended.push((device.clone(), from.clone(), why));
            }
        }
        ended
    }

    /// How the devices of this port speak.
    pub(crate) fn dialect(&self) -> &'static dyn Dialect {
        &Native
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// `None` when the house is full.
    pub(crate) fn take_place(self: &Arc<Self>) -> Option<Place> {
        let max = self.settings.connections_max;
        let took = self.connections.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < max).then_some(n + 1));
        took.ok()?;
        self.meters.connections.increment(1.0);
        Some(Place { house: self.clone(), number: None })
    }

    /// Ends every session and waits until their connections are gone, at most `patience`. No session begins any more.
    pub(crate) async fn close_sessions(&self, patience: Duration) {
        self.stopping.store(true, Ordering::Release);
        let links: Vec<_> = self.links().values().filter_map(Weak::upgrade).collect();
        for link in links {
            link.close(CloseReason::ServerStops);
        }
        let empty = async {
            loop {
                let emptied = self.emptied.notified();
                if self.connections.load(Ordering::Acquire) == 0 {
                    return;
                }
                emptied.await;
            }
        };
        if tokio::time::timeout(patience, empty).await.is_err() {
            tracing::warn!(left = self.connections.load(Ordering::Acquire), "connections did not end in time");
        }
    }

    fn links(&self) -> MutexGuard<'_, HashMap<u64, Weak<SessionLink>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Makes the session known to whoever stops the server.
    pub(crate) fn settle(&mut self, number: u64, link: &Arc<SessionLink>, certified: Option<Certified>) {
        if let Some(certified) = certified {
            self.house.certified.lock().unwrap_or_else(PoisonError::into_inner).insert(number, certified);
        }
        self.house.links().insert(number, Arc::downgrade(link));
        self.number = Some(number);
        // the server may have begun to stop while the session was being opened
        if self.house.is_stopping() {
            link.close(CloseReason::ServerStops);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.house.links().remove(&number);
            if self.house.authorities.is_some() {
                self.house.certified.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
            }
        }
        self.house.meters.connections.decrement(1.0);
        if self.house.connections.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.house.emptied.notify_waiters();
        }
    }
}
