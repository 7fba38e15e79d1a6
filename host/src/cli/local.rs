//! `windlass local`: a Secrets Manager on this machine that really rotates.

pub mod account;
pub mod other_function;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use account::AccountArgs;
use other_function::OtherFunction;

use crate::aws::Aws;
use crate::capability::network::{Network, NetworkError};
use crate::config::{Config, ConfigError};
use crate::local::backend::Backend;
use crate::local::bootstrap_process::{BootstrapError, BootstrapProcess, FunctionSettings, Output};
use crate::local::engine::{Engine, Happened, Pace, Report};
use crate::local::fault::Fault;
use crate::local::invoker::{Invoker, Invokers};
use crate::local::lambda_endpoint::LambdaEndpoint;
use crate::local::server::{Listen, ListenError, Server};
use crate::local::service_proxy::{ProxiedService, ServiceProxy};
use crate::local::state_file::StateFileError;
use crate::local::store::{ElsewhereError, FunctionArn, FunctionArnError, RotationKind};
use crate::plugin::code::compiler::Compiler;
use crate::plugin::load::{LoadError, Plugins};
use crate::plugin::source::PluginSource;
use crate::redact::legible;
use crate::rotation::Rotator;
use crate::secrets::SecretsManager;

/// Serve a Secrets Manager endpoint on this machine that really rotates, for the AWS command line and SDKs.
///
/// Secrets live in memory and are gone when the command ends, unless --state names a file. Signatures of requests are not checked.
/// Rotation rules are checked, kept and shown as NextRotationDate, but nothing is rotated when it is due: `rotate-secret` does. Resource
/// policies are kept and not evaluated.
#[derive(Debug, Clone, clap::Args)]
pub struct LocalArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Let other machines connect. Everyone who reaches the address reads every secret.
    #[arg(long)]
    pub danger_listen_anywhere: bool,
    /// The folder that holds the plugins. A function behind --lambda-endpoint has its own.
    #[arg(long, value_name = "DIR", required_unless_present = "lambda_endpoint")]
    pub plugins: Option<PathBuf>,
    /// The ARN to rotate with; its region and account are those of the secrets.
    #[arg(long, value_name = "ARN", default_value = FunctionArn::DEFAULT)]
    pub function_arn: String,
    /// Run the steps in this `bootstrap` executable, as Lambda does, instead of in this process.
    #[arg(long, value_name = "PATH")]
    pub bootstrap: Option<PathBuf>,
    /// Invoke the function there, as the API of Lambda does it: http://HOST:PORT of cargo-lambda, SAM or another double of Lambda.
    ///
    /// That function, of whatever make, has to be told where this Secrets Manager is: AWS_ENDPOINT_URL_SECRETS_MANAGER, or
    /// SECRETS_MANAGER_ENDPOINT for AWS's templates. Its name is that of --function-arn.
    #[arg(long, value_name = "URL", conflicts_with_all = ["bootstrap", "config", "plugins"])]
    pub lambda_endpoint: Option<LambdaEndpoint>,
    /// Let secrets be rotated with another function, too: ARN=http://HOST:PORT of a double of Lambda. For rehearsing how a secret changes
    /// its function; host/deploy/MIGRATION.md does. May be given several times.
    #[arg(long, value_name = "ARN=URL")]
    pub other_function: Vec<OtherFunction>,
    /// The configuration of the rotation function.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep everything in this file, so that it survives the end of the process. Values are in the clear; only you may read it.
    ///
    /// A rotation that was under way when the process ended is taken up again with the same version.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Let something go wrong: PLACE[#N]:TROUBLE[=ARGUMENT]. May be given several times.
    ///
    /// PLACE is an operation (PutSecretValue), a step (setSecret), or `service`, a request through --service-proxy; #N its N-th
    /// occurrence from 1 (the default), #* every one. TROUBLE is one of throttle, error, unavailable, lost-request, lost-answer,
    /// latency=TIME, late=TIME, stale=N, stale=TIME, kill, kill-after, duplicate, or what somebody else does: store-current,
    /// move-current, take-pending, cancel, delete, swap-plugin (NAME.wasm.next replaces NAME.wasm in the folder of plugins). TIME is such
    /// as 250ms or 2s.
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<Fault>,
    /// Listen on a loopback address and pass everything on to a service, so that a --fault at `service` can happen in between.
    ///
    /// Write LISTEN=HOST:PORT, such as 127.0.0.1:16379=127.0.0.1:6379, and LISTEN into the secret. May be given several times.
    #[arg(long, value_name = "LISTEN=HOST:PORT")]
    pub service_proxy: Vec<ProxiedService>,
    /// How it behaves.
    #[command(flatten)]
    pub account: AccountArgs,
    /// Print one JSON object per line.
    #[arg(long)]
    pub json: bool,
}

