//! Metrics in a line of the log: CloudWatch's embedded metric format. A line that has a member `_aws` is a log line like every other,
//! and CloudWatch takes the metrics out of it that the member names.
//!
//! Each combination of dimension values is a metric that is paid for, so dimensions have few values: the function's name, the four
//! steps, the error types of `host/FAILURES.md`. No secret is one.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::timestamp;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Windlass";

/// The member `_aws` of a line: which of its members are metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metadata {
    /// When, in milliseconds since 1970.
    timestamp: u64,
    #[serde(rename = "CloudWatchMetrics")]
    metrics: Vec<Directive>,
}

/// Metrics that have the same dimensions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Directive {
    namespace: &'static str,
    /// One set of dimensions. Their names are members of the line whose values are text.
    dimensions: [&'static [&'static str]; 1],
    metrics: &'static [Metric],
}

/// A metric. Its name is a member of the line whose value is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metric {
    name: &'static str,
    unit: &'static str,
}

impl Metadata {
    /// Of a line that is written now, `at`.
    pub fn new(at: SystemTime, metrics: Vec<Directive>) -> Self {
        Self { timestamp: timestamp::milliseconds(at), metrics }
    }
}

impl Directive {
    /// These metrics, by these dimensions.
    pub const fn new(dimensions: &'static [&'static str], metrics: &'static [Metric]) -> Self {
        Self { namespace: NAMESPACE, dimensions: [dimensions], metrics }
    }
}

impl Metric {
    /// How often something happened.
    pub const fn count(name: &'static str) -> Self {
        Self { name, unit: "Count" }
    }

    /// How long something took.
    pub const fn milliseconds(name: &'static str) -> Self {
        Self { name, unit: "Milliseconds" }
    }
}

/// A duration as the value of a metric in milliseconds, to the microsecond. Always finite, and at most 2^63.
pub fn milliseconds(time: Duration) -> f64 {
    // Exact up to 2^53 microseconds, which is 285 years.
    time.as_micros() as f64 / 1000.0
}
