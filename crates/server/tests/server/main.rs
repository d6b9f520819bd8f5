//! The server as its callers see it: stories with roles, told against the API in process.

mod admin;
mod attachments;
mod bodies;
mod clients;
mod contacts;
mod delivery;
mod extensions;
mod identity;
mod mailbox;
mod mime;
mod parity;
mod properties;
mod refusals;
mod subscriptions;
mod world;
