//! The lock of a store's directory: one process has the store, or some look at it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use super::error::OpenError;

/// What a process locks.
const LOCK: &str = "lock";

/// Makes the directory, if need be, and locks it for this process.
pub(super) fn take(directory: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Directory { path: directory.to_owned(), source };
    make_private(directory).map_err(failed)?;
    let file = File::options().create(true).truncate(false).write(true).open(directory.join(LOCK)).map_err(failed)?;
    locked(file.try_lock(), directory)?;
    Ok(file)
}

/// The same for who only looks, as others may, and makes nothing: where there is no lock, no server has been.
pub(super) fn take_to_look(directory: &Path) -> Result<Option<File>, OpenError> {
    match File::open(directory.join(LOCK)) {
        Ok(file) => {
            locked(file.try_lock_shared(), directory)?;
            Ok(Some(file))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::Directory { path: directory.to_owned(), source }),
    }
}

fn locked(tried: Result<(), TryLockError>, directory: &Path) -> Result<(), OpenError> {
    tried.map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse(directory.to_owned()),
        TryLockError::Error(source) => OpenError::Directory { path: directory.to_owned(), source },
    })
}

/// Makes the directory, if need be, so that only its owner looks into it: mail and `clientState` lie there.
fn make_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}
