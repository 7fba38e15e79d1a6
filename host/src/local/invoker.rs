//! Who runs a step: code of this process, or a real function executable.

use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use super::bootstrap_process::BootstrapProcess;
use crate::rotation::{Rotator, StepReport};

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

    /// Invokes once, and gives up at the deadline.
    ///
    /// # Errors
    ///
    /// The function's error, or the one with which Lambda reports that it died or took too long.
    pub async fn invoke(&self, event: Vec<u8>, deadline: Instant) -> Invocation {
        match self {
            Self::InProcess(run) => match tokio::time::timeout_at(deadline, run(event, deadline)).await {
                Ok(answer) => answer,
                Err(_) => Err(timed_out()),
            },
            Self::Bootstrap(process) => process.invoke(event, deadline).await,
        }
    }
}

/// What Lambda reports when a function does not answer in time.
pub(super) fn timed_out() -> InvocationError {
    InvocationError::new("Sandbox.Timedout", "Task timed out")
}
