//! What is wrong with the configuration.

use std::path::PathBuf;

use super::s3::S3TableError;
use super::trust::TrustTableError;
use crate::package::PackageError;
use crate::password::PasswordError;

/// What is wrong with the configuration. Stops the start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file that was named cannot be read.
    #[error("the configuration file {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be. The text is the parser's, with line, column and what is allowed.
    #[error("the configuration file {path} is wrong: {why}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What and where.
        why: String,
    },
    /// Each value of a rule is one that can be, but not together or not here.
    #[error("the configuration file {path} is wrong: {rule} {source}")]
    Rule {
        /// The file.
        path: PathBuf,
        /// Which rule.
        rule: String,
        /// What is wrong with it.
        source: RuleError,
    },
    /// What it says of trust cannot be meant.
    #[error("the configuration file {path} is wrong: {source}")]
    Trust {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TrustTableError,
    },
    /// What it says of S3 cannot be meant.
    #[error("the configuration file {path} is wrong: {source}")]
    S3 {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: S3TableError,
    },
    /// What the package says of itself cannot be read.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// An environment variable that begins with WINDLASS_ is not one of ours.
    #[error("the environment variable {name} is unknown. Known: WINDLASS_CONFIG, WINDLASS_PLUGINS, WINDLASS_LOG")]
    UnknownVariable {
        /// Its name.
        name: String,
    },
    /// A password option of the environment cannot be used.
    #[error("the environment variable {name} is wrong: {source}")]
    Password {
        /// Its name.
        name: String,
        /// Why.
        source: PasswordError,
    },
}

/// Why the values of a rule cannot stand together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// It says of no secret that it is meant.
    #[error("says of no secret that it is meant: give it `secret`, a name or a pattern, or `tags`")]
    Everything,
    /// An admin credential is bound to secrets that anybody may make.
    #[error(
        "binds an admin credential without `secret`: whoever may tag a secret would choose who gets it. Name the secrets as well"
    )]
    AdminByTag,
    /// A client certificate is bound to secrets that anybody may make.
    #[error(
        "shows a client certificate without `secret`: whoever may tag a secret would choose whom it is shown to. Name the secrets as \
         well"
    )]
    CertificateByTag,
    /// The negative control is left out for secrets that anybody may make.
    #[error(
        "skips the negative control without `secret`: whoever may tag a secret would choose that a plugin's test is not tested. Name \
         the secrets as well"
    )]
    NoControlByTag,
    /// Users are to take turns, and nobody may change the other one.
    #[error(
        "sets `alternating_users` without `admin`: the user in use cannot change the other one. Name the secret of one that may"
    )]
    AlternatingWithoutAdmin,
    /// Its password options are impossible.
    #[error("has password options that cannot be met: {0}")]
    Password(#[from] PasswordError),
    /// Its `generated` cannot be meant.
    #[error("has a `generated` that cannot be meant: name fields, or write [\"*\"] alone for the whole value")]
    Generated,
}
