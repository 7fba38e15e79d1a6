//! How a plugin says that it did not succeed: why, and what that did to the service.
//!
//! Mirrors `wit/failures.wit`, where each case says who acts. The names that people read are those of the WIT.

use std::fmt;

pub mod table;

/// Why something did not succeed. The host decides by the cause what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The service does not accept the credential, or the credential lacks the right. In a test: the only proof that it fails.
    Unauthorized,
    /// The service could not be reached, did not answer in time, or closed the connection. Says nothing about the credential.
    Unreachable,
    /// The service refuses the new value; the same value will be refused again.
    Rejected,
    /// The service asks to come back later.
    RateLimited,
    /// The service accepted the change but does not apply it yet.
    NotYetEffective,
    /// Somebody else is changing the same credential at the same time.
    Conflict,
    /// The secret does not hold what the plugin needs.
    MalformedSecret,
    /// The host's policy refuses what was asked.
    Denied,
    /// The service is of a kind or version that the plugin does not handle.
    Unsupported,
    /// The plugin found something it cannot explain.
    Internal,
}

impl Cause {
    /// All causes, in the order of the WIT.
    pub const ALL: [Self; 10] = [
        Self::Unauthorized,
        Self::Unreachable,
        Self::Rejected,
        Self::RateLimited,
        Self::NotYetEffective,
        Self::Conflict,
        Self::MalformedSecret,
        Self::Denied,
        Self::Unsupported,
        Self::Internal,
    ];

    /// The cause's name in the WIT.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
            Self::RateLimited => "rate-limited",
            Self::NotYetEffective => "not-yet-effective",
            Self::Conflict => "conflict",
            Self::MalformedSecret => "malformed-secret",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is known about the service's state after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The service certainly is as it was before the step.
    Unchanged,
    /// The service certainly was changed, at least in part.
    Changed,
    /// The change may or may not have been applied.
    Unknown,
}

impl Effect {
    /// All effects, in the order of the WIT.
    pub const ALL: [Self; 3] = [Self::Unchanged, Self::Changed, Self::Unknown];

    /// The effect's name in the WIT.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_contract_in_its_order() {
        let wit = include_str!("../../wit/failures.wit");
        let cases = |of: &str| -> Vec<String> {
            let (_, body) = wit.split_once(&format!("enum {of} {{")).unwrap();
            let (body, _) = body.split_once('}').unwrap();
            let lines = body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("///"));
            lines.map(|line| line.trim_end_matches(',').to_owned()).collect()
        };
        assert_eq!(cases("cause"), Cause::ALL.map(Cause::name));
        assert_eq!(cases("effect"), Effect::ALL.map(Effect::name));
    }
}
