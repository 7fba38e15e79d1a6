//! What was read about a secret. Holds no value.

use std::time::{Duration, SystemTime};

use crate::error::StepError;
use crate::event::VersionId;
use crate::secrets::examination::Examined;
use crate::state::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};

/// Everything that a diagnosis depends on.
#[derive(Debug)]
pub struct Facts {
    /// What DescribeSecret says.
    pub examined: Examined,
    /// When it was read.
    pub now: SystemTime,
    /// The age from which a pending version is stuck; a younger one may be that of a rotation that runs.
    pub stuck_after: Duration,
    /// Those with a label first, in the order AWSCURRENT, AWSPENDING, AWSPREVIOUS; then those without, the newest first.
    pub versions: Vec<VersionFacts>,
    /// How many more versions without a label there are, which were not read.
    pub unread: usize,
    /// What serves the secret.
    pub plugin: PluginFacts,
    /// Whether the service was asked.
    pub probed: bool,
    /// The error that the operator has seen.
    pub seen_error: Option<String>,
    /// The ARN of the function that is to rotate the secret, if the operator says it.
    pub meant_function: Option<String>,
}

/// What is known of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionFacts {
    /// Its id.
    pub id: VersionId,
    /// Its staging labels.
    pub labels: Vec<String>,
    /// When its value was stored. A version that DescribeSecret names and ListSecretVersionIds does not has no time.
    pub created: Option<SystemTime>,
    /// Its value.
    pub value: ValueFacts,
    /// What the service said to it.
    pub probe: Probe,
}

/// What is known of a version's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueFacts {
    /// It has none yet.
    Absent,
    /// It cannot be read.
    Unreadable {
        /// Secrets Manager's words.
        why: String,
    },
    /// It was read.
    Stored {
        /// Versions with the same number hold the same bytes.
        group: usize,
        /// The names of fields that say who or where and differ from those of AWSCURRENT; for the pending version, of all fields
        /// that no rotation changes.
        differs: Option<String>,
    },
}

/// What the service said to a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It was not asked.
    NotAsked,
    /// The credential logs in.
    Opens,
    /// The service refuses it.
    Refused,
    /// The host's policy did not let the plugin ask.
    Denied {
        /// The plugin's words, redacted.
        why: String,
    },
    /// There was no clear answer.
    Unclear {
        /// The plugin's words, redacted.
        why: String,
    },
    /// Not tried, because the credential is for somebody or somewhere else than AWSCURRENT.
    Withheld,
    /// Not tried, because enough were.
    Spared,
}

/// What is known of the plugin.
#[derive(Debug, Default)]
pub struct PluginFacts {
    /// Whether there was a plugin folder to look in.
    pub looked: bool,
    /// The one that serves the secret.
    pub chosen: Option<Chosen>,
    /// Why a step of a rotation would be refused before the service hears of it.
    pub problem: Option<StepError>,
    /// Whether AWSCURRENT has the field `masterarn` of AWS's multi-user templates, and nobody has two users take turns.
    pub ignores_master: bool,
}

/// The plugin that serves a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Why it may run, as in the log of the function.
    pub trusted_by: String,
    /// Where it may connect with AWSCURRENT, as `host:port`.
    pub endpoints: Vec<String>,
}

impl Facts {
    /// The version with this label.
    pub fn holder(&self, label: &str) -> Option<&VersionFacts> {
        self.versions.iter().find(|version| version.has(label))
    }

    /// The version with AWSCURRENT.
    pub fn current(&self) -> Option<&VersionFacts> {
        self.holder(AWSCURRENT)
    }

    /// The version with AWSPENDING, unless it is AWSCURRENT already, which is how a rotation may end.
    pub fn pending(&self) -> Option<&VersionFacts> {
        self.holder(AWSPENDING).filter(|version| !version.has(AWSCURRENT))
    }

    /// Whether a rotation may be at work on this version right now.
    pub fn underway(&self, version: &VersionFacts) -> bool {
        let enabled = self.examined.described.rotation_enabled == Some(true);
        enabled && version.created.is_some_and(|created| self.age(created) < self.stuck_after)
    }

    /// How long ago that was.
    pub fn age(&self, at: SystemTime) -> Duration {
        self.now.duration_since(at).unwrap_or_default()
    }
}

impl VersionFacts {
    /// Whether it has this label.
    pub fn has(&self, label: &str) -> bool {
        self.labels.iter().any(|found| found == label)
    }

    /// Whether it has a value that was read.
    pub const fn is_stored(&self) -> bool {
        matches!(self.value, ValueFacts::Stored { .. })
    }

    /// The number of its value, if it was read.
    pub const fn group(&self) -> Option<usize> {
        match self.value {
            ValueFacts::Stored { group, .. } => Some(group),
            ValueFacts::Absent | ValueFacts::Unreadable { .. } => None,
        }
    }

    /// Its place in the order of [`Facts::versions`].
    pub fn rank(&self) -> usize {
        [AWSCURRENT, AWSPENDING, AWSPREVIOUS]
            .iter()
            .position(|label| self.has(label))
            .unwrap_or_else(|| 3 + usize::from(self.labels.is_empty()))
    }
}
