//! The server as its callers see it: stories with roles, told against the API in process.

mod admin;
mod delivery;
mod identity;
mod mailbox;
mod parity;
mod queries;
mod refusals;
mod subscriptions;
mod world;