/// Why `windlass local` does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// `--plugins` is not a folder.
    #[error("--plugins {path} is not a folder. Build a plugin with `windlass build` and name the folder it is in")]
    Plugins {
        /// The path.
        path: PathBuf,
    },
    /// `--function-arn` is not one.
    #[error("--function-arn: {0}")]
    Function(#[from] FunctionArnError),
    /// `--other-function` is of another region or account.
    #[error("--other-function: {0}")]
    OtherFunction(#[from] ElsewhereError),
    /// `--listen` cannot be listened on.
    #[error("--listen: {0}")]
    Listen(#[source] ListenError),
    /// `--service-proxy` cannot be listened on.
    #[error("--service-proxy: {0}")]
    ServiceProxy(#[source] ListenError),
    /// `--state` cannot be used.
    #[error("--state: {0}")]
    State(#[from] StateFileError),
    /// `--bootstrap` cannot be run.
    #[error("--bootstrap: {0}")]
    Bootstrap(#[from] BootstrapError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Certificates or grants of the configuration cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The plugin runtime does not start.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The standard output is gone, or signals cannot be handled.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
///
/// [`LocalError`], before anything is served, except when the standard output goes away.
pub async fn run(args: LocalArgs, mut out: impl Write) -> Result<(), LocalError> {
    if let Some(path) = args.plugins.as_ref().filter(|path| !path.is_dir()) {
        return Err(LocalError::Plugins { path: path.clone() });
    }
    let function = FunctionArn::parse(&args.function_arn)?;
    // The function in `--bootstrap` reads it for itself, with the first rotation; mistakes are for now.
    let mut config = Config::with_plugins(args.plugins.clone().unwrap_or_default());
    if let Some(path) = &args.config {
        config.read_file(path)?;
    }
    let pace = args.account.pace(Pace::for_calls(config.longest_call()));
    let listen = if args.danger_listen_anywhere { Ok(Listen::danger_anywhere(args.listen)) } else { Listen::loopback(args.listen) };
    let mut store = args.account.store(&function);
    for other in &args.other_function {
        store.also_invoke(other.function.clone())?;
    }
    let (backend, begun) = match &args.state {
        Some(path) => Backend::with_state_file(store, path)?,
        None => Backend::with_store(store),
    };
    if let Some(plugins) = args.plugins.clone() {
        backend.when_swapped(move || swap_plugins(&plugins));
    }
    args.fault.iter().for_each(|fault| backend.faults().arm(fault.clone()));
    let mut proxies = Vec::new();
    for service in &args.service_proxy {
        proxies.push(ServiceProxy::start(service, Arc::clone(&backend)).await.map_err(LocalError::ServiceProxy)?);
    }
    let server = Server::start(listen.map_err(LocalError::Listen)?, backend.clone()).await.map_err(LocalError::Listen)?;
    let endpoint = server.endpoint();
    let usual = match (args.bootstrap.clone(), args.lambda_endpoint.clone()) {
        (_, Some(lambda)) => Invoker::Lambda(lambda, function.clone()),
        (Some(executable), None) => Invoker::Bootstrap(Box::new(
            BootstrapProcess::new(FunctionSettings {
                executable,
                function: function.clone(),
                endpoint: endpoint.clone(),
                plugins: args.plugins.clone(),
                config: args.config.clone(),
                variables: Vec::new(),
                output: Output::StandardError,
            })
            .await?,
        )),
        (None, None) => in_process(config, &server).await?,
    };
    let others = args.other_function.iter().map(|OtherFunction { function, lambda }| {
        (function.as_str().to_owned(), Invoker::Lambda(lambda.clone(), function.clone()))
    });
    let invokers = Invokers { usual, others: others.collect::<BTreeMap<_, _>>() };
    // Before the first line is printed, so that whoever waits for it may send a signal.
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (sender, mut reports) = mpsc::unbounded_channel();
    let engine = Engine::start(backend, begun, invokers, pace, sender);
    if args.json {
        let ready =
            json!({ "event": "Listening", "endpoint": endpoint, "function": function.as_str(), "region": function.region() });
        writeln!(out, "{ready}")?;
    } else {
        write!(out, "{}", Paste { endpoint: &endpoint, function: &function, kept: args.state.is_some() })?;
    }
    out.flush()?;
    loop {
        tokio::select! {
            Some(report) = reports.recv() => {
                if args.json { writeln!(out, "{}", as_json(&report))? } else { writeln!(out, "{}", Line(&report))? }
                out.flush()?;
            }
            _ = interrupted.recv() => break,
            _ = terminated.recv() => break,
        }
    }
    // In this order: no new requests, no new steps, and with the engine goes the function's process.
    drop((server, engine, proxies));
    Ok(())
}

/// Each `NAME.wasm.next` becomes `NAME.wasm`. Whoever injects the fault sees by the digest in the log whether it did.
fn swap_plugins(folder: &Path) {
    let Ok(entries) = folder.read_dir() else { return };
    for next in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.extension() == Some("next".as_ref())) {
        let _stays = std::fs::rename(&next, next.with_extension(""));
    }
}

/// What runs the steps in this process. Plugins may reach loopback, but not the endpoint.
async fn in_process(mut config: Config, server: &Server) -> Result<Invoker, LocalError> {
    server.out_of_reach(&mut config);
    let source = PluginSource::configured(&config, &Aws::from_environment().await);
    let network = Network::new(&config)?;
    let plugins = Plugins::new(Compiler::InProcess)?.with_policy(config.code.clone()).with_scratch(std::env::temp_dir());
    let rotator = Rotator::new(config, source, SecretsManager::local(&server.endpoint()), plugins, network);
    Ok(Invoker::rotator(Arc::new(rotator), |_| ()))
}

/// What to paste into another terminal.
struct Paste<'a> {
    endpoint: &'a str,
    function: &'a FunctionArn,
    kept: bool,
}

impl fmt::Display for Paste<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Paste { endpoint, function, kept } = self;
        writeln!(f, "export AWS_ENDPOINT_URL_SECRETS_MANAGER={endpoint}")?;
        writeln!(f, "export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION={}", function.region())?;
        writeln!(f)?;
        writeln!(f, "# then, for example (PLUGIN is the name of a plugin, without .wasm):")?;
        writeln!(f, "#   aws secretsmanager create-secret --name my/app --secret-string file://secret.json \\")?;
        writeln!(f, "#       --tags Key=windlass:plugin,Value=PLUGIN")?;
        writeln!(f, "#   aws secretsmanager rotate-secret --secret-id my/app --rotation-lambda-arn {} \\", function.as_str())?;
        writeln!(f, "#       --rotation-rules AutomaticallyAfterDays=30")?;
        writeln!(f, "#   aws secretsmanager describe-secret --secret-id my/app")?;
        writeln!(f, "# Ctrl-C ends it; the secrets {} then.", if *kept { "stay in the state file" } else { "are gone" })?;
        writeln!(f)
    }
}

/// A report as one line for people.
struct Line<'a>(&'a Report);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report) = self;
        write!(f, "{} {} {}", clock(report.at), secret_name(&report.arn), event_name(report))?;
        match &report.happened {
            Happened::Started { attempt } => write!(f, " version {} (attempt {attempt})", report.version),
            Happened::StepSucceeded { step, took } => write!(f, " {step} {}", Took(*took)),
            Happened::StepFailed { step, took, error } => {
                write!(f, " {step} {}: {}: {}", Took(*took), legible::line(&error.error_type), legible::line(&error.error_message))
            }
            Happened::Succeeded => Ok(()),
            Happened::Failed { why, next: Some(pause) } => write!(f, ": {}; next attempt in {}", legible::line(why), Took(*pause)),
            Happened::Failed { why, next: None } => {
                write!(f, ": {}; no attempts left, `rotate-secret` starts them again", legible::line(why))
            }
            Happened::Abandoned { why } => write!(f, ": {why}"),
        }
    }
}

