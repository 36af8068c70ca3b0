//! One connection from its first byte to its last.
//!
//! [`connection`] reads the opening, [`door`] decides on the CONNECT, [`run`] moves packets until the end ([`reading`]
//! takes them in, [`packets`] says what each sets going), [`ending`] closes the books. In between, [`inbound`] makes messages of PUBLISH packets, [`subscribe`] keeps subscriptions,
//! [`renewal`] ends it in time, [`delivery`] sends what twins have for the device, and [`answers`] keeps acknowledgements in order.

mod answers;
mod connection;
mod delivery;
mod door;
mod ending;
mod inbound;
mod link;
mod packets;
mod quota;
mod reading;
mod renewal;
mod run;
mod state;
mod subscribe;
mod timers;
mod verdict;
mod wills;

pub(crate) use connection::serve;
pub(crate) use link::SessionLink;
pub(crate) use quota::Whole;
pub(crate) use wills::PendingWills;
