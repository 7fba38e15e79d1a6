//! How a step says that it did not succeed.

use std::error::Error;
use std::{fmt, io};

pub use crate::bindings::windlass::rotation::failures::{Cause, Effect};

/// Why something did not succeed, what it did to the service, and a sentence for people.
///
/// There is a constructor for each cause; it sets the effect that is usual for the cause, and [`Failure::unchanged`],
/// [`Failure::changed`] and [`Failure::unknown`] correct it. `?` makes a failure of an [`io::Error`], so that protocol code over a
/// [`Connection`](crate::connection::Connection) reads like any other.
///
/// Never put a credential into the message. The host replaces every value it handed out, but it cannot know one that the plugin has
/// transformed.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    cause: Cause,
    effect: Effect,
    message: String,
}

impl Failure {
    /// A failure of this cause and effect.
    pub fn new(cause: Cause, effect: Effect, message: impl Into<String>) -> Self {
        Self { cause, effect, message: message.into() }
    }

    /// The service does not accept the credential, or the credential may not do this. Effect: unchanged.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(Cause::Unauthorized, Effect::Unchanged, message)
    }

    /// The service could not be reached or did not answer. Effect: unknown.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Cause::Unreachable, Effect::Unknown, message)
    }

    /// The service refuses the new value. Effect: unchanged.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::new(Cause::Rejected, Effect::Unchanged, message)
    }

    /// The service asks to come back later. Effect: unchanged.
    pub fn rate_limited(message: impl Into<String>) -> Self {
        Self::new(Cause::RateLimited, Effect::Unchanged, message)
    }

    /// The service accepted the change but does not apply it yet. Effect: changed.
    pub fn not_yet_effective(message: impl Into<String>) -> Self {
        Self::new(Cause::NotYetEffective, Effect::Changed, message)
    }

    /// Somebody else is changing the same credential. Effect: unknown.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Cause::Conflict, Effect::Unknown, message)
    }

    /// The secret lacks what the plugin needs. Name the field, never its value. Effect: unchanged.
    pub fn malformed_secret(message: impl Into<String>) -> Self {
        Self::new(Cause::MalformedSecret, Effect::Unchanged, message)
    }

    /// Policy refuses what was asked. Usually the host says this. Effect: unchanged.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(Cause::Denied, Effect::Unchanged, message)
    }

    /// The service is of a kind or version that this plugin does not handle. Effect: unchanged.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Cause::Unsupported, Effect::Unchanged, message)
    }

    /// Something that the plugin cannot explain, such as an answer that does not parse. Effect: unknown.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Cause::Internal, Effect::Unknown, message)
    }

    /// The same failure, after which the service certainly is as it was.
    #[must_use]
    pub fn unchanged(self) -> Self {
        Self { effect: Effect::Unchanged, ..self }
    }

    /// The same failure, after which the service certainly was changed, at least in part.
    #[must_use]
    pub fn changed(self) -> Self {
        Self { effect: Effect::Changed, ..self }
    }

    /// The same failure, after which nobody knows whether the service was changed.
    #[must_use]
    pub fn unknown(self) -> Self {
        Self { effect: Effect::Unknown, ..self }
    }

    /// Why.
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// What is known about the service afterwards.
    pub const fn effect(&self) -> Effect {
        self.effect
    }

    /// What was tried and what the service answered.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the credential was refused and nothing happened, so that another credential may be tried.
    pub(crate) fn refuses_credential(&self) -> bool {
        self.cause == Cause::Unauthorized && self.effect == Effect::Unchanged
    }
}

/// The message alone inside a component, where `std::io` drags this into every plugin and cause and effect cost 4 KB.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(not(target_arch = "wasm32"))]
        write!(f, "{:?}, {:?}: ", self.cause, self.effect)?;
        f.write_str(&self.message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

/// A host's failure that travelled through `std::io` comes out as it went in. Others are `unreachable`, or `internal` for data that
/// does not parse, with effect `unknown`.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let kind = error.kind();
        let Some(inner) = error.into_inner() else { return Self::of_kind(kind) };
        match inner.downcast::<Self>() {
            Ok(failure) => *failure,
            Err(_) => Self::of_kind(kind),
        }
    }
}

impl Failure {
    fn of_kind(kind: io::ErrorKind) -> Self {
        if kind == io::ErrorKind::InvalidData {
            Self::internal("the service's answer does not parse")
        } else if kind == io::ErrorKind::UnexpectedEof {
            Self::unreachable("the service closed the connection before its answer was complete")
        } else {
            Self::unreachable("the connection to the service broke")
        }
    }
}

/// Lets a failure pass through functions that return [`io::Result`], and come out unharmed on the other side.
impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        Self::other(failure)
    }
}

impl From<crate::bindings::windlass::rotation::failures::Failure> for Failure {
    fn from(host: crate::bindings::windlass::rotation::failures::Failure) -> Self {
        Self { cause: host.cause, effect: host.effect, message: host.message }
    }
}

impl From<Failure> for crate::bindings::windlass::rotation::failures::Failure {
    fn from(failure: Failure) -> Self {
        Self { cause: failure.cause, effect: failure.effect, message: failure.message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_the_way_through_std_io() {
        let failure = Failure::denied("no such endpoint");
        assert_eq!(Failure::from(io::Error::from(failure.clone())), failure);
    }

    #[test]
    fn an_answer_cut_short_leaves_the_effect_unknown() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::UnexpectedEof));
        assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unknown));
    }
}
