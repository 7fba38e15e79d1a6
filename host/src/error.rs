//! Why a step did not finish: what happened, who has to act, whether another attempt can help.
//!
//! Everything in here is fit to be shown: names, numbers, and texts that passed the redactor. CloudTrail's RotationFailed event and the
//! function's log carry [`StepError::error_type`] and the message.

use std::time::Duration;

use crate::candidate::CandidateError;
use crate::capability::endpoint::EndpointError;
use crate::event::{EventError, SecretArn, VersionId};
use crate::failure::table::consequence;
use crate::failure::{Cause, Effect};
use crate::password::PasswordError;
use crate::plugin::call::{CallError, Stop};
use crate::plugin::catalogue::CatalogueError;
use crate::plugin::code::compiler::CompileError;
use crate::plugin::digest::Digest;
use crate::plugin::load::LoadError;
use crate::plugin::objects::ObjectError;
use crate::plugin::source::SourceError;
use crate::secrets::{ErrorKind, SecretsError};
use crate::state::NotRotatable;
use crate::time_account::TimeAccount;
use crate::trust::TrustError;

/// Who has to act on a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Whoever configured the secret, the function or the network.
    Operator,
    /// The plugin's author.
    Plugin,
    /// The service whose credential is rotated.
    Service,
    /// AWS.
    SecretsManager,
    /// Windlass itself.
    Host,
}

impl Blame {
    /// The word for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Plugin => "plugin",
            Self::Service => "service",
            Self::SecretsManager => "secrets-manager",
            Self::Host => "host",
        }
    }
}

/// Whether another attempt with the same token can succeed. Secrets Manager repeats a failed rotation by itself, from createSecret on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Without anybody doing anything.
    Helps,
    /// After somebody has corrected what the message names.
    AfterChange,
}

impl Retry {
    /// The word for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Helps => "helps",
            Self::AfterChange => "after-change",
        }
    }
}

