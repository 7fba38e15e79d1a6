//! `windlass doctor`: what is wrong with a secret's rotation and what to do about it.

use std::io::{self, BufRead, IsTerminal, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::aws::Aws;
use crate::capability::endpoint::Address;
use crate::capability::network::NetworkError;
use crate::cli::progress;
use crate::config::{Config, ConfigError, Loopback};
use crate::doctor::advice;
use crate::doctor::aws_command::AwsCommands;
use crate::doctor::diagnosis::remedy;
use crate::doctor::gather::{Doctor, Examination, GatherError};
use crate::doctor::words::{is_healthy, report};
use crate::doctor::{Finding, diagnose};
use crate::local::store::FunctionArn;
use crate::plugin::catalogue::Catalogue;
use crate::plugin::source::PluginSource;
use crate::redact::legible;
use crate::secrets::{Moved, SecretsManager};

/// What the process ends with when something is wrong.
const SOMETHING_IS_WRONG: u8 = 4;

/// Say what is wrong with a secret's rotation and which command mends it.
///
/// Reads labels, tags and values with your own AWS credentials, as the AWS CLI finds them, and never shows a value. Changes nothing
/// unless --apply is given. Begin with `windlass doctor SECRET --plugins DIR --config windlass.toml`, with the plugins and the
/// configuration of the function; add --probe to find out which version opens the service.
///
/// Ends with 0 if nothing is wrong, with 4 if something is, with 1 if the secret cannot be read.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The secret: name or ARN.
    secret: String,
    /// The function's configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder that holds the function's plugins; default `plugins` beside the configuration, if there are some in it. Not needed where the
    /// configuration has plugins come from S3.
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    /// Where Secrets Manager answers, if not in the region: what `windlass local` prints. AWS_ENDPOINT_URL_SECRETS_MANAGER works too.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Ask the service which version it accepts, by logging in with each as testSecret does. Asks you first: a wrong one counts as a
    /// failed login, and some services lock accounts after a few.
    #[arg(long)]
    probe: bool,
    /// Offer to run those commands that cannot lose a credential: take a stuck AWSPENDING away, and move AWSCURRENT to the one
    /// version that --probe has found to work. Asks before each.
    #[arg(long)]
    apply: bool,
    /// Do not ask. Without a terminal, --probe and --apply need it.
    #[arg(long)]
    yes: bool,
    /// The error that you see: of the event RotationFailed in CloudTrail, or of the function's log.
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// The ARN of the function that is to rotate the secret. Says so if another one does, as before a migration.
    #[arg(long, value_name = "ARN", value_parser = FunctionArn::parse)]
    function: Option<FunctionArn>,
    /// The age from which a pending version is taken for stuck. A younger one may be that of a rotation at work; a step takes at most 15
    /// minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 15)]
    stuck_after: u32,
    /// Print JSON instead of words.
    #[arg(long)]
    json: bool,
}

/// Why there is no diagnosis, or a remedy was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoctorError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `--plugins` is not a folder.
    #[error("--plugins {} is not a folder. Name the folder that holds the function's plugins", path.display())]
    Plugins {
        /// The path.
        path: PathBuf,
    },
    /// There is no plugin in the folder of `--plugins`, and S3 is not where they come from.
    #[error("there is no plugin in {}. Name the folder that holds the function's plugins, .wasm files, with --plugins", folder.display())]
    NoPlugins {
        /// The folder.
        folder: PathBuf,
    },
    /// Nobody says which region the secret is in.
    #[error("there is no AWS region. Set AWS_REGION, or choose a profile with one by AWS_PROFILE")]
    NoRegion,
    /// Certificates of the configuration cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The secret cannot be read, or the service not asked.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// There is nobody to ask.
    #[error("{what} asks first, and standard input is no terminal. Give --yes to do it without being asked")]
    NobodyToAsk {
        /// The option.
        what: &'static str,
    },
    /// The service cannot be asked.
    #[error("--probe needs the function's plugins. Name their folder with --plugins DIR")]
    NothingToProbeWith,
    /// The result cannot be shown, or the answer cannot be read.
    #[error("the result cannot be written: {0}")]
    Terminal(#[from] io::Error),
}

