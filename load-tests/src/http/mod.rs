//! People and their programs: HTTP/1.1 and Server-Sent Events by hand, and what is registered with them.

pub mod client;
pub mod load;
pub mod registry;
pub mod sse;
