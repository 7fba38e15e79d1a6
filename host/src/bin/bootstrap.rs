//! The Lambda function: reads the environment once, then serves one invocation after the other.
//!
//! Contains no compiler. A plain `.wasm` is compiled by `windlass-compile` beside this executable; a deployment that leaves that
//! file out runs ahead-of-time code only.

// The step's future nests the AWS SDK's and wasmtime's, whose layout the compiler works out deeper than its default allows.
#![recursion_limit = "256"]

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tracing::{error, info, warn};
use windlass::aws::Aws;
use windlass::capability::network::Network;
use windlass::config::Config;
use windlass::dumpable;
use windlass::function::{Function, FunctionError, Invocation};
use windlass::init_error::InitError;
use windlass::invocation_deadline::time_left;
use windlass::journal::Journal;
use windlass::plugin::code::compiler::Compiler;
use windlass::plugin::load::Plugins;
use windlass::plugin::source::PluginSource;
use windlass::rotation::Rotator;
use windlass::secrets::SecretsManager;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "the one place where the function reads its environment")]
    let vars: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let runtime_api = vars.iter().find(|(name, _)| name == "AWS_LAMBDA_RUNTIME_API").and_then(|(_, value)| value.to_str());
    let runtime_api = runtime_api.map(str::to_owned);
    let function = match start(vars).await {
        Ok(function) => function,
        Err(error) => {
            does_not_start(&error, runtime_api.as_deref()).await;
            return ExitCode::FAILURE;
        }
    };
    match serve(function).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = %error, "the function ends");
            ExitCode::FAILURE
        }
    }
}

/// Everything that is done once, before the first event.
async fn start(vars: Vec<(OsString, OsString)>) -> Result<Function, InitError> {
    dumpable::forbid()?;
    // A panic's message may quote what it was about; where it happened is enough to find it.
    std::panic::set_hook(Box::new(|panic| error!(at = panic.location().map(ToString::to_string), "panicked")));
    let vars = vars.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
    windlass::log::start(vars.iter().find(|(name, _)| name == "WINDLASS_LOG").map(|(_, value)| value.as_str()))?;

    let executable = std::env::current_exe()?;
    let home = executable.parent().ok_or_else(|| io::Error::other("the executable has no folder"))?;
    let config = Config::from_vars(vars, home)?;
    let aws = Aws::from_environment().await;
    let secrets = SecretsManager::in_aws(&aws, config.secrets_manager_endpoint.as_deref());
    let plugins = Plugins::new(Compiler::beside(home))?.with_policy(config.code.clone()).with_scratch(std::env::temp_dir());
    if let Some(warning) = config.trust.warning() {
        warn!("{warning}");
    }
    let network = Network::new(&config)?;
    let source = PluginSource::configured(&config, &aws);
    let rotator = Rotator::new(config.clone(), source, secrets, plugins, network);
    Ok(Function::new(rotator, &config, Journal::standard_output()))
}

/// An environment variable as text. One that is no UTF-8 is named, not shown.
fn text((name, value): (OsString, OsString)) -> Result<(String, String), InitError> {
    let name = name.to_string_lossy().into_owned();
    match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(InitError::Environment { name }),
    }
}

/// Says why, to the log and to Lambda.
async fn does_not_start(error: &InitError, runtime_api: Option<&str>) {
    // If the level of the log is what is wrong, or it was not come to. The default cannot be.
    let _started = windlass::log::start(None);
    error!(error_type = error.error_type(), error = error.message(), "the function does not start");
    // Without a Runtime API somebody runs this by hand, and reads the line above.
    if let Some(runtime_api) = runtime_api
        && let Err(why) = error.report(runtime_api).await
    {
        error!(error = why, "Lambda was not told");
    }
}

/// Runs steps until Lambda ends this environment.
async fn serve(function: Function) -> Result<(), lambda_runtime::Error> {
    let function = Arc::new(function);
    let mut terminate = signal(SignalKind::terminate())?;
    let serve = lambda_runtime::run(service_fn(move |event| handle(Arc::clone(&function), event)));
    tokio::select! {
        served = serve => served,
        // Lambda is about to end this environment. A step that is cut off here is repeated elsewhere, which every step survives.
        _ = terminate.recv() => {
            info!("terminated");
            Ok(())
        }
    }
}

async fn handle(function: Arc<Function>, event: LambdaEvent<Box<RawValue>>) -> Result<(), FunctionError> {
    let (payload, context) = event.into_parts();
    // Lambda's deadline is a time of day; inside, time only moves forward.
    let left = time_left(context.deadline(), SystemTime::now());
    let trace_id = context.xray_trace_id.as_deref().and_then(Invocation::trace_id);
    let (request_id, function_arn) = (context.request_id, context.invoked_function_arn);
    let invocation = Invocation { request_id, trace_id, function_arn, deadline: Instant::now() + left };
    function.invoke(payload.get().as_bytes(), &invocation).await
}
