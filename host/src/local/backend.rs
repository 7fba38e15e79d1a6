//! The store behind its lock: one operation after the other, each made durable before it is answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::{Notify, mpsc};
use zeroize::Zeroizing;

use super::api::{Blob, CreateSecret, Hidden, RotateSecret, Tag};
use super::credential_file::CredentialFile;
use super::durability::Durability;
use super::error::{Exception, ServiceError};
use super::ids;
use super::protocol::{Answer, Operation, operate};
use super::store::{Found, FunctionArn, Rotation, Store};
use crate::secret::SecretValue;

/// A Secrets Manager without its network side.
pub struct Backend {
    state: Mutex<State>,
    begun: mpsc::UnboundedSender<Rotation>,
    /// Wakes rotations that wait for their next attempt.
    pub(super) again: Notify,
    function: FunctionArn,
}

struct State {
    store: Store,
    durability: Durability,
}

/// The rotations that were begun, for the engine.
pub struct Begun(pub(super) mpsc::UnboundedReceiver<Rotation>);

impl Backend {
    /// A backend without secrets, which forgets everything when it is dropped.
    pub fn new(function: FunctionArn) -> (Arc<Self>, Begun) {
        Self::with(Store::new(function.clone()), Durability::Memory, function)
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
        let state = Mutex::new(State { store, durability });
        (Arc::new(Self { state, begun: sender, again: Notify::new(), function }), Begun(receiver))
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
        // The store keeps the value; this copy of it is wiped with the request.
        let (secret_string, secret_binary) = match value {
            SecretValue::Text(text) => (Some(Hidden(Zeroizing::new(text.expose().to_owned()))), None),
            SecretValue::Binary(bytes) => (None, Some(Blob(Zeroizing::new(bytes.expose().to_vec())))),
        };
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
        match self.apply(|store, now| operate(store, operation, body, now))? {
            Answer::Done(body, work) => {
                self.begin(work);
                Ok(body)
            }
            Answer::RotationInProgress(work) => Err(self.in_progress(work)),
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
        match self.apply(|store, now| store.rotate_secret(request, &token, now))? {
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
        let now = SystemTime::now();
        // A panic elsewhere leaves a complete store behind, because it is only ever replaced as a whole.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = state.store.clone();
        next.expire(now);
        let answer = step(&mut next, now)?;
        state.durability.keep(&next).map_err(|error| ServiceError::new(Exception::InternalService, error.to_string()))?;
        state.store = next;
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
