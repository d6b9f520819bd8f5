//! What was found in the store, by the key that it was asked for with.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use notify::Monotonic;
use store::StoreError;

/// How many things are remembered before all are forgotten again.
const REMEMBERED_MAX: usize = 65_536;
/// How long something is remembered, in microseconds.
const AGE_MAX: u64 = 10_000_000;

pub(super) struct Memory<K, V>(RwLock<Inner<K, V>>);

struct Inner<K, V> {
    /// How often everything was forgotten: what was asked for before counts no more.
    generation: u64,
    found: HashMap<K, (Monotonic, Arc<V>)>,
}

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self(RwLock::new(Inner { generation: 0, found: HashMap::new() }))
    }
}

impl<K: Eq + Hash, V> Memory<K, V> {
    /// What is remembered, else what `find` finds. That there is nothing is not remembered.
    pub async fn get(
        &self,
        key: K,
        now: Monotonic,
        find: impl Future<Output = Result<Option<V>, StoreError>>,
    ) -> Result<Option<Arc<V>>, StoreError> {
        let generation = {
            let inner = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((since, value)) = inner.found.get(&key)
                && now.0.saturating_sub(since.0) < AGE_MAX
            {
                return Ok(Some(value.clone()));
            }
            inner.generation
        };
        let Some(value) = find.await?.map(Arc::new) else { return Ok(None) };
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if inner.generation == generation {
            if inner.found.len() >= REMEMBERED_MAX {
                inner.found.clear();
            }
            inner.found.insert(key, (now, value.clone()));
        }
        Ok(Some(value))
    }

    pub fn forget(&self) {
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        inner.generation += 1;
        inner.found.clear();
    }
}
