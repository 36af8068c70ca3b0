//! The runtime's questions and answers about history, registry and commands, under one roof for the routes.

pub use persistence::{
    Bucket, BucketQuery, CommandQuery, Error as StoreError, EventQuery, HistoryItem, HistoryQuery, LoggedEvent, Page, RegistryEntry,
    RegistryQuery,
};
