//! Why a step did not finish: what happened, who has to act, whether another attempt can help.
//!
//! lambda_runtime logs a handler's error with `Debug` and answers Lambda with its `Diagnostic`, so everything in here is fit to be
//! shown: names, numbers, and texts that passed the redactor. CloudTrail's RotationFailed event and the function's log carry
//! [`StepError::error_type`] and the message.

use crate::candidate::CandidateError;
use crate::capability::endpoint::EndpointError;
use crate::event::{EventError, VersionId};
use crate::failure::{Cause, Effect};
use crate::password::PasswordError;
use crate::plugin::call::{CallError, Stop};
use crate::plugin::catalogue::CatalogueError;
use crate::plugin::compiler::CompileError;
use crate::plugin::load::LoadError;
use crate::secrets::{ErrorKind, SecretsError};
use crate::state::NotRotatable;
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
    Catalogue(#[from] CatalogueError),
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
    pub const fn error_type(&self) -> &'static str {
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
            Self::Untrusted(_) | Self::Catalogue(CatalogueError::Signature { .. }) => "Windlass.PluginUntrusted",
            Self::Candidate(CandidateError::Differs { .. } | CandidateError::GeneratesIdentity { .. }) => {
                "Windlass.IdentityDiffers"
            }
            Self::Candidate(CandidateError::Password(_)) => "Windlass.PasswordPolicy",
            Self::Candidate(_) => "Windlass.MalformedSecret",
            Self::Tag { .. } => "Windlass.InvalidTag",
            Self::Catalogue(CatalogueError::SeveralMatch { .. }) => "Windlass.PluginAmbiguous",
            Self::Catalogue(CatalogueError::Unusable { .. } | CatalogueError::OtherName { .. }) => "Windlass.PluginNotLoadable",
            Self::Catalogue(_) => "Windlass.PluginNotFound",
            Self::Load { .. } => "Windlass.PluginNotLoadable",
            Self::MissingField { .. } => "Windlass.MalformedSecret",
            Self::Endpoint(EndpointError::MissingField { .. } | EndpointError::MalformedField { .. }) => "Windlass.MalformedSecret",
            Self::Endpoint(_) => "Windlass.EndpointDenied",
            Self::TooLittleTime { .. } => "Windlass.TooLittleTime",
            Self::Plugin { why: CallError::Failure { cause, .. }, .. } => match cause {
                Cause::Unauthorized => "Windlass.Unauthorized",
                Cause::Unreachable => "Windlass.Unreachable",
                Cause::Rejected => "Windlass.Rejected",
                Cause::RateLimited => "Windlass.RateLimited",
                Cause::NotYetEffective => "Windlass.NotYetEffective",
                Cause::Conflict => "Windlass.Conflict",
                Cause::MalformedSecret => "Windlass.MalformedSecret",
                Cause::Denied => "Windlass.Denied",
                Cause::Unsupported => "Windlass.Unsupported",
                Cause::Internal => "Windlass.PluginInternal",
            },
            Self::Plugin { why: CallError::Stopped(Stop::Deadline), .. } => "Windlass.PluginDeadline",
            Self::Plugin { why: CallError::Stopped(_), .. } => "Windlass.PluginStopped",
            Self::TestProvesNothing { .. } => "Windlass.TestProvesNothing",
            Self::ControlInconclusive { .. } => "Windlass.ControlInconclusive",
            Self::CurrentMoved => "Windlass.CurrentMoved",
        }
    }

    /// Who has to act.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Event(_)
            | Self::NotRotatable(_)
            | Self::NoCurrentValue
            | Self::NoPendingValue { .. }
            | Self::NoAdminValue { .. }
            | Self::AdminElsewhere { .. }
            | Self::Untrusted(_)
            | Self::Tag { .. }
            | Self::Catalogue(_)
            | Self::MissingField { .. }
            | Self::Endpoint(_)
            | Self::TooLittleTime { .. }
            | Self::CurrentMoved => Blame::Operator,
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
            Self::Plugin { why, .. } | Self::ControlInconclusive { why, .. } => match why {
                CallError::Failure { cause, .. } => cause_row(*cause).0,
                CallError::Stopped(_) => Blame::Plugin,
            },
            Self::Load { source, .. } => match source {
                LoadError::Engine(_) => Blame::Host,
                LoadError::Compile(CompileError::Refused { .. } | CompileError::TooLarge) => Blame::Plugin,
                LoadError::Compile(_) | LoadError::Code(_) => Blame::Operator,
                LoadError::Import(_) | LoadError::Export { .. } | LoadError::Type { .. } => Blame::Plugin,
            },
            Self::TestProvesNothing { .. } => Blame::Plugin,
        }
    }

    /// Whether another attempt can help by itself.
    pub const fn retry(&self) -> Retry {
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
            Self::Plugin { why: CallError::Failure { cause, .. }, .. }
            | Self::ControlInconclusive { why: CallError::Failure { cause, .. }, .. } => cause_row(*cause).1,
            Self::Plugin { why: CallError::Stopped(Stop::Deadline), .. } | Self::NoPendingValue { .. } | Self::CurrentMoved => {
                Retry::Helps
            }
            Self::Event(_)
            | Self::NotRotatable(_)
            | Self::NoCurrentValue
            | Self::NoAdminValue { .. }
            | Self::AdminElsewhere { .. }
            | Self::Untrusted(_)
            | Self::Candidate(_)
            | Self::Tag { .. }
            | Self::Catalogue(_)
            | Self::Load { .. }
            | Self::MissingField { .. }
            | Self::Endpoint(_)
            | Self::TooLittleTime { .. }
            | Self::Plugin { .. }
            | Self::TestProvesNothing { .. }
            | Self::ControlInconclusive { .. } => Retry::AfterChange,
        }
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

