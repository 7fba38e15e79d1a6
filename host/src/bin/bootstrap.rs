//! The Lambda function: reads the environment once, then runs one step per invocation.
//!
//! Contains no compiler. A plain `.wasm` is compiled by `windlass-compile` beside this executable; a deployment that leaves that
//! file out runs ahead-of-time code only.

// The step's future nests the AWS SDK's and wasmtime's, whose layout the compiler works out deeper than its default allows.
#![recursion_limit = "256"]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tracing::{error, info};
use windlass::capability::network::Network;
use windlass::config::Config;
use windlass::dumpable;
use windlass::error::StepError;
use windlass::plugin::catalogue::{Catalogue, PluginSource};
use windlass::plugin::compiler::Compiler;
use windlass::plugin::load::Plugins;
use windlass::rotation::Rotator;
use windlass::secrets::SecretsManager;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = %error, "the function does not start");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    dumpable::forbid()?;
    // A panic's message may quote what it was about; where it happened is enough to find it.
    std::panic::set_hook(Box::new(|panic| error!(at = panic.location().map(ToString::to_string), "panicked")));
    let vars = environment()?;
    let level = vars.iter().find(|(name, _)| name == "WINDLASS_LOG").map(|(_, value)| value.as_str());
    windlass::log::start(level).or_else(|error| windlass::log::start(None).and(Err(error)))?;

    let executable = std::env::current_exe()?;
    let home = executable.parent().ok_or("the executable has no folder")?;
    let config = Config::from_vars(vars, home)?;
    let secrets = SecretsManager::from_environment(config.secrets_manager_endpoint.as_deref()).await;
    let plugins = Plugins::new(Compiler::beside(home))?;
    let network = Network::new(&config)?;
    let source = PluginSource::Folder(Catalogue::new(config.plugins.clone()));
    let rotator = Arc::new(Rotator::new(config, source, secrets, plugins, network));

    let mut terminate = signal(SignalKind::terminate())?;
    let serve = lambda_runtime::run(service_fn(move |event| handle(Arc::clone(&rotator), event)));
    tokio::select! {
        served = serve => served,
        // Lambda is about to end this environment. A step that is cut off here is repeated elsewhere, which every step survives.
        _ = terminate.recv() => {
            info!("terminated");
            Ok(())
        }
    }
}

/// The environment. A variable that is no UTF-8 is named, not shown.
fn environment() -> Result<Vec<(String, String)>, String> {
    #[expect(clippy::disallowed_methods, reason = "the one place where the function reads its environment")]
    let vars = std::env::vars_os();
    vars.map(|(name, value)| {
        let name = name.to_string_lossy().into_owned();
        let value = value.into_string().map_err(|_| format!("the environment variable {name} is not UTF-8"))?;
        Ok((name, value))
    })
    .collect()
}

async fn handle(rotator: Arc<Rotator>, event: LambdaEvent<Box<RawValue>>) -> Result<(), StepError> {
    // Lambda's deadline is a time of day; inside, time only moves forward.
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    rotator.run(event.payload.get().as_bytes(), Instant::now() + left).await.map(|_| ())
}