/// Why a step did not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The event is none.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The gate refused.
    #[error(transparent)]
    NotRotatable(#[from] NotRotatable),
    /// A call to Secrets Manager failed.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The secret has no value yet.
    #[error("the secret has no AWSCURRENT value. Store a first value with `aws secretsmanager put-secret-value`, then rotate")]
    NoCurrentValue,
    /// The pending version has no value though createSecret should have stored one.
    #[error(
        "version {version} is AWSPENDING but has no value. Secrets Manager starts again at createSecret; if this lasts, remove \
         AWSPENDING from the version (`aws secretsmanager update-secret-version-stage`) and rotate again"
    )]
    NoPendingValue {
        /// The version.
        version: VersionId,
    },
    /// The admin secret that the operator bound has no value.
    #[error("the admin secret `{admin}` has no AWSCURRENT value. Correct `admin` in the configuration, or store a value")]
    NoAdminValue {
        /// Its name or ARN, as configured.
        admin: String,
    },
    /// The operator bound an admin secret that may be meant for another host.
    #[error(
        "the admin secret `{admin}` does not name the same host, port and TLS choice as the rotated secret, so it is not handed out. \
         Add `endpoints` to the rule in the configuration, with the addresses to which this admin credential may be sent"
    )]
    AdminElsewhere {
        /// Its name or ARN, as configured.
        admin: String,
    },
    /// No pending value can be made, or it does not fit the current one.
    #[error(transparent)]
    Candidate(#[from] CandidateError),
    /// A tag that begins with `windlass:` is wrong.
    #[error("the secret's tag `{tag}` is wrong: {why}")]
    Tag {
        /// The tag's key.
        tag: String,
        /// What is wrong with its value, or that there is no such tag.
        why: String,
    },
    /// No plugin serves the secret.
    #[error(transparent)]
    Source(Box<SourceError>),
    /// The plugin is not one that the operator trusts.
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    /// The plugin cannot be loaded.
    #[error("plugin `{plugin}` cannot be loaded")]
    Load {
        /// Its name.
        plugin: String,
        /// Why.
        source: LoadError,
    },
    /// The plugin was swapped after the rotation had begun.
    #[error(
        "plugin `{plugin}` was swapped after this rotation had begun{}, and it would go on with {found}. A swap is for the next rotation: put \
         the component back and this one goes on; or write `swap_within_rotation = \"accept\"` into the secret's rule or into [defaults] of \
         windlass.toml, if the two components understand each other",
        begun.map(|begun| format!(" with {begun}")).unwrap_or_default()
    )]
    Swapped {
        /// The plugin.
        plugin: String,
        /// The component that it has begun with, where that is known.
        begun: Option<Digest>,
        /// The component that is there now.
        found: Digest,
    },
    /// The plugin is new to the secret and does not recognise the credential in use.
    #[error(
        "plugin `{plugin}` ({found}) is new to this secret and has to recognise the credential in use first (`canary`), but: {why}. \
         Nothing was changed, and there is no earlier component to go on with. Put the earlier one back, or try the new one with \
         `windlass rotate`"
    )]
    CanaryFailed {
        /// The plugin.
        plugin: String,
        /// The new component.
        found: Digest,
        /// What it reported.
        why: CallError,
    },
    /// The secret lacks a field that the plugin requires.
    #[error("the secret has no field `{field}`, which plugin `{plugin}` requires. Add it to the secret's JSON object")]
    MissingField {
        /// The plugin.
        plugin: String,
        /// The field.
        field: String,
    },
    /// The plugin's endpoints cannot be derived from the secret, or are not granted.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Too little time is left to start anything that the service may see.
    #[error("only {milliseconds} ms are left of the function's time, too few to contact the service. Raise the function's timeout")]
    TooLittleTime {
        /// What is left.
        milliseconds: u128,
    },
    /// The plugin's step did not succeed.
    #[error("plugin `{plugin}`: {why}{}", to_do(why))]
    Plugin {
        /// The plugin.
        plugin: String,
        /// What it or its sandbox reported.
        why: CallError,
    },
    /// The service refuses the new value, and will refuse it again.
    #[error(
        "plugin `{plugin}`: {cause} ({effect}): {message}. To do: the service refuses this value, so every attempt with it will fail. {}",
        other_value(*effect, secret, version)
    )]
    Rejected {
        /// The plugin.
        plugin: String,
        /// [`Cause::Rejected`].
        cause: Cause,
        /// What that did to the service.
        effect: Effect,
        /// The plugin's words.
        message: String,
        /// The secret's ARN.
        secret: SecretArn,
        /// The version that holds the value.
        version: VersionId,
    },
    /// Less time is left than setSecret takes at most.
    #[error(
        "plugin `{plugin}` needs up to {seconds} s to change the credential (`budget.set_secret_seconds` in its manifest) and would get \
         only {milliseconds} ms, so nothing was begun. Raise the function's timeout, and `limits.call_seconds` if that is less"
    )]
    TooLittleTimeToSet {
        /// The plugin.
        plugin: String,
        /// What it needs.
        seconds: u32,
        /// What a call could take: what is left of the function's time, and no more than the limit of a call.
        milliseconds: u128,
    },
    /// The service has refused as many logins as it may in one step.
    #[error(
        "the service refused {refused} logins in this step, and more than {most} (`limits.refused_logins`) might lock the account, so \
         plugin `{plugin}` was not called again. It last said: {why}{}",
        to_do(why)
    )]
    TooManyRefusedLogins {
        /// The plugin.
        plugin: String,
        /// How many it refused.
        refused: u32,
        /// How many it may.
        most: u32,
        /// What the plugin said last.
        why: CallError,
    },
    /// An error of time, with an account of where the time went.
    #[error("{error}. The step took {took:.1} s: {account}", took = took.as_secs_f64())]
    OutOfTime {
        /// The error.
        error: Box<Self>,
        /// How long the step had taken.
        took: Duration,
        /// On what.
        account: TimeAccount,
    },
    /// The plugin accepted a credential that cannot be right.
    #[error(
        "plugin `{plugin}` accepted a credential that was corrupted on purpose, so its test proves nothing and the pending value is \
         not promoted. Replace the plugin; its test must log in with the credential it is given"
    )]
    TestProvesNothing {
        /// The plugin.
        plugin: String,
    },
    /// The negative control ended in something else than a refused login.
    #[error(
        "plugin `{plugin}` was given a credential that was corrupted on purpose and had to report `unauthorized`, but: {why}. The \
         pending value is not promoted"
    )]
    ControlInconclusive {
        /// The plugin.
        plugin: String,
        /// What it reported instead.
        why: CallError,
    },
    /// Somebody else moved AWSCURRENT while finishSecret ran.
    #[error(
        "AWSCURRENT moved to another version while finishSecret ran, so it was not moved again. Check who else writes the secret"
    )]
    CurrentMoved,
}

