//! The gate: whether a step may run, decided from what DescribeSecret says. Calls nothing, so every row is a test.
//!
//! The order is that of AWS's rotation templates, preceded by the states in which the secret is not ours to rotate.
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>

use std::collections::BTreeMap;

use crate::event::VersionId;

/// The staging label of the version in use.
pub const AWSCURRENT: &str = "AWSCURRENT";
/// The staging label of the version that is being made.
pub const AWSPENDING: &str = "AWSPENDING";
/// The staging label of the version that was in use before.
pub const AWSPREVIOUS: &str = "AWSPREVIOUS";

/// What DescribeSecret says of a secret, as far as a rotation depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// Whether a deletion is scheduled.
    pub deleted: bool,
    /// The AWS service that owns the secret, if one does.
    pub owning_service: Option<String>,
    /// The type of a managed external secret, which AWS rotates without a Lambda.
    pub managed_type: Option<String>,
    /// Whether this is the copy of a secret of another region.
    pub replica: bool,
    /// Whether rotation is on; nothing if it was never configured.
    pub rotation_enabled: Option<bool>,
    /// The staging labels of each version that has any.
    pub labels: BTreeMap<VersionId, Vec<String>>,
    /// The secret's tags.
    pub tags: BTreeMap<String, String>,
}

/// What is left to do for a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The version is AWSCURRENT already: every step has succeeded before.
    Finished,
    /// The version is AWSPENDING: the step runs.
    InProgress,
}

/// Why no step may run. In every case nothing was sent to the service and nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotRotatable {
    /// The secret is scheduled for deletion.
    #[error("the secret is scheduled for deletion. `aws secretsmanager restore-secret` brings it back")]
    Deleted,
    /// Another AWS service owns it.
    #[error("the secret is owned by the AWS service `{service}`, which rotates it itself")]
    Owned {
        /// The service.
        service: String,
    },
    /// It is a managed external secret.
    #[error("the secret is a managed external secret of type `{kind}`, which Secrets Manager rotates without a function")]
    Managed {
        /// The type.
        kind: String,
    },
    /// It is a replica.
    #[error("the secret is a replica. Rotate it in its primary region")]
    Replica,
    /// Rotation is off.
    #[error("rotation is disabled for the secret. `aws secretsmanager rotate-secret` enables it")]
    Disabled,
    /// No label points to the version.
    #[error(
        "version {version} has no staging label. The rotation was abandoned, for example because a new AWSCURRENT was stored \
         meanwhile. If setSecret had run, the service may hold this version's value: read it with `aws secretsmanager \
         get-secret-value --version-id {version}`"
    )]
    UnknownVersion {
        /// The version.
        version: VersionId,
    },
    /// The version has labels, and AWSPENDING is not one of them.
    #[error(
        "version {version} is not AWSPENDING, so there is nothing to rotate to. Start a rotation with `aws secretsmanager rotate-secret`"
    )]
    NotPending {
        /// The version.
        version: VersionId,
    },
}

impl Described {
    /// Decides whether a step may run for `version`.
    ///
    /// # Errors
    ///
    /// The first reason, in the order of [`NotRotatable`]'s cases.
    pub fn state(&self, version: &VersionId) -> Result<State, NotRotatable> {
        self.rotatable()?;
        let Some(labels) = self.labels.get(version) else {
            return Err(NotRotatable::UnknownVersion { version: version.clone() });
        };
        let has = |label| labels.iter().any(|found| found == label);
        if has(AWSCURRENT) {
            Ok(State::Finished)
        } else if has(AWSPENDING) {
            Ok(State::InProgress)
        } else {
            Err(NotRotatable::NotPending { version: version.clone() })
        }
    }

    /// Decides whether a step may run for any version of this secret.
    ///
    /// # Errors
    ///
    /// As [`Described::state`], without the cases that are about a version.
    pub fn rotatable(&self) -> Result<(), NotRotatable> {
        if self.deleted {
            return Err(NotRotatable::Deleted);
        }
        if let Some(service) = &self.owning_service {
            return Err(NotRotatable::Owned { service: service.clone() });
        }
        if let Some(kind) = &self.managed_type {
            return Err(NotRotatable::Managed { kind: kind.clone() });
        }
        if self.replica {
            return Err(NotRotatable::Replica);
        }
        if self.rotation_enabled == Some(false) {
            return Err(NotRotatable::Disabled);
        }
        Ok(())
    }

