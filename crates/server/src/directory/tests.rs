use std::sync::Arc;

use graph::Timestamp;
use notify::Monotonic;
use store::memory::MemoryStore;
use store::{DirectoryError, Store, User};

use super::Directory;
use super::memory::Memory;
use crate::clock::Clock;
use crate::seed;

async fn directory() -> Directory {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(|_, _| {})));
    seed::plant(store.as_ref(), Timestamp::from_seconds(1_800_000_000)).await.unwrap();
    Directory::new(store, Clock::new())
}

#[tokio::test]
async fn a_change_is_seen_at_once() {
    let directory = directory().await;
    let megan = seed::users().remove(0);
    assert_eq!(directory.user(megan.id).await.unwrap().as_deref(), Some(&megan));
    assert_eq!(directory.by_address("MEGAN@contoso.test").await.unwrap().as_deref(), Some(&megan));
    let disabled = User { enabled: false, ..megan.clone() };
    let (before, after) = (megan.clone(), disabled.clone());
    let change = directory.change(|store| async move { store.replace_user(before, after).await });
    assert_eq!(change.await, Ok(()));
    assert_eq!(directory.user(megan.id).await.unwrap().as_deref(), Some(&disabled));
    let removal = directory.change(|store| async move { store.remove_user(megan.id).await });
    assert_eq!(removal.await, Ok(disabled));
    assert_eq!(directory.user(megan.id).await, Ok(None));
    assert_eq!(directory.by_address("megan@contoso.test").await, Ok(None));
}

#[tokio::test]
async fn a_revoked_consent_and_a_removed_app_are_seen_at_once() {
    let directory = directory().await;
    let granted = async || directory.granted(seed::TENANT, seed::APP, None).await.unwrap().len();
    assert!(granted().await > 0 && directory.app(seed::APP).await.unwrap().is_some());
    let removal = directory.change(|store| async move { store.remove_app(seed::APP).await });
    removal.await.unwrap();
    assert_eq!((granted().await, directory.app(seed::APP).await), (0, Ok(None)));
    let again = directory.change(|store| async move { store.remove_app(seed::APP).await }).await;
    assert_eq!(again, Err(DirectoryError::NoApp(seed::APP)));
}

#[tokio::test]
async fn what_was_asked_for_before_a_change_is_not_remembered_after_it() {
    let memory: Memory<u8, &str> = Memory::default();
    let find = async {
        memory.forget();
        Ok(Some("old"))
    };
    assert_eq!(memory.get(1, Monotonic(0), find).await.unwrap().as_deref(), Some(&"old"));
    let found = memory.get(1, Monotonic(0), async { Ok(Some("new")) }).await;
    assert_eq!(found.unwrap().as_deref(), Some(&"new"));
}

#[tokio::test]
async fn what_another_process_changed_is_seen_after_ten_seconds() {
    let memory: Memory<u8, &str> = Memory::default();
    let ask = async |now: u64, there: &'static str| {
        *memory.get(1, Monotonic(now), async { Ok(Some(there)) }).await.unwrap().unwrap()
    };
    assert_eq!(ask(0, "old").await, "old");
    assert_eq!(ask(9_999_999, "new").await, "old");
    assert_eq!(ask(10_000_000, "new").await, "new");
}
