//! The store behind its lock: one operation after the other, each made durable before it is answered.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::{Notify, broadcast, mpsc};

use super::api::{self, CreateSecret, RotateSecret, Tag};
use super::credential_file::CredentialFile;
use super::durability::Durability;
use super::error::{Exception, ServiceError};
use super::exchange::Interference;
use super::fault::Faults;
use super::ids;
use super::protocol::{Answer, Operation, operate};
use super::state_file::{StateFile, StateFileError};
use super::store::{Found, FunctionArn, Rotation, Store};
use crate::secret::SecretValue;

/// A Secrets Manager without its network side.
pub struct Backend {
    state: Mutex<State>,
    begun: mpsc::UnboundedSender<Rotation>,
    /// Wakes rotations that wait for their next attempt.
    pub(super) again: Notify,
    /// Where injected faults say what is done to invocations.
    pub(super) interferences: broadcast::Sender<Interference>,
    faults: Faults,
    swap: Mutex<Option<Box<dyn Fn() + Send>>>,
    function: FunctionArn,
}

struct State {
    store: Store,
    /// What a stale read sees: the store before the last change that a client made.
    before: Store,
    durability: Durability,
}

/// The rotations that were begun, for the engine.
pub struct Begun(pub(super) mpsc::UnboundedReceiver<Rotation>);

impl Backend {
    /// A backend without secrets, which forgets everything when it is dropped.
    pub fn new(function: FunctionArn) -> (Arc<Self>, Begun) {
        Self::with_store(Store::new(function))
    }

    /// The same, with a store that was set up.
    pub fn with_store(store: Store) -> (Arc<Self>, Begun) {
        let function = store.function().clone();
        Self::with(store, Durability::Memory, function)
    }

    /// A backend whose secrets are kept in a file. Rotations that were under way when the last process ended begin again, with the same
    /// version.
    ///
    /// # Errors
    ///
    /// If the file cannot be used.
    pub fn with_state_file(store: Store, path: &Path) -> Result<(Arc<Self>, Begun), StateFileError> {
        let function = store.function().clone();
        let (file, store) = StateFile::open(path, store)?;
        let under_way = store.under_way();
        let (backend, begun) = Self::with(store, Durability::StateFile(Box::new(file)), function);
        under_way.into_iter().for_each(|rotation| backend.begin(Some(rotation)));
        Ok((backend, begun))
    }

    /// A backend with one secret, kept in a file. Returns the request that rotates it: with the version that an interrupted
    /// rotation was making, if there was one.
    ///
    /// # Errors
    ///
    /// If the file's name gives no secret name, or the operating system no randomness.
    pub fn with_credential_file(
        function: FunctionArn,
        file: CredentialFile,
        tags: Vec<Tag>,
    ) -> Result<(Arc<Self>, Begun, RotateSecret), ServiceError> {
        let (current, previous, pending) = file.values();
        let version = file.token().to_owned();
        let found = Found {
            name: file.secret_name(),
            tags,
            current: (ids::uuid()?, current),
            previous: previous.map(|value| ids::uuid().map(|id| (id, value))).transpose()?,
            pending: pending.map(|value| (version.clone(), value)),
        };
        let secret = found.name.clone();
        let mut store = Store::new(function.clone());
        let named = store.take_over(found, &ids::arn_suffix()?, SystemTime::now())?;
        let request = RotateSecret {
            secret_id: Some(named.arn),
            client_request_token: Some(version),
            rotation_lambda_arn: Some(function.as_str().to_owned()),
            ..RotateSecret::default()
        };
        let (backend, begun) = Self::with(store, Durability::CredentialFile { file: Box::new(file), secret }, function);
        Ok((backend, begun, request))
    }

    fn with(store: Store, durability: Durability, function: FunctionArn) -> (Arc<Self>, Begun) {
        let (sender, receiver) = mpsc::unbounded_channel();
        // Sent by one fault at a time; who is too slow for so many has missed them.
        let (interferences, _) = broadcast::channel(64);
        let state = Mutex::new(State { before: store.clone(), store, durability });
        let again = Notify::new();
        (
            Arc::new(Self {
                state,
                begun: sender,
                again,
                interferences,
                faults: Faults::default(),
                swap: Mutex::default(),
                function,
            }),
            Begun(receiver),
        )
    }

