//! The Lambda function: what an invocation is for, what it is answered, and the lines that it leaves in the log.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;
use tracing::{Instrument, info_span};

use crate::config::Config;
use crate::error::StepError;
use crate::event::{Request, RotationEvent};
use crate::heartbeat::line::{EndLine, FailureLine, SecretLine};
use crate::heartbeat::{Heartbeat, Told};
use crate::journal::Journal;
use crate::rotation::Rotator;
use crate::secret_names::SecretNames;
use crate::step_line::{Context, StepLine};
use crate::step_record::{StepOutcome, StepRecord};

/// The function. Serves one invocation after the other.
pub struct Function {
    rotator: Arc<Rotator>,
    name: String,
    names: SecretNames,
    journal: Journal,
}

/// What Lambda says of an invocation besides its event.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The id of the request, as in Lambda's own lines of the log.
    pub request_id: String,
    /// The X-Ray trace, `1-…`, if there is one.
    pub trace_id: Option<String>,
    /// The ARN through which the function was invoked, with or without a version or an alias.
    pub function_arn: String,
    /// When Lambda ends the function at the latest.
    pub deadline: Instant,
}

/// What Lambda is told of an invocation that failed. Its `Debug` is the type alone: lambda_runtime logs it.
pub struct FunctionError {
    /// `errorType`: one of `host/FAILURES.md`.
    pub error_type: &'static str,
    /// `errorMessage`: what happened, why, and what to do.
    pub message: String,
}

impl Function {
    /// Puts the parts together. `config` is the one that `rotator` has.
    pub fn new(rotator: Rotator, config: &Config, journal: Journal) -> Self {
        Self { rotator: Arc::new(rotator), name: config.function.clone(), names: SecretNames::configured(config), journal }
    }

    /// Does what `event` (JSON, as Lambda delivers it) asks for, and leaves a line in the log.
    ///
    /// # Errors
    ///
    /// Those of [`Rotator::run`] and [`Heartbeat::beat`].
    pub async fn invoke(&self, event: &[u8], invocation: &Invocation) -> Result<(), FunctionError> {
        match Request::parse(event) {
            Ok(Request::Rotation(event)) => self.rotate(&event, invocation).await,
            Ok(Request::Heartbeat) => self.beat(invocation).await,
            Err(error) => {
                let nothing_done = StepRecord { attempts: 1, ..StepRecord::default() };
                self.finish(None, Err(error.into()), &nothing_done, invocation)
            }
        }
    }

    async fn rotate(&self, event: &RotationEvent, invocation: &Invocation) -> Result<(), FunctionError> {
        // On every line that is written meanwhile, those of the plugin included: one function serves many secrets.
        let span = info_span!(
            "rotation",
            request_id = invocation.request_id,
            trace_id = invocation.trace_id,
            step = event.step.name(),
            secret = self.names.of(event.secret.as_str()),
            version = event.version.as_str()
        );
        let (outcome, record) = self.rotator.step(event, invocation.deadline).instrument(span).await;
        self.finish(Some(event), outcome, &record, invocation)
    }

    async fn beat(&self, invocation: &Invocation) -> Result<(), FunctionError> {
        let begin = Instant::now();
        let (rotator, names) = (Arc::clone(&self.rotator), self.names.clone());
        let heartbeat = Heartbeat { rotator, names, invocation: invocation.clone() };
        let counts = heartbeat
            .beat(|told| match told {
                Told::Secret(at, checked) => self.journal.write(&SecretLine::new(self.context(at, invocation), &checked)),
                Told::Unlisted(error) => self.journal.write(&FailureLine::new(self.now(invocation), &error)),
            })
            .await;
        match counts {
            Ok(counts) => {
                self.journal.write(&EndLine::new(self.now(invocation), counts, begin.elapsed()));
                Ok(())
            }
            Err(error) => {
                self.journal.write(&FailureLine::new(self.now(invocation), &error));
                Err(FunctionError { error_type: error.error_type(), message: error.to_string() })
            }
        }
    }

    fn finish(
        &self,
        event: Option<&RotationEvent>,
        outcome: Result<StepOutcome, StepError>,
        record: &StepRecord,
        invocation: &Invocation,
    ) -> Result<(), FunctionError> {
        self.journal.write(&StepLine::new(self.now(invocation), event, &outcome, record));
        outcome.map(|_| ()).map_err(FunctionError::from)
    }

    fn now<'a>(&'a self, invocation: &'a Invocation) -> Context<'a> {
        self.context(SystemTime::now(), invocation)
    }

    fn context<'a>(&'a self, at: SystemTime, invocation: &'a Invocation) -> Context<'a> {
        Context {
            at,
            function: &self.name,
            request_id: &invocation.request_id,
            trace_id: invocation.trace_id.as_deref(),
            names: &self.names,
        }
    }
}

impl Invocation {
    /// The id of the trace in the value of Lambda's header `Lambda-Runtime-Trace-Id`, `Root=1-…;Parent=…;Sampled=…`.
    ///
    /// Source: <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
    pub fn trace_id(header: &str) -> Option<String> {
        header.split(';').find_map(|part| part.trim().strip_prefix("Root=")).map(str::to_owned)
    }
}

impl From<StepError> for FunctionError {
    fn from(error: StepError) -> Self {
        Self { error_type: error.error_type(), message: error.message() }
    }
}

impl fmt::Debug for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.error_type)
    }
}

#[cfg(feature = "lambda")]
impl From<FunctionError> for lambda_runtime::Diagnostic {
    fn from(error: FunctionError) -> Self {
        Self { error_type: error.error_type.to_owned(), error_message: error.message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_named_by_its_root() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0";
        assert_eq!(Invocation::trace_id(header).as_deref(), Some("1-5759e988-bd862e3fe1be46a994272793"));
        assert_eq!(Invocation::trace_id("Parent=53995c3f42cd8ad8"), None);
    }

    #[test]
    fn an_error_that_is_logged_by_others_says_its_type_alone() {
        let error = FunctionError { error_type: "Windlass.Unreachable", message: "prod/app".to_owned() };
        assert_eq!(format!("{error:?}"), "Windlass.Unreachable");
    }
}
