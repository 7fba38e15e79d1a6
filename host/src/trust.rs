//! Whether a plugin may run: a pure decision, by what the operator trusts and about the very bytes that are loaded.
//!
//! A [`Trusted`] component is made here only, and the rotation loads nothing else. Where `windlass.toml` says what is trusted:
//! [`crate::config::trust`].

use std::fmt;

use crate::config::trust::{Pins, Require, Trust};
use crate::manifest::{Manifest, PluginName};
use crate::plugin::component_file::ComponentFile;
use crate::plugin::digest::Digest;
use crate::plugin::signature::{PublicKey, Signature, SignatureError};

/// A component that may be loaded.
#[derive(Debug, Clone)]
pub struct Trusted {
    component: ComponentFile,
    by: TrustedBy,
}

/// Why a component is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedBy {
    /// The operator pinned its digest.
    Digest,
    /// It is signed by a configured key.
    Signature {
        /// The name that the operator gave the key.
        key: String,
    },
    /// The operator asks for nothing, and it is there.
    Nothing,
    /// Whoever runs the command named the file.
    CommandLine,
}

/// The words for the log.
impl fmt::Display for TrustedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest => f.write_str("digest"),
            Self::Signature { key } => write!(f, "signature {key}"),
            Self::Nothing => write!(f, "nothing: trust.require = {}", Require::InsecureNothing),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// Why a plugin may not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// It is not the one that the operator pinned.
    #[error(
        "plugin `{plugin}` has the digest {found}, but {place} pins {pinned}. Install the pinned component, or pin this one after \
         `windlass inspect`"
    )]
    OtherDigest {
        /// Its name.
        plugin: PluginName,
        /// Its digest.
        found: Digest,
        /// What the configuration says.
        pinned: Pins,
        /// Where it says so.
        place: PinnedBy,
    },
    /// It has to be pinned and is not.
    #[error(
        "plugin `{plugin}` is not pinned, which `trust.require = \"{require}\"` asks for. After `windlass inspect`, add \
         `digest = \"{found}\"` to [plugins.{plugin}] in windlass.toml"
    )]
    NotPinned {
        /// Its name.
        plugin: PluginName,
        /// Its digest.
        found: Digest,
        /// What the operator asks for.
        require: Require,
    },
    /// It has to be signed and is not, or not by anybody who counts, or not like this.
    #[error("plugin `{plugin}` {why}{}", or_pin(plugin, *found, *require))]
    NotSigned {
        /// Its name.
        plugin: PluginName,
        /// Its digest.
        found: Digest,
        /// What the operator asks for.
        require: Require,
        /// What is the matter with its signature.
        why: Box<NotSigned>,
    },
}

/// Where a pin stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinnedBy {
    /// In the rule of the secret.
    Rule,
    /// In the table of the plugin.
    Name(PluginName),
}

impl fmt::Display for PinnedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule => f.write_str("the configuration's rule for this secret"),
            Self::Name(name) => write!(f, "[plugins.{name}] of the configuration"),
        }
    }
}

/// What is the matter with a plugin's signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSigned {
    /// There is none.
    #[error(
        "is not signed: there is no {plugin}.wasm.sig beside it. Install the one that came with it, or sign it with {}: `windlass \
         sign --key FILE {plugin}.wasm`",
        listed(keys)
    )]
    Missing {
        /// The plugin's name.
        plugin: PluginName,
        /// The keys that the operator configured.
        keys: Vec<(String, PublicKey)>,
    },
    /// What lies beside it is none.
    #[error("is not signed: {plugin}.wasm.sig {source}. Install the one that came with it, or sign it again")]
    Unreadable {
        /// The plugin's name.
        plugin: PluginName,
        /// What is wrong with it.
        source: SignatureError,
    },
    /// Somebody signed it whom the operator does not trust.
    #[error(
        "came with a signature by {key}, and the configuration trusts only {}. Install what one of these has \
         signed; or, if you know whose key it is, add it to `trust.keys`",
        listed(keys)
    )]
    UnknownKey {
        /// The key in the signature.
        key: PublicKey,
        /// The keys that the operator configured.
        keys: Vec<(String, PublicKey)>,
    },
    /// The signature is for something else.
    #[error(
        "came with a signature by `{key}` that is not for it ({name} {version}, {found}): one of the two files was changed, or \
         replaced without the other. Install both again"
    )]
    Other {
        /// The name that the operator gave the key.
        key: String,
        /// The name that the component gives itself.
        name: PluginName,
        /// Its version.
        version: String,
        /// Its digest.
        found: Digest,
    },
}

