use std::path::PathBuf;
use std::sync::Arc;

use store::sqlite::SqliteStore;
use tempfile::TempDir;

use super::*;

/// A place for a key file, which is not made.
fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("deep/key");
    (directory, path)
}

/// A data directory of which the signing keys alone are sealed with these keys.
fn signing(keys: Keys) -> DataDir {
    let data = DataDir::temporary().unwrap();
    sealed_file::SealedFile::new(data.path(), SIGNING_KEYS_FILE, keys).write(b"{}").unwrap();
    data
}

/// A data directory whose store is sealed with these keys.
fn sealed(keys: Keys) -> DataDir {
    let data = DataDir::temporary().unwrap();
    SqliteStore::open(data.store(), keys, Arc::new(|_, _| {})).unwrap();
    data
}

fn refusal(data: &DataDir, path: &Path) -> String {
    let error = format!("{:#}", keys_for(data, path).unwrap_err());
    error.replace(&path.display().to_string(), "FILE").replace(&data.path().display().to_string(), "DATA")
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_is_made_at_the_first_start_and_kept() {
    let (_directory, path) = place();
    let data = DataDir::temporary().unwrap();
    let made = keys_for(&data, &path).unwrap().first();
    assert_eq!(keys_for(&data, &path).unwrap().first(), made);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# Tidings seals") && text.trim_end().ends_with(&made.to_string()), "{text}");
    #[cfg(unix)]
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[cfg(unix)]
#[test]
fn where_the_key_file_is_is_written_once() {
    use std::os::unix::fs::MetadataExt as _;
    let ((_home, path), data) = (place(), DataDir::temporary().unwrap());
    let written = || {
        keys_for(&data, &path).unwrap();
        fs::metadata(data.join(PLACE_FILE)).unwrap().ino()
    };
    let first = written();
    assert_eq!(written(), first, "a command of another user does not take the file over");
}

#[test]
fn a_place_outside_is_told_from_one_inside_before_there_is_anything() {
    let home = TempDir::new().unwrap();
    let data = home.path().join("data");
    let is_outside = |path: &str| ensure_outside(&data, &home.path().join(path)).is_ok();
    assert!(is_outside("key") && is_outside("data/../key") && is_outside("database/key"));
    assert!(!is_outside("data/key") && !is_outside("other/../data/key"));
}

#[test]
fn a_data_directory_whose_key_is_gone_gets_no_new_one() {
    let (_directory, path) = place();
    let keys = in_memory();
    let key = keys.first();
    for data in [sealed(keys.clone()), signing(keys)] {
        assert_eq!(
            refusal(&data, &path),
            format!(
                "secrets in DATA are sealed with the key {key}, and there is no key file FILE; put it back, or name the \
                 right file with --key-file FILE"
            )
        );
        assert!(!path.exists());
    }
}

#[test]
fn the_key_file_of_other_data_is_refused() {
    let (_directory, path) = place();
    keys_for(&DataDir::temporary().unwrap(), &path).unwrap();
    let keys = in_memory();
    let (data, key) = (sealed(keys.clone()), keys.first());
    assert_eq!(
        refusal(&data, &path),
        format!(
            "secrets in DATA are sealed with the key {key}, which the key file FILE does not have; put it back there \
             as another line, or name the right file with --key-file FILE"
        )
    );
}

#[test]
fn theft_of_the_key_with_the_data_is_harder_since_a_key_file_there_is_refused() {
    let data = DataDir::temporary().unwrap();
    let said = "the key file FILE lies in the data directory, so that each copy of the data would have it; name one \
                elsewhere with --key-file FILE";
    assert_eq!(refusal(&data, &data.join("deep/key")), said);
    #[cfg(unix)]
    {
        let (directory, _) = place();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(data.path(), &link).unwrap();
        assert_eq!(refusal(&data, &link.join("key")), said);
    }
    assert!(!data.join("deep").exists());
}

#[cfg(unix)]
#[test]
fn reading_by_a_neighbour_of_the_key_file_is_refused() {
    let (_directory, path) = place();
    let data = DataDir::temporary().unwrap();
    keys_for(&data, &path).unwrap();
    set_mode(&path, 0o644);
    assert_eq!(
        refusal(&data, &path),
        "the key file FILE is open to others (mode 644); take that from them: chmod 600 FILE"
    );
    set_mode(&path, 0o400);
    keys_for(&data, &path).unwrap();
}

#[test]
fn what_is_no_key_is_named_by_its_line_and_not_shown() {
    let (directory, _) = place();
    let path = directory.path().join("key");
    let data = DataDir::temporary().unwrap();
    let key = STANDARD.encode([7; KEY_BYTES]);
    for (text, said) in [
        (format!("# {key}\n\n"), "it has no key"),
        (format!("{key}\nsecret\n"), "line 2 is not a key, which is 32 bytes in base64"),
        (format!("{key}AA\n"), "line 1 is not a key, which is 32 bytes in base64"),
        (format!("{key}\n{key} # again\n"), "line 2 has a key that another line has, too"),
        ((0..17u8).map(|byte| STANDARD.encode([byte; KEY_BYTES]) + "\n").collect(), "it has more than 16 keys"),
    ] {
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        set_mode(&path, 0o600);
        assert_eq!(refusal(&data, &path), format!("FILE is not a key file: {said}"));
    }
}

#[test]
fn a_key_file_that_cannot_be_read_is_named() {
    let (directory, _) = place();
    #[cfg(unix)]
    set_mode(directory.path(), 0o700);
    let refusal = refusal(&DataDir::temporary().unwrap(), directory.path());
    assert!(refusal.starts_with("cannot read the key file FILE: "), "{refusal}");
}

#[test]
fn a_new_key_becomes_the_first_and_what_seals_nothing_is_dropped() {
    let (_directory, path) = place();
    let data = DataDir::temporary().unwrap();
    let read = || KeyFile::read(&path).unwrap().unwrap();
    let old = keys_for(&data, &path).unwrap();
    SqliteStore::open(data.store(), old.clone(), Arc::new(|_, _| {})).unwrap();
    let middle = read().rotate().unwrap();
    let new = read().rotate().unwrap();
    let in_use = || keys_in_use(data.path()).unwrap();
    assert_eq!(read().prune(&in_use()).unwrap(), [middle], "the first will be used, the last still is");

    let keys = keys_for(&data, &path).unwrap();
    assert!(keys.first() == new && keys.has(old.first()) && !keys.has(middle));
    SqliteStore::open(data.store(), keys, Arc::new(|_, _| {})).unwrap();
    assert_eq!(read().prune(&in_use()).unwrap(), [old.first()]);
    assert_eq!(read().prune(&in_use()).unwrap(), []);
    SqliteStore::open(data.store(), keys_for(&data, &path).unwrap(), Arc::new(|_, _| {})).unwrap();
    #[cfg(unix)]
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn nothing_is_dropped_from_a_key_file_without_the_key_that_the_data_is_sealed_with() {
    let (_directory, path) = place();
    let data = DataDir::temporary().unwrap();
    SqliteStore::open(data.store(), keys_for(&data, &path).unwrap(), Arc::new(|_, _| {})).unwrap();
    let (_elsewhere, other) = place();
    keys_for(&DataDir::temporary().unwrap(), &other).unwrap();
    let read = || KeyFile::read(&other).unwrap().unwrap();
    read().rotate().unwrap();
    let before = std::fs::read(&other).unwrap();
    let refusal = read().prune(&keys_in_use(data.path()).unwrap()).unwrap_err().to_string();
    assert!(refusal.contains("put it back") && refusal.contains("nothing was dropped"), "{refusal}");
    assert_eq!(std::fs::read(&other).unwrap(), before);
}

#[test]
fn a_full_key_file_gets_no_more_keys() {
    let (_directory, path) = place();
    keys_for(&DataDir::temporary().unwrap(), &path).unwrap();
    let read = || KeyFile::read(&path).unwrap().unwrap();
    for _ in 1..KEYS_MAX {
        read().rotate().unwrap();
    }
    assert!(read().rotate().unwrap_err().to_string().contains("tidings key-file prune"));
}
