//! The directory of the model.

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::{AppId, Partition, TenantId, Timestamp, UserId};
use notify::Subscription;
use uuid::Uuid;

use super::Model;
use super::mailbox::Mailbox;
use crate::{
    App, Consent, DirectoryError, Grant, Grantee, Redeemable, RedeemableHash, Redeemed, StoreError, Tenant, User,
};

/// A redeemable, until it is over.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    redeemable: Redeemable,
    over_at: Timestamp,
    redeemed: Option<Timestamp>,
}

/// Tenants, users and apps.
impl Model {
    pub fn add_tenant(&mut self, tenant: Tenant) -> Result<(), DirectoryError> {
        if self.tenants.contains_key(&tenant.id) {
            return Err(DirectoryError::IdTaken(tenant.id.0));
        }
        if self.tenants.values().any(|other| other.domain == tenant.domain) {
            return Err(DirectoryError::DomainTaken(tenant.domain));
        }
        self.tenants.insert(tenant.id, tenant);
        self.counters.commits += 1;
        Ok(())
    }

    pub fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        Ok(self.tenants.values().cloned().collect())
    }

    pub fn add_user(&mut self, user: User) -> Result<(), DirectoryError> {
        self.check_tenant(user.tenant)?;
        if self.users.contains_key(&user.id) {
            return Err(DirectoryError::IdTaken(user.id.0));
        }
        self.check_address(&user)?;
        let revision = self.next_revision(Partition::of(user.id));
        self.mailboxes.insert(user.id, Mailbox::new(user.id, revision));
        self.users.insert(user.id, user);
        self.counters.commits += 1;
        Ok(())
    }

    pub fn replace_user(&mut self, before: User, after: User) -> Result<(), DirectoryError> {
        debug_assert_eq!((before.id, before.tenant), (after.id, after.tenant), "a user keeps id and tenant");
        if *self.users.get(&before.id).ok_or(DirectoryError::NoUser(before.id))? != before {
            return Err(DirectoryError::Changed);
        }
        self.check_address(&after)?;
        self.redeemables
            .retain(|_, kept| kept.redeemable.user != after.id || kept.redeemable.issued >= after.sessions_valid_from);
        self.users.insert(after.id, after);
        self.counters.commits += 1;
        Ok(())
    }

    pub fn remove_user(&mut self, id: UserId) -> Result<User, DirectoryError> {
        if self.users.contains_key(&id) && self.live().any(|one| one.target.mailbox() == Some(id)) {
            return Err(DirectoryError::Watched(id));
        }
        let user = self.users.remove(&id).ok_or(DirectoryError::NoUser(id))?;
        self.mailboxes.remove(&id);
        self.uploads.retain(|(mailbox, _), _| *mailbox != id);
        self.consents.retain(|(_, _, grantee, _), _| *grantee != Grantee::User(id));
        self.redeemables.retain(|_, kept| kept.redeemable.user != id);
        self.counters.commits += 1;
        Ok(user)
    }

    pub fn users(&self, tenant: TenantId) -> Result<Vec<User>, StoreError> {
        let mut users: Vec<User> = self.users.values().filter(|user| user.tenant == tenant).cloned().collect();
        users.sort_by_key(|user| user.upn.to_lowercase());
        Ok(users)
    }

    pub fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.users.get(&id).cloned())
    }

    pub fn user_by_address(&self, address: &str) -> Result<Option<User>, StoreError> {
        let address = address.to_lowercase();
        Ok(self.users.values().find(|user| user.upn.to_lowercase() == address).cloned())
    }

    pub fn add_app(&mut self, app: App) -> Result<(), DirectoryError> {
        self.check_tenant(app.tenant)?;
        if self.apps.contains_key(&app.id) {
            return Err(DirectoryError::IdTaken(app.id.0));
        }
        self.apps.insert(app.id, app);
        self.counters.commits += 1;
        Ok(())
    }

    pub fn replace_app(&mut self, before: App, after: App) -> Result<(), DirectoryError> {
        debug_assert_eq!((before.id, before.tenant), (after.id, after.tenant), "an app keeps id and tenant");
        if *self.apps.get(&before.id).ok_or(DirectoryError::NoApp(before.id))? != before {
            return Err(DirectoryError::Changed);
        }
        self.apps.insert(after.id, after);
        self.counters.commits += 1;
        Ok(())
    }

    pub fn remove_app(&mut self, id: AppId) -> Result<App, DirectoryError> {
        let is_of_app = |one: &Arc<Subscription>| one.app == id && one.target.event_subscription().is_none();
        if self.apps.contains_key(&id) && self.live().any(is_of_app) {
            return Err(DirectoryError::Subscribed(id));
        }
        let app = self.apps.remove(&id).ok_or(DirectoryError::NoApp(id))?;
        self.consents.retain(|(_, app, ..), _| *app != id);
        self.redeemables.retain(|_, kept| kept.redeemable.app != id);
        self.counters.commits += 1;
        Ok(app)
    }

    pub fn apps(&self, tenant: TenantId) -> Result<Vec<App>, StoreError> {
        Ok(self.apps.values().filter(|app| app.tenant == tenant).cloned().collect())
    }

    pub fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        Ok(self.apps.get(&id).cloned())
    }

    fn check_tenant(&self, id: TenantId) -> Result<(), DirectoryError> {
        self.tenants.contains_key(&id).then_some(()).ok_or(DirectoryError::NoTenant(id))
    }

    fn check_address(&self, user: &User) -> Result<(), DirectoryError> {
        let address = user.upn.to_lowercase();
        match self.users.values().any(|other| other.id != user.id && other.upn.to_lowercase() == address) {
            true => Err(DirectoryError::AddressTaken(user.upn.clone())),
            false => Ok(()),
        }
    }
}

