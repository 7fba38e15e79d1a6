//! Configuration: the environment and `windlass.toml`, read once at start and passed in.
//!
//! Broken or unknown configuration stops the start: an operator who misspells a restriction must not run without it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::candidate::WHOLE;
use crate::event::SecretArn;
use crate::manifest::PluginName;
use crate::password::{PasswordError, PasswordOptions, PasswordPolicy};
use crate::plugin::digest::Digest;

/// Everything that is decided before the first event.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder that holds the plugins. `WINDLASS_PLUGINS`; default `plugins` beside the executable.
    pub plugins: PathBuf,
    /// Where Secrets Manager answers, if not at the region's own endpoint. `SECRETS_MANAGER_ENDPOINT`, as in AWS's templates; the
    /// SDK's `AWS_ENDPOINT_URL_SECRETS_MANAGER` and `AWS_ENDPOINT_URL` work too.
    pub secrets_manager_endpoint: Option<String>,
    /// `AWS_LAMBDA_RUNTIME_API`, which no plugin may ever reach.
    pub runtime_api: Option<String>,
    /// Password options for every secret that says nothing else: the environment variables of AWS's templates.
    pub password: PasswordOptions,
    /// Rules for secrets, in the file's order; the first that matches a secret counts.
    pub rules: Vec<SecretRule>,
    /// Certificate authorities to trust besides the system's, as PEM files.
    pub ca_files: Vec<PathBuf>,
    /// Bounds of a plugin call.
    pub limits: Limits,
    /// Which loopback addresses plugins may reach. None, unless a `danger_` setting or a local command says so.
    pub loopback: Loopback,
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

/// Bounds of one plugin call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest run of one call, default 25 s, 1 s to 890 s. The Lambda's remaining time less [`Limits::RESERVE`] bounds it too.
    pub call: Duration,
    /// All linear memories and tables of a call together, in bytes. Default 64 MiB, 1 MiB to 1 GiB.
    pub memory: usize,
    /// Longest wait for a connection (resolve, connect and TLS each). Default 5 s, 100 ms to 60 s.
    pub connect: Duration,
    /// Longest wait for one read or write. Default 10 s, 100 ms to 60 s.
    pub io: Duration,
}

impl Limits {
    /// Time that is kept back from the Lambda's deadline for answering with a typed error.
    pub const RESERVE: Duration = Duration::from_millis(500);
}

impl Default for Limits {
    fn default() -> Self {
        Self { call: Duration::from_secs(25), memory: 64 << 20, connect: Duration::from_secs(5), io: Duration::from_secs(10) }
    }
}

/// What the operator says about one secret or a group of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRule {
    /// Which secrets: a name, a name that ends in `*`, or a full ARN.
    pub secret: String,
    /// The plugin to use, whatever the secret's tags say.
    pub plugin: Option<PluginName>,
    /// The digest that the plugin must have, `sha256:…` as `windlass inspect` prints it.
    #[serde(default, deserialize_with = "digest")]
    pub digest: Option<Digest>,
    /// Name or ARN of the secret that holds the admin credential. Without it a plugin never sees one. That secret names the same host
    /// as the rotated one, or `endpoints` says where the credential may be sent.
    pub admin: Option<String>,
    /// Which fields createSecret fills with new values.
    pub generated: Option<Vec<String>>,
    /// Where the plugin may connect, as `host:port`. Without it: where its manifest derives from the secret.
    pub endpoints: Option<Vec<String>>,
    /// Values for the plugin's settings.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// What generated values look like.
    #[serde(default)]
    pub password: PasswordOptions,
}

fn digest<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Digest>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

impl SecretRule {
    /// Whether this rule is about `secret`.
    pub fn covers(&self, secret: &SecretArn) -> bool {
        if self.secret.starts_with("arn:") {
            return self.secret == secret.as_str();
        }
        match self.secret.strip_suffix('*') {
            Some(prefix) => secret.name().starts_with(prefix),
            None => self.secret == secret.name(),
        }
    }
}

