//! A credential in a file of somebody's machine, rotated in place.
//!
//! `FILE` holds the value of AWSCURRENT, byte for byte; `FILE.pending` that of AWSPENDING while a rotation is under way;
//! `FILE.previous` that of AWSPREVIOUS. Each is replaced as a whole: written beside it, flushed to disk, renamed. A rotation that
//! was killed is recognised by its `FILE.pending` and continued with it, because the service may know that value already.
//!
//! | killed                               | on disk                                  | the next run                          |
//! |--------------------------------------|------------------------------------------|---------------------------------------|
//! | before the pending value was stored  | `FILE` (and a temporary file)            | begins                                |
//! | before AWSCURRENT moved              | `FILE`, `FILE.pending`                   | continues with the pending value      |
//! | after `FILE.previous` was written    | `FILE` = `FILE.previous`, `FILE.pending` | continues with the pending value      |
//! | after the rename                     | `FILE`, `FILE.previous`                  | nothing to finish; begins             |

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::ids;
use super::store::{CURRENT, PENDING, PREVIOUS, Secret};
use crate::secret::{MAX_SECRET_BYTES, SecretValue};

/// A credential file that this process has to itself.
pub struct CredentialFile {
    path: PathBuf,
    folder: PathBuf,
    current: SecretValue,
    previous: Option<SecretValue>,
    pending: Option<SecretValue>,
    token: String,
    attributes: Attributes,
    /// Dropped last: releases the lock.
    _lock: Lock,
    before_step: BeforeStep,
}

/// Called before every operation on a file, which is where a kill may happen. An error leaves the operation out.
type BeforeStep = Box<dyn Fn() -> io::Result<()> + Send>;

