//! The lines that a heartbeat leaves in the function's log: one for each secret, and one with the counts and the metrics at its end.
//!
//! Of a secret: `message` is `heartbeat`, `heartbeat` one of `ok`, `drift`, `unreachable`, `unclear` and `skipped`; `reason` says why it
//! was skipped; the other fields are those of a step's line ([`crate::step_line`]). At the end: `message` is `heartbeat done`, with
//! the counts, and the metrics `HeartbeatOk`, `HeartbeatDrift`, `HeartbeatUnreachable`, `HeartbeatUnclear`, `HeartbeatSkipped` and
//! `HeartbeatDuration` by `FunctionName`; or `heartbeat failed`, with the metric `Failures` by `FunctionName` and `ErrorType`.

use std::time::Duration;

use serde::Serialize;

use super::error::HeartbeatError;
use super::{Checked, Counts};
use crate::embedded_metrics::{self, Directive, Metadata, Metric};
use crate::secret_names::SecretNames;
use crate::step_line::{Context, FAILURE_METRICS, FailureFields, PluginFields, cut, microseconds};
use crate::timestamp;

const METRICS: &[Metric] = &[
    Metric::count("HeartbeatOk"),
    Metric::count("HeartbeatDrift"),
    Metric::count("HeartbeatUnreachable"),
    Metric::count("HeartbeatUnclear"),
    Metric::count("HeartbeatSkipped"),
    Metric::milliseconds("HeartbeatDuration"),
];

/// The line of one secret.
#[derive(Debug, Serialize)]
pub struct SecretLine<'a> {
    timestamp: String,
    level: &'static str,
    message: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    heartbeat: &'static str,
    secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(flatten)]
    plugin: PluginFields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(flatten)]
    failure: FailureFields,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_logins: Option<u32>,
    attempts: u32,
    duration_us: u64,
    secrets_manager_us: u64,
    plugin_us: u64,
    service_us: u64,
}

impl<'a> SecretLine<'a> {
    /// Of what was found out. `context` says when that was.
    pub fn new(context: Context<'a>, checked: &'a Checked) -> Self {
        let Checked { id, arn, version, verdict, record } = checked;
        let names: &SecretNames = context.names;
        let known = arn.as_ref().map_or(id.as_str(), |arn| arn.as_str());
        let called = [known, arn.as_ref().map_or(id.as_str(), |arn| arn.name())];
        Self {
            timestamp: timestamp::rfc3339(context.at),
            level: verdict.level(),
            message: "heartbeat",
            request_id: context.request_id,
            trace_id: context.trace_id,
            heartbeat: verdict.name(),
            secret: names.of(known),
            version: version.as_ref().map(|version| version.as_str()),
            plugin: PluginFields::of(record.plugin.as_ref()),
            reason: verdict.reason(),
            failure: FailureFields::of(verdict.error()),
            error: verdict.message(known).map(|message| cut(names.in_text(message, &called))),
            refused_logins: record.refused_logins,
            attempts: record.attempts,
            duration_us: microseconds(record.times.whole),
            secrets_manager_us: microseconds(record.times.secrets_manager),
            plugin_us: microseconds(record.times.plugin),
            service_us: microseconds(record.times.service),
        }
    }
}

/// The line at the end of a heartbeat.
#[derive(Debug, Serialize)]
pub struct EndLine<'a> {
    timestamp: String,
    level: &'static str,
    message: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(flatten)]
    counts: Counts,
    duration_us: u64,
    #[serde(rename = "_aws")]
    metadata: Metadata,
    #[serde(rename = "FunctionName")]
    function_name: &'a str,
    #[serde(rename = "HeartbeatOk")]
    ok: u32,
    #[serde(rename = "HeartbeatDrift")]
    drift: u32,
    #[serde(rename = "HeartbeatUnreachable")]
    unreachable: u32,
    #[serde(rename = "HeartbeatUnclear")]
    unclear: u32,
    #[serde(rename = "HeartbeatSkipped")]
    skipped: u32,
    #[serde(rename = "HeartbeatDuration")]
    duration: f64,
}

impl<'a> EndLine<'a> {
    /// Of a heartbeat that found out this, in this time.
    pub fn new(context: Context<'a>, counts: Counts, took: Duration) -> Self {
        Self {
            timestamp: timestamp::rfc3339(context.at),
            level: "INFO",
            message: "heartbeat done",
            request_id: context.request_id,
            trace_id: context.trace_id,
            counts,
            duration_us: microseconds(took),
            metadata: Metadata::new(context.at, vec![Directive::new(&["FunctionName"], METRICS)]),
            function_name: context.function,
            ok: counts.ok,
            drift: counts.drift,
            unreachable: counts.unreachable,
            unclear: counts.unclear,
            skipped: counts.skipped,
            duration: embedded_metrics::milliseconds(took),
        }
    }
}

/// The line of a heartbeat, or of a part of it, that came to nothing.
#[derive(Debug, Serialize)]
pub struct FailureLine<'a> {
    timestamp: String,
    level: &'static str,
    message: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    error_type: &'static str,
    error: String,
    #[serde(rename = "_aws")]
    metadata: Metadata,
    #[serde(rename = "FunctionName")]
    function_name: &'a str,
    #[serde(rename = "ErrorType")]
    error_type_dimension: &'static str,
    #[serde(rename = "Failures")]
    failures: u32,
}

impl<'a> FailureLine<'a> {
    /// Of this failure.
    pub fn new(context: Context<'a>, error: &HeartbeatError) -> Self {
        Self {
            timestamp: timestamp::rfc3339(context.at),
            level: "ERROR",
            message: "heartbeat failed",
            request_id: context.request_id,
            trace_id: context.trace_id,
            error_type: error.error_type(),
            error: cut(context.names.in_text(error.to_string(), &[])),
            metadata: Metadata::new(context.at, vec![Directive::new(&["FunctionName", "ErrorType"], FAILURE_METRICS)]),
            function_name: context.function,
            error_type_dimension: error.error_type(),
            failures: 1,
        }
    }
}

#[cfg(test)]
mod tests;
