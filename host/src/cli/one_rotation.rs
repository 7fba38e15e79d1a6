//! One rotation on this machine: a local Secrets Manager, the rotation in this process, four steps.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::capability::host_calls::HostCalls;
use crate::capability::network::{Network, NetworkError};
use crate::config::Config;
use crate::event::Step;
use crate::local::api::RotateSecret;
use crate::local::backend::{Backend, Begun};
use crate::local::engine::{Engine, Happened, Pace};
use crate::local::error::ServiceError;
use crate::local::invoker::{InvocationError, Invoker};
use crate::local::server::{Listen, ListenError, Server};
use crate::plugin::code::compiler::Compiler;
use crate::plugin::load::{LoadError, Plugins};
use crate::plugin::source::PluginSource;
use crate::rotation::Rotator;
use crate::secrets::SecretsManager;
use crate::step_record::StepReport;

/// A local Secrets Manager and everything that rotates its secrets. Runs until it is dropped.
pub(super) struct OneRotation {
    backend: Arc<Backend>,
    secrets: SecretsManager,
    steps: mpsc::UnboundedReceiver<StepReport>,
    events: mpsc::UnboundedReceiver<crate::local::engine::Report>,
    _server: Server,
    _engine: Engine,
}

/// Why the rotation did not end.
#[derive(Debug, thiserror::Error)]
pub enum OneRotationError {
    /// The local endpoint does not come up.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Certificates of the configuration cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The plugin runtime does not start.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The local Secrets Manager refuses.
    #[error(transparent)]
    Secrets(#[from] ServiceError),
    /// A step failed.
    #[error("{step} failed with {}: {}", error.error_type, error.error_message)]
    Step {
        /// Which step.
        step: Step,
        /// The function's error.
        error: InvocationError,
    },
    /// The rotation ended without a step's error.
    #[error("the rotation did not end: {why}")]
    Ended {
        /// What the local Secrets Manager says.
        why: String,
    },
}

impl OneRotation {
    /// Starts the endpoint on a free loopback port. Plugins may reach loopback, but not the endpoint. What they ask of the network is seen
    /// by `host_calls`.
    pub(super) async fn start(
        backend: Arc<Backend>,
        begun: Begun,
        mut config: Config,
        source: PluginSource,
        host_calls: &Arc<HostCalls>,
    ) -> Result<Self, OneRotationError> {
        let listen = Listen::loopback(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let server = Server::start(listen, Arc::clone(&backend)).await?;
        server.out_of_reach(&mut config);
        let secrets = SecretsManager::local(&server.endpoint());
        let pace = Pace { attempts: 1, ..Pace::for_calls(config.longest_call()) };
        let network = Network::new(&config)?.seen_by(Arc::clone(host_calls));
        let rotator = Arc::new(Rotator::new(config, source, secrets.clone(), Plugins::new(Compiler::InProcess)?, network));
        let (done, steps) = mpsc::unbounded_channel();
        let invoker = Invoker::rotator(rotator, move |report| drop(done.send(report)));
        let (reports, events) = mpsc::unbounded_channel();
        let engine = Engine::start(Arc::clone(&backend), begun, invoker, pace, reports);
        Ok(Self { backend, secrets, steps, events, _server: server, _engine: engine })
    }

    /// A client for the endpoint.
    pub(super) const fn secrets(&self) -> &SecretsManager {
        &self.secrets
    }

    /// Rotates, and shows every step that succeeded to `each`, as soon as it has.
    pub(super) async fn rotate(
        &mut self,
        request: &RotateSecret,
        mut each: impl FnMut(&StepReport),
    ) -> Result<Vec<StepReport>, OneRotationError> {
        self.backend.rotate(request)?;
        let (mut done, mut failed) = (Vec::new(), None);
        loop {
            tokio::select! {
                biased;
                Some(report) = self.steps.recv() => {
                    each(&report);
                    done.push(report);
                }
                event = self.events.recv() => match event.map(|report| report.happened) {
                    Some(Happened::StepFailed { step, error, .. }) => failed = Some(OneRotationError::Step { step, error }),
                    Some(Happened::Succeeded) => return Ok(done),
                    Some(Happened::Failed { why, .. }) => return Err(failed.unwrap_or(OneRotationError::Ended { why })),
                    Some(Happened::Abandoned { .. }) | None => {
                        return Err(failed.unwrap_or_else(|| OneRotationError::Ended { why: "it was abandoned".to_owned() }));
                    }
                    Some(Happened::Started { .. } | Happened::StepSucceeded { .. }) => {}
                },
            }
        }
    }
}