impl StepError {
    /// The error's name for machines: Lambda's `errorType`.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Event(_) => "Windlass.InvalidEvent",
            Self::NotRotatable(reason) => match reason {
                NotRotatable::Deleted => "Windlass.SecretDeleted",
                NotRotatable::Owned { .. } | NotRotatable::Managed { .. } => "Windlass.SecretOwnedByAnotherService",
                NotRotatable::Replica => "Windlass.SecretIsReplica",
                NotRotatable::Disabled => "Windlass.RotationDisabled",
                NotRotatable::UnknownVersion { .. } => "Windlass.UnknownVersion",
                NotRotatable::NotPending { .. } => "Windlass.NotPending",
            },
            Self::Secrets(error) => match error.kind {
                ErrorKind::NotFound => "Windlass.SecretNotFound",
                ErrorKind::Denied => "Windlass.SecretsManagerDenied",
                ErrorKind::Encryption => "Windlass.SecretEncryption",
                ErrorKind::Throttled => "Windlass.SecretsManagerThrottled",
                ErrorKind::Limit => "Windlass.SecretsManagerLimit",
                ErrorKind::Exists | ErrorKind::Invalid => "Windlass.SecretsManagerRefused",
                ErrorKind::Service => "Windlass.SecretsManagerFailed",
                ErrorKind::Unreachable | ErrorKind::Timeout => "Windlass.SecretsManagerUnreachable",
                ErrorKind::Setup => "Windlass.SecretsManagerSetup",
            },
            Self::NoCurrentValue => "Windlass.NoCurrentValue",
            Self::NoPendingValue { .. } => "Windlass.NoPendingValue",
            Self::NoAdminValue { .. } => "Windlass.NoAdminValue",
            Self::AdminElsewhere { .. } => "Windlass.AdminElsewhere",
            Self::Untrusted(_) => "Windlass.PluginUntrusted",
            Self::Candidate(
                CandidateError::Differs { .. } | CandidateError::GeneratesIdentity { .. } | CandidateError::BegunForOneUser,
            ) => "Windlass.IdentityDiffers",
            Self::Candidate(CandidateError::Password(_)) => "Windlass.PasswordPolicy",
            Self::Candidate(CandidateError::NoAlternatingUsers { .. }) => "Windlass.NoAlternatingUsers",
            Self::Candidate(_) => "Windlass.MalformedSecret",
            Self::Tag { .. } => "Windlass.InvalidTag",
            Self::Source(error) => match &**error {
                SourceError::Catalogue(CatalogueError::SeveralMatch { .. } | CatalogueError::Several { .. }) => {
                    "Windlass.PluginAmbiguous"
                }
                SourceError::Catalogue(CatalogueError::Mismatch { .. }) | SourceError::OtherDigest { .. } => {
                    "Windlass.PluginMismatch"
                }
                SourceError::Catalogue(CatalogueError::Unusable { .. } | CatalogueError::OtherName { .. })
                | SourceError::Object(ObjectError::Unusable { .. }) => "Windlass.PluginNotLoadable",
                SourceError::Catalogue(
                    CatalogueError::Folder { .. } | CatalogueError::Missing { .. } | CatalogueError::NoMatch { .. },
                )
                | SourceError::Object(ObjectError::Missing { .. }) => "Windlass.PluginNotFound",
                SourceError::Object(ObjectError::NotAllowed { .. } | ObjectError::Denied { .. }) => "Windlass.PluginDenied",
                SourceError::Object(ObjectError::Unreachable { .. }) => "Windlass.PluginUnreachable",
                SourceError::Signature { .. } => "Windlass.PluginUntrusted",
            },
            Self::Load { .. } => "Windlass.PluginNotLoadable",
            Self::Swapped { .. } => "Windlass.PluginSwapped",
            Self::CanaryFailed { .. } => "Windlass.CanaryFailed",
            Self::MissingField { .. } => "Windlass.MalformedSecret",
            Self::Endpoint(EndpointError::MissingField { .. } | EndpointError::MalformedField { .. }) => "Windlass.MalformedSecret",
            Self::Endpoint(_) => "Windlass.EndpointDenied",
            Self::TooLittleTime { .. } => "Windlass.TooLittleTime",
            Self::Plugin { why: CallError::Failure { cause, effect, .. }, .. } | Self::Rejected { cause, effect, .. } => {
                consequence(*cause, *effect).error_type
            }
            Self::Plugin { why: CallError::Stopped(Stop::Deadline), .. } => "Windlass.PluginDeadline",
            Self::Plugin { why: CallError::Stopped(_), .. } => "Windlass.PluginStopped",
            Self::TestProvesNothing { .. } => "Windlass.TestProvesNothing",
            Self::ControlInconclusive { .. } => "Windlass.ControlInconclusive",
            Self::CurrentMoved => "Windlass.CurrentMoved",
            Self::TooLittleTimeToSet { .. } => "Windlass.TooLittleTime",
            Self::TooManyRefusedLogins { .. } => "Windlass.TooManyRefusedLogins",
            Self::OutOfTime { error, .. } => error.error_type(),
        }
    }

    /// Who has to act.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Event(_)
            | Self::NotRotatable(_)
            | Self::NoCurrentValue
            | Self::NoPendingValue { .. }
            | Self::NoAdminValue { .. }
            | Self::AdminElsewhere { .. }
            | Self::Untrusted(_)
            | Self::Tag { .. }
            | Self::Source(_)
            | Self::Swapped { .. }
            | Self::MissingField { .. }
            | Self::Endpoint(_)
            | Self::TooLittleTime { .. }
            | Self::TooLittleTimeToSet { .. }
            | Self::CurrentMoved => Blame::Operator,
            Self::Rejected { cause, effect, .. } => consequence(*cause, *effect).blame,
            Self::OutOfTime { error, .. } => error.blame(),
            Self::Candidate(CandidateError::Password(PasswordError::NoRandomness)) => Blame::Host,
            Self::Candidate(_) => Blame::Operator,
            Self::Secrets(error) => match error.kind {
                ErrorKind::Throttled | ErrorKind::Service => Blame::SecretsManager,
                ErrorKind::NotFound
                | ErrorKind::Exists
                | ErrorKind::Denied
                | ErrorKind::Encryption
                | ErrorKind::Invalid
                | ErrorKind::Limit
                | ErrorKind::Unreachable
                | ErrorKind::Timeout
                | ErrorKind::Setup => Blame::Operator,
            },
            Self::Plugin { why, .. }
            | Self::ControlInconclusive { why, .. }
            | Self::TooManyRefusedLogins { why, .. }
            | Self::CanaryFailed { why, .. } => match why {
                CallError::Failure { cause, effect, .. } => consequence(*cause, *effect).blame,
                CallError::Stopped(_) => Blame::Plugin,
            },
            Self::Load { source, .. } => match source {
                LoadError::Engine(_) => Blame::Host,
                LoadError::Compile(CompileError::Refused { .. } | CompileError::TooLarge) => Blame::Plugin,
                LoadError::Compile(_) | LoadError::Code(_) | LoadError::NoCode { .. } => Blame::Operator,
                LoadError::Import(_) | LoadError::Export { .. } | LoadError::Type { .. } => Blame::Plugin,
            },
            Self::TestProvesNothing { .. } => Blame::Plugin,
        }
    }

    /// Whether another attempt can help by itself.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Secrets(error) => match error.kind {
                ErrorKind::Throttled | ErrorKind::Service | ErrorKind::Timeout | ErrorKind::Unreachable | ErrorKind::Exists => {
                    Retry::Helps
                }
                ErrorKind::NotFound
                | ErrorKind::Denied
                | ErrorKind::Encryption
                | ErrorKind::Invalid
                | ErrorKind::Limit
                | ErrorKind::Setup => Retry::AfterChange,
            },
            Self::Plugin { why: CallError::Failure { cause, effect, .. }, .. }
            | Self::ControlInconclusive { why: CallError::Failure { cause, effect, .. }, .. }
            | Self::CanaryFailed { why: CallError::Failure { cause, effect, .. }, .. }
            | Self::TooManyRefusedLogins { why: CallError::Failure { cause, effect, .. }, .. }
            | Self::Rejected { cause, effect, .. } => consequence(*cause, *effect).retry,
            Self::OutOfTime { error, .. } => error.retry(),
            Self::Plugin { why: CallError::Stopped(Stop::Deadline), .. } | Self::NoPendingValue { .. } | Self::CurrentMoved => {
                Retry::Helps
            }
            Self::Source(error) if matches!(**error, SourceError::Object(ObjectError::Unreachable { .. })) => Retry::Helps,
            Self::Event(_)
            | Self::NotRotatable(_)
            | Self::NoCurrentValue
            | Self::NoAdminValue { .. }
            | Self::AdminElsewhere { .. }
            | Self::Untrusted(_)
            | Self::Candidate(_)
            | Self::Tag { .. }
            | Self::Source(_)
            | Self::Swapped { .. }
            | Self::CanaryFailed { .. }
            | Self::Load { .. }
            | Self::MissingField { .. }
            | Self::Endpoint(_)
            | Self::TooLittleTime { .. }
            | Self::TooLittleTimeToSet { .. }
            | Self::TooManyRefusedLogins { .. }
            | Self::Plugin { .. }
            | Self::TestProvesNothing { .. }
            | Self::ControlInconclusive { .. } => Retry::AfterChange,
        }
    }
}

