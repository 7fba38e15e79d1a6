//! The function under trial: the real rotation, sandbox and plugin, under a clock that only moves when everybody waits.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::time::Instant;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use windlass::capability::network::Network;
use windlass::config::{Config, Loopback};
use windlass::event::{RotationEvent, Step};
use windlass::local::client::http_client;
use windlass::local::invoker::{Invocation as Answer, InvocationError};
use windlass::plugin::code::compiler::Compiler;
use windlass::plugin::load::Plugins;
use windlass::plugin::source::PluginSource;
use windlass::rotation::Rotator;
use windlass::secrets::SecretsManager;

use crate::mutant::{self, Mutation};
use crate::support::built;
use crate::world::World;

/// What runs the steps.
#[derive(Clone)]
pub enum Host {
    /// Windlass.
    Windlass(Arc<Rotator>),
    /// Another rotation function, which does one thing wrong, or nothing.
    Mutant(Mutation),
}

/// The world in which the host of this thread is at the moment. The rotation is put together once, because its plugin has to be
/// compiled; worlds come and go.
#[derive(Clone, Default)]
pub struct Whereabouts(Arc<Mutex<Option<Arc<World>>>>);

impl Whereabouts {
    pub fn enter(&self, world: &Arc<World>) {
        *self.0.lock().unwrap() = Some(Arc::clone(world));
    }

    fn world(&self) -> Arc<World> {
        self.0.lock().unwrap().clone().expect("a rotation runs in a world")
    }
}

impl Host {
    pub fn windlass(whereabouts: &Whereabouts, plugins: &Installed) -> Self {
        let mut config = Config::with_plugins(plugins.folder().to_owned());
        config.loopback = Loopback::Local;
        let (asked, dialled) = (whereabouts.clone(), whereabouts.clone());
        let network = Network::new(&config).unwrap().in_memory(move |address| dialled.world().connect(address));
        let secrets = SecretsManager::in_process(http_client(move |operation, body| asked.world().exchange(operation, body)));
        let source = PluginSource::folders(config.plugins.clone());
        Self::Windlass(Arc::new(Rotator::new(config, source, secrets, Plugins::new(Compiler::InProcess).unwrap(), network)))
    }

    /// Runs a step.
    pub async fn run(&self, world: Arc<World>, event: &[u8], deadline: Instant) -> Answer {
        match self {
            Self::Windlass(rotator) => match rotator.run(event, deadline).await {
                Ok(_) => Ok(serde_json::Value::Null),
                Err(error) => Err(InvocationError::new(error.error_type(), error.message())),
            },
            Self::Mutant(mutation) => {
                let event = RotationEvent::parse(event).unwrap();
                match tokio::time::timeout_at(deadline, mutant::run(*mutation, world, &event)).await {
                    Ok(Ok(())) => Ok(serde_json::Value::Null),
                    Ok(Err(why)) => Err(InvocationError::new("Mutant", why)),
                    Err(_) => Err(InvocationError::new("Mutant", "its time was up")),
                }
            }
        }
    }
}

/// A folder with the plugin, in one of two builds.
pub struct Installed {
    folder: Arc<tempfile::TempDir>,
    second: Arc<AtomicBool>,
}

impl Installed {
    pub fn first() -> Self {
        let installed = Self { folder: Arc::new(tempfile::tempdir().unwrap()), second: Arc::default() };
        std::fs::write(installed.folder().join("model.wasm"), component(false)).unwrap();
        installed
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What installs the other build in place of this one, at once as `mv` does.
    pub fn swap(&self) -> impl Fn() + Send + 'static {
        let (folder, second) = (Arc::clone(&self.folder), Arc::clone(&self.second));
        move || {
            let second = !second.fetch_xor(true, Ordering::Relaxed);
            let new = folder.path().join("new");
            std::fs::write(&new, component(second)).unwrap();
            std::fs::rename(new, folder.path().join("model.wasm")).unwrap();
        }
    }
}

/// The plugin of the models. The second build has a custom section more, and so another digest.
fn component(second: bool) -> Vec<u8> {
    let mut wasm = std::fs::read(built::guest("model")).unwrap();
    if second {
        wasm.extend_from_slice(b"\x00\x05\x04next");
    }
    wasm
}

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Begins to collect what the function would log, at its most talkative, until the guard is dropped.
    pub fn collect(&self) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || writer.clone());
        let layer = layer.with_filter(windlass::log::targets(Some("debug")).unwrap());
        tracing::subscriber::set_default(tracing_subscriber::registry().with(layer))
    }

    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The step of an event.
pub fn step_of(event: &[u8]) -> Step {
    RotationEvent::parse(event).unwrap().step
}
