//! Who calls: access tokens and what they grant, and the built-in issuer that gives them out.
//!
//! The persons of the play: an *app* proves itself ([`client`]) and asks for tokens ([`grant`] decides,
//! [`token`] does the rest); a *person* signs in at a page ([`sign_in`], [`device`]); a *verifier* reads
//! what is published ([`discovery`], [`keys`]); and Graph itself reads the tokens back ([`tokens`]), or those of
//! another issuer ([`external`]), and holds them against what the directory says now ([`standing`]).

mod authorize;
mod caller;
mod claims;
mod client;
mod device;
mod discovery;
pub mod endpoint;
pub mod external;
mod form;
mod grant;
mod keys;
mod pages;
mod pending;
mod refusal;
mod remembered;
mod scope;
mod sign_in;
mod standing;
mod tenancy;
mod token;
mod tokens;
mod validation_tokens;

pub use caller::caller;
pub use claims::Grant;
pub use external::Issuers;
pub use keys::{Key, KeyRing};
pub use pending::{Pending, SIGN_IN_MINUTES};
pub use scope::Api;
pub use tokens::{Bearer, TokenError, Tokens};
pub use validation_tokens::{Addressee, ValidationTokens};

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
