//! The twin runtime: one supervised actor for each thing, its inbox, its timers, its place in the tree.
//!
//! Outside this crate only [`Twins`], [`device::DeviceSession`], [`identity::Identities`] and [`access::Access`] are seen.
//! Nobody outside knows on which thread, or one day on which machine, a twin lives.

pub mod access;
mod actor;
mod alerts;
pub mod audit;
mod background;
pub mod behaviour;
mod body;
mod claim;
pub mod clock;
mod completion;
pub mod device;
mod directory;
pub mod documents;
mod envelope;
mod error;
mod host;
mod hub;
pub mod identity;
mod intake;
pub mod jobs;
pub mod kind;
pub mod kit;
mod lane;
pub mod live;
mod loaded;
mod meters;
mod models;
mod outbox;
mod outgoing;
pub mod quotas;
pub mod rate;
mod rollups;
mod rules;
mod runtime;
mod seats;
mod session;
mod settings;
mod sighting;
pub mod twin;
mod twins;
pub mod view;
mod wakes;

pub use alerts::AlertQuery;
pub use error::TwinError;
pub use hub::{LiveItem, LiveReader};
pub use models::{Added, Known, Source, Validation};
/// The questions and answers about history, registry and commands are the store's own.
pub use persistence::{
    Bucket, BucketQuery, CommandQuery, Error as StoreError, EventQuery, HistoryItem, HistoryQuery, LoggedEvent, Page, RegistryEntry,
    RegistryQuery,
};
pub use rollups::Definitions;
pub use rules::{TrialAlert, TrialOutcome};
pub use settings::Settings;
pub use sighting::Sighting;
pub use twins::{HostGuard, NewCommand, Registered, Registration, RuntimeStats, TreeNode, TwinPatch, Twins};
