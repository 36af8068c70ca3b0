//! The runtime's questions and answers about history, registry and commands, under one roof for the routes.

pub use actors::{
    Bucket, BucketQuery, CommandQuery, EventQuery, HistoryItem, HistoryQuery, LoggedEvent, Page, RegistryEntry, RegistryQuery, StoreError,
};
