//! Models: what a kind of twin has, read off the language's Interfaces with all that they inherit.
//!
//! [`builtin`] has those that come with the program, [`Catalogue`] all that are known, [`Model`] one of them as values are
//! held against it.

pub mod builtin;
mod catalogue;
mod misfit;
mod parts;
pub mod schema;
mod text;
mod validate;

pub use builtin::{BUILT_INS, BuiltIn, is_place, resolve};
pub use catalogue::Catalogue;
pub use misfit::Misfit;
pub use parts::{Command, Component, Model, Payload, Property, Relationship, Telemetry};

use crate::dtdl::Standard;
