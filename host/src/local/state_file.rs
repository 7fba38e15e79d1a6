//! The file of `windlass local --state FILE`: everything that the local Secrets Manager knows, so that it survives a kill at any moment.
//!
//! It is replaced as a whole (written beside it, flushed to disk, renamed), with every operation that changes something and before that
//! is answered. Dates of access are written with the next change; a crash may lose them. Only its owner may read it: the values are in
//! the clear.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use zeroize::Zeroizing;

use super::store::{StateError, Store};

/// A state file that this process has to itself.
pub struct StateFile {
    path: PathBuf,
    /// What is on disk.
    written: Zeroizing<Vec<u8>>,
    /// Holds the lock as long as it is open.
    _lock: File,
}

/// Why the state cannot be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateFileError {
    /// Another process has it.
    #[error("the state file {} is in use by another process. Stop that one, or use another file", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read, or its folder not be written.
    #[error("the state file {} cannot be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else.
    #[error("the state file {} is left as it is: {source}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: StateError,
    },
}

impl StateFile {
    /// Opens a state file for this process alone, and puts the secrets in it into `store`: none, if there is no such file.
    ///
    /// # Errors
    ///
    /// [`StateFileError`], before anything is changed.
    pub fn open(path: &Path, store: Store) -> Result<(Self, Store), StateFileError> {
        let failed = |source| StateFileError::Io { path: path.to_owned(), source };
        // The file itself is replaced, so the lock is on a neighbour that stays.
        let flags = OFlags::NOFOLLOW.bits() as i32;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
        let lock = options.open(beside(path, ".lock")).map_err(failed)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(StateFileError::InUse { path: path.to_owned() });
        }
        let (written, store) = match fs::read(path) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                let store = store.with_state(&text).map_err(|source| StateFileError::State { path: path.to_owned(), source })?;
                (text, store)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Zeroizing::default(), store),
            Err(error) => return Err(failed(error)),
        };
        let mut file = Self { path: path.to_owned(), written, _lock: lock };
        // So that a folder that cannot be written is known now and not with the first secret.
        file.keep(&store)?;
        Ok((file, store))
    }

    /// Makes the file say what the store says.
    ///
    /// # Errors
    ///
    /// [`StateFileError::Io`]. The file says what it said before.
    pub fn keep(&mut self, store: &Store) -> Result<(), StateFileError> {
        let failed = |source| StateFileError::Io { path: self.path.clone(), source };
        let text = store.to_state().map_err(|error| failed(error.into()))?;
        if text == self.written {
            return Ok(());
        }
        replace(&self.path, &text).map_err(failed)?;
        self.written = text;
        Ok(())
    }
}

/// Replaces a file: who reads it, and whatever is left after a crash, is the old content or the new.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = beside(path, ".new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::local::backend::Backend;
    use crate::local::store::FunctionArn;
    use crate::secret::SecretValue;

    fn open(path: &Path) -> Result<(StateFile, Store), StateFileError> {
        StateFile::open(path, Store::new(FunctionArn::default()))
    }

    #[test]
    fn what_was_answered_is_there_after_the_end_of_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (backend, _begun) = Backend::with_state_file(Store::new(FunctionArn::default()), &path).unwrap();
        let arn = backend.create("s", &SecretValue::text("one"), Vec::new()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(backend);
        let (_file, store) = open(&path).unwrap();
        assert_eq!(store.named("s").unwrap().arn(), arn);
    }

    #[test]
    fn two_processes_do_not_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let first = open(&path).unwrap();
        assert!(matches!(open(&path), Err(StateFileError::InUse { .. })));
        drop(first);
        open(&path).unwrap();
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(open(&path), Err(StateFileError::State { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_half_written_neighbour_is_nobody_s_business() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        drop(open(&path).unwrap());
        fs::write(beside(&path, ".new"), "{\"form").unwrap();
        let (mut file, store) = open(&path).unwrap();
        file.written.clear();
        file.keep(&store).unwrap();
        assert!(!beside(&path, ".new").exists());
    }
}
