//! Configuration: the environment and `windlass.toml`, read once at start and passed in.
//!
//! Broken or unknown configuration stops the start: an operator who misspells a restriction must not run without it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::capability::grant::Grant;
use crate::event::SecretArn;
use crate::manifest::PluginName;
use crate::package::PackageManifest;
use crate::password::{PasswordOptions, PasswordPolicy};
use crate::plugin::code::policy::CodePolicy;

pub mod client_certificate;
mod code;
pub mod error;
pub mod explain;
pub mod heartbeat;
pub mod limits;
pub mod log;
#[cfg(test)]
mod reference_page;
pub mod rule;
pub mod s3;
pub mod swap;
pub mod trust;

pub use client_certificate::ClientCertificateFiles;
pub use error::{ConfigError, RuleError};
use heartbeat::HeartbeatTable;
pub use limits::{Limit, Limits, LimitsTable};
use log::LogTable;
pub use rule::{SecretPattern, SecretRule};
use s3::{S3Prefixes, S3Table};
use swap::SwapWithinRotation;
use trust::{PluginTable, Trust, TrustTable};

use self::code::CodeTable;

/// Everything that is decided before the first event.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folders that hold plugins. `WINDLASS_PLUGINS`, with colons between them; default `plugins` beside the executable, and
    /// `/opt/plugins`, where Lambda unpacks the folder `plugins` of layers.
    pub plugins: Vec<PathBuf>,
    /// Where Secrets Manager answers, if not at the region's own endpoint. `SECRETS_MANAGER_ENDPOINT`, as in AWS's templates; the
    /// SDK's `AWS_ENDPOINT_URL_SECRETS_MANAGER` and `AWS_ENDPOINT_URL` work too.
    pub secrets_manager_endpoint: Option<String>,
    /// `AWS_LAMBDA_RUNTIME_API`, which no plugin may ever reach.
    pub runtime_api: Option<String>,
    /// Password options of the environment: the variables of AWS's templates.
    pub environment_password: PasswordOptions,
    /// What the file says of every secret whose rule says nothing else.
    pub defaults: Defaults,
    /// Rules for secrets, in the file's order; the first that matches a secret counts.
    pub rules: Vec<SecretRule>,
    /// Certificate authorities to trust besides the system's, as PEM files.
    pub ca_files: Vec<PathBuf>,
    /// What the file says of the bounds of every plugin call.
    pub limits: LimitsTable,
    /// Which loopback addresses plugins may reach. None, unless a `danger_` setting or a local command says so.
    pub loopback: Loopback,
    /// Which plugins may run. Recommended is a signature; without a table `trust`, every plugin that is not pinned otherwise.
    pub trust: Trust,
    /// Which objects of S3 may be plugins. None, unless the file says so.
    pub s3: S3Prefixes,
    /// Which code that was made ahead of time may run, by the file and by the package that the function is.
    pub code: CodePolicy,
    /// What the function's log shows.
    pub log: LogTable,
    /// How fast a heartbeat goes.
    pub heartbeat: HeartbeatTable,
    /// The function's name, by which its metrics are told from those of others: `AWS_LAMBDA_FUNCTION_NAME`, `windlass` without it.
    pub function: String,
}

/// Which loopback addresses plugins may reach. In Lambda the Runtime API and extensions listen there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Loopback {
    /// None.
    #[default]
    Never,
    /// These `host:port` pairs, compared as text with the endpoint's.
    Endpoints(Vec<String>),
    /// All of them: for commands that run on the operator's own machine.
    Local,
}

