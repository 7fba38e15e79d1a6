//! The line that every step leaves in the function's log: what came of it, where its time went, and the metrics of both.
//!
//! | field | meaning |
//! |---|---|
//! | `timestamp`, `level`, `message` | when the step ended; `INFO` and `step done`, or `ERROR` and `step failed` |
//! | `request_id`, `trace_id` | Lambda's request and the X-Ray trace, as in Lambda's own lines |
//! | `step`, `secret`, `version` | as in the event; the secret as `log.secret` says. Absent if the event is none |
//! | `plugin`, `plugin_version`, `digest`, `trusted_by` | the component that was chosen, and why it may run |
//! | `code_from` | where its code came from, if it was loaded in this step |
//! | `outcome` | what a step that is done did ([`StepOutcome::name`]) |
//! | `negative_control` | in testSecret: `refused`, or `skipped` where the operator wants that. Absent if it was not come to |
//! | `refused_logins` | how many logins the service refused, once a plugin was called |
//! | `attempts` | 1, and 1 more each time something had to be tried again within the step: a request to Secrets Manager or S3 that was sent again because it was throttled, failed or not answered in time; a read that did not show yet what was written; a plugin's call that the table of failures repeats |
//! | `duration_us`, `host_us`, `secrets_manager_us`, `loading_us`, `plugin_us`, `service_us` | [`crate::step_record::StepTimes`], in microseconds |
//! | `error_type`, `cause`, `effect`, `blame`, `retry`, `error` | of a step that failed: Lambda's `errorType`, what the plugin reported if it did, who has to act, whether a repeat helps, and the whole message |
//!
//! Metrics ([`crate::embedded_metrics`]): `StepsDone` and `StepsFailed` (0 or 1), `StepDuration`, `SecretsManagerDuration`,
//! `PluginDuration` and `ServiceDuration` by `FunctionName` and `Step`; of a step that failed, `Failures` by `FunctionName` and
//! `ErrorType`. An event that names no step has only the latter. A function that dies leaves no line; Lambda's metric `Errors` has it.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::embedded_metrics::{self, Directive, Metadata, Metric};
use crate::error::StepError;
use crate::event::{RotationEvent, Step};
use crate::plugin::load::CodeFrom;
use crate::secret_names::SecretNames;
use crate::step_record::{Control, PluginUsed, StepOutcome, StepRecord};
use crate::timestamp;

/// The longest error message in a line, in bytes; the rest is cut. Escaped in JSON it has six times as many at most, and CloudWatch
/// takes lines of 256 KiB: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>
pub const MAX_ERROR_BYTES: usize = 16 << 10;

const STEP_METRICS: &[Metric] = &[
    Metric::count("StepsDone"),
    Metric::count("StepsFailed"),
    Metric::milliseconds("StepDuration"),
    Metric::milliseconds("SecretsManagerDuration"),
    Metric::milliseconds("PluginDuration"),
    Metric::milliseconds("ServiceDuration"),
];
/// What counts a failure by its type.
pub(crate) const FAILURE_METRICS: &[Metric] = &[Metric::count("Failures")];

/// What a line says besides the step itself.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// When the step ended.
    pub at: SystemTime,
    /// The function's name.
    pub function: &'a str,
    /// Lambda's id of the request.
    pub request_id: &'a str,
    /// The X-Ray trace, if there is one.
    pub trace_id: Option<&'a str>,
    /// How secrets are named.
    pub names: &'a SecretNames,
}

/// Which component was called, in a line.
#[derive(Debug, Serialize)]
pub(crate) struct PluginFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_by: Option<&'a str>,
}

/// What somebody has to know of a failure to act on it, in a line.
#[derive(Debug, Serialize)]
pub(crate) struct FailureFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blame: Option<&'static str>,
}

impl<'a> PluginFields<'a> {
    /// Of the plugin, if one was chosen.
    pub(crate) fn of(plugin: Option<&'a PluginUsed>) -> Self {
        Self {
            plugin: plugin.map(|plugin| plugin.name.as_str()),
            plugin_version: plugin.map(|plugin| plugin.version.as_str()),
            digest: plugin.map(|plugin| plugin.digest.as_str()),
            trusted_by: plugin.map(|plugin| plugin.trusted_by.as_str()),
        }
    }
}

impl FailureFields {
    /// Of the error, if there is one.
    pub(crate) fn of(error: Option<&StepError>) -> Self {
        let reported = error.and_then(StepError::reported);
        Self {
            error_type: error.map(StepError::error_type),
            cause: reported.map(|(cause, _)| cause.name()),
            effect: reported.map(|(_, effect)| effect.name()),
            blame: error.map(|error| error.blame().name()),
        }
    }
}

