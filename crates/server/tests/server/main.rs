//! The server as its callers see it: stories with roles, told against the API in process.

mod admin;
mod clients;
mod contacts;
mod delivery;
mod identity;
mod mailbox;
mod parity;
mod properties;
mod refusals;
mod subscriptions;
mod world;
