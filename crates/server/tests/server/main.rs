//! The server as its callers see it: stories with roles, told against the API in process.

mod admin;
mod calendars;
mod delivery;
mod identity;
mod mailbox;
mod meetings;
mod parity;
mod refusals;
mod subscriptions;
mod world;
