//! The server as its callers see it: stories with roles, told against the API in process.

mod admin;
mod clients;
mod contacts;
mod delivery;
mod focused;
mod folders;
mod identity;
mod ids;
mod mailbox;
mod openapi;
mod parity;
mod properties;
mod refusals;
mod replies;
mod subscriptions;
mod world;
