//! Who calls: access tokens, what they grant, and the endpoint that gives them out.

pub mod endpoint;
mod jwt;
mod rights;
mod tokens;

use graph::{AppId, TenantId, UserId};

pub use rights::Rights;
pub use tokens::{Grant, TokenError, Tokens};

/// What an access token grants a development app: as delegated scopes, and as an app's own roles.
pub const SCOPES: &str = "Calendars.ReadWrite Contacts.ReadWrite Mail.ReadWrite Mail.Send User.Read";
pub const ROLES: [&str; 5] =
    ["Calendars.ReadWrite", "Contacts.ReadWrite", "Mail.ReadWrite", "Mail.Send", "User.Read.All"];

/// The caller, as its access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub tenant: TenantId,
    pub app: AppId,
    pub actor: Actor,
    pub rights: Rights,
}

/// On whose behalf the app calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The signed-in user (delegated access).
    User(UserId),
    /// Nobody: the app itself, by its service principal.
    App(UserId),
}

impl Principal {
    /// The signed-in user.
    pub fn user(&self) -> Option<UserId> {
        match self.actor {
            Actor::User(user) => Some(user),
            Actor::App(_) => None,
        }
    }

    /// The object id of the caller: the `oid` of its token.
    pub fn object_id(&self) -> UserId {
        match self.actor {
            Actor::User(id) | Actor::App(id) => id,
        }
    }

    /// Whether it may look at a mailbox of its tenant at all: an app into any, a user into its own.
    pub fn reaches(&self, mailbox: UserId) -> bool {
        self.user().is_none_or(|user| user == mailbox)
    }
}
