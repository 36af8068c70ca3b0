//! The twin runtime: one supervised actor for each thing, its inbox, its timers, its place in the tree.
//!
//! Outside this crate only [`Twins`], [`DeviceSession`](device::DeviceSession) and [`identity::Identities`] are seen.
//! Nobody outside knows on which thread, or one day on which machine, a twin lives.

pub mod clock;
pub mod device;
mod error;
pub mod identity;
pub mod live;
mod session;
mod settings;
mod twins;
pub mod view;

pub use error::TwinError;
pub use settings::Settings;
pub use twins::{
    HostGuard, LiveItem, LiveReader, NewCommand, Registered, Registration, RuntimeStats, TreeNode, TwinPatch, Twins,
};
