//! Which subscriptions a caller sees. Those of other tenants, apps and users are as if they were not.

use graph::{AppId, UserId};

use super::{Actor, Column, Need, Principal};
use crate::Subscription;

/// The subscriptions of the caller's tenant that a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `None`: of every app.
    pub app: Option<AppId>,
    /// `None`: of every creator.
    pub creator: Option<UserId>,
    /// Whether each is shown only to who may read what it watches.
    pub by_need: bool,
}

/// What a caller's list holds: what this app made for the signed-in user or, without one, for anybody. Who holds
/// `Subscription.Read.All` sees what any app made for the user, an administrator what any app made for anybody.
pub fn listed(principal: &Principal) -> Listed {
    let user = principal.user();
    if !principal.suffices(Need::AllSubscriptions, true) {
        return Listed { app: Some(principal.app), creator: user, by_need: true };
    }
    let everybody = principal.admin && principal.column() == Column::Work;
    Listed { app: None, creator: user.filter(|_| !everybody), by_need: false }
}

/// Whether a subscription is the caller's: to be read, changed and ended, if it has the permission.
pub fn is_own(principal: &Principal, subscription: &Subscription) -> bool {
    let by_caller = match principal.actor {
        Actor::User(user) => user == subscription.creator,
        Actor::App(_) => true,
    };
    by_caller && (subscription.tenant, subscription.app) == (principal.tenant, principal.app)
}
