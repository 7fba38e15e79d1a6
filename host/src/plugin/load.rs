//! From a component's bytes to a plugin that can be called: its code found or made, checked and linked, once per digest.
//!
//! Code is looked for where it costs least: in memory, in an envelope that was made ahead of time, in this process's scratch space.
//! Only then is it made.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use tracing::warn;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, ComponentExportIndex, HasSelf, InstancePre, Linker};

use crate::manifest::Manifest;
use crate::plugin::bindings::windlass::rotation;
use crate::plugin::call::CallState;
use crate::plugin::code::Code;
use crate::plugin::code::compiler::{CompileError, Compiler};
use crate::plugin::code::envelope::{self, Envelope, EnvelopeError};
use crate::plugin::code::policy::{CodePolicy, Compile};
use crate::plugin::code::scratch::Scratch;
use crate::plugin::component_file::ComponentFile;
use crate::plugin::digest::Digest;
use crate::plugin::engine::Target;
use crate::plugin::{engine, wasi};
use crate::redact::Redactor;

/// The interface that a plugin exports. wasmtime finds any 0.1.x under this name.
const ROTATOR: &str = "windlass:rotation/rotator@0.1.0";

/// How much code stays in memory, in bytes: some hundred plugins in Rust. One in Python or JavaScript has more, and stays alone.
const MAX_LOADED_BYTES: usize = 16 << 20;

/// The plugins of this process.
pub struct Plugins {
    engine: Engine,
    linker: Linker<CallState>,
    compiler: Option<Compiler>,
    policy: CodePolicy,
    /// Without it, code that memory has no room for is made again.
    scratch: Option<Scratch>,
    /// The one used last stands last.
    loaded: Mutex<Vec<Arc<Plugin>>>,
}

/// A plugin, ready to be called any number of times.
pub struct Plugin {
    digest: Digest,
    code_bytes: usize,
    code_from: CodeFrom,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) linked: InstancePre<CallState>,
    pub(crate) set_secret: ComponentExportIndex,
    pub(crate) test_secret: ComponentExportIndex,
}

/// Where the code of a plugin came from when it was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeFrom {
    /// From an envelope, made ahead of time.
    Envelope,
    /// From the scratch space: this process has compiled it before.
    Scratch,
    /// From the compiler, just then.
    Compiler,
}

impl CodeFrom {
    /// The word for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Scratch => "scratch",
            Self::Compiler => "compiler",
        }
    }
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
    /// There is no code for it that may run, and none is made.
    #[error("there is no code for it that may run here, and none is compiled ({none_made}): {}", of_envelope(why.as_ref()))]
    NoCode {
        /// Why none is made.
        none_made: &'static str,
        /// What is the matter with the envelope, if there is one.
        why: Option<EnvelopeError>,
    },
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

/// What is the matter with a plugin's envelope, or that there is none.
fn of_envelope(why: Option<&EnvelopeError>) -> String {
    match (why, Target::HOST) {
        (Some(why), _) => format!("the code beside the plugin {why}"),
        (None, Some(target)) => format!(
            "there is none beside the plugin. Put NAME.wasm{} there, which `windlass compile --target {}` makes",
            envelope::suffix(target),
            target.name()
        ),
        (None, None) => "none is made ahead of time for this kind of machine".to_owned(),
    }
}

impl Plugins {
    /// Starts the engine, and the thread that interrupts guests. Without a compiler only code that was made ahead of time runs.
    ///
    /// # Errors
    ///
    /// [`LoadError::Engine`] if this machine cannot run WebAssembly.
    pub fn new(compiler: impl Into<Option<Compiler>>) -> Result<Self, LoadError> {
        let failed = |error: wasmtime::Error| LoadError::Engine(legible(&error));
        let engine = Engine::new(&engine::config().map_err(failed)?).map_err(failed)?;
        engine::tick(&engine).map_err(|error| LoadError::Engine(error.to_string()))?;
        let linker = linker(&engine).map_err(failed)?;
        let (compiler, policy) = (compiler.into(), CodePolicy::default());
        Ok(Self { engine, linker, compiler, policy, scratch: None, loaded: Mutex::new(Vec::new()) })
    }

