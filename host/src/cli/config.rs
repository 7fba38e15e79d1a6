//! `windlass config`: whether a `windlass.toml` is right, and what it means for a secret.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::capability::network::Network;
use crate::cli::CommandResult;
use crate::config::Config;
use crate::config::explain::{Explained, explain};
use crate::event::SecretArn;
use crate::redact::legible;

/// Check a configuration file.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Check(Check),
}

/// Check a windlass.toml as the function does when it starts, with the files that it names.
#[derive(Debug, clap::Args)]
struct Check {
    /// The configuration file.
    file: PathBuf,
    /// Print what holds for this secret (a name, or a full ARN if rules name ARNs), and where each value comes from.
    #[arg(long, value_name = "SECRET")]
    explain: Option<String>,
    /// A tag of that secret: rules choose by tags, and `windlass:` tags say what rules leave open; may be given several times.
    #[arg(long = "tag", value_name = "KEY=VALUE", requires = "explain", value_parser = tag)]
    tags: Vec<(String, String)>,
    /// Print JSON instead of words.
    #[arg(long, requires = "explain")]
    json: bool,
}

/// Why `--explain` explains nothing.
#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error("--explain: `{0}` is neither the name nor the full ARN of a secret")]
    NoSecret(String),
}

/// Runs the command.
///
/// # Errors
///
/// The configuration is wrong ([`crate::config::ConfigError`], [`crate::capability::network::NetworkError`]), SECRET is no secret, or one of its
/// `windlass:` tags would stop its rotation.
pub fn run(args: &Args, out: &mut impl Write) -> CommandResult {
    let Command::Check(check) = &args.command;
    let mut config = Config::with_plugins(PathBuf::new());
    config.read_file(&check.file)?;
    // Reads the certificates, as the start of the function does.
    Network::new(&config)?;
    let shown = legible::line(&check.file.display().to_string());
    let Some(secret) = &check.explain else {
        let rules = config.rules.len();
        writeln!(out, "{shown} is right: {rules} rule{} for secrets", if rules == 1 { "" } else { "s" })?;
        return Ok(ExitCode::SUCCESS);
    };
    let arn = arn(secret)?;
    let tags: BTreeMap<String, String> = check.tags.iter().cloned().collect();
    let explained = explain(&config, &arn, &tags)?;
    if check.json {
        serde_json::to_writer_pretty(&mut *out, &explained)?;
        writeln!(out)?;
        return Ok(ExitCode::SUCCESS);
    }
    match config.rule(&arn, &tags) {
        Some(rule) => writeln!(out, "{} is covered by {rule} of {shown}.\n", legible::line(secret))?,
        None => writeln!(out, "{} is covered by no rule of {shown}.\n", legible::line(secret))?,
    }
    out.write_all(words(&explained).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The ARN to compare with the rules. A name gets one that no rule by ARN is for.
fn arn(secret: &str) -> Result<SecretArn, ExplainError> {
    let no_secret = || ExplainError::NoSecret(legible::line(secret));
    if secret.starts_with("arn:") {
        return SecretArn::parse(secret).map_err(|_| no_secret());
    }
    SecretArn::parse(&format!("arn:aws:secretsmanager:any-region:000000000000:secret:{secret}-000000")).map_err(|_| no_secret())
}

fn words(explained: &[Explained]) -> String {
    let width = explained.iter().map(|of| of.key.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for Explained { key, value, origin, unless } in explained {
        let value = value.as_deref().map_or_else(|| "not set".to_owned(), legible::line);
        let unless = match (unless, value.as_str()) {
            (Some(unless), "not set") => format!(": {unless}"),
            (Some(unless), _) => format!(", unless {unless}"),
            (None, _) => String::new(),
        };
        text.push_str(&format!("  {:width$}  {value}  ({origin}{unless})\n", legible::line(key)));
    }
    text
}
