//! `plugin.toml`: what a plugin says of itself, readable without running anything.
//!
//! `windlass build` checks the file and embeds it in the component as the custom section [`SECTION`]. A manifest asks; what the
//! plugin may do is decided by the operator's configuration and the host.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

use crate::password::PasswordOptions;

/// Name of the component's custom section that holds the manifest's text.
pub const SECTION: &str = "windlass:manifest";

/// The largest manifest that is read, in bytes. A larger one is refused before it is parsed.
pub const MAX_BYTES: usize = 65_536;

/// What a plugin needs, offers and would like to reach.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name by which the secret's tag `windlass:plugin` chooses this plugin.
    pub name: PluginName,
    /// The plugin's own version, as its author counts.
    pub version: String,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// Whether the old and the new credential can be valid together. Default false.
    #[serde(default)]
    pub overlap: bool,
    /// Which fields the secret has.
    #[serde(default)]
    pub secret: SecretShape,
    /// What the service takes as a password, unless operator or tags say otherwise.
    #[serde(default)]
    pub password: PasswordOptions,
    /// What the plugin wants to reach, by the name it uses to open it.
    #[serde(default)]
    pub endpoints: BTreeMap<String, EndpointTemplate>,
    /// Defaults of the settings that an operator may change.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// How much time the plugin needs.
    #[serde(default)]
    pub budget: Budget,
}

/// How much time a plugin needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// How long set-secret takes at most, in seconds from 1 to 890. It is not begun when less is left of the function's time: a change
    /// that is cut off in the middle leaves more to find out for the next attempt. Without it, one second has to be left.
    pub set_secret_seconds: Option<u32>,
}

/// The fields of a secret's top-level JSON object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretShape {
    /// Fields that must be there (a default counts).
    #[serde(default)]
    pub required: Vec<String>,
    /// Fields that createSecret fills with new values. Empty: `password` of a JSON object, the whole of a plain string.
    #[serde(default)]
    pub generated: Vec<String>,
    /// Fields that say who and where. A previous version that differs in one of them is withheld from the plugin. Empty: every
    /// required field that is not generated, and every field of an endpoint.
    #[serde(default)]
    pub identity: Vec<String>,
    /// The field that names the user, if the plugin can give a new password to another user than that of AWSCURRENT, with an admin
    /// credential, and make that user if it does not exist. An operator may then have two users take turns
    /// ([`crate::alternating_users`]): the pending version names the other one. One of `required`, and one that says who.
    #[serde(default)]
    pub alternating: Option<String>,
    /// Values for fields that the secret leaves out.
    #[serde(default)]
    pub defaults: BTreeMap<String, String>,
    /// Fields and values by which a secret without the tag `windlass:plugin` is recognised as one for this plugin.
    #[serde(default, rename = "match")]
    pub matches: BTreeMap<String, String>,
}

/// An address with `{field}` placeholders, filled from the secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointTemplate {
    /// `host:port`, each part text or a placeholder: `{host}:{port}`, `{host}:6379`, `api.example.com:443`.
    pub address: AddressTemplate,
    /// Whether the connection is encrypted. Default required.
    #[serde(default)]
    pub tls: TlsExpectation,
    /// The field of the secret that may ask for plain text by the value `false` where `tls` is `optional`. Default `tls`.
    #[serde(default = "default_tls_field")]
    pub tls_field: String,
}

/// The field that may ask for plain text where the manifest names no other.
pub(crate) fn default_tls_field() -> String {
    "tls".to_owned()
}

/// Whether a connection to an endpoint is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsExpectation {
    /// From the first byte, always.
    #[default]
    Required,
    /// From the first byte, unless the secret's own field asks for plain text.
    Optional,
    /// After a negotiation in plain text that the plugin does.
    StartTls,
}

/// A plugin's name: 1 to 64 lower-case letters, digits and hyphens, beginning with a letter. It is also a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct PluginName(String);

impl PluginName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for PluginName {
    type Error = ManifestError;

    fn try_from(name: String) -> Result<Self, ManifestError> {
        let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if plain && name.len() <= 64 && name.starts_with(|first: char| first.is_ascii_lowercase()) {
            Ok(Self(name))
        } else {
            Err(ManifestError::Name)
        }
    }
}

/// A `host:port` with placeholders, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AddressTemplate {
    /// What stands before the last colon.
    pub host: TemplatePart,
    /// What stands behind it.
    pub port: TemplatePart,
}

