//! The server as its callers see it: stories with roles, told against the API in process.

mod admin;
mod batch;
mod delivery;
mod delta;
mod identity;
mod mailbox;
mod metadata;
mod parity;
mod refusals;
mod subscriptions;
mod throttling;
mod world;