    /// What happens when a fault swaps plugins. Nothing, unless somebody says so.
    pub fn when_swapped(&self, swap: impl Fn() + Send + 'static) {
        *self.swap.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(swap));
    }

    pub(super) fn swap_plugins(&self) {
        if let Some(swap) = &*self.swap.lock().unwrap_or_else(PoisonError::into_inner) {
            swap();
        }
    }

    /// The ARNs of the secrets that are being rotated now.
    pub fn rotating(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.store.under_way().into_iter().map(|rotation| rotation.arn).collect()
    }

    /// The faults that are armed. None, unless somebody arms them.
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The function that rotations invoke.
    pub fn function(&self) -> &FunctionArn {
        &self.function
    }

    /// Creates a secret, as `CreateSecret` does, and returns its full ARN.
    ///
    /// # Errors
    ///
    /// As `CreateSecret`.
    pub fn create(&self, name: &str, value: &SecretValue, tags: Vec<Tag>) -> Result<String, ServiceError> {
        let (secret_string, secret_binary) = api::members(value);
        let request = CreateSecret {
            name: Some(name.to_owned()),
            client_request_token: Some(ids::uuid()?),
            secret_string,
            secret_binary,
            tags: Some(tags),
            ..CreateSecret::default()
        };
        let suffix = ids::arn_suffix()?;
        Ok(self.apply(|store, now| store.create_secret(&request, &suffix, now))?.arn)
    }

    /// Carries out an operation that came over the network.
    ///
    /// # Errors
    ///
    /// The operation's own, and `InternalServiceError` if its effect could not be made durable; it has none then.
    pub fn call(&self, operation: Operation, body: &[u8]) -> Result<serde_json::Value, ServiceError> {
        let step = |store: &mut Store, now| operate(store, operation, body, now);
        match if operation.reads() { self.read(step)? } else { self.change(step)? } {
            Answer::Done(body, work) => {
                self.begin(work);
                Ok(body)
            }
            Answer::RotationInProgress(work) => Err(self.in_progress(work)),
        }
    }

    /// Carries out an operation that reads, as if the last change had not been made yet.
    ///
    /// # Errors
    ///
    /// The operation's own.
    pub(super) fn call_stale(&self, operation: Operation, body: &[u8]) -> Result<serde_json::Value, ServiceError> {
        let mut before = self.state.lock().unwrap_or_else(PoisonError::into_inner).before.clone();
        match operate(&mut before, operation, body, SystemTime::now())? {
            Answer::Done(body, _nothing_begins) => Ok(body),
            Answer::RotationInProgress(_) => Err(ServiceError::invalid_request("This operation does not read.")),
        }
    }

    /// Begins a rotation.
    ///
    /// # Errors
    ///
    /// As `RotateSecret`.
    pub fn rotate(&self, request: &RotateSecret) -> Result<(), ServiceError> {
        use super::store::Next;
        let token = ids::uuid()?;
        match self.change(|store, now| store.rotate_secret(request, &token, now))? {
            Next::Started(_, work) => {
                self.begin(work);
                Ok(())
            }
            Next::InProgress(work) => Err(self.in_progress(work)),
        }
    }

    /// Runs a step of the store: it happens, and is durable, or it does not happen.
    ///
    /// The lock is held while files are written, on purpose: an answer that overtakes its write would promise what a crash
    /// takes back.
    ///
    /// # Errors
    ///
    /// The step's own, and `InternalServiceError`.
    pub fn apply<T>(&self, step: impl FnOnce(&mut Store, SystemTime) -> Result<T, ServiceError>) -> Result<T, ServiceError> {
        // A panic elsewhere leaves a complete store behind, because it is only ever replaced as a whole.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.apply(true, step).map(|(answer, _before)| answer)
    }

    /// The same for a step that changes nothing but dates of access, for which nothing is written.
    fn read<T>(&self, step: impl FnOnce(&mut Store, SystemTime) -> Result<T, ServiceError>) -> Result<T, ServiceError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.apply(false, step).map(|(answer, _before)| answer)
    }

    /// The same for a change that a client makes: stale reads do not see it.
    pub(super) fn change<T>(
        &self,
        step: impl FnOnce(&mut Store, SystemTime) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, before) = state.apply(true, step)?;
        state.before = before;
        Ok(answer)
    }

    fn begin(&self, work: Option<Rotation>) {
        if let Some(rotation) = work {
            // Without an engine nobody rotates; the rotation stays in progress.
            let _no_engine = self.begun.send(rotation);
        }
    }

    fn in_progress(&self, work: Option<Rotation>) -> ServiceError {
        self.begin(work);
        self.again.notify_waiters();
        ServiceError::invalid_request("A previous rotation isn't complete. That rotation will be reattempted.")
    }
}

impl State {
    /// Replaces the store by what the step makes of it. Returns what it was before.
    fn apply<T>(
        &mut self,
        keep: bool,
        step: impl FnOnce(&mut Store, SystemTime) -> Result<T, ServiceError>,
    ) -> Result<(T, Store), ServiceError> {
        let now = SystemTime::now();
        let mut next = self.store.clone();
        next.expire(now);
        let answer = step(&mut next, now)?;
        if keep {
            self.durability.keep(&next).map_err(|error| ServiceError::new(Exception::InternalService, error.to_string()))?;
        }
        Ok((answer, std::mem::replace(&mut self.store, next)))
    }
}