/// Why a credential file cannot be rotated. Nothing was changed, unless the text says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialFileError {
    /// There is no such file.
    #[error("there is no credential file {path}: write the credential that works now into it first")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It is a folder, a pipe, a device.
    #[error("{path} is not a regular file, so it cannot be replaced by one")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A neighbour that only a rotation writes is a symbolic link: somebody else put it there.
    #[error("{path} is a symbolic link, which no rotation leaves behind. Look where it points to, then remove it")]
    Link {
        /// The path.
        path: PathBuf,
    },
    /// It has no bytes.
    #[error("{path} is empty: a secret has 1 to 65,536 bytes")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It has too many bytes.
    #[error("{path} has {bytes} bytes: a secret has 1 to 65,536")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Its folder takes no new files.
    #[error(
        "the folder {folder} cannot be written, and the new credential has to be stored there before the service is changed: {source}"
    )]
    FolderNotWritable {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another run has it.
    #[error("{path} is being rotated by {holder}. Wait until that has ended")]
    Locked {
        /// The file.
        path: PathBuf,
        /// Which process, as far as it said.
        holder: String,
    },
    /// It cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody wrote it while it was being rotated.
    #[error(
        "{path} was changed by somebody else during the rotation, so it is left as it is. Run again: the new credential is in \
             `.pending` beside it and the service may know it already"
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written. Everything that was answered before is on disk.
    #[error("{path} cannot be written: {source}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Who may read a file: its mode, owner and group are passed on to what replaces it.
#[derive(Debug, Clone, Copy)]
struct Attributes {
    mode: u32,
    owner: u32,
    group: u32,
}

impl CredentialFile {
    /// Reads a credential that is used and not rotated.
    ///
    /// # Errors
    ///
    /// [`CredentialFileError`].
    pub fn read_only(path: &Path) -> Result<SecretValue, CredentialFileError> {
        let missing = || CredentialFileError::Missing { path: path.to_owned() };
        let target = fs::canonicalize(path).map_err(|_| missing())?;
        read(&target)?.map(|(value, _)| value).ok_or_else(missing)
    }

    /// Opens a credential file for a rotation: locks it, reads it and its neighbours, and tidies what a killed run left. A
    /// symbolic link is followed, and everything happens beside its target.
    ///
    /// # Errors
    ///
    /// [`CredentialFileError`], before anything is changed.
    pub fn open(path: &Path) -> Result<Self, CredentialFileError> {
        Self::open_with(path, Box::new(|| Ok(())))
    }

    fn open_with(path: &Path, before_step: BeforeStep) -> Result<Self, CredentialFileError> {
        let path = fs::canonicalize(path).map_err(|source| {
            let path = path.to_owned();
            if source.kind() == io::ErrorKind::NotFound {
                CredentialFileError::Missing { path }
            } else {
                CredentialFileError::Unreadable { path, source }
            }
        })?;
        let metadata = fs::metadata(&path).map_err(|source| CredentialFileError::Unreadable { path: path.clone(), source })?;
        if !metadata.is_file() {
            return Err(CredentialFileError::NotAFile { path });
        }
        let folder = path.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
        let lock = Lock::take(&path, &folder)?;
        // Read again under the lock: the run that held it before may have replaced the file.
        let (current, metadata) = read(&path)?.ok_or_else(|| CredentialFileError::Missing { path: path.clone() })?;
        let previous = read(&beside(&path, ".previous"))?.map(|(value, _)| value).filter(|previous| *previous != current);
        let pending = read(&beside(&path, ".pending"))?.map(|(value, _)| value);
        let mut file = Self {
            token: token(&path, &metadata),
            attributes: Attributes { mode: metadata.mode() & 0o777, owner: metadata.uid(), group: metadata.gid() },
            path,
            folder,
            current,
            previous,
            pending,
            _lock: lock,
            before_step,
        };
        if file.pending.as_ref() == Some(&file.current) {
            file.remove(".pending")?;
            file.pending = None;
        }
        for suffix in ["", ".pending", ".previous"] {
            file.discard(&file.temporary(suffix))?;
        }
        Ok(file)
    }

    /// The values of AWSCURRENT, AWSPREVIOUS and AWSPENDING.
    pub fn values(&self) -> (SecretValue, Option<SecretValue>, Option<SecretValue>) {
        (self.current.clone(), self.previous.clone(), self.pending.clone())
    }

    /// The id of the version that the next rotation makes: 36 characters. It is derived from where the file is and when it was
    /// written, not from what it holds, so every run until the file is replaced uses the same one.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A secret name that resembles the file's name.
    pub fn secret_name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.chars().map(|c| if c.is_ascii_alphanumeric() || "_+=.@-".contains(c) { c } else { '_' });
        name.take(500).collect()
    }

    /// The file that is rotated, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the files say what the secret says.
    ///
    /// # Errors
    ///
    /// [`CredentialFileError::Unwritable`]. What was kept before stays.
    pub fn keep(&mut self, secret: &Secret) -> Result<(), CredentialFileError> {
        let under_way = secret.holder(PENDING) != secret.holder(CURRENT);
        let pending = secret.labelled(PENDING).filter(|_| under_way);
        if let Some(pending) = pending.filter(|pending| self.pending.as_ref() != Some(pending)) {
            self.write(".pending", pending)?;
            self.pending = Some(SecretValue::clone(pending));
        }
        if let Some(current) = secret.labelled(CURRENT).filter(|current| ***current != self.current) {
            if read(&self.path)?.is_none_or(|(on_disk, _)| on_disk != self.current) {
                return Err(CredentialFileError::Changed { path: self.path.clone() });
            }
            let old = secret.labelled(PREVIOUS).map_or_else(|| self.current.clone(), |previous| SecretValue::clone(previous));
            if self.previous.as_ref() != Some(&old) {
                self.write(".previous", &old)?;
                self.previous = Some(old);
            }
            if self.pending.as_ref() == Some(current) {
                self.promote()?;
                self.pending = None;
            } else {
                self.write("", current)?;
            }
            self.current = SecretValue::clone(current);
        }
        if pending.is_none() && self.pending.is_some() {
            self.remove(".pending")?;
            self.pending = None;
        }
        Ok(())
    }

    /// `FILE.pending` becomes `FILE`.
    fn promote(&self) -> Result<(), CredentialFileError> {
        let rename = || -> io::Result<()> {
            (self.before_step)()?;
            fs::rename(beside(&self.path, ".pending"), &self.path)?;
            (self.before_step)()?;
            self.sync_folder()
        };
        rename().map_err(|source| CredentialFileError::Unwritable { path: self.path.clone(), source })
    }

    /// Writes a file as a whole: a reader sees the old content or the new, and a crash leaves one of them.
    fn write(&self, suffix: &str, value: &SecretValue) -> Result<(), CredentialFileError> {
        let path = beside(&self.path, suffix);
        let temporary = self.temporary(suffix);
        let write = || -> io::Result<()> {
            (self.before_step)()?;
            match fs::remove_file(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            (self.before_step)()?;
            // Exposed because the file is where the credential belongs.
            file.write_all(value.expose_bytes())?;
            (self.before_step)()?;
            self.attributes.give(&file)?;
            file.sync_all()?;
            (self.before_step)()?;
            fs::rename(&temporary, &path)?;
            (self.before_step)()?;
            self.sync_folder()
        };
        write().map_err(|source| CredentialFileError::Unwritable { path, source })
    }

    fn remove(&self, suffix: &str) -> Result<(), CredentialFileError> {
        self.discard(&beside(&self.path, suffix))
    }

    fn discard(&self, path: &Path) -> Result<(), CredentialFileError> {
        match (self.before_step)().and_then(|()| fs::remove_file(path)).and_then(|()| self.sync_folder()) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(CredentialFileError::Unwritable { path: path.to_owned(), source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The name under which a file is written before it gets its own. It is fixed, so that nothing piles up: only the holder of
    /// the lock uses it.
    fn temporary(&self, suffix: &str) -> PathBuf {
        beside(&self.path, &format!("{suffix}.new"))
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

impl Attributes {
    /// Gives a file these attributes. If the owner cannot be passed on (only root may), the file stays with the one who runs
    /// this; if the group cannot, group and others lose their access rather than another group gaining it.
    fn give(self, file: &File) -> io::Result<()> {
        use std::os::unix::fs::fchown;
        let whole = fchown(file, Some(self.owner), Some(self.group));
        let mode = if whole.is_ok() || fchown(file, None, Some(self.group)).is_ok() { self.mode } else { self.mode & 0o700 };
        file.set_permissions(fs::Permissions::from_mode(mode))
    }
}

/// Reads a file if it is there. Binary if it is not UTF-8, like a `SecretBinary`.
fn read(path: &Path) -> Result<Option<(SecretValue, Metadata)>, CredentialFileError> {
    let unreadable = |source| CredentialFileError::Unreadable { path: path.to_owned(), source };
    let opened = OpenOptions::new().read(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) => {
            return Err(CredentialFileError::Link { path: path.to_owned() });
        }
        Err(source) => return Err(unreadable(source)),
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(CredentialFileError::NotAFile { path: path.to_owned() });
    }
    let largest = MAX_SECRET_BYTES as u64;
    if metadata.len() > largest {
        return Err(CredentialFileError::TooLarge { path: path.to_owned(), bytes: metadata.len() });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES + 1));
    file.take(largest + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    match bytes.len() {
        0 => Err(CredentialFileError::Empty { path: path.to_owned() }),
        1..=MAX_SECRET_BYTES => {
            let value = std::str::from_utf8(&bytes).map_or_else(|_| SecretValue::binary(bytes.as_slice()), SecretValue::text);
            Ok(Some((value, metadata)))
        }
        more => Err(CredentialFileError::TooLarge { path: path.to_owned(), bytes: more as u64 }),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn token(path: &Path, metadata: &Metadata) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut hash = Sha256::new();
    hash.update(path.as_os_str().as_bytes());
    for number in [metadata.dev() as i64, metadata.ino() as i64, metadata.mtime(), metadata.mtime_nsec()] {
        hash.update(number.to_be_bytes());
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    ids::uuid_text(bytes)
}

/// The exclusive right to rotate a file: a lock on `FILE.lock`, which says who holds it. The kernel releases it when the process
/// ends, however it ends.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(path: &Path, folder: &Path) -> Result<Self, CredentialFileError> {
        let name = beside(path, ".lock");
        loop {
            let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
            let mut file = options.open(&name).map_err(|source| {
                if fs::symlink_metadata(&name).is_ok_and(|metadata| metadata.is_symlink()) {
                    return CredentialFileError::Link { path: name.clone() };
                }
                CredentialFileError::FolderNotWritable { folder: folder.to_owned(), source }
            })?;
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                let mut holder = String::new();
                let _unreadable = file.take(200).read_to_string(&mut holder);
                let said = holder.trim();
                let known = !said.is_empty() && !said.contains(char::is_control);
                let holder = if known { said.to_owned() } else { "another process".to_owned() };
                return Err(CredentialFileError::Locked { path: path.to_owned(), holder });
            }
            // The one who held it before removes the file while it holds the lock; then this lock is on a file without a name.
            let same = fs::metadata(&name).is_ok_and(|named| file.metadata().is_ok_and(|ours| named.ino() == ours.ino()));
            if same {
                let unwritable = |source| CredentialFileError::FolderNotWritable { folder: folder.to_owned(), source };
                file.set_len(0).map_err(unwritable)?;
                file.write_all(format!("process {}\n", std::process::id()).as_bytes()).map_err(unwritable)?;
                return Ok(Self { path: name, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A lock file that stays behind is harmless.
        let _stays = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests;