/// What holds for every secret whose rule says nothing else: `[defaults]` of `windlass.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// Where plugins may connect ([`crate::capability::grant`] has the grammar). Without it: where a plugin's manifest derives from
    /// the secret.
    pub endpoints: Option<Vec<Grant>>,
    /// What generated values look like where neither the secret's tags nor the plugin's manifest say it.
    #[serde(default)]
    pub password: PasswordOptions,
    /// Whether a new component first proves itself by a test of the credential in use. Default false.
    #[serde(default)]
    pub canary: bool,
    /// What becomes of a rotation whose plugin changes after it has begun. Default: the change waits for the next one.
    #[serde(default)]
    pub swap_within_rotation: SwapWithinRotation,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    danger_loopback_endpoints: Vec<String>,
    #[serde(default)]
    tls: TlsTable,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    defaults: Defaults,
    #[serde(default)]
    secrets: Vec<Spanned<SecretRule>>,
    trust: Option<TrustTable>,
    #[serde(default)]
    plugins: BTreeMap<PluginName, PluginTable>,
    s3: Option<S3Table>,
    #[serde(default)]
    code: CodeTable,
    #[serde(default)]
    log: LogTable,
    #[serde(default)]
    heartbeat: HeartbeatTable,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct TlsTable {
    #[serde(default)]
    ca_files: Vec<PathBuf>,
}

impl Config {
    /// Where Lambda unpacks the folder `plugins` of a layer.
    ///
    /// Source: <https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html>
    const LAYERS: &str = "/opt/plugins";

    /// The names of the environment variables that AWS's templates take for password options.
    const PASSWORD_VARIABLES: [&str; 7] = [
        "PASSWORD_LENGTH",
        "EXCLUDE_CHARACTERS",
        "EXCLUDE_NUMBERS",
        "EXCLUDE_PUNCTUATION",
        "EXCLUDE_UPPERCASE",
        "EXCLUDE_LOWERCASE",
        "REQUIRE_EACH_INCLUDED_TYPE",
    ];