/// The advice for a plugin's failure, to end its message with. Being stopped says itself what to do.
fn to_do(why: &CallError) -> String {
    match why {
        CallError::Failure { cause, effect, .. } => format!(". To do: {}", advice(*cause, *effect)),
        CallError::Stopped(_) => String::new(),
    }
}

/// What follows from a plugin's failure. The rows are also the documentation's table.
///
/// Who acts, and whether a retry helps, depends on the cause. The effect does not change that: after any effect the same token is
/// tried again, and setSecret looks first whether the pending credential works already.
const fn cause_row(cause: Cause) -> (Blame, Retry) {
    match cause {
        Cause::Unauthorized => (Blame::Operator, Retry::AfterChange),
        Cause::Unreachable => (Blame::Operator, Retry::Helps),
        Cause::Rejected => (Blame::Operator, Retry::AfterChange),
        Cause::RateLimited => (Blame::Service, Retry::Helps),
        Cause::NotYetEffective => (Blame::Service, Retry::Helps),
        Cause::Conflict => (Blame::Service, Retry::Helps),
        Cause::MalformedSecret => (Blame::Operator, Retry::AfterChange),
        Cause::Denied => (Blame::Operator, Retry::AfterChange),
        Cause::Unsupported => (Blame::Operator, Retry::AfterChange),
        Cause::Internal => (Blame::Plugin, Retry::AfterChange),
    }
}

/// What to do about a plugin's failure, in words for the operator.
pub const fn advice(cause: Cause, effect: Effect) -> &'static str {
    match (cause, effect) {
        (Cause::Unauthorized, _) => {
            "no stored version of the secret is accepted or has the rights: correct the secret, or bind an admin secret in the configuration"
        }
        (Cause::Unreachable, _) => "check the network path from the function to the service: security groups, routes, DNS, TLS",
        (Cause::Rejected, _) => {
            "the service refuses the new value: change the password options, remove AWSPENDING from the version and rotate again"
        }
        (Cause::RateLimited | Cause::NotYetEffective | Cause::Conflict, _) => "nothing: Secrets Manager repeats the rotation",
        (Cause::MalformedSecret, _) => "correct the secret's fields",
        (Cause::Denied, _) => "grant what the plugin asked for in the configuration, or replace the plugin",
        (Cause::Unsupported, _) => "use a plugin that handles this service",
        (Cause::Internal, Effect::Unchanged) => "report this to the plugin's author; the service is unchanged",
        (Cause::Internal, Effect::Changed | Effect::Unknown) => {
            "report this to the plugin's author; the service may hold the new credential, which is stored as AWSPENDING"
        }
    }
}

#[cfg(feature = "lambda")]
impl From<StepError> for lambda_runtime::Diagnostic {
    fn from(error: StepError) -> Self {
        Self { error_type: error.error_type().to_owned(), error_message: error.message() }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn the_table_of_causes_is_documented_here() {
        let rows: Vec<String> = Cause::ALL
            .into_iter()
            .map(|cause| {
                let (blame, retry) = cause_row(cause);
                format!("{cause} | {} | {retry:?} | {}", blame.name(), advice(cause, Effect::Unknown))
            })
            .collect();
        assert_snapshot!(rows.join("\n"), @r"
unauthorized | operator | AfterChange | no stored version of the secret is accepted or has the rights: correct the secret, or bind an admin secret in the configuration
unreachable | operator | Helps | check the network path from the function to the service: security groups, routes, DNS, TLS
rejected | operator | AfterChange | the service refuses the new value: change the password options, remove AWSPENDING from the version and rotate again
rate-limited | service | Helps | nothing: Secrets Manager repeats the rotation
not-yet-effective | service | Helps | nothing: Secrets Manager repeats the rotation
conflict | service | Helps | nothing: Secrets Manager repeats the rotation
malformed-secret | operator | AfterChange | correct the secret's fields
denied | operator | AfterChange | grant what the plugin asked for in the configuration, or replace the plugin
unsupported | operator | AfterChange | use a plugin that handles this service
internal | plugin | AfterChange | report this to the plugin's author; the service may hold the new credential, which is stored as AWSPENDING
");
    }

    #[test]
    fn messages_say_what_why_and_what_to_do() {
        assert_snapshot!(StepError::NoCurrentValue, @r"the secret has no AWSCURRENT value. Store a first value with `aws secretsmanager put-secret-value`, then rotate");
        assert_snapshot!(StepError::TestProvesNothing { plugin: "example".into() }, @r"plugin `example` accepted a credential that was corrupted on purpose, so its test proves nothing and the pending value is not promoted. Replace the plugin; its test must log in with the credential it is given");
        assert_snapshot!(StepError::TooLittleTime { milliseconds: 120 }, @r"only 120 ms are left of the function's time, too few to contact the service. Raise the function's timeout");
        assert_snapshot!(StepError::MissingField { plugin: "redis".into(), field: "host".into() }, @r"the secret has no field `host`, which plugin `redis` requires. Add it to the secret's JSON object");
    }
}
