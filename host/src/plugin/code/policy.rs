//! Which code that was made ahead of time may run, and whether anything is compiled at all.

use std::collections::{BTreeMap, BTreeSet};

use crate::plugin::digest::Digest;
use crate::plugin::signature::PublicKey;

/// What the operator says about native code: `[code]` of `windlass.toml`, and the manifest of the package that the function is.
///
/// Native code is not sandboxed by anything. Keys for it are others than those for plugins: whoever may sign a plugin has it run in
/// the sandbox, whoever may sign code is the function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodePolicy {
    /// Whether plugins without code are compiled.
    pub compile: Compile,
    /// Whose signatures of envelopes count, by the names that the operator gave the keys.
    pub keys: BTreeMap<String, PublicKey>,
    /// The digests of envelopes that count, as `windlass compile` prints them.
    pub digests: BTreeSet<Digest>,
}

/// Whether a plugin is compiled when there is no code for it that may run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compile {
    /// It is, by the `windlass-compile` beside the function.
    #[default]
    WhenNeeded,
    /// The step fails.
    Never,
}

impl Compile {
    /// The word in `windlass.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WhenNeeded => "when_needed",
            Self::Never => "never",
        }
    }
}
