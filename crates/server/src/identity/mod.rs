//! Who calls: access tokens, what they grant, and the endpoint that gives them out.

pub mod endpoint;
mod jwt;
mod tokens;

pub use tokens::{Grant, TokenError, Tokens};

/// What an access token grants a development app: as delegated scopes, and as an app's own roles.
pub const SCOPES: &str =
    "Calendars.ReadWrite Contacts.ReadWrite Mail.ReadWrite Mail.Send MailboxSettings.ReadWrite User.Read";
pub const ROLES: [&str; 6] = [
    "Calendars.ReadWrite",
    "Contacts.ReadWrite",
    "Mail.ReadWrite",
    "Mail.Send",
    "MailboxSettings.ReadWrite",
    "User.Read.All",
];
