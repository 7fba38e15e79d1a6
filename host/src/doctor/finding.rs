//! What a diagnosis can find. Each kind has a name for scripts, which stays the same.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::event::VersionId;

/// How soon somebody has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// Clients that read AWSCURRENT cannot log in, or soon will not.
    Urgent,
    /// The secret does not rotate.
    Problem,
    /// Good to know. Nothing is wrong.
    Notice,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// AWSCURRENT is refused, AWSPENDING opens the service: a rotation ended between setSecret and finishSecret.
    OnlyPendingOpens {
        /// AWSCURRENT.
        current: VersionId,
        /// AWSPENDING.
        pending: VersionId,
    },
    /// AWSCURRENT is refused and a version without a label opens the service: a rotation was abandoned after setSecret.
    OnlyAbandonedOpens {
        /// AWSCURRENT.
        current: VersionId,
        /// The one that opens.
        version: VersionId,
    },
    /// AWSCURRENT is refused and another version with a label opens the service.
    OnlyOtherOpens {
        /// AWSCURRENT.
        current: VersionId,
        /// The one that opens.
        version: VersionId,
        /// Its labels.
        labels: Vec<String>,
    },
    /// AWSCURRENT is refused and nothing that was tried opens the service.
    Drift {
        /// How many versions were refused.
        refused: usize,
        /// How many could not be tried or gave no clear answer.
        unknown: usize,
    },
    /// No version has AWSCURRENT and a value.
    NoCurrentValue,
    /// A deletion is scheduled.
    MarkedForDeletion,
    /// The host's policy does not let the plugin reach the service.
    EndpointDenied {
        /// What was refused and what would grant it.
        why: String,
    },
    /// The pending version is for somebody or somewhere else.
    IdentityDiffers {
        /// AWSPENDING.
        pending: VersionId,
        /// The fields that differ.
        fields: String,
        /// Whether AWSCURRENT opens the service, if that is known.
        current_opens: Option<bool>,
    },
    /// Secrets Manager refuses the pending version because another function made it.
    NotCreatedByFunction {
        /// AWSPENDING.
        pending: VersionId,
        /// Whether AWSCURRENT opens the service, if that is known.
        current_opens: Option<bool>,
    },
    /// The pending version has no value, so no step but createSecret can run, and no other rotation can start.
    ValuelessPending {
        /// AWSPENDING.
        pending: VersionId,
    },
    /// A pending version is left over, so no other rotation can start.
    StuckPending {
        /// AWSPENDING.
        pending: VersionId,
        /// How old it is, if that is known.
        age: Option<Duration>,
        /// Whether AWSCURRENT opens the service, if that is known.
        current_opens: Option<bool>,
        /// Whether AWSPENDING does.
        pending_opens: Option<bool>,
    },
    /// A version cannot be read.
    Unreadable {
        /// Which.
        version: VersionId,
        /// Its labels.
        labels: Vec<String>,
        /// Secrets Manager's words.
        why: String,
    },
    /// Nothing names the plugin.
    MissingTag {
        /// What is installed or matches.
        why: String,
    },
    /// The plugin that is named is not installed.
    UnknownPlugin {
        /// What is.
        why: String,
    },
    /// A tag for Windlass is wrong.
    InvalidTag {
        /// How.
        why: String,
    },
    /// The plugin may not run or cannot.
    UnusablePlugin {
        /// Why.
        why: String,
    },
    /// The secret does not hold what the plugin needs.
    MalformedSecret {
        /// What is missing or wrong.
        why: String,
    },
    /// Another AWS service or partner rotates the secret.
    OwnedByAnotherService {
        /// Which.
        owner: String,
    },
    /// The secret is a copy.
    Replica {
        /// Where it can be changed.
        primary: Option<String>,
    },
    /// Rotation was turned off.
    RotationDisabled,
    /// Rotation was never turned on.
    RotationNotConfigured,
    /// The next rotation should have been.
    Overdue {
        /// When.
        due: SystemTime,
    },
    /// The secret has another rotation function than the one it is meant to have.
    OtherFunction {
        /// The one that it has.
        has: String,
        /// The one that it is meant to have.
        meant: String,
        /// AWSPENDING of a rotation that has not ended.
        pending: Option<VersionId>,
    },
    /// The secret names an admin secret in itself, as those of AWS's multi-user templates do, and no rule has two users take turns.
    MasterIgnored,
    /// The service gave no clear answer.
    ProbeUnclear {
        /// For which version.
        version: VersionId,
        /// The plugin's words.
        why: String,
    },
    /// A rotation may be at work right now.
    RotationUnderway {
        /// AWSPENDING.
        pending: VersionId,
        /// How old it is.
        age: Duration,
        /// Whether AWSCURRENT opens the service, if that is known.
        current_opens: Option<bool>,
        /// Whether AWSPENDING does.
        pending_opens: Option<bool>,
    },
    /// A version without a label looks as if an abandoned rotation had made it, and the service was not asked.
    AbandonedVersion {
        /// Which.
        version: VersionId,
    },
    /// The operator's error is none that the doctor knows.
    UnknownError,
}

