//! The server as its callers see it: stories with roles, told against the API in process.

mod admin;
mod calendar_view;
mod delivery;
mod identity;
mod mailbox;
mod occurrences;
mod parity;
mod refusals;
mod reminders;
mod subscriptions;
mod time_zones;
mod world;
