//! The server as its callers see it: stories with roles, told against the API in process.

mod admin;
mod delivery;
mod focused;
mod folders;
mod identity;
mod ids;
mod mailbox;
mod parity;
mod refusals;
mod replies;
mod subscriptions;
mod world;
