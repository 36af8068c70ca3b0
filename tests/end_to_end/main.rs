//! The product from outside: the real binary, MQTT on the wire, HTTP, the command line; one file an area of the contract.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod bad_payloads;
mod campus;
mod command_life;
mod command_line;
mod credentials;
mod encodings;
mod gateways;
mod http_access;
mod http_commands;
mod http_history;
mod http_surface;
mod http_twins;
mod live_stream;
mod models;
mod quality_of_service;
mod refusals;
mod restarts;
mod roll_ups;
mod rules;
mod secrets;
mod sessions;
mod settings;
mod stock_clients;
mod telemetry;
mod topics;
mod transports;