    /// Reads the configuration from these environment variables and the file they name. `home` is the folder of the executable:
    /// `home/plugins` and `home/windlass.toml` are the defaults.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a file that was named and cannot be read, anything that does not parse, and every unknown key.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>, home: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::with_plugins(home.join("plugins"));
        config.plugins.push(PathBuf::from(Self::LAYERS));
        let mut file = None;
        for (name, value) in vars {
            // AWS's templates are deployed with empty variables for parameters that were left out.
            if value.is_empty() {
                continue;
            }
            match name.as_str() {
                "SECRETS_MANAGER_ENDPOINT" => config.secrets_manager_endpoint = Some(value),
                "AWS_LAMBDA_RUNTIME_API" => config.runtime_api = Some(value),
                "AWS_LAMBDA_FUNCTION_NAME" => config.function = value,
                "WINDLASS_PLUGINS" => config.plugins = std::env::split_paths(&value).collect(),
                "WINDLASS_CONFIG" => file = Some(PathBuf::from(value)),
                "WINDLASS_LOG" => {} // read by `log`
                variable if Self::PASSWORD_VARIABLES.contains(&variable) => {
                    let option = name.to_ascii_lowercase();
                    config.environment_password.set(&option, &value).map_err(|source| ConfigError::Password { name, source })?;
                }
                unknown if unknown.starts_with("WINDLASS_") => return Err(ConfigError::UnknownVariable { name }),
                _ => {}
            }
        }
        PasswordPolicy::new(&config.environment_password)
            .map_err(|source| ConfigError::Password { name: "PASSWORD_LENGTH, EXCLUDE_…".to_owned(), source })?;
        let default = home.join("windlass.toml");
        match file {
            Some(path) => config.read_file(&path)?,
            None if default.exists() => config.read_file(&default)?,
            None => {}
        }
        let packaged = PackageManifest::read(home)?.map(|package| package.plugins).unwrap_or_default();
        config.code.digests.extend(packaged.into_iter().map(|plugin| plugin.envelope));
        Ok(config)
    }

    /// A configuration that says nothing but where the plugins are.
    pub fn with_plugins(plugins: PathBuf) -> Self {
        Self {
            plugins: vec![plugins],
            secrets_manager_endpoint: None,
            runtime_api: None,
            environment_password: PasswordOptions::default(),
            defaults: Defaults::default(),
            rules: Vec::new(),
            ca_files: Vec::new(),
            limits: LimitsTable::default(),
            loopback: Loopback::default(),
            trust: Trust::default(),
            s3: S3Prefixes::default(),
            code: CodePolicy::default(),
            log: LogTable::default(),
            heartbeat: HeartbeatTable::default(),
            function: "windlass".to_owned(),
        }
    }

    /// Reads a `windlass.toml` into this configuration. Paths in it are relative to the file.
    ///
    /// # Errors
    ///
    /// As [`Config::from_vars`].
    pub fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        self.read_text(&text, path)
    }

    /// Reads the text of a `windlass.toml` into this configuration. Paths in it are relative to the folder of `path`, which messages
    /// name.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Syntax`] and [`ConfigError::Rule`].
    pub fn read_text(&mut self, text: &str, path: &Path) -> Result<(), ConfigError> {
        let syntax =
            |error: toml::de::Error| ConfigError::Syntax { path: path.to_owned(), why: error.to_string().trim_end().to_owned() };
        let file: File = toml::from_str(text).map_err(syntax)?;
        let password = file.defaults.password.clone().over(self.environment_password.clone());
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let wrong = |rule, source| ConfigError::Rule { path: path.to_owned(), rule, source };
        PasswordPolicy::new(&password).map_err(|source| wrong("the table `defaults`".to_owned(), source.into()))?;
        for spanned in file.secrets {
            let line = text[..spanned.span().start].matches('\n').count() + 1;
            let rule = spanned.into_inner();
            let client_certificate = rule.client_certificate.map(|files| files.in_folder(folder));
            let rule = SecretRule { line, client_certificate, ..rule };
            rule.check(&password).map_err(|source| wrong(rule.to_string(), source))?;
            self.rules.push(rule);
        }
        let pinning_rules = self.rules.iter().any(|rule| rule.pins().is_some());
        let wrong = |source| ConfigError::Trust { path: path.to_owned(), source };
        self.trust = Trust::of(text, file.trust, file.plugins, pinning_rules).map_err(wrong)?;
        self.s3 = S3Prefixes::of(file.s3, folder, self.trust.stated)
            .map_err(|source| ConfigError::S3 { path: path.to_owned(), source })?;
        self.code = file.code.policy(text, &self.trust).map_err(wrong)?;
        self.ca_files.extend(file.tls.ca_files.iter().map(|ca| folder.join(ca)));
        self.defaults = file.defaults;
        self.limits = file.limits;
        self.log = file.log;
        self.heartbeat = file.heartbeat;
        if !file.danger_loopback_endpoints.is_empty() && self.loopback != Loopback::Local {
            self.loopback = Loopback::Endpoints(file.danger_loopback_endpoints);
        }
        Ok(())
    }

    /// The rule for a secret with these tags: the first of the file that covers it.
    pub fn rule(&self, secret: &SecretArn, tags: &BTreeMap<String, String>) -> Option<&SecretRule> {
        self.rules.iter().find(|rule| rule.covers(secret, tags))
    }

    /// Where the plugin of a secret with this rule may connect, if anything is said about it.
    pub fn endpoints<'a>(&'a self, rule: Option<&'a SecretRule>) -> Option<&'a [Grant]> {
        rule.and_then(|rule| rule.endpoints.as_deref()).or(self.defaults.endpoints.as_deref())
    }

    /// Whether a new component first proves itself for a secret with this rule.
    pub fn canary(&self, rule: Option<&SecretRule>) -> bool {
        rule.and_then(|rule| rule.canary).unwrap_or(self.defaults.canary)
    }

    /// What becomes of a rotation of a secret with this rule whose plugin changes.
    pub fn swap_within_rotation(&self, rule: Option<&SecretRule>) -> SwapWithinRotation {
        rule.and_then(|rule| rule.swap_within_rotation).unwrap_or(self.defaults.swap_within_rotation)
    }

    /// The bounds of the plugin calls of a secret with this rule.
    pub fn limits(&self, rule: Option<&SecretRule>) -> Limits {
        let limits = Limits::default().overridden(&self.limits);
        match rule {
            Some(rule) => limits.overridden(&rule.limits),
            None => limits,
        }
    }

    /// The longest that a plugin call of any secret may take.
    pub fn longest_call(&self) -> Duration {
        let calls = self.rules.iter().map(|rule| self.limits(Some(rule)).call());
        calls.fold(self.limits(None).call(), Duration::max)
    }

    /// The password options that hold where nobody says more about a secret.
    pub fn password(&self) -> PasswordOptions {
        self.defaults.password.clone().over(self.environment_password.clone())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("windlass.toml"), text).unwrap();
        Config::from_vars([], folder.path())
    }

    fn vars(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::from_vars(vars, Path::new("/nowhere"))
    }

    #[test]
    fn an_empty_environment_grants_nothing() {
        let config = vars(&[]).unwrap();
        assert_eq!(config.limits(None), Limits::default());
        assert_eq!(config.plugins, [PathBuf::from("/nowhere/plugins"), PathBuf::from("/opt/plugins")]);
        assert_eq!(config.loopback, Loopback::Never);
        let named = vars(&[("WINDLASS_PLUGINS", "/a:/b/c")]).unwrap();
        assert_eq!(named.plugins, [PathBuf::from("/a"), PathBuf::from("/b/c")]);
    }

    #[test]
    fn takes_the_variables_of_the_aws_templates() {
        let config = vars(&[
            ("SECRETS_MANAGER_ENDPOINT", "https://secretsmanager.example"),
            ("EXCLUDE_CHARACTERS", "/@"),
            ("PASSWORD_LENGTH", "40"),
            ("EXCLUDE_NUMBERS", ""),
        ])
        .unwrap();
        assert_eq!(config.secrets_manager_endpoint.as_deref(), Some("https://secretsmanager.example"));
        assert_eq!(config.environment_password.length, Some(40));
        assert_eq!(config.environment_password.exclude_characters.as_deref(), Some("/@"));
        assert_eq!(config.environment_password.exclude_numbers, None);
    }

    #[rstest]
    #[case::misspelt("WINDLASS_PLUGIN", "x", "WINDLASS_PLUGIN is unknown")]
    #[case::missing_file("WINDLASS_CONFIG", "/nowhere/windlass.toml", "cannot be read")]
    #[case::not_a_number("PASSWORD_LENGTH", "long", "PASSWORD_LENGTH is wrong")]
    #[case::too_long("PASSWORD_LENGTH", "9999", "from 1 to 4096")]
    fn a_wrong_variable_stops_the_start(#[case] name: &str, #[case] value: &str, #[case] part: &str) {
        let error = vars(&[(name, value)]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }

    #[rstest]
    #[case::unknown_key("danger_everything = true", "unknown field `danger_everything`")]
    #[case::certificate_without_key(
        "[[secrets]]\nsecret = \"a\"\nclient_certificate = { certificate_file = \"a.pem\" }",
        "missing field `key_file`"
    )]
    #[case::unknown_rule_key("[[secrets]]\nsecret = \"a\"\nadmn = \"b\"", "unknown field `admn`")]
    #[case::short_arn("[[secrets]]\nsecret = \"arn:aws:secretsmanager:a:1:secret:b\"", "matches no secret")]
    #[case::short_password(
        "[[secrets]]\nsecret = \"a\"\npassword = { length = 0 }",
        "the rule for `a` at line 1 has password options that cannot be met"
    )]
    #[case::nothing_generated(
        "[[secrets]]\nsecret = \"a\"\ngenerated = []",
        "the rule for `a` at line 1 has a `generated` that cannot be meant"
    )]
    #[case::digest("[[secrets]]\nsecret = \"a\"\ndigest = \"sha256:12\"", "digest")]
    #[case::limit("[limits]\ncall_seconds = 0", "expected `call_seconds` from 1 to 890 s")]
    #[case::endpoint("[[secrets]]\nsecret = \"a\"\nendpoints = [\"a.example\"]", "it has no port")]
    #[case::endpoint_of_all("[defaults]\nendpoints = [\"*:443\"]", "only at the begin")]
    #[case::password_of_all(
        "[defaults]\npassword = { length = 0 }",
        "the table `defaults` has password options that cannot be met"
    )]
    #[case::for_nobody("\n[[secrets]]\nadmin = \"b\"", "the rule at line 2 says of no secret that it is meant")]
    #[case::admin_by_tag("[[secrets]]\ntags = { team = \"a\" }\nadmin = \"b\"", "binds an admin credential without `secret`")]
    #[case::no_control_by_tag(
        "[[secrets]]\ntags = { team = \"a\" }\ninsecure_skip_negative_control = true",
        "skips the negative control without `secret`"
    )]
    #[case::certificate_by_tag(
        "[[secrets]]\ntags = { team = \"a\" }\nclient_certificate = { certificate_file = \"a.pem\", key_file = \"a.key\" }",
        "shows a client certificate without `secret`"
    )]
    #[case::limit_of_one("[[secrets]]\nsecret = \"a\"\nlimits = { memory_mib = 0 }", "expected `memory_mib` from 1 to 1024 MiB")]
    fn a_wrong_file_stops_the_start(#[case] text: &str, #[case] part: &str) {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[tls]\nca_files = [\"ca.pem\"]\n[[secrets]]\nsecret = \"a\"\n\
                    client_certificate = { certificate_file = \"app.pem\", key_file = \"/etc/app.key\" }";
        std::fs::write(folder.path().join("windlass.toml"), text).unwrap();
        let config = Config::from_vars([], folder.path()).unwrap();
        assert_eq!(config.ca_files, [folder.path().join("ca.pem")]);
        let files = ClientCertificateFiles { certificate_file: folder.path().join("app.pem"), key_file: "/etc/app.key".into() };
        assert_eq!(config.rules[0].client_certificate, Some(files));
    }

    #[test]
    fn the_example_of_the_readme_is_right() {
        let readme = include_str!("../../README.md");
        let (_, example) = readme.split_once("```toml\n# windlass.toml\n").unwrap();
        let (example, _) = example.split_once("```").unwrap();
        assert_eq!(read(example).unwrap().rules.len(), 1);
    }

    #[test]
    fn the_examples_of_the_guides_are_right() {
        for (guide, expected) in [
            (include_str!("../deploy/README.md"), 2),
            (include_str!("../deploy/MIGRATION.md"), 1),
            (include_str!("../CONFIGURATION.md"), 1),
        ] {
            let examples = guide.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
            let read: Vec<_> = examples.map(|example| read(example).unwrap_or_else(|error| panic!("{error}: {example}"))).collect();
            assert_eq!(read.len(), expected);
            assert!(read.iter().all(|config| !config.rules.is_empty()));
        }
    }

    #[test]
    fn the_first_rule_that_covers_a_secret_counts() {
        let config =
            read("[[secrets]]\nsecret = \"prod/app\"\nadmin = \"first\"\n[[secrets]]\nsecret = \"prod/*\"\nadmin = \"second\"")
                .unwrap();
        let arn = |name| SecretArn::parse(&format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-a1B2c3")).unwrap();
        let admin = |name| config.rule(&arn(name), &BTreeMap::new()).and_then(|rule| rule.admin.as_deref());
        assert_eq!((admin("prod/app"), admin("prod/other"), admin("test/app")), (Some("first"), Some("second"), None));
    }
}
