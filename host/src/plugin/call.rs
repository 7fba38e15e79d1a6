//! One call of a plugin: a fresh store, its limits, its deadline, a typed result.
//!
//! Nothing of a call survives it. The store, and with it every connection and the guest's memory, is dropped whatever happened.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use wasmtime::component::{ComponentExportIndex, ComponentType, Lift, ResourceTable};
use wasmtime::{ResourceLimiter, Store, Trap, WasmBacktrace};
use wasmtime_wasi::{I32Exit, WasiCtx};

use crate::capability::client_certificate::ClientCertificate;
use crate::capability::endpoint::Endpoint;
use crate::capability::log::{GuestLog, MAX_LINE_BYTES};
use crate::capability::network::{CallNetwork, Network};
use crate::capability::refused_logins::RefusedLogins;
use crate::capability::secret::CallSecrets;
use crate::config::limits::{Limit, Limits};
use crate::failure::{Cause, Effect};
use crate::manifest::SecretShape;
use crate::plugin::bindings::exports::windlass::rotation::rotator;
use crate::plugin::bindings::windlass::rotation::failures;
use crate::plugin::bindings::windlass::rotation::log::Level;
use crate::plugin::load::Plugin;
use crate::plugin::wasi::{self, Captured};
use crate::redact::Redactor;
use crate::secret::SecretValue;
use crate::time_account::{On, spend};

mod functions;

/// The longest message of a failure, in bytes; the rest is cut.
pub const MAX_MESSAGE_BYTES: usize = 2_048;

/// The versions of the secret that are handed to a plugin.
#[derive(Debug, Clone)]
pub struct Handed {
    /// The new credential.
    pub pending: SecretValue,
    /// The credential in use.
    pub current: Option<SecretValue>,
    /// The credential in use before that, if it is for the same identity.
    pub previous: Option<SecretValue>,
    /// A credential of another secret that the operator bound.
    pub admin: Option<SecretValue>,
}

/// Everything that one call needs to know.
pub struct Call {
    /// The versions of the secret.
    pub handed: Handed,
    /// Where the plugin may connect, by the name it uses.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// What the host proves itself with there, if a service asks for a certificate.
    pub client_certificate: Option<Arc<ClientCertificate>>,
    /// What the operator set for this secret.
    pub settings: BTreeMap<String, String>,
    /// The way out.
    pub network: Arc<Network>,
    /// Bounds of the call.
    pub limits: Limits,
    /// The logins that the service has refused in this step.
    pub refused: RefusedLogins,
    /// When the call ends at the latest.
    pub deadline: Instant,
}

/// What `set-secret` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The service accepts the pending credential now and did not before.
    Changed,
    /// The service accepted the pending credential already.
    Unchanged,
}

/// Why a call did not succeed. Holds no value that was handed to the plugin, whatever the plugin said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin reported a failure.
    #[error("{cause} ({effect}): {message}")]
    Failure {
        /// Why.
        cause: Cause,
        /// What that did to the service.
        effect: Effect,
        /// The plugin's words, redacted, without control characters, at most [`MAX_MESSAGE_BYTES`].
        message: String,
    },
    /// The plugin did not come to an end of its own. The service may have been changed.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

/// Why a plugin did not come to an end of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stop {
    /// It ran longer than it may, or there was no time left to start it.
    #[error(
        "the plugin was stopped because its time was up. Raise `limits.call_seconds` or the function's timeout if the service is slow"
    )]
    Deadline,
    /// It asked for more memory than it may have.
    #[error(
        "the plugin was stopped because it asked for more than {limit} bytes of memory. Raise `limits.memory_mib` if it needs them"
    )]
    Memory {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It panicked.
    #[error("the plugin {report}. This is a defect of the plugin: report it to its author")]
    Panicked {
        /// `panicked at FILE:LINE:COLUMN: MESSAGE`, redacted, without control characters.
        report: String,
    },
    /// Its calls were nested too deeply.
    #[error("the plugin's stack overflowed. This is a defect of the plugin: report it to its author")]
    StackOverflow,
    /// It did something that WebAssembly forbids, or ended itself without a word.
    #[error("the plugin trapped: {what}. This is a defect of the plugin: report it to its author")]
    Trapped {
        /// wasmtime's words for it, and in which functions if the component holds their names.
        what: String,
    },
    /// It ended itself as a program would.
    #[error(
        "the plugin exited with status {status} where it should have returned. This is a defect of the plugin: report it to its author"
    )]
    Exited {
        /// The status it gave.
        status: i32,
    },
    /// It exceeded another of the host's limits.
    #[error("the plugin was stopped because it {what}. Raise `limits.{key}`, which is {most} {unit}, if it needs more")]
    Limit {
        /// What it did, as a clause.
        what: &'static str,
        /// The limit's key.
        key: &'static str,
        /// What the limit is.
        most: u64,
        /// What that counts.
        unit: &'static str,
    },
    /// It could not be started or did not follow the rules of components.
    #[error("the plugin does not run: {why}")]
    Broken {
        /// wasmtime's words, redacted, without control characters.
        why: String,
    },
}