    /// With this policy about code that was made ahead of time. Without one, no such code runs.
    #[must_use]
    pub fn with_policy(mut self, policy: CodePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Keeping compiled code in files of `folder`, too, if this machine has the randomness that protects it there.
    #[must_use]
    pub fn with_scratch(mut self, folder: PathBuf) -> Self {
        self.scratch = Scratch::new(folder);
        self
    }

    /// The plugin of this component. `envelope` is what lies beside it as its code, if anything, or why that cannot be read; compiling
    /// ends before `deadline`.
    ///
    /// Two calls at the same time may both compile the same component; the result is the same, and neither waits for the other.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says what is wrong with the component or the machine.
    pub async fn load(
        &self,
        file: &ComponentFile,
        envelope: Result<Option<Vec<u8>>, EnvelopeError>,
        deadline: Instant,
    ) -> Result<Arc<Plugin>, LoadError> {
        let digest = file.digest();
        if let Some(plugin) = self.loaded(digest) {
            return Ok(plugin);
        }
        let (component, code_from, code_bytes) = self.component(file, envelope, deadline).await?;
        let plugin = self.link(&component, digest, file.manifest().clone(), code_from, code_bytes)?;
        let plugin = Arc::new(plugin);
        self.remember(&plugin);
        Ok(plugin)
    }

    async fn component(
        &self,
        file: &ComponentFile,
        envelope: Result<Option<Vec<u8>>, EnvelopeError>,
        deadline: Instant,
    ) -> Result<(Component, CodeFrom, usize), LoadError> {
        let digest = file.digest();
        let why = match envelope.and_then(|file| file.map(|file| self.ahead_of_time(digest, file)).transpose()) {
            Ok(Some((component, bytes))) => return Ok((component, CodeFrom::Envelope, bytes)),
            Ok(None) => None,
            Err(why) => Some(why),
        };
        let compiler = match (self.policy.compile, &self.compiler) {
            (Compile::Never, _) => Err("`compile = \"never\"` in windlass.toml"),
            (Compile::WhenNeeded, None) => Err("there is no `windlass-compile` beside `bootstrap`"),
            (Compile::WhenNeeded, Some(compiler)) => Ok(compiler),
        };
        let compiler = match compiler {
            Ok(compiler) => compiler,
            Err(none_made) => return Err(LoadError::NoCode { none_made, why }),
        };
        if let Some(why) = why {
            let plugin = file.manifest().name.as_str();
            warn!(plugin, %digest, %why, "the code beside the plugin is not used; it is compiled instead");
        }
        if let Some(code) = self.scratch.as_ref().and_then(|scratch| scratch.recall(digest)) {
            return Ok((adopt(&self.engine, &code)?, CodeFrom::Scratch, code.bytes().len()));
        }
        let code = compiler.compile(&self.engine, file.wasm(), deadline).await?;
        let component = adopt(&self.engine, &code)?;
        if let Some(Err(error)) = self.scratch.as_ref().map(|scratch| scratch.keep(digest, &code)) {
            warn!(%error, "the scratch space does not keep the plugin's code; it will be compiled again");
        }
        Ok((component, CodeFrom::Compiler, code.bytes().len()))
    }

    /// The code of an envelope, if it is the right one and may run.
    fn ahead_of_time(&self, wasm: Digest, envelope: Vec<u8>) -> Result<(Component, usize), EnvelopeError> {
        let envelope = Envelope::parse(envelope)?;
        let Some(target) = Target::HOST else {
            let found = envelope.label().target.clone();
            return Err(EnvelopeError::OtherTarget { found, wanted: "of another kind" });
        };
        let code = envelope.open(wasm, target, &self.policy)?;
        let component = adopt(&self.engine, &code).map_err(|error| EnvelopeError::Refused { why: error.to_string() })?;
        Ok((component, code.bytes().len()))
    }

    fn link(
        &self,
        component: &Component,
        digest: Digest,
        manifest: Manifest,
        code_from: CodeFrom,
        code_bytes: usize,
    ) -> Result<Plugin, LoadError> {
        let set_secret = step(component, "set-secret", &["changed", "unchanged"])?;
        let test_secret = step(component, "test-secret", &["accepted"])?;
        let linked = self.linker.instantiate_pre(component).map_err(|error| LoadError::Import(legible(&error)))?;
        Ok(Plugin { digest, code_bytes, code_from, manifest: Arc::new(manifest), linked, set_secret, test_secret })
    }

    /// The plugin with this digest, if it is in memory.
    pub fn loaded(&self, digest: Digest) -> Option<Arc<Plugin>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let place = loaded.iter().position(|plugin| plugin.digest == digest)?;
        let plugin = loaded.remove(place);
        loaded.push(Arc::clone(&plugin));
        Some(plugin)
    }

    fn remember(&self, plugin: &Arc<Plugin>) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|other| other.digest != plugin.digest);
        loaded.push(Arc::clone(plugin));
        let mut bytes: usize = loaded.iter().map(|plugin| plugin.code_bytes).sum();
        // The last one is about to be used, however large it is.
        while bytes > MAX_LOADED_BYTES && loaded.len() > 1 {
            bytes -= loaded.remove(0).code_bytes;
        }
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

    /// Where its code came from when it was loaded.
    pub const fn code_from(&self) -> CodeFrom {
        self.code_from
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
    // made of three things only: what our own compiler returned, from this process or over a pipe from the `windlass-compile` that the
    // operator deployed beside this program; what an envelope holds whose every byte the operator has signed or pinned; what this
    // process wrote and authenticates with a key that nobody else has. wasmtime checks besides that version, target and settings are those of `engine`.
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

#[cfg(all(test, feature = "compiler"))]
mod tests;
