//! The server as its callers see it: stories with roles, told against the API in process.

mod admin;
mod attachments;
mod batch;
mod bodies;
mod clients;
mod contacts;
mod delivery;
mod delta;
mod errors;
mod extensions;
mod focused;
mod folders;
mod fuzz;
mod identity;
mod ids;
mod mailbox;
mod metadata;
mod mime;
mod openapi;
mod parity;
mod properties;
mod refusals;
mod replies;
mod subscriptions;
mod throttling;
mod world;