/// What is wrong with the configuration.
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
    /// The file is not what it should be. The text is the parser's, with line and column.
    #[error("the configuration file {path} is wrong: {why}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What and where.
        why: String,
    },
    /// A number is out of its range.
    #[error("the configuration file {path} is wrong: `limits.{name}` must be {range}")]
    Range {
        /// The file.
        path: PathBuf,
        /// The limit's name.
        name: &'static str,
        /// From what to what.
        range: &'static str,
    },
    /// A rule's password options are impossible.
    #[error("the configuration file {path} is wrong: the password options for `{secret}` cannot be met: {source}")]
    RulePassword {
        /// The file.
        path: PathBuf,
        /// The rule's `secret`.
        secret: String,
        /// Why.
        source: PasswordError,
    },
    /// A rule's `generated` cannot be meant.
    #[error("the configuration file {path} is wrong: `generated` for `{secret}` must name fields, or be [\"*\"] alone")]
    RuleGenerated {
        /// The file.
        path: PathBuf,
        /// The rule's `secret`.
        secret: String,
    },
    /// A rule's `secret` cannot match anything.
    #[error(
        "the configuration file {path} is wrong: `{pattern}` matches no secret. Write a name, a name that ends in `*`, or a full ARN"
    )]
    Pattern {
        /// The file.
        path: PathBuf,
        /// What was written.
        pattern: String,
    },
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
    secrets: Vec<SecretRule>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct TlsTable {
    #[serde(default)]
    ca_files: Vec<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    call_seconds: Option<u64>,
    memory_mib: Option<usize>,
    connect_milliseconds: Option<u64>,
    io_milliseconds: Option<u64>,
}