impl StepError {
    /// What the plugin reported, if its report is what the step failed for.
    pub fn reported(&self) -> Option<(Cause, Effect)> {
        match self {
            Self::Rejected { cause, effect, .. }
            | Self::Plugin { why: CallError::Failure { cause, effect, .. }, .. }
            | Self::TooManyRefusedLogins { why: CallError::Failure { cause, effect, .. }, .. }
            | Self::ControlInconclusive { why: CallError::Failure { cause, effect, .. }, .. }
            | Self::CanaryFailed { why: CallError::Failure { cause, effect, .. }, .. } => Some((*cause, *effect)),
            Self::OutOfTime { error, .. } => error.reported(),
            Self::Event(_)
            | Self::NotRotatable(_)
            | Self::Secrets(_)
            | Self::NoCurrentValue
            | Self::NoPendingValue { .. }
            | Self::NoAdminValue { .. }
            | Self::AdminElsewhere { .. }
            | Self::Candidate(_)
            | Self::Tag { .. }
            | Self::Source(_)
            | Self::Untrusted(_)
            | Self::Load { .. }
            | Self::Swapped { .. }
            | Self::CanaryFailed { .. }
            | Self::MissingField { .. }
            | Self::Endpoint(_)
            | Self::TooLittleTime { .. }
            | Self::TooLittleTimeToSet { .. }
            | Self::Plugin { .. }
            | Self::TooManyRefusedLogins { .. }
            | Self::TestProvesNothing { .. }
            | Self::ControlInconclusive { .. }
            | Self::CurrentMoved => None,
        }
    }