/// Reads, diagnoses, shows, and does what the operator agrees to.
///
/// # Errors
///
/// [`DoctorError`]. What was found is no error.
pub async fn run(args: Args, out: &mut impl Write) -> Result<ExitCode, DoctorError> {
    let endpoint = args.endpoint.clone().or_else(endpoint_of_environment);
    let aws = Aws::from_environment().await;
    if !aws.has_region() {
        return Err(DoctorError::NoRegion);
    }
    let (config, source) = configuration(&args, endpoint.as_deref(), &aws)?;
    let doctor = Doctor {
        secrets: SecretsManager::in_aws(&aws, args.endpoint.as_deref()),
        config,
        source,
        stuck_after: Duration::from_secs(u64::from(args.stuck_after) * 60),
        seen_error: args.error.clone(),
        meant_function: args.function.as_ref().map(|function| function.as_str().to_owned()),
    };
    let asker = Asker { yes: args.yes };
    if args.probe && doctor.source.is_none() {
        return Err(DoctorError::NothingToProbeWith);
    }
    let mut examination = doctor.examine(&args.secret).await?;
    if args.probe {
        probe(&doctor, &mut examination, &asker).await?;
    }
    let mut findings = diagnose(&examination.facts);
    if args.apply {
        (examination, findings) = apply(&args, &doctor, examination, findings, &asker).await?;
    }
    let report = report(&examination.facts, &findings, args.endpoint.as_deref());
    if args.json {
        let json = serde_json::to_string_pretty(&report).map_err(io::Error::from)?;
        writeln!(out, "{}", legible::json(&json))?;
    } else {
        out.write_all(report.words().as_bytes())?;
    }
    Ok(if is_healthy(&findings) { ExitCode::SUCCESS } else { ExitCode::from(SOMETHING_IS_WRONG) })
}

/// The function's configuration and plugins, as far as the operator has them.
fn configuration(args: &Args, endpoint: Option<&str>, aws: &Aws) -> Result<(Config, Option<PluginSource>), DoctorError> {
    let beside = args.config.as_deref().and_then(Path::parent).map(|folder| folder.join("plugins"));
    let beside = beside.filter(|folder| holds_plugins(folder));
    if let Some(path) = args.plugins.clone().filter(|path| !path.is_dir()) {
        return Err(DoctorError::Plugins { path });
    }
    let folder = args.plugins.clone().or(beside);
    let mut config = Config::with_plugins(folder.clone().unwrap_or_default());
    if let Some(local) = endpoint.and_then(on_this_machine) {
        // As for `windlass local` itself: plugins may reach this machine, but never the endpoint, which hands every secret out.
        config.loopback = Loopback::Local;
        config.runtime_api = Some(local);
    }
    if let Some(path) = &args.config {
        config.read_file(path)?;
    }
    let from_s3 = !config.s3.prefixes.is_empty();
    if let Some(folder) = args.plugins.clone().filter(|folder| !from_s3 && !holds_plugins(folder)) {
        return Err(DoctorError::NoPlugins { folder });
    }
    let source = (folder.is_some() || from_s3).then(|| PluginSource::configured(&config, aws));
    Ok((config, source))
}

/// Whether there is a plugin in a folder, if there is the folder. One that cannot be listed may hold some: whoever reads it will say what
/// is wrong.
fn holds_plugins(folder: &Path) -> bool {
    Catalogue::new(vec![folder.to_owned()]).files().map_or(true, |files| !files.is_empty())
}

/// Where the SDK finds Secrets Manager if no option says it.
#[expect(clippy::disallowed_methods, reason = "the SDK reads the same variables at the same moment, once, at the command's start")]
fn endpoint_of_environment() -> Option<String> {
    ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"].into_iter().find_map(|name| std::env::var(name).ok())
}

