//! What must hold at all times.

use std::fmt;

use windlass::event::Step;

/// The invariants of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// The pending value is written once, before any effect that it describes.
    I1,
    /// Every Put carries the token, the RotationToken and AWSPENDING alone.
    I2,
    /// AWSCURRENT moves only in finishSecret, only to the token, by compare-and-swap, only after a passing test in the same step.
    I3,
    /// At every moment a labelled version logs in to the service.
    I4,
    /// The function never removes AWSPENDING and never tags or updates the secret.
    I5,
    /// Who and where are the same in current and pending.
    I6,
    /// A refused gate means: no traffic to the service.
    I8,
    /// No secret and no RotationToken in a log line or an error.
    I9,
    /// Only granted endpoints are reached.
    I10,
    /// What is current already succeeds, without any traffic to the service.
    I11,
    /// After any failure the same token succeeds later. This is also how steps show that they can be repeated, in any order and twice
    /// at the same time (I7).
    I12,
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub invariant: Invariant,
    pub step: Option<Step>,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, step, what } = self;
        match step {
            Some(step) => write!(f, "{invariant:?} in {step}: {what}"),
            None => write!(f, "{invariant:?}: {what}"),
        }
    }
}
