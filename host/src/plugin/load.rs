//! From a component's bytes to a plugin that can be called: compiled, checked and linked, once per digest.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, ComponentExportIndex, HasSelf, InstancePre, Linker};

use crate::manifest::Manifest;
use crate::plugin::bindings::windlass::rotation;
use crate::plugin::call::CallState;
use crate::plugin::compiler::{Code, CompileError, Compiler};
use crate::plugin::component_file::ComponentFile;
use crate::plugin::digest::Digest;
use crate::plugin::{engine, wasi};
use crate::redact::Redactor;

/// The interface that a plugin exports. wasmtime finds any 0.1.x under this name.
const ROTATOR: &str = "windlass:rotation/rotator@0.1.0";

/// How many plugins stay compiled in memory. A Lambda environment serves one secret at a time, and few services.
const MAX_LOADED: usize = 16;

/// The plugins of this process.
pub struct Plugins {
    engine: Engine,
    linker: Linker<CallState>,
    compiler: Compiler,
    /// The one used last stands last.
    loaded: Mutex<Vec<Arc<Plugin>>>,
}

/// A plugin, ready to be called any number of times.
pub struct Plugin {
    digest: Digest,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) linked: InstancePre<CallState>,
    pub(crate) set_secret: ComponentExportIndex,
    pub(crate) test_secret: ComponentExportIndex,
}

/// Why a plugin cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// wasmtime does not start on this machine.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
    /// There is no code for it.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The code is for another engine.
    #[error("the plugin's code does not load: {0}. Use the `windlass-compile` of the same build as `bootstrap`")]
    Code(String),
    /// It imports something that the host does not have. The text is wasmtime's and names the first such import.
    #[error("the plugin asks for something that the host does not have: {0}. `windlass inspect` lists its imports")]
    Import(String),
    /// It lacks one of the two steps.
    #[error("the plugin does not export `{step}` of `{ROTATOR}`. `windlass inspect` lists its exports")]
    Export {
        /// The step's name.
        step: &'static str,
    },
    /// A step is of another type than the contract says.
    #[error("the plugin's `{step}` is not of the type that {ROTATOR} says. Build it against the contract of this release")]
    Type {
        /// The step's name.
        step: &'static str,
    },
}

impl Plugins {
    /// Starts the engine, and the thread that interrupts guests.
    ///
    /// # Errors
    ///
    /// [`LoadError::Engine`] if this machine cannot run WebAssembly.
    pub fn new(compiler: Compiler) -> Result<Self, LoadError> {
        let failed = |error: wasmtime::Error| LoadError::Engine(legible(&error));
        let engine = Engine::new(&engine::config().map_err(failed)?).map_err(failed)?;
        engine::tick(&engine).map_err(|error| LoadError::Engine(error.to_string()))?;
        let linker = linker(&engine).map_err(failed)?;
        Ok(Self { engine, linker, compiler, loaded: Mutex::new(Vec::new()) })
    }

    /// The plugin of this component, from memory if it was loaded before. Compiling ends before `deadline`.
    ///
    /// Two calls at the same time may both compile the same component; the result is the same, and neither waits for the other.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says what is wrong with the component or the machine.
    pub async fn load(&self, file: ComponentFile, deadline: Instant) -> Result<Arc<Plugin>, LoadError> {
        let digest = file.digest();
        if let Some(plugin) = self.remembered(digest) {
            return Ok(plugin);
        }
        let code = self.code(&file, deadline).await?;
        let component = adopt(&self.engine, &code)?;
        drop(code);
        let plugin = Arc::new(self.link(&component, digest, file.manifest().clone())?);
        self.remember(&plugin);
        Ok(plugin)
    }

    /// The code of a component. An ahead-of-time envelope that lies beside it and is authentic would be taken here, before the
    /// compiler is asked.
    async fn code(&self, file: &ComponentFile, deadline: Instant) -> Result<Code, CompileError> {
        self.compiler.compile(&self.engine, file.wasm(), deadline).await
    }

