//! Which plugins the operator trusts: `[trust]` and `[plugins.NAME]` of `windlass.toml`. [`crate::trust`] decides by it.
//!
//! ```toml
//! [trust]
//! # Recommended: "signature", or "digest" where nobody signs.
//! require = "signature"
//! # Public keys as `windlass keygen` prints them, each with a name for the log.
//! keys = { release = "ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA=" }
//!
//! # A pin holds whatever `require` says. Several digests allow the old and the new component while one is swapped for the other.
//! [plugins.redis]
//! digest = [
//!     "sha256:90f55e54a96fd08f93dfea2820ac45b7e12743aa8e4212f359fd4e6cf426b8ed",
//!     "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
//! ]
//! ```
//!
//! | `require` | a plugin runs if |
//! |---|---|
//! | `"signature"` | it is signed by one of `keys` |
//! | `"digest"` | it is pinned, by the rule of the secret or by its name |
//! | `"any"` | either |
//! | `"insecure_nothing"` | it is there: whoever can write the plugin folder chooses the code. What holds without the table |
//!
//! `windlass rotate` is given a file and runs that one; `[trust]` is about the plugin folder.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::manifest::PluginName;
use crate::plugin::digest::Digest;
use crate::plugin::signature::{PublicKey, PublicKeyError};

/// Which plugins the operator trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// What a plugin has to show.
    pub require: Require,
    /// Whose signatures count, by the names that the operator gave the keys. None, unless `require` looks at signatures.
    pub keys: BTreeMap<String, PublicKey>,
    /// The digests that a plugin of this name may have.
    pub plugins: BTreeMap<PluginName, Pins>,
    /// Whether the file has a table `trust`. Without it `require` is [`Require::InsecureNothing`].
    pub stated: bool,
}

/// What a plugin has to show before it is loaded. A pin that is present has to hold whatever this says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    /// A signature by a configured key. Recommended.
    Signature,
    /// A pin, by the secret's rule or by the plugin's name. As strict, for those who do not sign.
    Digest,
    /// One of the two.
    Any,
    /// Nothing: whoever can write the plugin folder chooses the code. The default without a table `trust`.
    #[default]
    InsecureNothing,
}

impl Require {
    /// The word in `windlass.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Digest => "digest",
            Self::Any => "any",
            Self::InsecureNothing => "insecure_nothing",
        }
    }
}

impl fmt::Display for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The digests that a plugin may have, one at least. In `windlass.toml` a text or a list of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins(Vec<Digest>);

impl Pins {
    /// Whether a component with this digest is pinned.
    pub fn contains(&self, digest: Digest) -> bool {
        self.0.contains(&digest)
    }
}

impl From<Digest> for Pins {
    fn from(digest: Digest) -> Self {
        Self(vec![digest])
    }
}

/// The digests with `or` between them.
impl fmt::Display for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, digest) in self.0.iter().enumerate() {
            write!(f, "{}{digest}", if at == 0 { "" } else { " or " })?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Pins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTexts;

        impl<'de> Visitor<'de> for TextOrTexts {
            type Value = Pins;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a digest, \"sha256:…\", or a list of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Pins, E> {
                text.parse::<Digest>().map(Pins::from).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Pins, A::Error> {
                let mut digests = Vec::new();
                while let Some(text) = texts.next_element::<String>()? {
                    digests.push(text.parse().map_err(A::Error::custom)?);
                }
                if digests.is_empty() {
                    return Err(A::Error::custom("no component has one of no digests: name one, or leave `digest` out"));
                }
                Ok(Pins(digests))
            }
        }

        deserializer.deserialize_any(TextOrTexts)
    }
}

/// The table `trust` as it was written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrustTable {
    require: Require,
    #[serde(default)]
    keys: BTreeMap<String, Spanned<String>>,
}

/// A table `plugins.NAME` as it was written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PluginTable {
    digest: Pins,
}

