//! Where secrets are kept besides memory.

use super::credential_file::{CredentialFile, CredentialFileError};
use super::store::Store;

/// What has to be written before an operation is answered.
pub enum Durability {
    /// Nothing: the secrets live as long as the process.
    Memory,
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
    pub fn keep(&mut self, store: &Store) -> Result<(), CredentialFileError> {
        match self {
            Self::Memory => Ok(()),
            Self::CredentialFile { file, secret } => store.named(secret).map_or(Ok(()), |secret| file.keep(secret)),
        }
    }
}