/// One part of an address template: literal text, or the name of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// Stands for itself.
    Literal(String),
    /// Is replaced by the text of this field of the secret.
    Field(String),
}

impl TemplatePart {
    fn parse(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match inner {
            Some(field) if !field.is_empty() && !field.contains(['{', '}']) => Some(Self::Field(field.to_owned())),
            None if !text.is_empty() && !text.contains(['{', '}']) => Some(Self::Literal(text.to_owned())),
            Some(_) | None => None,
        }
    }

    /// The field's name, if this part is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Field(name) => Some(name),
            Self::Literal(_) => None,
        }
    }
}

impl fmt::Display for TemplatePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::Field(name) => write!(f, "{{{name}}}"),
        }
    }
}

impl TryFrom<String> for AddressTemplate {
    type Error = ManifestError;

    fn try_from(template: String) -> Result<Self, ManifestError> {
        let parts = template.rsplit_once(':').and_then(|(host, port)| {
            let port = TemplatePart::parse(port)?;
            let possible = match &port {
                TemplatePart::Literal(number) => number.parse::<u16>().is_ok_and(|number| number > 0),
                TemplatePart::Field(_) => true,
            };
            possible.then_some(Self { host: TemplatePart::parse(host)?, port })
        });
        parts.ok_or_else(|| ManifestError::Address {
            template: template.chars().take(80).collect::<String>().escape_debug().to_string(),
        })
    }
}

impl fmt::Display for AddressTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not TOML, has an unknown key, or a value of the wrong kind. The text is the parser's, with the line, and without the
    /// lines themselves: a component's manifest is written by a stranger.
    #[error("plugin.toml does not parse: {0}")]
    Syntax(String),
    /// It is too large.
    #[error("plugin.toml has {0} bytes; at most {MAX_BYTES} are read")]
    TooLarge(usize),
    /// The name cannot be one.
    #[error("a plugin's name has 1 to 64 lower-case letters, digits and hyphens and begins with a letter")]
    Name,
    /// An address is not `host:port`.
    #[error(
        "`{template}` is not an address: write `host:port`, where each part is text or one `{{field}}` of the secret, such as \
         `{{host}}:{{port}}` or `{{host}}:6379`"
    )]
    Address {
        /// What was written.
        template: String,
    },
    /// The version is empty or has characters that do not belong there.
    #[error("a plugin's version has 1 to 64 letters, digits, dots, plus signs and hyphens")]
    Version,
    /// The time that the plugin says it needs cannot be.
    #[error("`budget.set_secret_seconds` is {0}: write a number of seconds from 1 to 890")]
    Budget(u32),
    /// The field by which users take turns does not name a user.
    #[error(
        "`secret.alternating` names `{field}`, which has to be a required field that says who: neither generated, nor part of an \
         endpoint or of `match`"
    )]
    Alternating {
        /// The field.
        field: String,
    },
    /// A field is generated and says who or where, so that every rotation would change the identity.
    #[error(
        "the field `{field}` is both generated and part of `{of}`: a rotation must not change who or where the credential is for"
    )]
    GeneratedIdentity {
        /// The field.
        field: String,
        /// Where else it stands.
        of: &'static str,
    },
}

impl Manifest {
    /// Parses and checks the text of a `plugin.toml`.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] says what to correct.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MAX_BYTES {
            return Err(ManifestError::TooLarge(text.len()));
        }
        let manifest: Self = toml::from_str(text).map_err(|error| ManifestError::Syntax(place(text, &error)))?;
        let plain = manifest.version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte));
        if !plain || manifest.version.is_empty() || manifest.version.len() > 64 {
            return Err(ManifestError::Version);
        }
        // No call may take longer: the most of `call_seconds`.
        if let Some(seconds) = manifest.budget.set_secret_seconds.filter(|seconds| !(1..=890).contains(seconds)) {
            return Err(ManifestError::Budget(seconds));
        }
        for field in &manifest.secret.generated {
            let of = if manifest.endpoint_fields().any(|of| of == field) {
                "endpoints"
            } else if manifest.secret.identity.contains(field) {
                "identity"
            } else if manifest.secret.matches.contains_key(field) {
                "match"
            } else {
                continue;
            };
            return Err(ManifestError::GeneratedIdentity { field: field.clone(), of });
        }
        if let Some(field) = &manifest.secret.alternating {
            let names_users = manifest.secret.required.contains(field)
                && manifest.identity_fields(&manifest.secret.generated).contains(field.as_str())
                && !manifest.endpoint_fields().any(|of| of == field)
                && !manifest.secret.matches.contains_key(field);
            if !names_users {
                return Err(ManifestError::Alternating { field: field.clone() });
            }
        }
        Ok(manifest)
    }

    /// The fields that say who and where: the fields of the endpoints, and those the manifest names, else its required fields less
    /// the `generated` ones.
    pub fn identity_fields<'a>(&'a self, generated: &[String]) -> BTreeSet<&'a str> {
        let named = if self.secret.identity.is_empty() { &self.secret.required } else { &self.secret.identity };
        let named = named.iter().filter(|field| !generated.contains(field)).map(String::as_str);
        named.chain(self.endpoint_fields()).collect()
    }

    /// The fields from which the endpoints are filled: hosts, ports, and whether to use TLS.
    pub fn endpoint_fields(&self) -> impl Iterator<Item = &str> {
        self.endpoints.values().flat_map(|endpoint| {
            let tls = (endpoint.tls == TlsExpectation::Optional).then_some(endpoint.tls_field.as_str());
            [endpoint.address.host.field(), endpoint.address.port.field(), tls].into_iter().flatten()
        })
    }
}

