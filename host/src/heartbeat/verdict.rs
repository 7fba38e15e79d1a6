//! What a heartbeat found out about a secret.

use std::fmt;

use crate::error::StepError;
use crate::failure::Cause;
use crate::state::NotRotatable;

/// What a heartbeat found out about a secret.
#[derive(Debug)]
pub enum Verdict {
    /// The service accepts AWSCURRENT.
    Ok,
    /// The service refuses AWSCURRENT: somebody has changed the credential elsewhere.
    Drift(StepError),
    /// The service cannot be reached, which says nothing of the credential.
    Unreachable(StepError),
    /// Something else stands in the way: of the plugin, of Secrets Manager, of the configuration.
    Unclear(StepError),
    /// It was not tested.
    Skipped(Skipped),
}

/// Why a secret was not tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skipped {
    /// No step of a rotation would run for it.
    NotRotatable(NotRotatable),
    /// Between setSecret and finishSecret the service may accept the pending value only.
    UnderWay,
    /// The rule that names it does not cover it, or another one does first.
    NotSelected,
    /// The function's time was up.
    OutOfTime,
}

impl Verdict {
    /// What a test that did not pass says.
    pub fn of(error: StepError) -> Self {
        match error.reported().map(|(cause, _)| cause) {
            Some(Cause::Unauthorized) => Self::Drift(error),
            Some(Cause::Unreachable) => Self::Unreachable(error),
            Some(
                Cause::Rejected
                | Cause::RateLimited
                | Cause::NotYetEffective
                | Cause::Conflict
                | Cause::MalformedSecret
                | Cause::Denied
                | Cause::Unsupported
                | Cause::Internal,
            )
            | None => Self::Unclear(error),
        }
    }

    /// The word in the log.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Drift(_) => "drift",
            Self::Unreachable(_) => "unreachable",
            Self::Unclear(_) => "unclear",
            Self::Skipped(_) => "skipped",
        }
    }

    /// The level of its line.
    pub const fn level(&self) -> &'static str {
        match self {
            Self::Ok | Self::Skipped(_) => "INFO",
            Self::Drift(_) => "ERROR",
            Self::Unreachable(_) | Self::Unclear(_) => "WARN",
        }
    }

    /// Why it was skipped, if it was.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Skipped(why) => Some(why.to_string()),
            Self::Ok | Self::Drift(_) | Self::Unreachable(_) | Self::Unclear(_) => None,
        }
    }

    /// Why it is not ok, if it was tested or was to be.
    pub const fn error(&self) -> Option<&StepError> {
        match self {
            Self::Drift(error) | Self::Unreachable(error) | Self::Unclear(error) => Some(error),
            Self::Ok | Self::Skipped(_) => None,
        }
    }

    /// The whole story of what is not ok. `secret` is what the message calls the secret.
    pub fn message(&self, secret: &str) -> Option<String> {
        match self {
            // The error's own advice is for setSecret, which tries other versions.
            Self::Drift(StepError::Plugin { plugin, why }) => Some(format!(
                "plugin `{plugin}`: the service refuses AWSCURRENT, so whoever uses the secret cannot log in: {why}. To do: find out with \
                 `windlass doctor {secret} --probe` which version works, and follow what it says"
            )),
            Self::Drift(error) | Self::Unreachable(error) | Self::Unclear(error) => Some(error.message()),
            Self::Ok | Self::Skipped(_) => None,
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRotatable(why) => why.fmt(f),
            Self::UnderWay => f.write_str("rotation under way"),
            Self::NotSelected => {
                f.write_str("the first rule of windlass.toml that covers it, if one does, has no `heartbeat = true`")
            }
            Self::OutOfTime => f.write_str("out of time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Effect;
    use crate::plugin::call::{CallError, Stop};

    #[test]
    fn only_a_refused_login_is_drift_and_only_an_unreachable_service_is_unreachable() {
        for cause in Cause::ALL {
            let why = CallError::Failure { cause, effect: Effect::Unchanged, message: String::new() };
            let expected = match cause {
                Cause::Unauthorized => "drift",
                Cause::Unreachable => "unreachable",
                Cause::Rejected
                | Cause::RateLimited
                | Cause::NotYetEffective
                | Cause::Conflict
                | Cause::MalformedSecret
                | Cause::Denied
                | Cause::Unsupported
                | Cause::Internal => "unclear",
            };
            assert_eq!(Verdict::of(StepError::Plugin { plugin: "redis".to_owned(), why }).name(), expected, "{cause}");
        }
        let stopped = StepError::Plugin { plugin: "redis".to_owned(), why: Stop::Deadline.into() };
        assert_eq!(Verdict::of(stopped).name(), "unclear");
        assert_eq!(Verdict::of(StepError::NoCurrentValue).name(), "unclear");
    }

    #[test]
    fn drift_is_told_with_what_to_do() {
        let message = "WRONGPASS".to_owned();
        let why = CallError::Failure { cause: Cause::Unauthorized, effect: Effect::Unchanged, message };
        let verdict = Verdict::of(StepError::Plugin { plugin: "redis".to_owned(), why });
        insta::assert_snapshot!(verdict.message("prod/app").unwrap(), @"plugin `redis`: the service refuses AWSCURRENT, so whoever uses the secret cannot log in: unauthorized (unchanged): WRONGPASS. To do: find out with `windlass doctor prod/app --probe` which version works, and follow what it says");
    }
}