/// Why the table `trust`, or the keys of `code`, cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustTableError {
    /// A key is none.
    #[error("`{table}.keys.{name}` at line {line} {source}")]
    Key {
        /// The table.
        table: &'static str,
        /// Its name.
        name: String,
        /// The line of the file.
        line: usize,
        /// What is wrong with it.
        source: PublicKeyError,
    },
    /// Signatures are required, and there is nobody whose signature would count.
    #[error(
        "`trust.require = \"signature\"` without a key trusts no plugin. Make a key with `windlass keygen` and add its public part \
         as `keys = {{ NAME = \"ed25519:…\" }}`"
    )]
    NoKey,
    /// Pins would do, and there is none.
    #[error(
        "`trust.require = \"{require}\"` trusts no plugin, because none is pinned. Pin each by its name: `[plugins.NAME]` with \
         `digest = \"sha256:…\"`, which `windlass inspect` prints"
    )]
    NoPin {
        /// What is required.
        require: Require,
    },
    /// There are keys, and nobody asks for signatures.
    #[error(
        "`trust.keys` does nothing with `trust.require = \"{require}\"`. Write \"signature\" or \"any\", or leave the keys out"
    )]
    IdleKeys {
        /// What is required.
        require: Require,
    },
    /// A key would vouch for plugins and for code.
    #[error(
        "`code.keys.{code}` is the key `trust.keys.{plugins}`. A plugin runs in the sandbox and code does not, so whoever signs plugins must \
         not be able to sign code: make another pair with `windlass keygen`"
    )]
    SharedKey {
        /// Its name in the table `code`.
        code: String,
        /// Its name in the table `trust`.
        plugins: String,
    },
}

impl Trust {
    /// What the tables mean. `text` is that of the file, `pinning_rules` whether a rule for secrets pins a plugin.
    pub(super) fn of(
        text: &str,
        table: Option<TrustTable>,
        plugins: BTreeMap<PluginName, PluginTable>,
        pinning_rules: bool,
    ) -> Result<Self, TrustTableError> {
        let plugins: BTreeMap<_, _> = plugins.into_iter().map(|(name, table)| (name, table.digest)).collect();
        let Some(TrustTable { require, keys }) = table else { return Ok(Self { plugins, ..Self::default() }) };
        let pins = pinning_rules || !plugins.is_empty();
        match require {
            Require::Signature if keys.is_empty() => return Err(TrustTableError::NoKey),
            Require::Digest | Require::InsecureNothing if !keys.is_empty() => return Err(TrustTableError::IdleKeys { require }),
            Require::Digest if !pins => return Err(TrustTableError::NoPin { require }),
            Require::Any if keys.is_empty() && !pins => return Err(TrustTableError::NoPin { require }),
            Require::Signature | Require::Digest | Require::Any | Require::InsecureNothing => {}
        }
        let keys = public_keys(text, "trust", keys)?;
        Ok(Self { require, keys, plugins, stated: true })
    }

    /// What whoever runs the function should be told once.
    pub const fn warning(&self) -> Option<&'static str> {
        match self.require {
            Require::Signature | Require::Digest | Require::Any => None,
            Require::InsecureNothing => Some(
                "plugins that are not pinned are not verified: whoever can write the plugin folder chooses the code. Set \
                 `trust.require` in windlass.toml to \"signature\" or \"digest\"",
            ),
        }
    }
}

