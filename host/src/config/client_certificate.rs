//! `client_certificate` of a rule: which files the host proves itself with.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A certificate and its key, as PEM files. [`crate::capability::client_certificate`] reads them when the function starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificateFiles {
    /// The certificate, then those between it and its authority.
    pub certificate_file: PathBuf,
    /// Its private key: PKCS#8, SEC1 or PKCS#1, not encrypted.
    pub key_file: PathBuf,
}

impl ClientCertificateFiles {
    /// The same files, with relative paths taken from `folder`.
    pub(super) fn in_folder(&self, folder: &Path) -> Self {
        Self { certificate_file: folder.join(&self.certificate_file), key_file: folder.join(&self.key_file) }
    }
}
