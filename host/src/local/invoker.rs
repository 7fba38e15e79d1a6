//! Who runs a step: code of this process, a real function executable, or a Lambda that something else provides.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::bootstrap_process::BootstrapProcess;
use super::exchange::{Blow, Interference};
use super::lambda_endpoint::LambdaEndpoint;
use super::store::FunctionArn;
use crate::rotation::Rotator;
use crate::step_record::StepReport;

/// What the rotation function answered: its payload, which Secrets Manager ignores, or its error.
pub type Invocation = Result<Value, InvocationError>;

/// A function error, as Lambda reports it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {error_message}")]
pub struct InvocationError {
    /// `errorType`.
    pub error_type: String,
    /// `errorMessage`.
    pub error_message: String,
}

impl InvocationError {
    /// An error from its two parts.
    pub fn new(error_type: impl Into<String>, error_message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), error_message: error_message.into() }
    }
}

type Run = dyn Fn(Vec<u8>, Instant) -> Pin<Box<dyn Future<Output = Invocation> + Send>> + Send + Sync;

/// What a rotation invokes.
pub enum Invoker {
    /// Code of this process.
    InProcess(Box<Run>),
    /// An executable that speaks to a Runtime API, as in Lambda.
    Bootstrap(Box<BootstrapProcess>),
    /// A function behind an endpoint of Lambda. Nobody here can kill it: an invocation that is killed is only given up.
    Lambda(LambdaEndpoint, FunctionArn),
}

/// What each function is invoked by.
pub struct Invokers {
    /// The function of the backend.
    pub usual: Invoker,
    /// Others, by their ARN.
    pub others: BTreeMap<String, Invoker>,
}

impl From<Invoker> for Invokers {
    fn from(usual: Invoker) -> Self {
        Self { usual, others: BTreeMap::new() }
    }
}