    /// The same error with an account of where the time went, if it is about time.
    #[must_use]
    pub fn accounted(self, took: Duration, account: &TimeAccount) -> Self {
        let about_time = match &self {
            Self::TooLittleTime { .. } | Self::TooLittleTimeToSet { .. } => true,
            Self::Secrets(error) => error.kind == ErrorKind::Timeout,
            Self::Plugin { why, .. } | Self::ControlInconclusive { why, .. } => *why == CallError::Stopped(Stop::Deadline),
            Self::Event(_)
            | Self::NotRotatable(_)
            | Self::NoCurrentValue
            | Self::NoPendingValue { .. }
            | Self::NoAdminValue { .. }
            | Self::AdminElsewhere { .. }
            | Self::Candidate(_)
            | Self::Tag { .. }
            | Self::Source(_)
            | Self::Swapped { .. }
            | Self::CanaryFailed { .. }
            | Self::Untrusted(_)
            | Self::Load { .. }
            | Self::MissingField { .. }
            | Self::Endpoint(_)
            | Self::Rejected { .. }
            | Self::TooManyRefusedLogins { .. }
            | Self::OutOfTime { .. }
            | Self::TestProvesNothing { .. }
            | Self::CurrentMoved => false,
        };
        if about_time { Self::OutOfTime { error: Box::new(self), took, account: account.clone() } } else { self }
    }
}

