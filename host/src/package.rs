//! What a zip that `windlass package` made says of itself: the file `windlass-package.json` beside `bootstrap`.
//!
//! Whoever made the zip made the function, so the function believes it: the envelopes that it names may run.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::plugin::digest::Digest;

/// The file's name.
pub const FILE: &str = "windlass-package.json";

/// What is in a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageManifest {
    /// The engine that the function and its code are made for: [`crate::plugin::engine::CODE_VERSION`].
    pub engine: String,
    /// The target triple of both.
    pub target: String,
    /// The plugins, in the order of names.
    pub plugins: Vec<PackagedPlugin>,
    /// Every other file with its SHA-256, in the order of names.
    pub files: Vec<PackagedFile>,
}

/// A plugin in a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackagedPlugin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of the component.
    pub digest: Digest,
    /// The digest of its envelope.
    pub envelope: Digest,
}

/// Another file of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackagedFile {
    /// Its path in the zip.
    pub path: String,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// Why the file is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// It cannot be read.
    #[error("{FILE} beside the function cannot be read: {0}. Deploy the zip as `windlass package` made it")]
    Unreadable(#[from] std::io::Error),
    /// It is something else.
    #[error("{FILE} beside the function is damaged: {0}. Deploy the zip as `windlass package` made it")]
    Damaged(#[from] serde_json::Error),
}

impl PackageManifest {
    /// Reads the manifest of the package in `home`, if there is one: a function can be put together by hand.
    ///
    /// # Errors
    ///
    /// [`PackageError`].
    pub fn read(home: &Path) -> Result<Option<Self>, PackageError> {
        match std::fs::read(home.join(FILE)) {
            Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