fn listed(keys: &[(String, PublicKey)]) -> String {
    keys.iter().map(|(name, key)| format!("`{name}` ({key})")).collect::<Vec<_>>().join(", ")
}

/// The other way out, where there is one.
fn or_pin(plugin: &PluginName, found: Digest, require: Require) -> String {
    match require {
        Require::Any => {
            format!(". Or, after `windlass inspect`, add `digest = \"{found}\"` to [plugins.{plugin}] in windlass.toml")
        }
        Require::Signature | Require::Digest | Require::InsecureNothing => String::new(),
    }
}

impl Trusted {
    /// Decides about a component. `rule` is the pin of the secret's rule, `signature` what lies beside the component, if anything;
    /// it is looked at only if the configuration has keys.
    ///
    /// # Errors
    ///
    /// [`TrustError`] says what was found, what the operator asks for and what to do.
    pub fn judge(
        component: ComponentFile,
        trust: &Trust,
        rule: Option<&Pins>,
        signature: Option<&[u8]>,
    ) -> Result<Self, TrustError> {
        let (plugin, found) = (&component.manifest().name, component.digest());
        let named = trust.plugins.get(plugin).map(|pins| (pins, PinnedBy::Name(plugin.clone())));
        let pins: Vec<_> = rule.map(|pins| (pins, PinnedBy::Rule)).into_iter().chain(named).collect();
        for (pinned, place) in &pins {
            if !pinned.contains(found) {
                let (pinned, place) = ((*pinned).clone(), place.clone());
                return Err(TrustError::OtherDigest { plugin: plugin.clone(), found, pinned, place });
            }
        }
        let require = trust.require;
        let not_pinned = || TrustError::NotPinned { plugin: plugin.clone(), found, require };
        let signed = || {
            signed(&component, trust, signature).map_err(|why| TrustError::NotSigned {
                plugin: plugin.clone(),
                found,
                require,
                why: Box::new(why),
            })
        };
        let by = match (require, pins.is_empty()) {
            (Require::Signature, _) => signed()?,
            (Require::Digest | Require::Any | Require::InsecureNothing, false) => TrustedBy::Digest,
            (Require::Any, true) if !trust.keys.is_empty() => signed()?,
            (Require::Digest | Require::Any, true) => return Err(not_pinned()),
            (Require::InsecureNothing, true) => TrustedBy::Nothing,
        };
        Ok(Self { component, by })
    }

    /// The component of a command that was given its file.
    pub const fn by_command_line(component: ComponentFile) -> Self {
        Self { component, by: TrustedBy::CommandLine }
    }

    /// Why it is trusted.
    pub const fn by(&self) -> &TrustedBy {
        &self.by
    }

    /// What it says of itself.
    pub const fn manifest(&self) -> &Manifest {
        self.component.manifest()
    }

    /// The digest of its bytes.
    pub const fn digest(&self) -> Digest {
        self.component.digest()
    }

    /// The component that was judged.
    pub fn into_component(self) -> ComponentFile {
        self.component
    }
}

