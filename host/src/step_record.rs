//! What is left of a step when it is over: what came of it, what it used, and where its time went. Holds no value of a secret.

use std::time::Duration;

use crate::event::Step;
use crate::plugin::load::CodeFrom;
use crate::time_account::{On, TimeAccount};

/// What a step did, for logs and for people.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// The step.
    pub step: Step,
    /// What came of it.
    pub outcome: StepOutcome,
    /// The plugin that served the secret, if one was needed.
    pub plugin: Option<PluginUsed>,
    /// What became of the negative control, in testSecret.
    pub control: Option<Control>,
    /// Where its time went.
    pub times: StepTimes,
}

/// What is known of a step when it is over, whatever came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepRecord {
    /// The plugin that was chosen, if one was needed and found.
    pub plugin: Option<PluginUsed>,
    /// What became of the negative control, in testSecret.
    pub control: Option<Control>,
    /// How many logins the service refused, if a plugin was called.
    pub refused_logins: Option<u32>,
    /// Where the plugin's code came from, if it was loaded in this step.
    pub code_from: Option<CodeFrom>,
    /// 1, and 1 more each time something had to be tried again: [`TimeAccount::attempts`].
    pub attempts: u32,
    /// Where its time went.
    pub times: StepTimes,
}

/// Where the time of a step went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepTimes {
    /// All of it.
    pub whole: Duration,
    /// Everything but plugin calls.
    pub host: Duration,
    /// The part of it that Secrets Manager took, way there and back included.
    pub secrets_manager: Duration,
    /// The part of it in which a plugin was loaded, if it was not in memory.
    pub loading: Duration,
    /// Plugin calls, negative control included.
    pub plugin: Duration,
    /// The part of it that the service took, and the way there.
    pub service: Duration,
}

impl StepTimes {
    /// Of a step that took `whole`, and `plugin` of it in the plugin.
    pub fn of(whole: Duration, plugin: Duration, account: &TimeAccount) -> Self {
        Self {
            whole,
            host: whole.saturating_sub(plugin),
            secrets_manager: account.spent(On::SecretsManager),
            loading: account.spent(On::Host),
            plugin,
            service: account.spent(On::Service),
        }
    }
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// Nothing to do: the version is AWSCURRENT.
    AlreadyCurrent,
    /// createSecret stored a new value.
    Created,
    /// createSecret found the value of an earlier run.
    AlreadyCreated,
    /// setSecret changed the service.
    Changed,
    /// setSecret found that the service accepts the pending value already.
    Unchanged,
    /// testSecret: the pending value is accepted and a corrupted one is refused.
    Accepted,
    /// finishSecret moved AWSCURRENT.
    Promoted,
}

impl StepOutcome {
    /// The outcome's name in logs and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AlreadyCurrent => "already-current",
            Self::Created => "created",
            Self::AlreadyCreated => "already-created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Accepted => "accepted",
            Self::Promoted => "promoted",
        }
    }
}

/// What became of the negative control of testSecret: the same test with a corrupted credential, which has to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// The service refused the corrupted credential.
    Refused,
    /// The operator has it skipped for this secret, whose service locks accounts.
    Skipped,
}

impl Control {
    /// The word in logs and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Skipped => "skipped",
        }
    }
}

/// The plugin that served a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginUsed {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of the component, `sha256:…`.
    pub digest: String,
    /// Why it was trusted: `digest`, `signature` and the key's name, or what else [`crate::trust::TrustedBy`] says.
    pub trusted_by: String,
}