fn as_json(report: &Report) -> serde_json::Value {
    let mut line = json!({
        "event": event_name(report),
        "at": crate::local::api::seconds(report.at),
        "secret": report.arn,
        "version": report.version,
    });
    match &report.happened {
        Happened::Started { attempt } => line["attempt"] = (*attempt).into(),
        Happened::StepSucceeded { step, took } => {
            line["step"] = step.name().into();
            line["milliseconds"] = json!(took.as_secs_f64() * 1000.0);
        }
        Happened::StepFailed { step, took, error } => {
            line["step"] = step.name().into();
            line["milliseconds"] = json!(took.as_secs_f64() * 1000.0);
            line["errorType"] = error.error_type.as_str().into();
            line["errorMessage"] = error.error_message.as_str().into();
        }
        Happened::Succeeded => {}
        Happened::Failed { why, next } => {
            line["why"] = why.as_str().into();
            line["nextAttemptSeconds"] = json!(next.map(|pause| pause.as_secs_f64()));
        }
        Happened::Abandoned { why } => line["why"] = why.to_string().into(),
    }
    line
}

/// The names of the CloudTrail events, where there is one.
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html>
const fn event_name(report: &Report) -> &'static str {
    match (&report.happened, report.kind) {
        (Happened::Started { .. }, RotationKind::Rotation) => "RotationStarted",
        (Happened::Started { .. }, RotationKind::Test) => "TestRotationStarted",
        (Happened::StepSucceeded { .. }, _) => "StepSucceeded",
        (Happened::StepFailed { .. }, _) => "StepFailed",
        (Happened::Succeeded, RotationKind::Rotation) => "RotationSucceeded",
        (Happened::Succeeded, RotationKind::Test) => "TestRotationSucceeded",
        (Happened::Failed { .. }, RotationKind::Rotation) => "RotationFailed",
        (Happened::Failed { .. }, RotationKind::Test) => "TestRotationFailed",
        (Happened::Abandoned { .. }, _) => "RotationAbandoned",
    }
}

fn secret_name(arn: &str) -> &str {
    let name = arn.splitn(7, ':').last().unwrap_or_default();
    name.rsplit_once('-').map_or(name, |(name, _)| name)
}

/// The time of day in UTC.
fn clock(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() % 86_400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

struct Took(Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_secs(1) {
            write!(f, "{:.1} ms", self.0.as_secs_f64() * 1000.0)
        } else {
            write!(f, "{:.1} s", self.0.as_secs_f64())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Step;
    use crate::local::invoker::InvocationError;

    #[test]
    fn a_line_cannot_steer_the_terminal() {
        let report = Report {
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(3661),
            arn: "arn:aws:secretsmanager:us-east-1:123456789012:secret:my/app-a1B2c3".to_owned(),
            version: "0".repeat(32),
            kind: RotationKind::Rotation,
            happened: Happened::StepFailed {
                step: Step::Set,
                took: Duration::from_millis(12),
                error: InvocationError::new("ServiceRefused", "line\n\u{1b}[2Jmore"),
            },
        };
        insta::assert_snapshot!(
            Line(&report),
            @r"01:01:01Z my/app StepFailed setSecret 12.0 ms: ServiceRefused: line �[2Jmore"
        );
    }
}