    fn link(&self, component: &Component, digest: Digest, manifest: Manifest) -> Result<Plugin, LoadError> {
        let set_secret = step(component, "set-secret", &["changed", "unchanged"])?;
        let test_secret = step(component, "test-secret", &["accepted"])?;
        let linked = self.linker.instantiate_pre(component).map_err(|error| LoadError::Import(legible(&error)))?;
        Ok(Plugin { digest, manifest: Arc::new(manifest), linked, set_secret, test_secret })
    }

    fn remembered(&self, digest: Digest) -> Option<Arc<Plugin>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let place = loaded.iter().position(|plugin| plugin.digest == digest)?;
        let plugin = loaded.remove(place);
        loaded.push(Arc::clone(&plugin));
        Some(plugin)
    }

    fn remember(&self, plugin: &Arc<Plugin>) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|other| other.digest != plugin.digest);
        if loaded.len() == MAX_LOADED {
            loaded.remove(0);
        }
        loaded.push(Arc::clone(plugin));
    }
}

impl Plugin {
    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The digest of its component.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

/// Everything a guest can import. What is not added here does not exist.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    rotation::failures::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    rotation::secret::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    rotation::connection::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    rotation::http::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    rotation::log::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    rotation::random::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    wasi::link(&mut linker)?;
    Ok(linker)
}

/// Loads code.
#[expect(unsafe_code, reason = "there is no safe way to load code that was compiled before; see the comment inside")]
fn adopt(engine: &Engine, code: &Code) -> Result<Component, LoadError> {
    // SAFETY: `deserialize` runs whatever it is given, so it must be given what `precompile_component` made, unmodified. A `Code` is
    // made in one place only, of what our own compiler returned: from this process, or over a pipe from the `windlass-compile` that
    // the operator deployed beside this program. wasmtime checks besides that version, target and settings are those of `engine`.
    let component = unsafe { Component::deserialize(engine, code.bytes()) };
    component.map_err(|error| LoadError::Code(legible(&error)))
}

/// Finds a step and compares its type with the contract: `func() -> result<enum, failure>`.
fn step(component: &Component, step: &'static str, done: &[&str]) -> Result<ComponentExportIndex, LoadError> {
    let missing = LoadError::Export { step };
    let Some(rotator) = component.get_export_index(None, ROTATOR) else { return Err(missing) };
    match component.get_export(Some(&rotator), step) {
        Some((ComponentItem::ComponentFunc(function), index)) if is_step(&function, done) => Ok(index),
        Some(_) => Err(LoadError::Type { step }),
        None => Err(missing),
    }
}

fn is_step(function: &ComponentFunc, done: &[&str]) -> bool {
    let is_enum = |of: Type, names: &[&str]| matches!(of, Type::Enum(of) if of.names().eq(names.iter().copied()));
    let is_failure = |of: Type| {
        let Type::Record(failure) = of else { return false };
        let mut fields = failure.fields();
        let (Some(cause), Some(effect), Some(message), None) = (fields.next(), fields.next(), fields.next(), fields.next()) else {
            return false;
        };
        [cause.name, effect.name, message.name] == ["cause", "effect", "message"]
            && is_enum(cause.ty, &crate::failure::Cause::ALL.map(crate::failure::Cause::name))
            && is_enum(effect.ty, &crate::failure::Effect::ALL.map(crate::failure::Effect::name))
            && matches!(message.ty, Type::String)
    };
    let mut results = function.results();
    match (results.next(), results.next()) {
        (Some(Type::Result(result)), None) => {
            function.params().len() == 0 && result.ok().is_some_and(|ok| is_enum(ok, done)) && result.err().is_some_and(is_failure)
        }
        _ => false,
    }
}

/// wasmtime's words as one line: they may quote names from the component.
fn legible(error: &wasmtime::Error) -> String {
    Redactor::new([]).line(&format!("{error:#}"), 512)
}
