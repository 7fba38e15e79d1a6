//! Where secrets are kept besides memory.

use super::credential_file::{CredentialFile, CredentialFileError};
use super::state_file::{StateFile, StateFileError};
use super::store::Store;

/// What has to be written before an operation is answered.
pub enum Durability {
    /// Nothing: the secrets live as long as the process.
    Memory,
    /// Everything, in a file of its own.
    StateFile(Box<StateFile>),
    /// One secret, in a file that belongs to somebody.
    CredentialFile {
        /// The file and its neighbours.
        file: Box<CredentialFile>,
        /// The name of the secret whose value it holds.
        secret: String,
    },
}

impl Durability {
    /// Writes what the store now says. Called with the store's lock held, before the operation is answered.
    ///
    /// # Errors
    ///
    /// If it cannot be written; the operation must not be answered as done then.
    pub fn keep(&mut self, store: &Store) -> Result<(), NotKept> {
        match self {
            Self::Memory => Ok(()),
            Self::StateFile(file) => Ok(file.keep(store)?),
            Self::CredentialFile { file, secret } => {
                store.named(secret).map_or(Ok(()), |secret| file.keep(secret).map_err(NotKept::from))
            }
        }
    }
}

/// Why what has to be written cannot be.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// It belongs into a credential file.
    #[error(transparent)]
    CredentialFile(#[from] CredentialFileError),
    /// It belongs into a state file.
    #[error(transparent)]
    StateFile(#[from] StateFileError),
}