/// The keys of a table. `text` is that of the file.
pub(super) fn public_keys(
    text: &str,
    table: &'static str,
    keys: BTreeMap<String, Spanned<String>>,
) -> Result<BTreeMap<String, PublicKey>, TrustTableError> {
    let parsed = keys.into_iter().map(|(name, key)| match key.get_ref().parse() {
        Ok(key) => Ok((name, key)),
        // The parser's own errors show the line; whoever has pasted a private key must not find it in the log.
        Err(source) => {
            let line = text[..key.span().start].matches('\n').count() + 1;
            Err(TrustTableError::Key { table, name, line, source })
        }
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;

    use super::*;
    use crate::config::Config;

    const KEY: &str = "ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA=";
    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn read(text: &str) -> Result<Trust, String> {
        let mut config = Config::with_plugins("plugins".into());
        config.read_text(text, Path::new("windlass.toml")).map_err(|error| error.to_string())?;
        Ok(config.trust)
    }

    #[test]
    fn the_documented_example_is_read() {
        let source = include_str!("trust.rs");
        let (_, example) = source.split_once("//! ```toml\n").unwrap();
        let (example, _) = example.split_once("//! ```").unwrap();
        let example: String = example.lines().map(|line| format!("{}\n", line.trim_start_matches("//!"))).collect();
        let trust = read(&example).unwrap();
        assert_eq!((trust.require, trust.stated), (Require::Signature, true));
        assert_eq!(trust.keys["release"].to_string(), KEY);
        let pins = &trust.plugins[&PluginName::try_from("redis".to_owned()).unwrap()];
        assert!(pins.contains(DIGEST.parse().unwrap()) && pins.contains(Digest::of(b"")) && !pins.contains(Digest::of(b"a")));
    }

    #[rstest]
    #[case::nothing("", Require::InsecureNothing, false)]
    #[case::a_pin_alone("[plugins.redis]\ndigest = \"DIGEST\"", Require::InsecureNothing, false)]
    #[case::said_so("[trust]\nrequire = \"insecure_nothing\"", Require::InsecureNothing, true)]
    #[case::signature("[trust]\nrequire = \"signature\"\nkeys = { a = \"KEY\" }", Require::Signature, true)]
    #[case::digest("[trust]\nrequire = \"digest\"\n[plugins.redis]\ndigest = \"DIGEST\"", Require::Digest, true)]
    #[case::digest_by_rule(
        "[trust]\nrequire = \"digest\"\n[[secrets]]\nsecret = \"a\"\ndigest = [\"DIGEST\"]",
        Require::Digest,
        true
    )]
    #[case::any_with_a_key("[trust]\nrequire = \"any\"\n[trust.keys]\na = \"KEY\"", Require::Any, true)]
    #[case::any_with_a_pin("[trust]\nrequire = \"any\"\n[plugins.redis]\ndigest = \"DIGEST\"", Require::Any, true)]
    fn reads_what_is_required(#[case] text: &str, #[case] require: Require, #[case] stated: bool) {
        let trust = read(&text.replace("DIGEST", DIGEST).replace("KEY", KEY)).unwrap();
        assert_eq!((trust.require, trust.stated), (require, stated));
        assert_eq!(trust.warning().is_some(), require == Require::InsecureNothing);
    }

    #[rstest]
    #[case::no_require("[trust]\nkeys = { a = \"KEY\" }", "missing field `require`")]
    #[case::unknown_word(
        "[trust]\nrequire = \"nothing\"",
        "unknown variant `nothing`, expected one of `signature`, `digest`, `any`, `insecure_nothing`"
    )]
    #[case::unknown_key("[trust]\nrequire = \"any\"\nkey = \"KEY\"", "unknown field `key`, expected `require` or `keys`")]
    #[case::no_key("[trust]\nrequire = \"signature\"", "`trust.require = \"signature\"` without a key trusts no plugin")]
    #[case::no_pin("[trust]\nrequire = \"digest\"", "`trust.require = \"digest\"` trusts no plugin, because none is pinned")]
    #[case::neither("[trust]\nrequire = \"any\"", "`trust.require = \"any\"` trusts no plugin")]
    #[case::keys_and_digest(
        "[trust]\nrequire = \"digest\"\nkeys = { a = \"KEY\" }",
        "`trust.keys` does nothing with `trust.require = \"digest\"`"
    )]
    #[case::keys_and_nothing("[trust]\nrequire = \"insecure_nothing\"\nkeys = { a = \"KEY\" }", "`trust.keys` does nothing")]
    #[case::broken_key(
        "\n[trust]\nrequire = \"signature\"\n[trust.keys]\na = \"KEY\"\nb = \"ed25519:\"",
        "`trust.keys.b` at line 6 is no public key"
    )]
    #[case::weak_key(
        "[trust]\nrequire = \"any\"\nkeys = { a = \"ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\" }",
        "`trust.keys.a` at line 3 is a key for which everybody can make signatures"
    )]
    #[case::broken_digest("[plugins.redis]\ndigest = \"sha256:12\"", "`sha256:12` is no digest")]
    #[case::broken_digest_in_a_list("[plugins.redis]\ndigest = [\"DIGEST\", \"sha256:12\"]", "`sha256:12` is no digest")]
    #[case::empty_list("[plugins.redis]\ndigest = []", "no component has one of no digests")]
    #[case::number("[plugins.redis]\ndigest = 1", "a digest, \"sha256:…\", or a list of them")]
    #[case::no_digest("[plugins.redis]", "missing field `digest`")]
    #[case::plugin_setting("[plugins.redis]\ndigest = \"DIGEST\"\nsign = true", "unknown field `sign`")]
    #[case::no_name("[plugins.Redis]\ndigest = \"DIGEST\"", "a plugin's name has")]
    fn a_mistake_stops_the_start(#[case] text: &str, #[case] part: &str) {
        let error = read(&text.replace("DIGEST", DIGEST).replace("KEY", KEY)).unwrap_err();
        assert!(error.starts_with("the configuration file windlass.toml is wrong: ") && error.contains(part), "{error}");
    }

    #[test]
    fn a_private_key_in_the_place_of_a_public_one_is_not_repeated() {
        let private = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";
        let error = read(&format!("[trust]\nrequire = \"signature\"\nkeys = {{ a = \"{private}\" }}")).unwrap_err();
        assert!(!error.contains(private) && error.contains("A private key does not belong here"), "{error}");
    }
}
