//! Why a heartbeat as a whole came to nothing.

use crate::error::StepError;
use crate::secrets::{ErrorKind, SecretsError};

/// Why a heartbeat as a whole came to nothing. What is wrong with one secret is none of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeartbeatError {
    /// No rule selects a secret.
    #[error(
        "the event asks for a heartbeat, and no rule of windlass.toml selects a secret for it. Write `heartbeat = true` into the \
         `[[secrets]]` rules whose secrets are to be tested, or stop sending the event"
    )]
    SelectsNothing,
    /// The secrets that rules select by pattern or tag cannot be found.
    #[error("the heartbeat cannot find the secrets that rules select by pattern or tag: {}", story(why))]
    Listing {
        /// Why.
        why: SecretsError,
    },
}

/// What went wrong, and what to do. The call's own advice is about the policy of one secret, which a list does not have.
fn story(why: &SecretsError) -> String {
    let SecretsError { operation, kind, code, message } = why;
    if *kind != ErrorKind::Denied {
        return why.to_string();
    }
    let (code, message) = (code.as_deref().unwrap_or("no code"), message.trim_end_matches('.'));
    format!(
        "{operation} failed with {code}: {message}. To do: allow secretsmanager:ListSecrets on `*` in the function's role (it takes no other \
         resource), or give the secrets' names in full in their rules, which needs no list"
    )
}

impl HeartbeatError {
    /// The error's name for machines: Lambda's `errorType`.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::SelectsNothing => "Windlass.HeartbeatSelectsNothing",
            Self::Listing { why } if why.kind == ErrorKind::Denied => "Windlass.HeartbeatDenied",
            Self::Listing { why } => StepError::Secrets(why.clone()).error_type(),
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn messages_say_what_why_and_what_to_do() {
        assert_snapshot!(HeartbeatError::SelectsNothing, @"the event asks for a heartbeat, and no rule of windlass.toml selects a secret for it. Write `heartbeat = true` into the `[[secrets]]` rules whose secrets are to be tested, or stop sending the event");
        let denied = |kind, code: &str, message: &str| {
            let why = SecretsError { operation: "ListSecrets", kind, code: Some(code.to_owned()), message: message.to_owned() };
            HeartbeatError::Listing { why }
        };
        let error = denied(ErrorKind::Denied, "AccessDeniedException", "User: x is not authorized");
        assert_snapshot!(error, @"the heartbeat cannot find the secrets that rules select by pattern or tag: ListSecrets failed with AccessDeniedException: User: x is not authorized. To do: allow secretsmanager:ListSecrets on `*` in the function's role (it takes no other resource), or give the secrets' names in full in their rules, which needs no list");
        assert_eq!(error.error_type(), "Windlass.HeartbeatDenied");
        let error = denied(ErrorKind::Throttled, "ThrottlingException", "Rate exceeded");
        assert_eq!(error.error_type(), "Windlass.SecretsManagerThrottled");
    }
}