impl StepError {
    /// The whole story in one line: what failed and, after each `because`, why.
    pub fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message.push_str(", because ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        message
    }
}

/// How an operator gets from a value that the service refuses to another one. AWSPENDING may be taken away only where the service does
/// certainly not hold it: otherwise it may be the label of the only credential that works.
fn other_value(effect: Effect, secret: &SecretArn, version: &VersionId) -> String {
    const OPTIONS: &str =
        "the password options (`password` in the rule, or the tags windlass:password_length, windlass:exclude_characters, …)";
    match effect {
        Effect::Unchanged => format!(
            "Change {OPTIONS}, then start again with another value: `aws secretsmanager update-secret-version-stage --secret-id {secret} \
             --version-stage AWSPENDING --remove-from-version-id {version}`, then `aws secretsmanager rotate-secret --secret-id {secret}`"
        ),
        Effect::Changed | Effect::Unknown => format!(
            "But it may hold this value all the same, so leave AWSPENDING where it is. Find out which version works with `windlass doctor \
             {secret} --probe`, and follow what it says; then change {OPTIONS}"
        ),
    }
}

/// The advice for a plugin's failure, to end its message with. Being stopped says itself what to do.
fn to_do(why: &CallError) -> String {
    match why {
        CallError::Failure { cause, effect, .. } => format!(". To do: {}", consequence(*cause, *effect).advice),
        CallError::Stopped(_) => String::new(),
    }
}

impl From<SourceError> for StepError {
    fn from(error: SourceError) -> Self {
        Self::Source(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn messages_say_what_why_and_what_to_do() {
        assert_snapshot!(StepError::NoCurrentValue, @r"the secret has no AWSCURRENT value. Store a first value with `aws secretsmanager put-secret-value`, then rotate");
        assert_snapshot!(StepError::TestProvesNothing { plugin: "example".into() }, @r"plugin `example` accepted a credential that was corrupted on purpose, so its test proves nothing and the pending value is not promoted. Replace the plugin; its test must log in with the credential it is given");
        assert_snapshot!(StepError::TooLittleTime { milliseconds: 120 }, @r"only 120 ms are left of the function's time, too few to contact the service. Raise the function's timeout");
        assert_snapshot!(StepError::MissingField { plugin: "redis".into(), field: "host".into() }, @r"the secret has no field `host`, which plugin `redis` requires. Add it to the secret's JSON object");
    }
}
