//! The directory as requests ask for it: tenants, users, apps and what apps were granted. What was found is
//! remembered until something is changed through here, and for some seconds at most, since another
//! process may change it too.

pub mod credential;
mod memory;
pub mod names;
pub mod subscribed;

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::mailbox::Owner;
use graph::{AppId, TenantId, Timestamp, UserId};
use store::{App, Store, StoreError, Tenant, User};

pub use self::credential::sha256_hex;
use self::memory::Memory;
use crate::clock::{Clock, Times};
use crate::room::Room;

/// Finds users, apps and tenants in the store.
#[derive(Clone)]
pub struct Directory {
    store: Arc<dyn Store>,
    clock: Clock,
    found: Arc<Found>,
    room: Arc<Room>,
}

/// What was found.
#[derive(Default)]
struct Found {
    users: Memory<UserId, User>,
    users_by_address: Memory<String, User>,
    apps: Memory<AppId, App>,
    granted: Memory<(TenantId, AppId, Option<UserId>), BTreeSet<String>>,
    tenants: Memory<(), Vec<Tenant>>,
}

impl Found {
    fn forget(&self) {
        self.users.forget();
        self.users_by_address.forget();
        self.apps.forget();
        self.granted.forget();
        self.tenants.forget();
    }
}

impl Directory {
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock, found: Arc::default(), room: Arc::default() }
    }

    /// The store, for who must see what is so now.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Whether the store's logs have room for more.
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    pub fn now(&self) -> Timestamp {
        self.clock.wall()
    }

    pub fn times(&self) -> Times {
        self.clock.times()
    }

    pub async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        self.found.users.get(id, self.clock.mono(), async { self.store.user(id).await }).await
    }

    /// Finds a user by UPN or mail address, in any case.
    pub async fn by_address(&self, address: &str) -> Result<Option<Arc<User>>, StoreError> {
        let find = async { self.store.user_by_address(address).await };
        self.found.users_by_address.get(address.to_lowercase(), self.clock.mono(), find).await
    }

    pub async fn app(&self, id: AppId) -> Result<Option<Arc<App>>, StoreError> {
        self.found.apps.get(id, self.clock.mono(), async { self.store.app(id).await }).await
    }

    /// The permissions of an app in a tenant that stand: its own, or those for a user.
    pub async fn granted(
        &self,
        tenant: TenantId,
        app: AppId,
        user: Option<UserId>,
    ) -> Result<Arc<BTreeSet<String>>, StoreError> {
        let find = async { self.store.granted(tenant, app, user).await.map(Some) };
        let found = self.found.granted.get((tenant, app, user), self.clock.mono(), find).await?;
        Ok(found.unwrap_or_default())
    }

    pub async fn tenants(&self) -> Result<Arc<Vec<Tenant>>, StoreError> {
        let find = async { self.store.tenants().await.map(Some) };
        Ok(self.found.tenants.get((), self.clock.mono(), find).await?.unwrap_or_default())
    }

    /// Runs a write to its end, even if nobody waits for it any more. Once it has answered, requests see
    /// what it did.
    pub async fn change<T, E, F>(&self, write: impl FnOnce(Arc<dyn Store>) -> F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let (write, found) = (write(self.store.clone()), self.found.clone());
        let task = tokio::spawn(async move {
            let outcome = write.await;
            found.forget();
            outcome
        });
        let lost = |error: tokio::task::JoinError| StoreError::Unknown(error.to_string());
        task.await.map_err(lost)?
    }
}

/// The user as the rules of a mailbox know its owner.
pub fn owner(user: &User) -> Owner {
    Owner { tenant: user.tenant, id: user.id, address: user.upn.clone(), name: user.display_name.clone() }
}

#[cfg(test)]
mod tests;