/// What `--apply` can do about a finding: moves of labels, each refused by Secrets Manager if the label has moved meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Take AWSPENDING away from this version.
    RemovePending {
        /// Its holder.
        from: VersionId,
    },
    /// Move AWSCURRENT.
    MoveCurrent {
        /// Its holder.
        from: VersionId,
        /// Where to.
        to: VersionId,
    },
}

impl Finding {
    /// The name for scripts.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OnlyPendingOpens { .. } => "only-pending-opens",
            Self::OnlyAbandonedOpens { .. } => "only-abandoned-opens",
            Self::OnlyOtherOpens { .. } => "only-other-opens",
            Self::Drift { .. } => "drift",
            Self::NoCurrentValue => "no-current-value",
            Self::MarkedForDeletion => "marked-for-deletion",
            Self::EndpointDenied { .. } => "endpoint-denied",
            Self::IdentityDiffers { .. } => "identity-differs",
            Self::NotCreatedByFunction { .. } => "not-created-by-function",
            Self::ValuelessPending { .. } => "valueless-pending",
            Self::StuckPending { .. } => "stuck-pending",
            Self::Unreadable { .. } => "unreadable",
            Self::MissingTag { .. } => "missing-tag",
            Self::UnknownPlugin { .. } => "unknown-plugin",
            Self::InvalidTag { .. } => "invalid-tag",
            Self::UnusablePlugin { .. } => "unusable-plugin",
            Self::MalformedSecret { .. } => "malformed-secret",
            Self::OwnedByAnotherService { .. } => "owned-by-another-service",
            Self::Replica { .. } => "replica",
            Self::RotationDisabled => "rotation-disabled",
            Self::RotationNotConfigured => "rotation-not-configured",
            Self::Overdue { .. } => "overdue",
            Self::OtherFunction { .. } => "other-function",
            Self::MasterIgnored => "masterarn-ignored",
            Self::ProbeUnclear { .. } => "probe-unclear",
            Self::RotationUnderway { .. } => "rotation-underway",
            Self::AbandonedVersion { .. } => "abandoned-version",
            Self::UnknownError => "unknown-error",
        }
    }

    /// How soon somebody has to act.
    pub const fn urgency(&self) -> Urgency {
        match self {
            Self::OnlyPendingOpens { .. }
            | Self::OnlyAbandonedOpens { .. }
            | Self::OnlyOtherOpens { .. }
            | Self::Drift { .. }
            | Self::NoCurrentValue
            | Self::MarkedForDeletion => Urgency::Urgent,
            Self::EndpointDenied { .. }
            | Self::IdentityDiffers { .. }
            | Self::NotCreatedByFunction { .. }
            | Self::ValuelessPending { .. }
            | Self::StuckPending { .. }
            | Self::Unreadable { .. }
            | Self::MissingTag { .. }
            | Self::UnknownPlugin { .. }
            | Self::InvalidTag { .. }
            | Self::UnusablePlugin { .. }
            | Self::MalformedSecret { .. }
            | Self::OwnedByAnotherService { .. }
            | Self::Replica { .. }
            | Self::RotationDisabled
            | Self::RotationNotConfigured
            | Self::Overdue { .. }
            | Self::ProbeUnclear { .. } => Urgency::Problem,
            Self::OtherFunction { .. }
            | Self::MasterIgnored
            | Self::RotationUnderway { .. }
            | Self::AbandonedVersion { .. }
            | Self::UnknownError => Urgency::Notice,
        }
    }
}