/// A parser's complaint and the line it is about. The line's text is left out.
fn place(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let message = error.message().escape_debug().to_string();
    line.map_or_else(|| message.clone(), |line| format!("line {line}: {message}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const REDIS: &str = r#"
        name = "redis"
        version = "0.1.0"
        overlap = true
        [secret]
        required = ["username", "password", "host"]
        generated = ["password"]
        defaults = { port = "6379" }
        match = { engine = "redis" }
        [endpoints.redis]
        address = "{host}:{port}"
        tls = "optional"
    "#;

    #[test]
    fn reads_a_whole_manifest() {
        let manifest = Manifest::parse(REDIS).unwrap();
        assert_eq!(manifest.name.as_str(), "redis");
        assert_eq!(manifest.endpoints["redis"].address.to_string(), "{host}:{port}");
        assert_eq!(manifest.endpoints["redis"].tls, TlsExpectation::Optional);
        let identity = manifest.identity_fields(&["password".to_owned()]);
        assert_eq!(identity.into_iter().collect::<Vec<_>>(), ["host", "port", "tls", "username"]);
    }

    #[rstest]
    #[case::unknown_key("name = \"a\"\nversion = \"1\"\nsandbox = false", "plugin.toml does not parse")]
    #[case::no_name("version = \"1\"", "plugin.toml does not parse")]
    #[case::path_as_name("name = \"../a\"\nversion = \"1\"", "plugin.toml does not parse")]
    #[case::version("name = \"a\"\nversion = \"1 2\"", "a plugin's version has")]
    #[case::generated_host(
        "name = \"a\"\nversion = \"1\"\n[secret]\ngenerated = [\"h\"]\n[endpoints.e]\naddress = \"{h}:1\"",
        "the field `h` is both generated and part of `endpoints`"
    )]
    #[case::no_user("name = \"a\"\nversion = \"1\"\n[secret]\nalternating = \"u\"", "`secret.alternating` names `u`")]
    #[case::user_generated(
        "name = \"a\"\nversion = \"1\"\n[secret]\nrequired = [\"u\"]\ngenerated = [\"u\"]\nalternating = \"u\"",
        "`secret.alternating` names `u`"
    )]
    #[case::host_in_turn(
        "name = \"a\"\nversion = \"1\"\n[secret]\nrequired = [\"h\"]\nalternating = \"h\"\n[endpoints.e]\naddress = \"{h}:1\"",
        "`secret.alternating` names `h`"
    )]
    fn refuses_a_manifest_that_is_wrong(#[case] text: &str, #[case] start: &str) {
        let error = Manifest::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(start), "{error}");
    }

    #[rstest]
    #[case("{host}")]
    #[case("{host}:0")]
    #[case("{host}:70000")]
    #[case("{a}{b}:1")]
    #[case("x{a}:1")]
    #[case("{}:1")]
    #[case(":1")]
    #[case("host:")]
    fn refuses_what_is_no_address(#[case] template: &str) {
        assert!(matches!(AddressTemplate::try_from(template.to_owned()), Err(ManifestError::Address { .. })));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,400}") {
            let _ = Manifest::parse(&text);
            let _ = AddressTemplate::try_from(text);
        }
    }
}