impl Config {
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
        let mut file = None;
        for (name, value) in vars {
            // AWS's templates are deployed with empty variables for parameters that were left out.
            if value.is_empty() {
                continue;
            }
            match name.as_str() {
                "SECRETS_MANAGER_ENDPOINT" => config.secrets_manager_endpoint = Some(value),
                "AWS_LAMBDA_RUNTIME_API" => config.runtime_api = Some(value),
                "WINDLASS_PLUGINS" => config.plugins = PathBuf::from(value),
                "WINDLASS_CONFIG" => file = Some(PathBuf::from(value)),
                "WINDLASS_LOG" => {} // read by `log`
                variable if Self::PASSWORD_VARIABLES.contains(&variable) => {
                    let option = name.to_ascii_lowercase();
                    config.password.set(&option, &value).map_err(|source| ConfigError::Password { name, source })?;
                }
                unknown if unknown.starts_with("WINDLASS_") => return Err(ConfigError::UnknownVariable { name }),
                _ => {}
            }
        }
        PasswordPolicy::new(&config.password)
            .map_err(|source| ConfigError::Password { name: "PASSWORD_LENGTH, EXCLUDE_…".to_owned(), source })?;
        let default = home.join("windlass.toml");
        match file {
            Some(path) => config.read_file(&path)?,
            None if default.exists() => config.read_file(&default)?,
            None => {}
        }
        Ok(config)
    }

    /// A configuration that says nothing but where the plugins are.
    pub fn with_plugins(plugins: PathBuf) -> Self {
        Self {
            plugins,
            secrets_manager_endpoint: None,
            runtime_api: None,
            password: PasswordOptions::default(),
            rules: Vec::new(),
            ca_files: Vec::new(),
            limits: Limits::default(),
            loopback: Loopback::default(),
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

    /// Reads the text of a `windlass.toml` that stands at `path`; the file itself is not touched.
    ///
    /// # Errors
    ///
    /// As [`Config::from_vars`].
    pub fn read_text(&mut self, text: &str, path: &Path) -> Result<(), ConfigError> {
        let syntax =
            |error: toml::de::Error| ConfigError::Syntax { path: path.to_owned(), why: error.to_string().trim_end().to_owned() };
        let file: File = toml::from_str(text).map_err(syntax)?;
        for rule in &file.secrets {
            let stars = rule.secret.matches('*').count();
            let possible = !rule.secret.is_empty() && (stars == 0 || (stars == 1 && rule.secret.ends_with('*')));
            if !possible || (rule.secret.starts_with("arn:") && SecretArn::parse(&rule.secret).is_err()) {
                return Err(ConfigError::Pattern { path: path.to_owned(), pattern: rule.secret.clone() });
            }
            PasswordPolicy::new(&rule.password.clone().over(self.password.clone()))
                .map_err(|source| ConfigError::RulePassword { path: path.to_owned(), secret: rule.secret.clone(), source })?;
            let whole = |names: &Vec<String>| names.iter().any(|name| name == WHOLE) && names.len() > 1;
            if rule.generated.as_ref().is_some_and(|names| names.is_empty() || whole(names)) {
                return Err(ConfigError::RuleGenerated { path: path.to_owned(), secret: rule.secret.clone() });
            }
        }
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        self.ca_files.extend(file.tls.ca_files.iter().map(|ca| folder.join(ca)));
        self.rules.extend(file.secrets);
        self.limits = file.limits.limits(path)?;
        if !file.danger_loopback_endpoints.is_empty() && self.loopback != Loopback::Local {
            self.loopback = Loopback::Endpoints(file.danger_loopback_endpoints);
        }
        Ok(())
    }

    /// The rule for a secret: the first of the file that covers it.
    pub fn rule(&self, secret: &SecretArn) -> Option<&SecretRule> {
        self.rules.iter().find(|rule| rule.covers(secret))
    }
}

impl LimitsTable {
    fn limits(self, path: &Path) -> Result<Limits, ConfigError> {
        let default = Limits::default();
        let within = |value: Option<u64>, least, most, name, range| match value {
            Some(value) if !(least..=most).contains(&value) => Err(ConfigError::Range { path: path.to_owned(), name, range }),
            other => Ok(other),
        };
        let call = within(self.call_seconds, 1, 890, "call_seconds", "1 to 890")?;
        let memory = within(self.memory_mib.map(|mib| mib as u64), 1, 1024, "memory_mib", "1 to 1024")?;
        let connect = within(self.connect_milliseconds, 100, 60_000, "connect_milliseconds", "100 to 60000")?;
        let io = within(self.io_milliseconds, 100, 60_000, "io_milliseconds", "100 to 60000")?;
        Ok(Limits {
            call: call.map_or(default.call, Duration::from_secs),
            memory: memory.map_or(default.memory, |mib| (mib as usize) << 20),
            connect: connect.map_or(default.connect, Duration::from_millis),
            io: io.map_or(default.io, Duration::from_millis),
        })
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
        assert_eq!((config.plugins, config.loopback), (PathBuf::from("/nowhere/plugins"), Loopback::Never));
        assert_eq!(config.limits, Limits::default());
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
        assert_eq!(config.password.length, Some(40));
        assert_eq!(config.password.exclude_characters.as_deref(), Some("/@"));
        assert_eq!(config.password.exclude_numbers, None);
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
    #[case::unknown_rule_key("[[secrets]]\nsecret = \"a\"\nadmn = \"b\"", "unknown field `admn`")]
    #[case::star_in_the_middle("[[secrets]]\nsecret = \"a*b\"", "matches no secret")]
    #[case::short_arn("[[secrets]]\nsecret = \"arn:aws:secretsmanager:a:1:secret:b\"", "matches no secret")]
    #[case::short_password("[[secrets]]\nsecret = \"a\"\npassword = { length = 0 }", "the password options for `a` cannot be met")]
    #[case::nothing_generated("[[secrets]]\nsecret = \"a\"\ngenerated = []", "`generated` for `a` must name fields")]
    #[case::digest("[[secrets]]\nsecret = \"a\"\ndigest = \"sha256:12\"", "digest")]
    #[case::limit("[limits]\ncall_seconds = 0", "`limits.call_seconds` must be 1 to 890")]
    fn a_wrong_file_stops_the_start(#[case] text: &str, #[case] part: &str) {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn the_first_rule_that_covers_a_secret_counts() {
        let config =
            read("[[secrets]]\nsecret = \"prod/app\"\nadmin = \"first\"\n[[secrets]]\nsecret = \"prod/*\"\nadmin = \"second\"")
                .unwrap();
        let arn = |name| SecretArn::parse(&format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-a1B2c3")).unwrap();
        let admin = |name| config.rule(&arn(name)).and_then(|rule| rule.admin.as_deref());
        assert_eq!((admin("prod/app"), admin("prod/other"), admin("test/app")), (Some("first"), Some("second"), None));
    }
}
