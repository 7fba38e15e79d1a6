//! How a rotation's steps are shown: a line each for people, an object each for scripts.

use std::time::Duration;

use serde::Serialize;

use crate::step_record::{Control, StepOutcome, StepReport};

/// A step in JSON. Times are whole microseconds.
#[derive(Serialize)]
pub(super) struct StepJson {
    step: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    negative_control: Option<&'static str>,
    host_us: u128,
    plugin_us: u128,
}

impl From<&StepReport> for StepJson {
    fn from(report: &StepReport) -> Self {
        Self {
            step: report.step.name(),
            outcome: report.outcome.name(),
            negative_control: report.control.map(Control::name),
            host_us: report.times.host.as_micros(),
            plugin_us: report.times.plugin.as_micros(),
        }
    }
}

/// A step in a line: name, outcome, times, and what that means.
pub(super) fn line(report: &StepReport) -> String {
    let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    format!(
        "  {:<13} {:<16} host {:>9}  plugin {:>9}   {}",
        report.step.name(),
        report.outcome.name(),
        milliseconds(report.times.host),
        milliseconds(report.times.plugin),
        meaning(report.outcome, report.control)
    )
}

const fn meaning(outcome: StepOutcome, control: Option<Control>) -> &'static str {
    match outcome {
        StepOutcome::Accepted if matches!(control, Some(Control::Skipped)) => {
            "the new credential logs in; a corrupted copy was not tried"
        }
        StepOutcome::AlreadyCurrent => "nothing left to do",
        StepOutcome::Created => "a new value is stored as AWSPENDING",
        StepOutcome::AlreadyCreated => "the value of an earlier run is used",
        StepOutcome::Changed => "the service accepts the new credential",
        StepOutcome::Unchanged => "the service accepted it already",
        StepOutcome::Accepted => "the new credential logs in, a corrupted copy does not",
        StepOutcome::Promoted => "tested once more; AWSCURRENT moved to the new value",
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::event::Step;
    use crate::step_record::StepTimes;

    #[test]
    fn a_step_is_a_line() {
        let report = StepReport {
            step: Step::Test,
            outcome: StepOutcome::Accepted,
            plugin: None,
            control: Some(Control::Refused),
            times: StepTimes { host: Duration::from_micros(15_678), plugin: Duration::from_micros(1234), ..StepTimes::default() },
        };
        assert_snapshot!(line(&report), @r"  testSecret    accepted         host   15.7 ms  plugin    1.2 ms   the new credential logs in, a corrupted copy does not");
        let skipped = StepReport { control: Some(Control::Skipped), ..report };
        assert_snapshot!(line(&skipped), @r"  testSecret    accepted         host   15.7 ms  plugin    1.2 ms   the new credential logs in; a corrupted copy was not tried");
    }
}
