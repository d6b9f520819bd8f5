//! Calls of the directory, by small numbers too.

use std::collections::BTreeSet;

use graph::{AppId, TenantId};
use proptest::prelude::*;
use tidings_store::{App, Grant, Grantee, Redeemable, RedeemableHash, RedeemableKind, Store, Tenant, User};
use uuid::Uuid;

use super::{MAILBOXES, Pair, same};
use crate::support::*;

const PERMISSIONS: [&str; 3] = ["Mail.Read", "Mail.Send", "User.Read"];

#[derive(Clone, Debug)]
pub(super) enum DirectoryCall {
    AddTenant { domain: usize },
    AddUser { mailbox: usize, address: usize },
    ReplaceUser { mailbox: usize, address: usize, enabled: bool, ends_sessions: bool, stale: bool },
    RemoveUser { mailbox: usize },
    AddApp { app: u128 },
    ReplaceApp { app: u128, public: bool, enabled: bool, stale: bool },
    RemoveApp { app: u128 },
    Grant { app: u128, grantee: usize, permissions: u8, revoke: bool },
    PutRedeemable { number: u8, app: u128, mailbox: usize, life: i64 },
    Redeem { number: u8, app: u128, after: i64 },
    EndSession { number: u8 },
}

pub(super) fn call() -> impl Strategy<Value = DirectoryCall> {
    let (mailbox, app, number) = (0..4usize, 0..2u128, 0..4u8);
    let rarely = || proptest::bool::weighted(0.1);
    prop_oneof![
        1 => (0..2usize).prop_map(|domain| DirectoryCall::AddTenant { domain }),
        2 => (mailbox.clone(), 0..5usize).prop_map(|(mailbox, address)| DirectoryCall::AddUser { mailbox, address }),
        2 => (mailbox.clone(), 0..5usize, any::<bool>(), any::<bool>(), rarely()).prop_map(
            |(mailbox, address, enabled, ends_sessions, stale)| {
                DirectoryCall::ReplaceUser { mailbox, address, enabled, ends_sessions, stale }
            }
        ),
        1 => mailbox.clone().prop_map(|mailbox| DirectoryCall::RemoveUser { mailbox }),
        2 => app.clone().prop_map(|app| DirectoryCall::AddApp { app }),
        1 => (app.clone(), any::<[bool; 2]>(), rarely()).prop_map(|(app, [public, enabled], stale)| {
            DirectoryCall::ReplaceApp { app, public, enabled, stale }
        }),
        1 => app.clone().prop_map(|app| DirectoryCall::RemoveApp { app }),
        4 => (app.clone(), 0..6usize, 0..8u8, any::<bool>()).prop_map(|(app, grantee, permissions, revoke)| {
            DirectoryCall::Grant { app, grantee, permissions, revoke }
        }),
        4 => (number.clone(), app.clone(), mailbox, 0..6i64)
            .prop_map(|(number, app, mailbox, life)| DirectoryCall::PutRedeemable { number, app, mailbox, life }),
        4 => (number.clone(), app, 0..4i64).prop_map(|(number, app, after)| DirectoryCall::Redeem { number, app, after }),
        1 => number.prop_map(|number| DirectoryCall::EndSession { number }),
    ]
}

fn app_id(number: u128) -> AppId {
    AppId(Uuid::from_u128(number))
}

fn session(number: u8) -> Uuid {
    Uuid::from_u128(u128::from(number) % 2)
}

impl Pair {
    /// Time passes with each of these calls.
    pub(super) async fn call_directory(&mut self, call: DirectoryCall) -> Result<(), TestCaseError> {
        self.now += 1;
        let now = at(self.now);
        match call {
            DirectoryCall::AddTenant { domain } => {
                let domain = ["contoso.test", "fabrikam.test"][domain].to_owned();
                let tenant = Tenant { id: TenantId::CONSUMERS, domain };
                both!(self, add_tenant(tenant)).ok();
            }
            DirectoryCall::AddUser { mailbox, address } => {
                both!(self, add_user(user(MAILBOXES[mailbox], &format!("{address}@contoso.test")))).ok();
            }
            DirectoryCall::ReplaceUser { mailbox, address, enabled, ends_sessions, stale } => {
                let id = MAILBOXES[mailbox];
                let found = self.model.user(id).unwrap().filter(|_| !stale);
                let before = found.unwrap_or_else(|| user(id, "stale@contoso.test"));
                let sessions_valid_from = if ends_sessions { now } else { before.sessions_valid_from };
                let upn = format!("{address}@contoso.test");
                let after = User { enabled, sessions_valid_from, upn, ..before.clone() };
                both!(self, replace_user(before, after)).ok();
            }
            DirectoryCall::RemoveUser { mailbox } => drop(both!(self, remove_user(MAILBOXES[mailbox]))),
            DirectoryCall::AddApp { app } => {
                both!(self, add_app(App::new(app_id(app), TENANT, "an app", NOBODY))).ok();
            }
            DirectoryCall::ReplaceApp { app, public, enabled, stale } => {
                let found = self.model.app(app_id(app)).unwrap().filter(|_| !stale);
                let before = found.unwrap_or_else(|| App::new(app_id(app), TENANT, "stale", NOBODY));
                let after = App { public_client: public, enabled, ..before.clone() };
                both!(self, replace_app(before, after)).ok();
            }
            DirectoryCall::RemoveApp { app } => drop(both!(self, remove_app(app_id(app)))),
            DirectoryCall::Grant { app, grantee, permissions, revoke } => {
                let grantee = match grantee {
                    0 => Grantee::App,
                    1 => Grantee::AllUsers,
                    other => Grantee::User(MAILBOXES[other - 2]),
                };
                let named = (0..3).filter(|bit| permissions & (1 << bit) != 0);
                let permissions = named.map(|bit: usize| PERMISSIONS[bit].to_owned()).collect();
                let grant = Grant { tenant: TENANT, app: app_id(app), grantee, permissions };
                match revoke {
                    true => both!(self, revoke(grant, now)).ok(),
                    false => both!(self, grant(grant, now)).ok(),
                };
            }
            DirectoryCall::PutRedeemable { number, app, mailbox, life } => {
                let redeemable = Redeemable {
                    hash: RedeemableHash([number; 32]),
                    kind: RedeemableKind::RefreshToken,
                    session: session(number),
                    tenant: TENANT,
                    app: app_id(app),
                    user: MAILBOXES[mailbox],
                    scopes: BTreeSet::new(),
                    issued: now,
                    expires: at(self.now + life),
                };
                both!(self, put_redeemable(redeemable)).ok();
            }
            DirectoryCall::Redeem { number, app, after } => {
                let over_at = at(self.now + after);
                both!(self, redeem(app_id(app), RedeemableHash([number; 32]), now, over_at)).unwrap();
            }
            DirectoryCall::EndSession { number } => both!(self, end_session(session(number))).unwrap(),
        }
        Ok(())
    }

    pub(super) async fn compare_directory(&mut self) -> Result<(), TestCaseError> {
        both!(self, tenants()).unwrap();
        both!(self, users(TENANT)).unwrap();
        both!(self, apps(TENANT)).unwrap();
        for app in [0, 1].map(app_id) {
            both!(self, consents(TENANT, app)).unwrap();
            for user in [None, Some(MEGAN), Some(ADELE)] {
                both!(self, granted(TENANT, app, user)).unwrap();
            }
            for number in 0..4 {
                let (hash, end) = (RedeemableHash([number; 32]), at(self.now));
                both!(self, redeem(app, hash, end, end)).unwrap();
            }
        }
        Ok(())
    }
}