/// `host:port` of a URL that leads to loopback.
fn on_this_machine(url: &str) -> Option<String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let authority = rest.split('/').next()?;
    let address = Address::parse(authority).ok()?;
    let loopback = address.host == "localhost" || address.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    loopback.then(|| authority.to_owned())
}

/// Asks the service, if the operator agrees.
async fn probe(doctor: &Doctor, examination: &mut Examination, asker: &Asker) -> Result<(), DoctorError> {
    let logins = doctor.logins(examination);
    if logins == 0 {
        progress("Nothing to ask the service with; what stands below says why.");
        return Ok(());
    }
    let service = examination.facts.plugin.chosen.as_ref().map(|chosen| chosen.endpoints.join(", ")).unwrap_or_default();
    progress(&format!(
        "--probe logs in at {} with at most {logins} stored values, each once, and with a wrong one if none of them is refused. Each wrong \
         one counts as a failed login there, and some services lock accounts after a few.",
        legible::line(&service)
    ));
    if asker.agrees("--probe", "Log in?")? {
        doctor.probe(examination).await?;
    } else {
        progress("Not asked.");
    }
    Ok(())
}

/// Offers remedies one by one, and reads and thinks again after each.
async fn apply(
    args: &Args,
    doctor: &Doctor,
    mut examination: Examination,
    mut findings: Vec<Finding>,
    asker: &Asker,
) -> Result<(Examination, Vec<Finding>), DoctorError> {
    let mut offered = Vec::new();
    loop {
        let mut open = findings.iter().filter_map(|finding| Some((finding, remedy(&examination.facts, finding)?)));
        let Some((finding, remedy)) = open.find(|(_, remedy)| !offered.contains(remedy)) else { break };
        let arn = examination.facts.examined.arn.clone();
        let command = advice::command(&remedy, AwsCommands::new(&arn, args.endpoint.as_deref()));
        progress(&format!(
            "{}: {}\n\n      {command}\n",
            finding.name(),
            legible::line(&advice::advice(finding, AwsCommands::new(&arn, None)).what)
        ));
        offered.push(remedy.clone());
        if !asker.agrees("--apply", "Run this?")? {
            progress("Not run.");
            continue;
        }
        match doctor.apply(&arn, &remedy).await? {
            Moved::Yes => progress("Done."),
            Moved::HolderChanged => progress("Not done: the label has moved meanwhile. Here is how it is now."),
        }
        let mut after = doctor.examine(arn.as_str()).await?;
        after.remember(&examination);
        examination = after;
        findings = diagnose(&examination.facts);
    }
    if offered.is_empty() {
        progress("--apply: there is nothing that can be done without risking a credential.");
    }
    Ok((examination, findings))
}

/// Whom to ask.
struct Asker {
    yes: bool,
}

impl Asker {
    /// Asks on the terminal; nothing but `y` or `yes` agrees.
    fn agrees(&self, what: &'static str, question: &str) -> Result<bool, DoctorError> {
        if self.yes {
            return Ok(true);
        }
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Err(DoctorError::NobodyToAsk { what });
        }
        write!(io::stderr(), "{question} [y/N] ")?;
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://127.0.0.1:4566", Some("127.0.0.1:4566"))]
    #[case("http://localhost:4566/", Some("localhost:4566"))]
    #[case("http://[::1]:4566", Some("[::1]:4566"))]
    #[case("https://secretsmanager.eu-west-1.amazonaws.com", None)]
    #[case("https://vpce-1.example.com:443", None)]
    #[case("http://127.0.0.1", None)]
    #[case("", None)]
    fn only_an_endpoint_on_this_machine_opens_loopback_to_plugins(#[case] url: &str, #[case] expected: Option<&str>) {
        assert_eq!(on_this_machine(url).as_deref(), expected);
    }
}
