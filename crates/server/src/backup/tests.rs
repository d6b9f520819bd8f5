use std::sync::Arc;

use store::sqlite::SqliteStore;
use store::{Generation, Store, Tenant};
use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::data_dir::{ADMIN_TOKEN_FILE, DataDir};
use crate::ids;
use crate::key_file::keys_for;
use crate::restore::restore;
use crate::sealed_file::SealedFile;

/// A server's data with a tenant and signing keys, and its key file.
struct Home(TempDir);

impl Home {
    async fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let data = DataDir::open(&home.data()).unwrap();
        let keys = keys_for(&data, &home.key()).unwrap();
        SealedFile::new(data.path(), SIGNING_KEYS_FILE, keys.clone()).write(b"signing keys").unwrap();
        data.write_private(ADMIN_TOKEN_FILE, b"a token").unwrap();
        let store = SqliteStore::open(data.store(), keys, Arc::new(|_, _| {})).unwrap();
        store.add_tenant(Tenant { id: tenant(), domain: "contoso.test".to_owned() }).await.unwrap();
        store.close().await;
        home
    }

    fn data(&self) -> std::path::PathBuf {
        self.0.path().join("data")
    }

    fn key(&self) -> std::path::PathBuf {
        self.0.path().join("key")
    }

    fn backup(&self) -> std::path::PathBuf {
        self.0.path().join("backup")
    }

    fn new_data(&self) -> std::path::PathBuf {
        self.0.path().join("new")
    }

    fn back_up(&self) -> anyhow::Result<Manifest> {
        make(&self.data(), &self.backup(), Clock::new().wall(), |_, _| {})
    }

    fn restore_with(&self, key: &Path) -> anyhow::Result<()> {
        let manifest = Manifest::read(&self.backup())?;
        restore((&self.backup(), &manifest), &self.new_data(), key, Generation(7), |_, _| {}).map(drop)
    }

    /// Why it is not restored, and that nothing of it is left.
    fn refusal(&self, key: &Path) -> String {
        let refusal = format!("{:#}", self.restore_with(key).unwrap_err());
        assert!(!self.new_data().exists(), "{refusal}");
        refusal
    }

    /// Changes what the manifest says.
    fn alter(&self, member: &str, value: impl Into<serde_json::Value>) {
        let file = self.backup().join(MANIFEST_FILE);
        let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        *manifest.pointer_mut(member).unwrap() = value.into();
        fs::write(file, manifest.to_string()).unwrap();
    }
}

fn tenant() -> graph::TenantId {
    graph::TenantId(uuid::Uuid::from_u128(1))
}

#[tokio::test]
async fn a_backup_has_the_data_and_nothing_that_is_of_one_machine() {
    let home = Home::new().await;
    let manifest = home.back_up().unwrap();
    let names: Vec<_> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, [DATABASE_FILE, SIGNING_KEYS_FILE]);
    let mut found: Vec<_> = fs::read_dir(home.backup()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    found.sort();
    assert_eq!(found, [MANIFEST_FILE, "signing-keys", "store"]);
    assert_eq!(fs::read_dir(store_in(&home.backup())).unwrap().count(), 1);
    assert_eq!((manifest.schema, manifest.keys.len()), (SCHEMA_VERSION, 1));
    assert_eq!(Manifest::read(&home.backup()).unwrap(), manifest);
}

#[tokio::test]
async fn what_is_restored_is_what_was_backed_up_in_another_generation() {
    let home = Home::new().await;
    home.back_up().unwrap();
    home.restore_with(&home.key()).unwrap();
    let data = DataDir::open(&home.new_data()).unwrap();
    let keys = keys_for(&data, &home.key()).unwrap();
    let sealed = SealedFile::new(data.path(), SIGNING_KEYS_FILE, keys.clone());
    assert_eq!(sealed.read().unwrap().as_deref(), Some(&b"signing keys"[..]));
    assert!(data.read(ADMIN_TOKEN_FILE).unwrap().is_none());
    let store = SqliteStore::open(data.store(), keys, Arc::new(|_, _| {})).unwrap();
    assert_eq!(store.tenants().await.unwrap()[0].id, tenant());
    assert_eq!(store.generation(), Generation(7));
}

#[tokio::test]
async fn only_empty_directories_are_filled() {
    let home = Home::new().await;
    home.back_up().unwrap();
    let again = home.back_up().unwrap_err().to_string();
    assert_eq!(again, format!("the directory {} is not empty; name a new one", home.backup().display()));
    home.restore_with(&home.key()).unwrap();
    let again = home.restore_with(&home.key()).unwrap_err().to_string();
    assert_eq!(again, format!("the directory {} is not empty; name a new one", home.new_data().display()));
}

#[tokio::test]
async fn a_backup_that_was_altered_or_was_not_finished_is_not_restored() {
    let home = Home::new().await;
    home.back_up().unwrap();
    let database = home.backup().join(DATABASE_FILE);
    let mut bytes = fs::read(&database).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&database, &bytes).unwrap();
    assert!(home.refusal(&home.key()).contains("is not what was backed up"));
    bytes[middle] ^= 1;
    fs::write(&database, &bytes[..middle]).unwrap();
    assert!(home.refusal(&home.key()).contains("is not what was backed up"));
    fs::remove_file(home.backup().join(MANIFEST_FILE)).unwrap();
    assert!(home.refusal(&home.key()).contains("is no backup, or one that was not finished"));
}

#[tokio::test]
async fn a_backup_needs_its_key() {
    let home = Home::new().await;
    let key = home.back_up().unwrap().keys.remove(0);
    let other = home.0.path().join("other");
    let refusal = home.refusal(&other);
    assert!(refusal.contains("there is no key file") && refusal.contains(&key), "{refusal}");
    keys_for(&DataDir::temporary().unwrap(), &other).unwrap();
    let refusal = home.refusal(&other);
    assert!(refusal.contains(&format!("does not have the key {key}, which the backup needs")), "{refusal}");
}

#[tokio::test]
async fn a_manifest_that_names_what_is_not_known_is_refused() {
    let home = Home::new().await;
    home.back_up().unwrap();
    home.alter("/files/1/name", "../key");
    assert!(home.refusal(&home.key()).contains("its manifest names a file '../key'"));
    home.alter("/files/1/name", SIGNING_KEYS_FILE);
    home.alter("/partitions", 64);
    assert!(home.refusal(&home.key()).contains("its store has 64 partitions"));
    home.alter("/schema", SCHEMA_VERSION + 1);
    assert!(home.refusal(&home.key()).contains("a newer release made it"));
}

#[tokio::test]
async fn a_directory_without_a_store_is_not_backed_up() {
    let (empty, to) = (DataDir::temporary().unwrap(), tempfile::tempdir().unwrap());
    let refusal = make(empty.path(), to.path(), Clock::new().wall(), |_, _| {}).unwrap_err().to_string();
    assert!(refusal.starts_with("there is no store in"), "{refusal}");
}

#[test]
fn generations_are_not_the_first_and_differ() {
    let (one, other) = (ids::new_generation(), ids::new_generation());
    assert!(one != other && one.0 > 0 && one.0 <= i64::MAX as u64);
}

#[test]
fn a_full_disk_is_told_from_other_trouble() {
    let io = |kind: io::ErrorKind| anyhow::Error::from(io::Error::from(kind)).context("cannot write");
    assert!(is_full(&io(io::ErrorKind::StorageFull)));
    assert!(is_full(&anyhow::Error::from(CopyError::Full).context("cannot copy")));
    assert!(!is_full(&io(io::ErrorKind::PermissionDenied)));
}