/// What the host functions of one call work on. Lives as long as the call and holds nothing that outlives it.
pub struct CallState {
    /// The guest's open resources; its capacity is bounded.
    pub(crate) table: ResourceTable,
    /// What the guest may reach, and what it has used of that.
    pub(crate) network: CallNetwork,
    pub(crate) secrets: CallSecrets,
    pub(crate) log: GuestLog,
    pub(crate) wasi: WasiCtx,
    memory: MemoryLimit,
}

impl Plugin {
    /// Makes the service accept the pending credential.
    ///
    /// # Errors
    ///
    /// [`CallError::Failure`] is the plugin's word, [`CallError::Stopped`] the host's.
    pub async fn set_secret(&self, call: Call) -> Result<Outcome, CallError> {
        let _spending = spend(On::Plugin, "set-secret");
        match self.call::<rotator::Outcome>(&self.set_secret, call).await? {
            rotator::Outcome::Changed => Ok(Outcome::Changed),
            rotator::Outcome::Unchanged => Ok(Outcome::Unchanged),
        }
    }

    /// Proves that the service accepts the pending credential. Only that one is handed to the guest, whatever else `call` holds: a
    /// test must not pass by using another.
    ///
    /// # Errors
    ///
    /// As [`Self::set_secret`]. A failure with the cause unauthorized is the only proof that the credential does not work.
    pub async fn test_secret(&self, mut call: Call) -> Result<(), CallError> {
        let Handed { pending, current: _, previous: _, admin: _ } = call.handed;
        call.handed = Handed { pending, current: None, previous: None, admin: None };
        let _spending = spend(On::Plugin, "test-secret");
        match self.call::<rotator::Verdict>(&self.test_secret, call).await? {
            rotator::Verdict::Accepted => Ok(()),
        }
    }

    async fn call<T>(&self, step: &ComponentExportIndex, call: Call) -> Result<T, CallError>
    where
        T: ComponentType + Lift + Send + Sync + 'static,
    {
        let refused = call.refused.clone();
        let result = self.run(step, call).await;
        let cause = match &result {
            Err(CallError::Failure { cause, .. }) => Some(*cause),
            Ok(_) | Err(CallError::Stopped(_)) => None,
        };
        // Whoever says that the change is not effective yet has tried.
        refused.end_call(matches!(cause, Some(Cause::Unauthorized | Cause::NotYetEffective)));
        result
    }

    async fn run<T>(&self, step: &ComponentExportIndex, call: Call) -> Result<T, CallError>
    where
        T: ComponentType + Lift + Send + Sync + 'static,
    {
        let now = Instant::now();
        let until = (now + call.limits.call()).min(call.deadline);
        if until <= now {
            return Err(Stop::Deadline.into());
        }
        let Handed { pending, current, previous, admin } = call.handed;
        let handed = [Some(&pending), current.as_ref(), previous.as_ref(), admin.as_ref()];
        let mut shown: Vec<String> =
            call.endpoints.values().flat_map(|endpoint| [endpoint.host.clone(), endpoint.port.to_string()]).collect();
        // What the manifest says itself is no secret, such as the service's name in the field `engine`.
        let SecretShape { matches, defaults, .. } = &self.manifest.secret;
        shown.extend(matches.values().chain(defaults.values()).cloned());
        let redactor = Arc::new(Redactor::except(handed.into_iter().flatten(), &shown));
        let limits = call.limits;
        let (stdout, stderr) = (Captured::new(&limits), Captured::new(&limits));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources());
        let state = CallState {
            table,
            network: CallNetwork::new(call.network, call.endpoints, limits.clone(), until)
                .presenting(call.client_certificate)
                .counting(call.refused),
            secrets: CallSecrets {
                pending,
                current,
                previous,
                admin,
                settings: call.settings,
                manifest: Arc::clone(&self.manifest),
            },
            log: GuestLog::new(self.manifest.name.to_string(), Arc::clone(&redactor), &limits),
            wasi: wasi::context(&stdout, &stderr, &limits),
            memory: MemoryLimit { used: 0, limits: limits.clone() },
        };
        let mut store = Store::new(self.linked.component().engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(limits.argument_bytes());
        store.set_max_component_handles(limits.resources());
        // Before instantiation, because a component's start functions run there. At each tick the guest gives way, so that the
        // timeout below can end it; a deadline in ticks alone would be wrong after Lambda froze the process.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);

        let running = async {
            let instance = self.linked.instantiate_async(&mut store).await?;
            let step = instance.get_typed_func::<(), (Result<T, failures::Failure>,)>(&mut store, step)?;
            let (answer,) = step.call_async(&mut store, ()).await?;
            wasmtime::error::Ok(answer)
        };
        let ran = timeout_at(until, running).await;
        let late = Instant::now() >= until;

        let CallState { mut log, network, memory, .. } = store.into_data();
        network.network().used_memory(memory.used);
        for (captured, level) in [(&stdout, Level::Info), (&stderr, Level::Warn)] {
            let stream = captured.stream();
            log.stream(level, &stream.bytes, stream.shown());
        }
        let panic = log.close(stdout.stream().dropped + stderr.stream().dropped);
        match ran {
            Ok(Ok(Ok(done))) => Ok(done),
            // A host function ends with the call at the latest, and a guest may get to say what that looked like to it.
            Ok(Ok(Err(_)) | Err(_)) if late => Err(Stop::Deadline.into()),
            Ok(Ok(Err(failure))) => Err(CallError::Failure {
                cause: failure.cause.into(),
                effect: failure.effect.into(),
                message: redactor.line(&failure.message, MAX_MESSAGE_BYTES),
            }),
            Ok(Err(error)) => Err(stop(&error, &limits, panic, &redactor).into()),
            Err(_elapsed) => Err(Stop::Deadline.into()),
        }
    }
}

