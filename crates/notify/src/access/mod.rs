//! Who may do what. A caller is what its token says; a request has needs, each a row of Graph's permission
//! tables; the verdict is one function of both, of the mailbox it goes to, and of the policy that may narrow
//! an app to some mailboxes.
//!
//! A caller of another tenant is none of this module's business: whoever looks things up finds only what
//! the caller's tenant has.

mod names;
mod need;
mod routes;
mod subscriptions;
mod topics;

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::{AppId, TenantId, Timestamp, UserId};

pub use names::{known, meant, nearest};
pub use need::{Level, Names, Need, Row};
pub use routes::{needs, to_hold, to_watch, to_watch_place};
pub use subscriptions::{Listed, is_own, listed};
pub use topics::{may_make_topics, may_use_topic};

/// The caller, as its access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub tenant: TenantId,
    pub app: AppId,
    pub actor: Actor,
    pub held: Permissions,
    /// Whether the signed-in user administers the tenant.
    pub admin: bool,
    /// When the token runs out; `None`: there is no token.
    pub expires: Option<Timestamp>,
}

/// On whose behalf the app calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The signed-in user (delegated access).
    User(UserId),
    /// Nobody: the app itself, by its service principal.
    App(UserId),
}

/// Permissions by Graph's names: delegated scopes, or an app's own roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(Arc<BTreeSet<String>>);

/// The columns of the permission tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Delegated, with a work or school account.
    Work,
    /// Delegated, with a personal account.
    Personal,
    Application,
}

/// A refusal, with all that the caller needs to know to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    pub why: Why,
    pub need: Need,
    pub column: Column,
    /// Of these permissions one suffices, least privileged first; none if no permission of the column does.
    pub needed: Names,
    pub held: Permissions,
}

/// Why a caller is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It holds none of the permissions that suffice.
    Permission,
    /// It acts for a user, and the mailbox is another's.
    OtherMailbox,
    /// A policy narrows the app to other mailboxes.
    Policy,
}

/// Whether the caller may do what needs all of `needs`. `mailbox` is the user that the request goes to, if
/// there is one: permissions are looked at all the same. An app acts in the mailboxes of its tenant, or only
/// in those that `narrowed` names.
pub fn check(
    principal: &Principal,
    needs: &[Need],
    mailbox: Option<UserId>,
    narrowed: Option<&BTreeSet<UserId>>,
) -> Result<(), Denied> {
    let own = mailbox.is_some() && mailbox == principal.user();
    for need in needs {
        if !principal.suffices(*need, own) {
            return Err(denied(principal, *need, own, Why::Permission));
        }
    }
    let Some((mailbox, need)) = mailbox.zip(needs.iter().find(|need| need.is_of_mailbox())) else { return Ok(()) };
    match principal.actor {
        Actor::User(user) if user != mailbox => Err(denied(principal, *need, own, Why::OtherMailbox)),
        Actor::App(_) if narrowed.is_some_and(|only| !only.contains(&mailbox)) => {
            Err(denied(principal, *need, own, Why::Policy))
        }
        _ => Ok(()),
    }
}

fn denied(principal: &Principal, need: Need, own: bool, why: Why) -> Denied {
    let column = principal.column();
    Denied { why, need, column, needed: principal.names(need, own), held: principal.held.clone() }
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

    pub fn column(&self) -> Column {
        match self.actor {
            Actor::App(_) => Column::Application,
            Actor::User(_) if self.tenant == TenantId::CONSUMERS => Column::Personal,
            Actor::User(_) => Column::Work,
        }
    }

    /// Whether it holds a permission that suffices for this, wherever that is. `own`: of the signed-in user.
    pub fn suffices(&self, need: Need, own: bool) -> bool {
        match need {
            Need::Token => true,
            Need::AppItself => matches!(self.actor, Actor::App(_)),
            need => self.names(need, own).iter().any(|name| self.held.contains(name)),
        }
    }

    /// The permissions of which one suffices.
    fn names(&self, need: Need, own: bool) -> Names {
        match self.actor {
            // Nobody can consent to an app that acts in everybody's personal mailbox.
            Actor::App(_) if self.tenant == TenantId::CONSUMERS => &[],
            _ => need.row(own).of(self.column()),
        }
    }
}

impl Permissions {
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(Arc::new(names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect()))
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Those for which it holds; the same set if it holds for all.
    pub fn only(&self, holds: impl Fn(&str) -> bool) -> Self {
        match self.iter().all(&holds) {
            true => self.clone(),
            false => Self::of(self.iter().filter(|name| holds(name))),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// The longest list of permissions that a refusal repeats, in characters.
const HELD_CHARS_MAX: usize = 1_000;

impl Denied {
    /// What was needed, in words for whoever grants permissions.
    pub fn needed(&self) -> String {
        let column = match self.column {
            Column::Work => "delegated",
            Column::Personal => "delegated (personal account)",
            Column::Application => "application",
        };
        match (self.why, self.needed) {
            (Why::OtherMailbox, _) => {
                "delegated permissions reach the mailbox of the signed-in user only; sharing is not served".to_owned()
            }
            (Why::Policy, _) => "a policy narrows this app to other mailboxes".to_owned(),
            (Why::Permission, []) => format!("no {column} permission allows this"),
            (Why::Permission, names) => {
                format!("one of these {column} permissions is needed, least privileged first: {}", names.join(", "))
            }
        }
    }

    /// What the token holds, in words. Consent may have been taken back since it was issued.
    pub fn held(&self) -> String {
        let names: Vec<&str> = self.held.iter().collect();
        match names.as_slice() {
            [] => "the token holds no permission that is still consented to".to_owned(),
            names => format!(
                "the token holds, as far as consent stands: {}",
                names.join(", ").chars().take(HELD_CHARS_MAX).collect::<String>()
            ),
        }
    }
}

#[cfg(test)]
mod tests;
