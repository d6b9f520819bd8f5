//! The server as its callers see it: stories with roles, told against the API in process.

mod admin;
mod batch;
mod delivery;
mod delta;
mod focused;
mod folders;
mod identity;
mod ids;
mod mailbox;
mod metadata;
mod parity;
mod refusals;
mod replies;
mod subscriptions;
mod throttling;
mod world;