/// The line, in the order in which people read it.
#[derive(Debug, Serialize)]
pub struct StepLine<'a> {
    timestamp: String,
    level: &'static str,
    message: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(flatten)]
    plugin: PluginFields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(flatten)]
    failure: FailureFields,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    negative_control: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_logins: Option<u32>,
    attempts: u32,
    duration_us: u64,
    host_us: u64,
    secrets_manager_us: u64,
    loading_us: u64,
    plugin_us: u64,
    service_us: u64,
    #[serde(rename = "_aws")]
    metadata: Metadata,
    #[serde(flatten)]
    metrics: Metrics<'a>,
}

/// The values of the metrics and of their dimensions. Values that no directive names are left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metrics<'a> {
    function_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'static str>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    of_step: Option<StepMetrics>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failures: Option<u32>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct StepMetrics {
    steps_done: u32,
    steps_failed: u32,
    step_duration: f64,
    secrets_manager_duration: f64,
    plugin_duration: f64,
    service_duration: f64,
}

impl<'a> StepLine<'a> {
    /// Of this step. `event` is missing if it could not be parsed.
    pub fn new(
        context: Context<'a>,
        event: Option<&'a RotationEvent>,
        outcome: &Result<StepOutcome, StepError>,
        record: &'a StepRecord,
    ) -> Self {
        let (done, error) = match outcome {
            Ok(outcome) => (Some(*outcome), None),
            Err(error) => (None, Some(error)),
        };
        let secret = event.map(|event| &event.secret);
        let times = &record.times;
        Self {
            timestamp: timestamp::rfc3339(context.at),
            level: if error.is_none() { "INFO" } else { "ERROR" },
            message: if error.is_none() { "step done" } else { "step failed" },
            request_id: context.request_id,
            trace_id: context.trace_id,
            step: event.map(|event| event.step.name()),
            secret: secret.map(|secret| context.names.of(secret.as_str())),
            version: event.map(|event| event.version.as_str()),
            plugin: PluginFields::of(record.plugin.as_ref()),
            code_from: record.code_from.map(CodeFrom::name),
            outcome: done.map(StepOutcome::name),
            failure: FailureFields::of(error),
            retry: error.map(|error| error.retry().name()),
            error: error.map(|error| {
                let called = secret.map(|secret| [secret.as_str(), secret.name()]);
                cut(context.names.in_text(error.message(), called.as_ref().map_or(&[], |called| called)))
            }),
            negative_control: record.control.map(Control::name),
            refused_logins: record.refused_logins,
            attempts: record.attempts,
            duration_us: microseconds(times.whole),
            host_us: microseconds(times.host),
            secrets_manager_us: microseconds(times.secrets_manager),
            loading_us: microseconds(times.loading),
            plugin_us: microseconds(times.plugin),
            service_us: microseconds(times.service),
            metadata: Metadata::new(context.at, directives(event.is_some(), error.is_some())),
            metrics: Metrics {
                function_name: context.function,
                step: event.map(|event| event.step).map(Step::name),
                error_type: error.map(StepError::error_type),
                of_step: event.map(|_| StepMetrics {
                    steps_done: u32::from(error.is_none()),
                    steps_failed: u32::from(error.is_some()),
                    step_duration: embedded_metrics::milliseconds(times.whole),
                    secrets_manager_duration: embedded_metrics::milliseconds(times.secrets_manager),
                    plugin_duration: embedded_metrics::milliseconds(times.plugin),
                    service_duration: embedded_metrics::milliseconds(times.service),
                }),
                failures: error.map(|_| 1),
            },
        }
    }
}

fn directives(names_step: bool, failed: bool) -> Vec<Directive> {
    let of_step = names_step.then(|| Directive::new(&["FunctionName", "Step"], STEP_METRICS));
    let of_failure = failed.then(|| Directive::new(&["FunctionName", "ErrorType"], FAILURE_METRICS));
    of_step.into_iter().chain(of_failure).collect()
}

/// The beginning of a message that is longer than a line takes.
pub(crate) fn cut(mut message: String) -> String {
    if message.len() > MAX_ERROR_BYTES {
        let more = message.len() - MAX_ERROR_BYTES;
        message.truncate(message.floor_char_boundary(MAX_ERROR_BYTES));
        message.push_str(&format!(" [cut: {more} bytes more]"));
    }
    message
}

/// What a log can count.
pub(crate) fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
