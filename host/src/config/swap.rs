//! What becomes of a rotation whose plugin changes after it has begun.

use std::fmt;

use serde::Deserialize;

/// What becomes of a rotation whose plugin changes after it has begun: `swap_within_rotation` of a rule or of `[defaults]`.
///
/// A swap is meant for the next rotation. Inside one, one component may have told the service what another has to understand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwapWithinRotation {
    /// It goes on with the component that it began with, as long as this process has it. Where it does not, the next step fails until
    /// the component is back or the operator accepts the change.
    #[default]
    Refuse,
    /// It goes on with the new component, and says so.
    Accept,
}

impl SwapWithinRotation {
    /// The word in `windlass.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Accept => "accept",
        }
    }
}

impl fmt::Display for SwapWithinRotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
