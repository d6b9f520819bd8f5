//! The signing keys of the data directory: made once, brought over from where earlier versions kept them, and followed by the
//! next when that is due.

use std::sync::Arc;
use std::time::Duration;

use graph::Timestamp;
use store::seal::Keys;
use tokio_util::sync::CancellationToken;

use crate::app::AppState;
use crate::data_dir::{ADMIN_TOKEN_FILE, DataDir, PLAIN_SIGNING_KEYS_FILE, SIGNING_KEY_FILE, SIGNING_KEYS_FILE};
use crate::identity::{Key, KeyRing, Tokens};
use crate::sealed_file::SealedFile;

/// How often it is looked whether the next signing key is due.
const ROTATION_PAUSE: Duration = Duration::from_secs(3_600);

/// The signing keys of the data directory, made once.
pub(super) fn signing_keys(data: &DataDir, keys: Keys, now: Timestamp) -> anyhow::Result<Tokens> {
    let file = SealedFile::new(data.path(), SIGNING_KEYS_FILE, keys);
    let ring = match file.read()? {
        Some(kept) => KeyRing::from_kept(&kept)?,
        None => {
            let ring = first_signing_keys(data, now)?;
            file.write(&ring.to_kept())?;
            ring
        }
    };
    data.remove(PLAIN_SIGNING_KEYS_FILE);
    data.remove(SIGNING_KEY_FILE);
    Ok(Tokens::new(ring, Box::new(move |kept| file.write(kept))))
}

/// Those that an earlier version kept in clear, else new ones.
fn first_signing_keys(data: &DataDir, now: Timestamp) -> anyhow::Result<KeyRing> {
    if let Some(kept) = data.read(PLAIN_SIGNING_KEYS_FILE)? {
        return Ok(KeyRing::from_kept(&kept)?);
    }
    Ok(KeyRing::of(match data.read(SIGNING_KEY_FILE)? {
        Some(pkcs8) => Key::from_pkcs8(&pkcs8, now)?,
        None => {
            // A server has run once it has left its token.
            if data.read(ADMIN_TOKEN_FILE)?.is_some() {
                tracing::warn!(
                    "{SIGNING_KEYS_FILE} is missing; new keys are made, and every token so far is worth nothing"
                );
            }
            Key::generate(now)?
        }
    }))
}

/// Makes the next signing key whenever it is due.
pub(super) async fn rotate_keys(state: Arc<AppState>, stop: CancellationToken) {
    loop {
        let now = state.clock.world();
        if state.tokens.ring().is_due(now) {
            let state = state.clone();
            let rotated = tokio::task::spawn_blocking(move || state.tokens.rotate(false, now)).await;
            if !matches!(rotated, Ok(Ok(()))) {
                tracing::error!(outcome = ?rotated, "cannot make the next signing key; the last one signs on");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ROTATION_PAUSE) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use store::seal::KEY_BYTES;

    use super::*;
    use crate::clock::Clock;
    use crate::{ids, key_file};

    #[test]
    fn the_key_of_earlier_versions_is_the_first_of_the_ring() {
        let (data, now) = (DataDir::temporary().unwrap(), Clock::new().wall());
        let old = Key::generate(now).unwrap();
        data.write_private(SIGNING_KEY_FILE, old.pkcs8()).unwrap();
        let keys = key_file::in_memory();
        let tokens = signing_keys(&data, keys.clone(), now).unwrap();
        assert_eq!(tokens.ring().signing().kid(), old.kid());
        assert!(data.read(SIGNING_KEY_FILE).unwrap().is_none());
        tokens.rotate(false, now).unwrap();
        let again = signing_keys(&data, keys, now).unwrap();
        assert_eq!(again.ring().jwks(None, now), tokens.ring().jwks(None, now));
    }

    #[test]
    fn signing_keys_are_sealed_and_those_that_lay_in_clear_too() {
        let (data, now) = (DataDir::temporary().unwrap(), Clock::new().wall());
        let kept = KeyRing::of(Key::generate(now).unwrap()).to_kept();
        data.write_private(PLAIN_SIGNING_KEYS_FILE, &kept).unwrap();
        let keys = key_file::in_memory();
        let tokens = signing_keys(&data, keys.clone(), now).unwrap();
        assert_eq!(tokens.ring().to_kept(), kept);
        assert!(data.read(PLAIN_SIGNING_KEYS_FILE).unwrap().is_none());
        let sealed = || data.read(SIGNING_KEYS_FILE).unwrap().unwrap();
        assert!(!String::from_utf8_lossy(&sealed()).contains("pkcs8"));
        tokens.rotate(false, now).unwrap();
        assert!(!String::from_utf8_lossy(&sealed()).contains("pkcs8"), "what replaces it is sealed, too");
        assert_eq!(key_file::keys_in_use(data.path()).unwrap(), [keys.first()].into());
    }

    #[test]
    fn signing_keys_need_the_key_that_sealed_them_and_follow_a_new_one() {
        let (data, now) = (DataDir::temporary().unwrap(), Clock::new().wall());
        let [old, new] = [[1; KEY_BYTES], [2; KEY_BYTES]].map(|bytes| move || store::seal::Key::new(&bytes));
        let keys = |first, others| Keys::new(first, others, ids::new_nonce);
        let kid = |keys| signing_keys(&data, keys, now).map(|tokens| tokens.ring().signing().kid().to_owned());
        let first = kid(keys(old(), vec![])).unwrap();
        let refusal = format!("{:#}", kid(keys(new(), vec![])).unwrap_err());
        assert!(refusal.contains("signing-keys") && refusal.contains("not at hand"), "{refusal}");
        assert_eq!(kid(keys(new(), vec![old()])).unwrap(), first);
        assert_eq!(kid(keys(new(), vec![])).unwrap(), first);
    }
}
