//! Which native code may run: `[code]` of `windlass.toml`. [`crate::plugin::code::envelope`] decides by it.
//!
//! ```toml
//! [code]
//! # "when_needed", or "never": only code that was compiled ahead of time runs.
//! compile = "never"
//! # Whose signatures of envelopes count. Not the keys of [trust]: a plugin runs in the sandbox, code is the function.
//! keys = { build = "ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA=" }
//! # Envelopes that count without a signature, by the digest that `windlass compile` prints.
//! digests = ["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]
//! ```
//!
//! Envelopes of a zip that `windlass package` made count by the manifest in it, without this table.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::trust::{Trust, TrustTableError, public_keys};
use crate::plugin::code::policy::{CodePolicy, Compile};
use crate::plugin::digest::Digest;

/// The table `code` as it was written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeTable {
    #[serde(default)]
    compile: Compile,
    #[serde(default)]
    keys: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    digests: BTreeSet<Digest>,
}

impl CodeTable {
    /// What the table means. `text` is that of the file, `trust` what it says of plugins.
    pub(super) fn policy(self, text: &str, trust: &Trust) -> Result<CodePolicy, TrustTableError> {
        let keys = public_keys(text, "code", self.keys)?;
        for (code, key) in &keys {
            if let Some((plugins, _)) = trust.keys.iter().find(|(_, trusted)| *trusted == key) {
                return Err(TrustTableError::SharedKey { code: code.clone(), plugins: plugins.clone() });
            }
        }
        Ok(CodePolicy { compile: self.compile, keys, digests: self.digests })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;

    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<CodePolicy, String> {
        let mut config = Config::with_plugins("plugins".into());
        config.read_text(text, Path::new("windlass.toml")).map_err(|error| error.to_string())?;
        Ok(config.code)
    }

    #[test]
    fn the_documented_example_is_read() {
        let source = include_str!("code.rs");
        let (_, example) = source.split_once("//! ```toml\n").unwrap();
        let (example, _) = example.split_once("//! ```").unwrap();
        let example: String = example.lines().map(|line| format!("{}\n", line.trim_start_matches("//!"))).collect();
        let code = read(&example).unwrap();
        assert_eq!(code.compile, Compile::Never);
        assert_eq!(code.keys["build"].to_string(), "ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA=");
        assert!(code.digests.contains(&Digest::of(b"")));
    }

    #[test]
    fn without_the_table_plugins_are_compiled_and_no_envelope_counts() {
        assert_eq!(read("").unwrap(), CodePolicy::default());
        assert_eq!(CodePolicy::default().compile, Compile::WhenNeeded);
    }

    #[rstest]
    #[case::word("[code]\ncompile = \"maybe\"", "unknown variant `maybe`, expected `when_needed` or `never`")]
    #[case::key("[code]\nkey = \"\"", "unknown field `key`")]
    #[case::digest("[code]\ndigests = [\"sha256:12\"]", "`sha256:12` is no digest")]
    #[case::key_of_trust(
        "[trust]\nrequire = \"signature\"\nkeys = { release = \"ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA=\" }\n\
         [code]\nkeys = { build = \"ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA=\" }",
        "`code.keys.build` is the key `trust.keys.release`. A plugin runs in the sandbox and code does not, so whoever signs plugins must not be able"
    )]
    #[case::broken_key("[code]\n[code.keys]\na = \"ed25519:\"", "`code.keys.a` at line 3 is no public key")]
    fn a_mistake_stops_the_start(#[case] text: &str, #[case] part: &str) {
        let error = read(text).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}
