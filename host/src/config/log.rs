//! The table `[log]` of `windlass.toml`.

use serde::Deserialize;

/// What the function's log shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogTable {
    /// How secrets are named in it. Default `"arn"`.
    #[serde(default)]
    pub secret: SecretNaming,
}

/// How the log names secrets: `log.secret`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretNaming {
    /// By their ARN.
    #[default]
    Arn,
    /// By the beginning of the SHA-256 digest of their ARN: whoever reads the log and not the account's list of secrets does not learn
    /// what they are called. Whoever can guess an ARN can check the guess.
    Hash,
}

impl SecretNaming {
    /// The word in `windlass.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arn => "arn",
            Self::Hash => "hash",
        }
    }
}