impl Invoker {
    /// Invokes a function of this process. It gets the event, which holds the RotationToken, and the deadline, after which its
    /// future is dropped.
    pub fn in_process<F>(run: impl Fn(Vec<u8>, Instant) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Invocation> + Send + 'static,
    {
        Self::InProcess(Box::new(move |event, deadline| Box::pin(run(event, deadline))))
    }

    /// Invokes the rotation itself. `each` is shown the report of every step that succeeded.
    pub fn rotator(rotator: Arc<Rotator>, each: impl Fn(StepReport) + Clone + Send + Sync + 'static) -> Self {
        Self::in_process(move |event, deadline| {
            let (rotator, each) = (Arc::clone(&rotator), each.clone());
            async move {
                match rotator.run(&event, deadline).await {
                    Ok(report) => {
                        each(report);
                        Ok(Value::Null)
                    }
                    Err(error) => Err(InvocationError::new(error.error_type(), error.message())),
                }
            }
        })
    }

    /// Invokes once, and gives up at the deadline. What `interferences` say of this secret's invocation is done to it meanwhile.
    ///
    /// # Errors
    ///
    /// The function's error, or the one with which Lambda reports that it died or took too long.
    pub async fn invoke(
        &self,
        event: &[u8],
        deadline: Instant,
        mut interferences: broadcast::Receiver<Interference>,
    ) -> Invocation {
        let secret = serde_json::from_slice::<Event>(event).map(|event| event.secret_id).unwrap_or_default();
        let mut first = pin!(self.run(event, deadline));
        let mut second = pin!(None);
        loop {
            tokio::select! {
                biased;
                answer = &mut first => {
                    if let Some(second) = second.as_mut().as_pin_mut() {
                        second.await;
                    }
                    return answer;
                }
                Some(interference) = next(&mut interferences, &secret) => match interference.what {
                    Blow::Kill => {
                        self.kill();
                        return Err(killed());
                    }
                    Blow::Duplicate if second.is_none() => second.set(Some(async move {
                        // Its answer is nobody's, as that of an invocation that Secrets Manager has given up.
                        let _unheard = self.run(event, deadline).await;
                        drop(interference);
                    })),
                    // One is enough at a time.
                    Blow::Duplicate => {}
                },
                () = wait(second.as_mut()) => second.set(None),
            }
        }
    }

    async fn run(&self, event: &[u8], deadline: Instant) -> Invocation {
        match self {
            Self::InProcess(run) => match tokio::time::timeout_at(deadline, run(event.to_vec(), deadline)).await {
                Ok(answer) => answer,
                Err(_) => Err(timed_out()),
            },
            Self::Bootstrap(process) => process.invoke(event.to_vec(), deadline).await,
            Self::Lambda(endpoint, function) => endpoint.invoke(function, event.to_vec(), deadline).await,
        }
    }

    /// Ends the function's process. Code of this process dies when its future is dropped.
    pub(super) fn kill(&self) {
        match self {
            Self::InProcess(_) | Self::Lambda(..) => {}
            Self::Bootstrap(process) => process.kill(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    secret_id: String,
}

/// The next interference with the invocation for this secret; none if no more can come.
async fn next(interferences: &mut broadcast::Receiver<Interference>, secret: &str) -> Option<Interference> {
    loop {
        match interferences.recv().await {
            Ok(interference) if interference.concerns(secret) => return Some(interference),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

/// Waits for a future, if there is one; for ever otherwise.
async fn wait(future: Pin<&mut Option<impl Future<Output = ()>>>) {
    match future.as_pin_mut() {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// What Lambda reports when a function's process was killed.
pub(super) fn killed() -> InvocationError {
    InvocationError::new("Runtime.ExitError", "Runtime exited with error: signal: killed")
}

/// What Lambda reports when a function does not answer in time.
pub(super) fn timed_out() -> InvocationError {
    InvocationError::new("Sandbox.Timedout", "Task timed out")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::local::backend::Backend;

    const EVENT: &[u8] = br#"{"SecretId":"arn"}"#;

    /// A function that has `blow` done to itself in its first invocation, and writes down how far each invocation came.
    fn suffering(blow: Blow, of: &'static str) -> (Arc<Backend>, Invoker, Arc<Mutex<Vec<String>>>) {
        let (backend, _begun) = Backend::new(FunctionArn::default());
        let history: Arc<Mutex<Vec<String>>> = Arc::default();
        let (ours, written) = (Arc::clone(&backend), Arc::clone(&history));
        let invoker = Invoker::in_process(move |_event, _deadline| {
            let (backend, history) = (Arc::clone(&ours), Arc::clone(&written));
            async move {
                let write = |line: &str| history.lock().unwrap().push(line.to_owned());
                let first = history.lock().unwrap().is_empty();
                let name = if first { "first" } else { "second" };
                write(&format!("{name} began"));
                if first {
                    backend.interfere(blow, Some(of)).await;
                }
                write(&format!("{name} ended"));
                Ok(Value::from(name))
            }
        });
        (backend, invoker, history)
    }

    async fn invoke(backend: &Backend, invoker: &Invoker) -> Invocation {
        invoker.invoke(EVENT, Instant::now() + std::time::Duration::from_secs(60), backend.interferences()).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_killed_invocation_ends_where_it_is() {
        let (backend, invoker, history) = suffering(Blow::Kill, "arn");
        assert_eq!(invoke(&backend, &invoker).await.unwrap_err().error_type, "Runtime.ExitError");
        assert_eq!(*history.lock().unwrap(), ["first began"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_duplicate_runs_to_its_end_before_the_first_goes_on() {
        let (backend, invoker, history) = suffering(Blow::Duplicate, "arn");
        assert_eq!(invoke(&backend, &invoker).await.unwrap(), "first");
        assert_eq!(*history.lock().unwrap(), ["first began", "second began", "second ended", "first ended"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_blow_for_another_secret_is_none() {
        let (backend, invoker, history) = suffering(Blow::Kill, "another");
        assert_eq!(invoke(&backend, &invoker).await.unwrap(), "first");
        assert_eq!(*history.lock().unwrap(), ["first began", "first ended"]);
    }
}