fn signed(component: &ComponentFile, trust: &Trust, signature: Option<&[u8]>) -> Result<TrustedBy, NotSigned> {
    let plugin = || component.manifest().name.clone();
    let keys = || trust.keys.iter().map(|(name, key)| (name.clone(), *key)).collect();
    let Some(signature) = signature else { return Err(NotSigned::Missing { plugin: plugin(), keys: keys() }) };
    let signature = Signature::parse(signature).map_err(|source| NotSigned::Unreadable { plugin: plugin(), source })?;
    let Some((key, _)) = trust.keys.iter().find(|(_, key)| **key == signature.key()) else {
        return Err(NotSigned::UnknownKey { key: signature.key(), keys: keys() });
    };
    let key = key.clone();
    if !signature.is_for(component) {
        let (version, found) = (component.manifest().version.clone(), component.digest());
        return Err(NotSigned::Other { key, name: plugin(), version, found });
    }
    Ok(TrustedBy::Signature { key })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::plugin::signature::tests::{component, signed as sign};

    /// A policy with key 1 under the name `release`, and this digest pinned for the name `redis`.
    fn trust(require: Require, named: Option<Digest>) -> Trust {
        let keys = match require {
            Require::Signature | Require::Any => [("release".to_owned(), sign(1, &component("redis", "1.0.0")).key())].into(),
            Require::Digest | Require::InsecureNothing => [].into(),
        };
        let plugins =
            named.map(|digest| (component("redis", "1.0.0").manifest().name.clone(), digest.into())).into_iter().collect();
        Trust { require, keys, plugins, stated: true }
    }

    /// What a signature beside the component is.
    #[derive(Clone, Copy)]
    enum Sig {
        None,
        Good,
        OtherKey,
        OtherVersion,
        OtherPlugin,
        Broken,
    }

    impl Sig {
        fn bytes(self) -> Option<Vec<u8>> {
            let text = |key, name, version| Some(sign(key, &component(name, version)).to_string().into_bytes());
            match self {
                Self::None => None,
                Self::Good => text(1, "redis", "1.0.0"),
                Self::OtherKey => text(2, "redis", "1.0.0"),
                Self::OtherVersion => text(1, "redis", "0.9.9"),
                Self::OtherPlugin => text(1, "rabbitmq", "1.0.0"),
                Self::Broken => Some(b"hello".to_vec()),
            }
        }
    }

    /// The redis 1.0.0 of this module, and another.
    fn good() -> Digest {
        component("redis", "1.0.0").digest()
    }

    fn bad() -> Digest {
        Digest::of(b"")
    }

    /// What comes of it, with the varying texts replaced.
    fn judged(require: Require, rule: Option<Digest>, named: Option<Digest>, sig: Sig) -> String {
        let (rule, signature) = (rule.map(Pins::from), sig.bytes());
        let judged = Trusted::judge(component("redis", "1.0.0"), &trust(require, named), rule.as_ref(), signature.as_deref());
        let text = match judged {
            Ok(trusted) => trusted.by().to_string(),
            Err(error) => error.to_string(),
        };
        let key = |number| sign(number, &component("redis", "1.0.0")).key().to_string();
        let replaced = text.replace(&good().to_string(), "[good]").replace(&bad().to_string(), "[bad]");
        replaced.replace(&key(1), "[release]").replace(&key(2), "[other]")
    }

    #[rstest]
    #[case::pinned_by_rule(Require::Digest, Some(good()), None, Sig::None, "digest")]
    #[case::pinned_by_name(Require::Digest, None, Some(good()), Sig::None, "digest")]
    #[case::pinned_twice(Require::Digest, Some(good()), Some(good()), Sig::None, "digest")]
    #[case::pinned_with_a_broken_signature(Require::Digest, None, Some(good()), Sig::Broken, "digest")]
    #[case::signed(Require::Signature, None, None, Sig::Good, "signature release")]
    #[case::signed_and_pinned(Require::Signature, Some(good()), Some(good()), Sig::Good, "signature release")]
    #[case::any_signed(Require::Any, None, None, Sig::Good, "signature release")]
    #[case::any_pinned(Require::Any, None, Some(good()), Sig::None, "digest")]
    #[case::any_pinned_with_a_broken_signature(Require::Any, Some(good()), None, Sig::Broken, "digest")]
    #[case::nothing(Require::InsecureNothing, None, None, Sig::None, "nothing: trust.require = insecure_nothing")]
    #[case::nothing_with_a_broken_signature(
        Require::InsecureNothing,
        None,
        None,
        Sig::Broken,
        "nothing: trust.require = insecure_nothing"
    )]
    #[case::nothing_but_pinned(Require::InsecureNothing, Some(good()), None, Sig::None, "digest")]
    fn says_by_what_a_plugin_is_trusted(
        #[case] require: Require,
        #[case] rule: Option<Digest>,
        #[case] named: Option<Digest>,
        #[case] sig: Sig,
        #[case] by: &str,
    ) {
        assert_eq!(judged(require, rule, named, sig), by);
    }

    #[rstest]
    #[case::by_rule(Some(bad()), None, "the configuration's rule for this secret pins [bad]")]
    #[case::by_name(None, Some(bad()), "[plugins.redis] of the configuration pins [bad]")]
    #[case::rule_right_name_wrong(Some(good()), Some(bad()), "[plugins.redis] of the configuration pins [bad]")]
    #[case::rule_wrong_name_right(Some(bad()), Some(good()), "the configuration's rule for this secret pins [bad]")]
    fn a_pin_holds_whatever_is_required(
        #[values(Require::Signature, Require::Digest, Require::Any, Require::InsecureNothing)] require: Require,
        #[case] rule: Option<Digest>,
        #[case] named: Option<Digest>,
        #[case] part: &str,
    ) {
        let text = judged(require, rule, named, Sig::Good);
        assert_eq!(
            text,
            format!(
                "plugin `redis` has the digest [good], but {part}. Install the pinned component, or pin this one after `windlass inspect`"
            )
        );
    }

    #[test]
    fn a_pin_of_another_name_is_no_pin() {
        let mut trust = trust(Require::Digest, Some(good()));
        let pins = trust.plugins.pop_first().unwrap().1;
        trust.plugins.insert(component("rabbitmq", "1.0.0").manifest().name.clone(), pins);
        let error = Trusted::judge(component("redis", "1.0.0"), &trust, None, None).unwrap_err();
        assert!(matches!(error, TrustError::NotPinned { .. }), "{error}");
    }

    #[test]
    fn what_is_missing_is_said_with_what_to_do() {
        let mut texts = vec![judged(Require::Digest, None, None, Sig::Good)];
        for sig in [Sig::None, Sig::Broken, Sig::OtherKey, Sig::OtherVersion, Sig::OtherPlugin] {
            texts.push(judged(Require::Signature, None, None, sig));
        }
        // A pin does not stand for a signature.
        texts.push(judged(Require::Signature, Some(good()), Some(good()), Sig::None));
        texts.push(judged(Require::Any, None, None, Sig::None));
        insta::assert_snapshot!(texts.join("\n"), @r#"
        plugin `redis` is not pinned, which `trust.require = "digest"` asks for. After `windlass inspect`, add `digest = "[good]"` to [plugins.redis] in windlass.toml
        plugin `redis` is not signed: there is no redis.wasm.sig beside it. Install the one that came with it, or sign it with `release` ([release]): `windlass sign --key FILE redis.wasm`
        plugin `redis` is not signed: redis.wasm.sig is no signature that this Windlass knows: its first line is not `windlass plugin signature 1`. Install the one that came with it, or sign it again
        plugin `redis` came with a signature by [other], and the configuration trusts only `release` ([release]). Install what one of these has signed; or, if you know whose key it is, add it to `trust.keys`
        plugin `redis` came with a signature by `release` that is not for it (redis 1.0.0, [good]): one of the two files was changed, or replaced without the other. Install both again
        plugin `redis` came with a signature by `release` that is not for it (redis 1.0.0, [good]): one of the two files was changed, or replaced without the other. Install both again
        plugin `redis` is not signed: there is no redis.wasm.sig beside it. Install the one that came with it, or sign it with `release` ([release]): `windlass sign --key FILE redis.wasm`
        plugin `redis` is not signed: there is no redis.wasm.sig beside it. Install the one that came with it, or sign it with `release` ([release]): `windlass sign --key FILE redis.wasm`. Or, after `windlass inspect`, add `digest = "[good]"` to [plugins.redis] in windlass.toml
        "#);
    }

    #[test]
    fn without_keys_any_asks_for_a_pin() {
        let trust = Trust { keys: [].into(), ..trust(Require::Any, None) };
        let signature = Sig::Good.bytes();
        let error = Trusted::judge(component("redis", "1.0.0"), &trust, None, signature.as_deref()).unwrap_err();
        assert!(matches!(error, TrustError::NotPinned { require: Require::Any, .. }), "{error}");
    }

    #[test]
    fn what_was_judged_is_what_comes_out() {
        let trusted = Trusted::judge(component("redis", "1.0.0"), &trust(Require::Any, Some(good())), None, None).unwrap();
        assert_eq!(trusted.into_component().wasm(), component("redis", "1.0.0").wasm());
    }
}
