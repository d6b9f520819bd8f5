//! Users as requests name them. What was found is remembered: users are only ever added.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use graph::UserId;
use graph::mailbox::Owner;
use store::{Store, StoreError, User};

/// How many users are remembered before all are forgotten again.
const REMEMBERED_MAX: usize = 65_536;

/// Finds users in the store.
pub struct Directory {
    store: Arc<dyn Store>,
    by_id: RwLock<HashMap<UserId, Arc<User>>>,
    by_address: RwLock<HashMap<String, Arc<User>>>,
}

impl Directory {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, by_id: RwLock::default(), by_address: RwLock::default() }
    }

    pub async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        if let Some(known) = recall(&self.by_id, &id) {
            return Ok(Some(known));
        }
        let found = self.store.user(id).await?.map(Arc::new);
        Ok(found.inspect(|user| remember(&self.by_id, id, user)))
    }

    /// Finds a user by UPN or mail address, in any case.
    pub async fn by_address(&self, address: &str) -> Result<Option<Arc<User>>, StoreError> {
        let address = address.to_lowercase();
        if let Some(known) = recall(&self.by_address, &address) {
            return Ok(Some(known));
        }
        let found = self.store.user_by_address(&address).await?.map(Arc::new);
        Ok(found.inspect(|user| remember(&self.by_address, address, user)))
    }
}

/// The user as the rules of a mailbox know its owner.
pub fn owner(user: &User) -> Owner {
    Owner { tenant: user.tenant, id: user.id, address: user.upn.clone(), name: user.display_name.clone() }
}

type Remembered<K> = RwLock<HashMap<K, Arc<User>>>;

fn recall<K: std::hash::Hash + Eq>(remembered: &Remembered<K>, key: &K) -> Option<Arc<User>> {
    remembered.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
}

fn remember<K: std::hash::Hash + Eq>(remembered: &Remembered<K>, key: K, user: &Arc<User>) {
    let mut remembered = remembered.write().unwrap_or_else(PoisonError::into_inner);
    if remembered.len() >= REMEMBERED_MAX {
        remembered.clear();
    }
    remembered.insert(key, user.clone());
}