/// What stopped a guest, told from wasmtime's error.
fn stop(error: &wasmtime::Error, limits: &Limits, panic: Option<String>, redactor: &Redactor) -> Stop {
    if error.is::<OverMemory>() {
        return Stop::Memory { limit: limits.memory() };
    }
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        // Rust's `abort` after a panic is a trap, but `process::exit` from a panic hook is not.
        return panic.map_or(Stop::Exited { status: *status }, |report| Stop::Panicked { report });
    }
    let words = || redactor.line(&in_words(error), MAX_LINE_BYTES / 2);
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => Stop::StackOverflow,
        Some(Trap::UnreachableCodeReached) => {
            panic.map_or_else(|| Stop::Trapped { what: words() }, |report| Stop::Panicked { report })
        }
        Some(Trap::AllocationTooLarge) => Stop::Memory { limit: limits.memory() },
        Some(_) => Stop::Trapped { what: words() },
        None => match error.chain().find_map(|cause| exceeded(&cause.to_string())) {
            Some((what, limit)) => Stop::Limit { what, key: limit.row().key, most: limits.get(limit), unit: limit.row().unit },
            None => Stop::Broken { why: words() },
        },
    }
}

/// What went wrong, and then where, which may be long.
fn in_words(error: &wasmtime::Error) -> String {
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(ToString::to_string);
    let causes = error.chain().map(|cause| cause.to_string()).filter(|cause| Some(cause) != backtrace.as_ref());
    let what = causes.collect::<Vec<_>>().join(": ");
    match functions::come_through(error) {
        Some(functions) => format!("{what}, in {functions}"),
        None => what,
    }
}

/// Which limit wasmtime's words are about, and what there was too much of. It has no types for these; a test triggers each.
fn exceeded(words: &str) -> Option<(&'static str, Limit)> {
    let limits = [
        ("too much data is being copied", "handed over too much data in one call of a host function", Limit::Argument),
        ("cannot allocate another handle", "held too many resources", Limit::Resources),
        ("resource table has no free keys", "held too many resources", Limit::Resources),
        ("resource limit exceeded: memory", "has too many memories", Limit::Memories),
        ("resource limit exceeded: table", "has too many tables", Limit::Tables),
        ("resource limit exceeded: instance", "has too many core instances", Limit::Instances),
    ];
    limits.into_iter().find_map(|(begins, what, limit)| words.contains(begins).then_some((what, limit)))
}

/// Counts all linear memories and tables of a call together. wasmtime's own limits count each by itself, so that a component with
/// many memories gets many times the limit.
struct MemoryLimit {
    used: usize,
    limits: Limits,
}

impl MemoryLimit {
    /// Growth beyond the limit is a trap instead of a refusal: a guest's own words about a failed allocation are "unreachable".
    fn grow(&mut self, current: usize, desired: usize, size: usize) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current).saturating_mul(size);
        let used = self.used.saturating_add(more);
        if used > self.limits.memory() {
            return Err(OverMemory.into());
        }
        self.used = used;
        Ok(true)
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(current, desired, 1)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(current, desired, size_of::<usize>())
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // Beyond the memory's own maximum, or the machine has no more. What was counted stays counted, to the guest's disadvantage.
        Ok(())
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }
}

#[derive(Debug)]
struct OverMemory;

impl fmt::Display for OverMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the limit of all memories and tables together is exceeded")
    }
}

impl std::error::Error for OverMemory {}

#[cfg(all(test, feature = "compiler"))]
pub(crate) mod tests;
