//! The server as its callers see it: stories with roles, told against the API in process.

mod admin;
mod batch;
mod calendars;
mod clients;
mod contacts;
mod delivery;
mod delta;
mod focused;
mod folders;
mod identity;
mod ids;
mod mailbox;
mod meetings;
mod metadata;
mod openapi;
mod parity;
mod properties;
mod refusals;
mod replies;
mod subscriptions;
mod throttling;
mod world;
