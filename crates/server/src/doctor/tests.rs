use std::path::PathBuf;
use std::sync::Arc;

use store::sqlite::SqliteStore;
use tempfile::TempDir;

use super::*;
use crate::key_file::keys_for;

/// The data of a server that was stopped, and its key file.
fn home() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let dir = DataDir::open(&data).unwrap();
    let keys = keys_for(&dir, &home.path().join("key")).unwrap();
    SealedFile::new(&data, SIGNING_KEYS_FILE, keys.clone()).write(b"signing keys").unwrap();
    SqliteStore::open(dir.store(), keys, Arc::new(|_, _| {})).unwrap();
    (home, data)
}

/// What is found, each with its place.
fn found(data: &Path, key_file: Option<&Path>) -> Vec<(String, String)> {
    let findings = examine(data, key_file).unwrap().findings;
    findings.into_iter().map(|finding| (finding.place, finding.what)).collect()
}

#[test]
fn there_is_nothing_wrong_with_a_new_directory() {
    let (_home, data) = home();
    let report = examine(&data, None).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(report.examined.contains(&"files") && report.examined.contains(&"ledger"), "{:?}", report.examined);
}

#[test]
fn a_directory_that_a_server_uses_is_not_examined() {
    let (_home, data) = home();
    let _server = DataDir::open(&data).unwrap();
    let refusal = examine(&data, None).unwrap_err().to_string();
    assert_eq!(refusal, format!("a server uses {}; stop it first, or examine a backup of it", data.display()));
}

#[cfg(unix)]
#[test]
fn what_others_may_read_is_said_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_home, data) = home();
    let keys = data.join(SIGNING_KEYS_FILE);
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).unwrap();
    let findings = examine(&data, None).unwrap().findings;
    let [one] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!((one.place.as_str(), one.what.as_str()), (keys.to_str().unwrap(), "others may use it (mode 644)"));
    assert_eq!(one.todo, format!("chmod 600 {}", keys.display()));
}

#[test]
fn a_missing_key_file_and_a_wrong_one_are_said() {
    let (home, data) = home();
    let (gone, other) = (home.path().join("gone"), home.path().join("other"));
    let key = home.path().join("key");
    assert_eq!(found(&data, Some(&gone)), [(gone.display().to_string(), "there is no key file".to_owned())]);
    keys_for(&DataDir::temporary().unwrap(), &other).unwrap();
    let findings = found(&data, Some(&other));
    let [(signing_keys, _), (table, what)] = &findings[..] else { panic!("{findings:?}") };
    assert!(signing_keys.ends_with(SIGNING_KEYS_FILE), "{signing_keys}");
    assert!(table == "table sealing_key" && what.contains("which the key file does not have"), "{table}: {what}");
    assert!(found(&data, Some(&key)).is_empty());
}

#[test]
fn signing_keys_that_were_altered_are_said() {
    let (_home, data) = home();
    let file = data.join(SIGNING_KEYS_FILE);
    let mut sealed = std::fs::read(&file).unwrap();
    *sealed.last_mut().unwrap() ^= 1;
    std::fs::write(&file, sealed).unwrap();
    let findings = found(&data, None);
    assert!(findings[0].1.starts_with("cannot open"), "{findings:?}");
}

#[test]
fn signing_keys_that_are_missing_are_said_once_a_server_has_run() {
    let (_home, data) = home();
    std::fs::remove_file(data.join(SIGNING_KEYS_FILE)).unwrap();
    assert!(found(&data, None).is_empty(), "no server has made them yet");
    DataDir::open(&data).unwrap().write_private(ADMIN_TOKEN_FILE, b"token").unwrap();
    let findings = found(&data, None);
    let [(place, what)] = &findings[..] else { panic!("{findings:?}") };
    assert!(place.ends_with(SIGNING_KEYS_FILE) && what == "there are no signing keys", "{place}: {what}");
}
