//! What the configuration means for one secret, and where each value comes from.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::{Config, SecretRule};
use crate::config::limits::{Row, TABLE};
use crate::config::log::LogTable;
use crate::config::swap::SwapWithinRotation;
use crate::error::StepError;
use crate::event::SecretArn;
use crate::password::PasswordOptions;
use crate::plugin::code::policy::CodePolicy;
use crate::plugin::objects::ObjectError;
use crate::plugin::reference::{Place, Reference};
use crate::plugin::source::SourceError;
use crate::tags::Tags;

/// One value that holds for a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Its key, as in `windlass.toml`.
    pub key: String,
    /// The value; nothing if no value is set and none is built in.
    pub value: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// What else may decide, which is known only when the secret is rotated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unless: Option<&'static str>,
}

/// Where a value of the configuration comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the rule that begins at this line.
    Rule {
        /// The line.
        line: usize,
    },
    /// From a `windlass:` tag of the secret.
    Tag,
    /// From a table for all secrets.
    Table(&'static str),
    /// Nobody says anything, so this is what Windlass does.
    BuiltIn,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { line } => write!(f, "rule at line {line}"),
            Self::Tag => f.write_str("the secret's tag"),
            Self::Table(name) => write!(f, "[{name}]"),
            Self::BuiltIn => f.write_str("built in"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Every value that holds for a secret with these tags. Values of the environment are not among them.
///
/// # Errors
///
/// [`StepError::Tag`] and [`StepError::Source`] for a `windlass:` tag that would stop every step of the secret's rotation.
pub fn explain(config: &Config, secret: &SecretArn, tags: &BTreeMap<String, String>) -> Result<Vec<Explained>, StepError> {
    let rule = config.rule(secret, tags);
    let said_by_tags = Tags::read(tags)?;
    let none = SecretRule::default();
    let (of_rule, line) = rule.map_or((&none, 0), |rule| (rule, rule.line));
    let mut explained = Vec::new();
    let mut say = |key: String, value: Option<String>, origin, unless| explained.push(Explained { key, value, origin, unless });
    let by_rule = |set: bool| if set { Origin::Rule { line } } else { Origin::BuiltIn };
    let by_rule_or_tag = |in_rule: bool, in_tag: bool| if in_tag && !in_rule { Origin::Tag } else { by_rule(in_rule) };

    let plugin = of_rule.plugin.as_ref().or(said_by_tags.plugin.as_ref());
    if let Some(Place::Object(uri)) = plugin.map(|plugin| &plugin.place)
        && !uri.is_below(&config.s3.prefixes)
    {
        let refused = ObjectError::NotAllowed { uri: uri.clone(), prefixes: config.s3.prefixes.clone() };
        return Err(SourceError::from(refused).into());
    }
    let origin = by_rule_or_tag(of_rule.plugin.is_some(), said_by_tags.plugin.is_some());
    let unless = plugin.is_none().then_some("the secret's tag windlass:plugin, else the one plugin that recognises the secret");
    say("plugin".to_owned(), plugin.map(ToString::to_string), origin, unless);
    say("digest".to_owned(), of_rule.digest.as_ref().map(ToString::to_string), by_rule(of_rule.digest.is_some()), None);
    // What is pinned by name counts for the plugin that is used, which the rule may leave open.
    let named = plugin.and_then(Reference::name);
    for (name, pins) in config.trust.plugins.iter().filter(|(name, _)| named.is_none_or(|named| named == *name)) {
        say(format!("plugins.{name}.digest"), Some(pins.to_string()), Origin::Table("plugins"), None);
    }
    let origin = if config.trust.stated { Origin::Table("trust") } else { Origin::BuiltIn };
    say("trust.require".to_owned(), Some(config.trust.require.to_string()), origin, None);
    for (name, key) in &config.trust.keys {
        say(format!("trust.keys.{name}"), Some(key.to_string()), origin, None);
    }
    let prefixes = (!config.s3.prefixes.is_empty()).then(|| config.s3.prefixes.join(", "));
    let origin = if prefixes.is_some() { Origin::Table("s3") } else { Origin::BuiltIn };
    say("s3.prefixes".to_owned(), prefixes, origin, None);
    if let Some(mirror) = &config.s3.mirror {
        say("s3.mirror".to_owned(), Some(mirror.display().to_string()), Origin::Table("s3"), None);
    }
    let origin = if config.code == CodePolicy::default() { Origin::BuiltIn } else { Origin::Table("code") };
    say("code.compile".to_owned(), Some(config.code.compile.name().to_owned()), origin, None);
    for (name, key) in &config.code.keys {
        say(format!("code.keys.{name}"), Some(key.to_string()), origin, None);
    }
    let origin = if config.log == LogTable::default() { Origin::BuiltIn } else { Origin::Table("log") };
    say("log.secret".to_owned(), Some(config.log.secret.name().to_owned()), origin, None);
    let of = |in_rule: bool, in_defaults: bool| match (in_rule, in_defaults) {
        (true, _) => Origin::Rule { line },
        (false, true) => Origin::Table("defaults"),
        (false, false) => Origin::BuiltIn,
    };
    let canary = config.canary(rule);
    say("canary".to_owned(), Some(canary.to_string()), of(of_rule.canary.is_some(), config.defaults.canary), None);
    let swap = config.swap_within_rotation(rule);
    let stated = config.defaults.swap_within_rotation != SwapWithinRotation::default();
    say("swap_within_rotation".to_owned(), Some(swap.to_string()), of(of_rule.swap_within_rotation.is_some(), stated), None);
    say("admin".to_owned(), of_rule.admin.clone(), by_rule(of_rule.admin.is_some()), None);
    let endpoints = config.endpoints(rule).map(|grants| grants.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    let origin = match (&of_rule.endpoints, &endpoints) {
        (Some(_), _) => Origin::Rule { line },
        (None, Some(_)) => Origin::Table("defaults"),
        (None, None) => Origin::BuiltIn,
    };
    let unless = endpoints.is_none().then_some("where the plugin's manifest derives from the secret");
    say("endpoints".to_owned(), endpoints, origin, unless);
    let certificate = of_rule.client_certificate.as_ref().map(|files| files.certificate_file.display().to_string());
    say("client_certificate".to_owned(), certificate, by_rule(of_rule.client_certificate.is_some()), None);
    let skips = of_rule.insecure_skip_negative_control;
    say("insecure_skip_negative_control".to_owned(), Some(skips.to_string()), by_rule(skips), None);
    say("alternating_users".to_owned(), Some(of_rule.alternating_users.to_string()), by_rule(of_rule.alternating_users), None);
    say("heartbeat".to_owned(), Some(of_rule.heartbeat.to_string()), by_rule(of_rule.heartbeat), None);
    let generated = of_rule.generated.as_ref().or(said_by_tags.generated.as_ref()).map(|names| names.join(", "));
    let origin = by_rule_or_tag(of_rule.generated.is_some(), said_by_tags.generated.is_some());
    let unless = generated.is_none().then_some("the secret's tag windlass:generated, else the plugin's manifest, else `password`");
    say("generated".to_owned(), generated, origin, unless);
    for (name, value) in &of_rule.settings {
        say(format!("settings.{name}"), Some(value.clone()), Origin::Rule { line }, None);
    }
    let by_tag = said_by_tags.password.entries();
    let options = of_rule.password.entries().into_iter().zip(by_tag).zip(config.defaults.password.entries());
    for ((((key, by_rule), (_, by_tag)), (_, by_default)), built_in) in options.zip(PasswordOptions::BUILT_IN) {
        let (value, origin) = match (by_rule, by_tag, by_default) {
            (Some(value), _, _) => (value, Origin::Rule { line }),
            (None, Some(value), _) => (value, Origin::Tag),
            (None, None, Some(value)) => (value, Origin::Table("defaults")),
            (None, None, None) => (built_in.to_owned(), Origin::BuiltIn),
        };
        let decided = matches!(origin, Origin::Rule { .. } | Origin::Tag);
        let unless = (!decided).then_some("the secret's tags or the plugin's manifest say otherwise");
        say(format!("password.{key}"), Some(value), origin, unless);
    }
    let limits = config.limits(rule);
    for Row { limit, key, unit, .. } in TABLE {
        let origin = match (of_rule.limits.get(*limit), config.limits.get(*limit)) {
            (Some(_), _) => Origin::Rule { line },
            (None, Some(_)) => Origin::Table("limits"),
            (None, None) => Origin::BuiltIn,
        };
        say(format!("limits.{key}"), Some(format!("{} {unit}", limits.get(*limit))), origin, None);
    }
    Ok(explained)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn of(text: &str, name: &str) -> BTreeMap<String, (Option<String>, String)> {
        of_tagged(text, name, &[])
    }

    fn of_tagged(text: &str, name: &str, tags: &[(&str, &str)]) -> BTreeMap<String, (Option<String>, String)> {
        let mut config = Config::with_plugins("plugins".into());
        config.read_text(text, Path::new("windlass.toml")).unwrap();
        let arn = SecretArn::parse(&format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-a1B2c3")).unwrap();
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let explained = explain(&config, &arn, &tags).unwrap();
        explained.into_iter().map(|of| (of.key, (of.value, of.origin.to_string()))).collect()
    }

    #[test]
    fn a_value_comes_from_the_rule_then_from_the_tables_then_from_nowhere() {
        let text = "
            [limits]
            call_seconds = 20
            memory_mib = 32
            [defaults]
            endpoints = ['*.example.com:443']
            password = { length = 40, exclude_numbers = true }
            [[secrets]]
            secret = 'prod/*'
            plugin = 'redis'
            client_certificate = { certificate_file = 'app.pem', key_file = 'app.key' }
            settings = { acl_save = 'no' }
            password = { length = 50 }
            limits = { memory_mib = 16 }
        ";
        let rule = "rule at line 8";
        let expected = [
            ("plugin", Some("redis"), rule),
            ("admin", None, "built in"),
            ("endpoints", Some("*.example.com:443"), "[defaults]"),
            ("client_certificate", Some("app.pem"), rule),
            ("settings.acl_save", Some("no"), rule),
            ("password.length", Some("50"), rule),
            ("password.exclude_numbers", Some("true"), "[defaults]"),
            ("password.exclude_uppercase", Some("false"), "built in"),
            ("limits.memory_mib", Some("16 MiB"), rule),
            ("limits.call_seconds", Some("20 s"), "[limits]"),
            ("limits.connections", Some("64 connections"), "built in"),
        ];
        let explained = of(text, "prod/app");
        for (key, value, origin) in expected {
            assert_eq!(explained[key], (value.map(str::to_owned), origin.to_owned()), "{key}");
        }
        let other = of(text, "test/app");
        assert_eq!(other["plugin"], (None, "built in".to_owned()));
        assert_eq!(other["password.length"], (Some("40".to_owned()), "[defaults]".to_owned()));
        assert!(!other.contains_key("settings.acl_save"));
    }

    #[test]
    fn a_tag_says_what_the_rule_leaves_open() {
        let text = "
            [defaults]
            password = { length = 40, exclude_numbers = true }
            [[secrets]]
            secret = 'prod/*'
            plugin = 'redis'
            password = { length = 50 }
        ";
        let tags = [
            ("windlass:plugin", "mosquitto"),
            ("windlass:generated", "password key"),
            ("windlass:password_length", "20"),
            ("windlass:exclude_numbers", "false"),
        ];
        let covered = of_tagged(text, "prod/app", &tags);
        let uncovered = of_tagged(text, "test/app", &tags);
        let (rule, tag) = ("rule at line 4", "the secret's tag");
        for (key, by_both, by_tag) in [
            ("plugin", ("redis", rule), ("mosquitto", tag)),
            ("generated", ("password, key", tag), ("password, key", tag)),
            ("password.length", ("50", rule), ("20", tag)),
            ("password.exclude_numbers", ("false", tag), ("false", tag)),
        ] {
            assert_eq!(covered[key], (Some(by_both.0.to_owned()), by_both.1.to_owned()), "{key}");
            assert_eq!(uncovered[key], (Some(by_tag.0.to_owned()), by_tag.1.to_owned()), "{key}");
        }
    }

    #[test]
    fn a_tag_that_stops_the_rotation_is_refused() {
        let mut config = Config::with_plugins("plugins".into());
        let text = "[trust]\nrequire = 'insecure_nothing'\n[s3]\nprefixes = ['s3://acme-plugins/windlass/']";
        config.read_text(text, Path::new("windlass.toml")).unwrap();
        let arn = SecretArn::parse("arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/app-a1B2c3").unwrap();
        let with = |key: &str, value: &str| explain(&config, &arn, &BTreeMap::from([(key.to_owned(), value.to_owned())]));
        assert!(with("windlass:plugin", "s3://acme-plugins/windlass/redis.wasm").is_ok());
        let elsewhere = with("windlass:plugin", "s3://elsewhere/redis.wasm").unwrap_err();
        assert_eq!(elsewhere.error_type(), "Windlass.PluginDenied");
        assert_eq!(with("windlass:plugn", "redis").unwrap_err().error_type(), "Windlass.InvalidTag");
    }

    #[test]
    fn what_a_plugin_has_to_show_is_explained() {
        let pin = format!("sha256:{}", "0".repeat(64));
        let text = format!(
            "[trust]\nrequire = 'digest'\n[plugins.redis]\ndigest = '{pin}'\n[plugins.kafka]\ndigest = '{pin}'\n\
             [[secrets]]\nsecret = 'prod/*'\nplugin = 'redis'\ndigest = ['{pin}', '{pin}']"
        );
        let explained = of(&text, "prod/app");
        assert_eq!(explained["digest"], (Some(format!("{pin} or {pin}")), "rule at line 7".to_owned()));
        assert_eq!(explained["plugins.redis.digest"], (Some(pin), "[plugins]".to_owned()));
        assert_eq!(explained["trust.require"], (Some("digest".to_owned()), "[trust]".to_owned()));
        assert!(!explained.contains_key("plugins.kafka.digest"));
        assert!(of(&text, "test/app").contains_key("plugins.kafka.digest"));
        let key = "ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA=";
        let signed = of(&format!("[trust]\nrequire = 'signature'\nkeys = {{ release = '{key}' }}"), "prod/app");
        assert_eq!(signed["trust.keys.release"], (Some(key.to_owned()), "[trust]".to_owned()));
        assert_eq!(of("", "prod/app")["trust.require"], (Some("insecure_nothing".to_owned()), "built in".to_owned()));
    }
}