/// Consents.
impl Model {
    pub fn grant(&mut self, grant: Grant, at: Timestamp) -> Result<BTreeSet<String>, DirectoryError> {
        let Grant { tenant, app, grantee, permissions } = grant;
        self.check_grant(tenant, app, grantee)?;
        let mut new = BTreeSet::new();
        for permission in permissions {
            let key = (tenant, app, grantee, permission.clone());
            if self.consents.get(&key).is_none_or(|consent| consent.revoked.is_some()) {
                new.insert(permission.clone());
                self.consents.insert(key, Consent { tenant, app, grantee, permission, granted: at, revoked: None });
            }
        }
        self.counters.commits += u64::from(!new.is_empty());
        Ok(new)
    }

    pub fn revoke(&mut self, grant: Grant, at: Timestamp) -> Result<BTreeSet<String>, DirectoryError> {
        let Grant { tenant, app, grantee, permissions } = grant;
        self.check_grant(tenant, app, grantee)?;
        let mut gone = BTreeSet::new();
        for permission in permissions {
            let known = self.consents.get_mut(&(tenant, app, grantee, permission.clone()));
            if let Some(consent) = known.filter(|consent| consent.revoked.is_none()) {
                consent.revoked = Some(at);
                gone.insert(permission);
            }
        }
        self.counters.commits += u64::from(!gone.is_empty());
        Ok(gone)
    }

    pub fn consents(&self, tenant: TenantId, app: AppId) -> Result<Vec<Consent>, StoreError> {
        let here = self.consents.values().filter(|consent| (consent.tenant, consent.app) == (tenant, app));
        Ok(here.cloned().collect())
    }

    pub fn granted(&self, tenant: TenantId, app: AppId, user: Option<UserId>) -> Result<BTreeSet<String>, StoreError> {
        let counts = |grantee: Grantee| match user {
            None => grantee == Grantee::App,
            Some(user) => grantee == Grantee::AllUsers || grantee == Grantee::User(user),
        };
        let all = self.consents(tenant, app)?.into_iter();
        let standing = all.filter(|consent| consent.revoked.is_none() && counts(consent.grantee));
        Ok(standing.map(|consent| consent.permission).collect())
    }

    fn check_grant(&self, tenant: TenantId, app: AppId, grantee: Grantee) -> Result<(), DirectoryError> {
        self.check_tenant(tenant)?;
        self.check_app(app)?;
        match grantee {
            Grantee::User(id) if self.users.get(&id).is_none_or(|user| user.tenant != tenant) => {
                Err(DirectoryError::NoUser(id))
            }
            _ => Ok(()),
        }
    }

    fn check_app(&self, id: AppId) -> Result<(), DirectoryError> {
        self.apps.contains_key(&id).then_some(()).ok_or(DirectoryError::NoApp(id))
    }
}

/// Codes and refresh tokens.
impl Model {
    pub fn put_redeemable(&mut self, redeemable: Redeemable) -> Result<(), DirectoryError> {
        self.check_grant(redeemable.tenant, redeemable.app, Grantee::User(redeemable.user))?;
        let over_at = redeemable.expires;
        self.redeemables.insert(redeemable.hash, Kept { redeemable, over_at, redeemed: None });
        self.counters.commits += 1;
        Ok(())
    }

    pub fn redeem(
        &mut self,
        app: AppId,
        hash: RedeemableHash,
        now: Timestamp,
        over_at: Timestamp,
    ) -> Result<Option<Redeemed>, StoreError> {
        let found = self.redeemables.get_mut(&hash).filter(|kept| kept.redeemable.app == app && kept.over_at > now);
        let Some(kept) = found else { return Ok(None) };
        let before = kept.redeemed;
        if before.is_none() {
            kept.redeemed = Some(now);
            kept.over_at = kept.over_at.min(over_at);
            self.counters.commits += 1;
        }
        Ok(Some(Redeemed { redeemable: kept.redeemable.clone(), before }))
    }

    pub fn end_session(&mut self, session: Uuid) -> Result<(), StoreError> {
        self.redeemables.retain(|_, kept| kept.redeemable.session != session);
        self.counters.commits += 1;
        Ok(())
    }
}
