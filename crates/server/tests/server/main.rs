//! The server as its callers see it: stories with roles, told against the API in process.

mod admin;
mod batch;
mod calendar_view;
mod clients;
mod contacts;
mod delivery;
mod delta;
mod focused;
mod folders;
mod identity;
mod ids;
mod mailbox;
mod metadata;
mod occurrences;
mod openapi;
mod parity;
mod properties;
mod refusals;
mod reminders;
mod replies;
mod subscriptions;
mod throttling;
mod time_zones;
mod world;
