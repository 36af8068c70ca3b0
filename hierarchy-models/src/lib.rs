//! The domain: what a twin is, what can happen to it, and how its state folds upward.
//!
//! Nothing here does IO, waits, reads a clock or knows a wire format. Everything is a value or a pure
//! function of values, so that every rule of the product can be tested without starting anything.

pub mod access;
pub mod alert;
pub mod command;
pub mod dtdl;
pub mod event;
pub mod expression;
pub mod filter;
pub mod id;
pub mod limits;
pub mod message;
pub mod model;
pub mod patch;
pub mod record;
pub mod rollup;
pub mod rule;
pub mod supervision;
pub mod time;
pub mod tree;
pub mod value;

pub use alert::{Alert, AlertId, AlertRecord, AlertState, Severity};
pub use command::{Command, CommandResult, CommandState, OutboundCommand};
pub use event::{Event, EventBody, Raw};
pub use id::{CommandId, IdError, ModelId, Name, TwinId};
pub use message::DeviceMessage;
pub use record::Record;
pub use time::Timestamp;
pub use value::{Map, Value};
