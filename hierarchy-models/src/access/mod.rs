//! Who may do what: a right is one thing that can be done, a role a named set of rights, a grant a role over a part of the tree to a
//! principal (a person or a system). What a principal may do at a twin is what its grants say on the way from the root down to it:
//! grants are inherited downward and add up, and nothing takes a right away again.
//!
//! Our own and pure, and no policy engine: the check stands on every request's way (see `examples/access_check.rs` in actors for what it
//! costs), and a matrix of role × subtree can be read aloud by whoever answers for a building.

mod granted;
mod rights;
mod role;

pub use granted::{Extent, Granted};
pub use rights::{Right, Rights};
pub use role::{Role, RoleError};