    /// Whether a rotation has begun and is not finished: AWSPENDING is on another version than AWSCURRENT. It stays there after a
    /// rotation that failed.
    pub fn under_way(&self) -> bool {
        let has = |labels: &[String], label| labels.iter().any(|found| found == label);
        self.labels.values().any(|labels| has(labels, AWSPENDING) && !has(labels, AWSCURRENT))
    }

    /// The version that holds AWSCURRENT.
    pub fn current(&self) -> Option<&VersionId> {
        self.labels.iter().find(|(_, labels)| labels.iter().any(|label| label == AWSCURRENT)).map(|(version, _)| version)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn version(digit: char) -> VersionId {
        VersionId::parse(&digit.to_string().repeat(32)).unwrap()
    }

    /// Version 0 is current; version 1 has the labels of the case.
    fn described(labels: &[&str]) -> Described {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let mut versions = BTreeMap::from([(version('0'), vec![AWSCURRENT.to_owned()])]);
        if labels.iter().any(|label| label == AWSCURRENT) {
            versions.insert(version('0'), vec![AWSPREVIOUS.to_owned()]);
        }
        if !labels.is_empty() {
            versions.insert(version('1'), labels);
        }
        Described { rotation_enabled: Some(true), labels: versions, ..Described::default() }
    }

    #[rstest]
    #[case::pending(&[AWSPENDING], Ok(State::InProgress))]
    #[case::current(&[AWSCURRENT], Ok(State::Finished))]
    #[case::both(&[AWSCURRENT, AWSPENDING], Ok(State::Finished))]
    #[case::own_label_too(&["blue", AWSPENDING], Ok(State::InProgress))]
    #[case::previous(&[AWSPREVIOUS], Err(NotRotatable::NotPending { version: version('1') }))]
    #[case::own_label(&["blue"], Err(NotRotatable::NotPending { version: version('1') }))]
    #[case::none(&[], Err(NotRotatable::UnknownVersion { version: version('1') }))]
    fn labels_decide(#[case] labels: &[&str], #[case] expected: Result<State, NotRotatable>) {
        assert_eq!(described(labels).state(&version('1')), expected);
    }

    #[rstest]
    #[case::deleted(Described { deleted: true, ..described(&[AWSPENDING]) }, NotRotatable::Deleted)]
    #[case::owned(
        Described { owning_service: Some("rds".into()), ..described(&[AWSPENDING]) },
        NotRotatable::Owned { service: "rds".into() }
    )]
    #[case::managed(
        Described { managed_type: Some("SalesforceClientSecret".into()), ..described(&[AWSPENDING]) },
        NotRotatable::Managed { kind: "SalesforceClientSecret".into() }
    )]
    #[case::replica(Described { replica: true, ..described(&[AWSPENDING]) }, NotRotatable::Replica)]
    #[case::disabled(Described { rotation_enabled: Some(false), ..described(&[AWSPENDING]) }, NotRotatable::Disabled)]
    #[case::deleted_though_current(Described { deleted: true, ..described(&[AWSCURRENT]) }, NotRotatable::Deleted)]
    fn refuses_a_secret_that_is_not_ours(#[case] described: Described, #[case] expected: NotRotatable) {
        assert_eq!(described.state(&version('1')), Err(expected));
    }

    #[test]
    fn rotation_that_was_never_configured_is_not_disabled() {
        let described = Described { rotation_enabled: None, ..described(&[AWSPENDING]) };
        assert_eq!(described.state(&version('1')), Ok(State::InProgress));
    }

    #[rstest]
    #[case::pending(&[AWSPENDING], true)]
    #[case::pending_with_an_own_label(&["blue", AWSPENDING], true)]
    #[case::finished_and_still_labelled(&[AWSCURRENT, AWSPENDING], false)]
    #[case::finished(&[AWSCURRENT], false)]
    #[case::idle(&[], false)]
    fn a_rotation_is_under_way_while_awspending_is_apart(#[case] labels: &[&str], #[case] under_way: bool) {
        assert_eq!(described(labels).under_way(), under_way);
    }

    #[test]
    fn finds_the_holder_of_awscurrent() {
        assert_eq!(described(&[AWSPENDING]).current(), Some(&version('0')));
        assert_eq!(described(&[AWSCURRENT]).current(), Some(&version('1')));
        assert_eq!(Described::default().current(), None);
    }
}
