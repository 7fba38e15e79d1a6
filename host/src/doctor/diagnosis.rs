//! From facts to findings. Pure.

use super::facts::{Facts, Probe, ValueFacts, VersionFacts};
use super::finding::{Finding, Remedy};
use crate::candidate::CandidateError;
use crate::capability::endpoint::EndpointError;
use crate::error::StepError;
use crate::plugin::catalogue::CatalogueError;
use crate::plugin::objects::ObjectError;
use crate::plugin::source::SourceError;
use crate::state::{AWSPREVIOUS, NotRotatable};

/// Everything that is wrong, the most urgent first.
pub fn diagnose(facts: &Facts) -> Vec<Finding> {
    if let Some(finding) = not_ours(facts) {
        // Its values cannot be read or are not to be rotated here, so nothing else about it means anything.
        return vec![finding];
    }
    let mut findings: Vec<_> = service(facts).into_iter().chain(current(facts)).collect();
    findings.extend(pending(facts, &findings));
    // Every version that is tried goes to the same place, and after the first without an answer no other is tried.
    findings.extend(facts.versions.iter().find_map(unclear));
    findings.extend(unreadable(facts));
    findings.extend(facts.plugin.problem.as_ref().and_then(plugin));
    findings.extend(rotation(facts));
    findings.extend(other_function(facts));
    findings.extend(facts.plugin.ignores_master.then_some(Finding::MasterIgnored));
    findings.extend(abandoned(facts));
    // Stable, so that what is found first stays first among equals.
    findings.sort_by_key(Finding::urgency);
    findings
}

/// What `--apply` can do about a finding without losing a credential that may work.
pub fn remedy(facts: &Facts, finding: &Finding) -> Option<Remedy> {
    let settled = facts.pending().is_none_or(|pending| !facts.underway(pending));
    match finding {
        // A version without a value is no credential.
        Finding::ValuelessPending { pending } if settled => Some(Remedy::RemovePending { from: pending.clone() }),
        // Without its label a value is deleted sooner or later, so something else must be known to work.
        Finding::StuckPending { pending, current_opens: Some(true), .. }
        | Finding::IdentityDiffers { pending, current_opens: Some(true), .. }
        | Finding::NotCreatedByFunction { pending, current_opens: Some(true) }
            if settled =>
        {
            Some(Remedy::RemovePending { from: pending.clone() })
        }
        Finding::OnlyPendingOpens { current, pending: to }
        | Finding::OnlyAbandonedOpens { current, version: to }
        | Finding::OnlyOtherOpens { current, version: to, .. }
            if settled && opens_alone(facts) =>
        {
            Some(Remedy::MoveCurrent { from: current.clone(), to: to.clone() })
        }
        Finding::OnlyPendingOpens { .. }
        | Finding::OnlyAbandonedOpens { .. }
        | Finding::OnlyOtherOpens { .. }
        | Finding::ValuelessPending { .. }
        | Finding::StuckPending { .. }
        | Finding::IdentityDiffers { .. }
        | Finding::NotCreatedByFunction { .. }
        | Finding::Drift { .. }
        | Finding::NoCurrentValue
        | Finding::MarkedForDeletion
        | Finding::EndpointDenied { .. }
        | Finding::Unreadable { .. }
        | Finding::MissingTag { .. }
        | Finding::UnknownPlugin { .. }
        | Finding::InvalidTag { .. }
        | Finding::UnusablePlugin { .. }
        | Finding::MalformedSecret { .. }
        | Finding::OwnedByAnotherService { .. }
        | Finding::Replica { .. }
        | Finding::RotationDisabled
        | Finding::RotationNotConfigured
        | Finding::Overdue { .. }
        | Finding::OtherFunction { .. }
        | Finding::MasterIgnored
        | Finding::ProbeUnclear { .. }
        | Finding::RotationUnderway { .. }
        | Finding::AbandonedVersion { .. }
        | Finding::UnknownError => None,
    }
}

/// Whether exactly one value opens the service and every other that was read is known not to, or is for something else.
fn opens_alone(facts: &Facts) -> bool {
    let mut opening: Vec<_> = with(facts, &Probe::Opens).filter_map(VersionFacts::group).collect();
    opening.dedup();
    let clear = |version: &&VersionFacts| matches!(version.probe, Probe::Opens | Probe::Refused | Probe::Withheld);
    opening.len() == 1
        && facts.unread == 0
        && facts.versions.iter().filter(|version| version.is_stored()).all(|version| clear(&version))
}

/// The gate's own decision about the secret, whatever the version.
fn not_ours(facts: &Facts) -> Option<Finding> {
    match facts.examined.described.rotatable() {
        Err(NotRotatable::Deleted) => Some(Finding::MarkedForDeletion),
        Err(NotRotatable::Owned { service: owner } | NotRotatable::Managed { kind: owner }) => {
            Some(Finding::OwnedByAnotherService { owner })
        }
        Err(NotRotatable::Replica) => Some(Finding::Replica { primary: facts.examined.primary_region.clone() }),
        Err(NotRotatable::Disabled | NotRotatable::UnknownVersion { .. } | NotRotatable::NotPending { .. }) | Ok(()) => None,
    }
}

/// What it means that the service refuses AWSCURRENT, if it does.
fn service(facts: &Facts) -> Option<Finding> {
    let current = facts.current().filter(|current| current.probe == Probe::Refused)?.id.clone();
    // In the order of the versions: the pending one is what a rotation meant to come next.
    match with(facts, &Probe::Opens).next() {
        // Between setSecret and finishSecret this is how it has to be.
        Some(version) if facts.pending() == Some(version) && facts.underway(version) => None,
        Some(version) if facts.pending() == Some(version) => {
            Some(Finding::OnlyPendingOpens { current, pending: version.id.clone() })
        }
        Some(version) if version.labels.is_empty() => Some(Finding::OnlyAbandonedOpens { current, version: version.id.clone() }),
        Some(version) => Some(Finding::OnlyOtherOpens { current, version: version.id.clone(), labels: version.labels.clone() }),
        None => {
            let refused = with(facts, &Probe::Refused).count();
            let readable = facts.versions.iter().filter(|version| version.is_stored()).count();
            Some(Finding::Drift { refused, unknown: readable - refused + facts.unread })
        }
    }
}

/// A version about which the service could not be asked.
fn unclear(version: &VersionFacts) -> Option<Finding> {
    match &version.probe {
        Probe::Denied { why } => Some(Finding::EndpointDenied { why: why.clone() }),
        Probe::Unclear { why } => Some(Finding::ProbeUnclear { version: version.id.clone(), why: why.clone() }),
        Probe::NotAsked | Probe::Opens | Probe::Refused | Probe::Withheld | Probe::Spared => None,
    }
}

fn with<'a>(facts: &'a Facts, probe: &'a Probe) -> impl Iterator<Item = &'a VersionFacts> {
    facts.versions.iter().filter(move |version| version.probe == *probe)
}

/// Whether the version opens the service; nothing if that is not known.
fn opens(version: &VersionFacts) -> Option<bool> {
    match version.probe {
        Probe::Opens => Some(true),
        Probe::Refused => Some(false),
        Probe::NotAsked | Probe::Denied { .. } | Probe::Unclear { .. } | Probe::Withheld | Probe::Spared => None,
    }
}

fn current(facts: &Facts) -> Option<Finding> {
    let missing = facts.current().is_none_or(|current| current.value == ValueFacts::Absent);
    missing.then_some(Finding::NoCurrentValue)
}

/// What is wrong with the pending version, in one finding: its remedies are the same.
fn pending(facts: &Facts, found: &[Finding]) -> Option<Finding> {
    let refused = facts.seen_error.as_deref().is_some_and(says_foreign);
    let known = refused && facts.pending().is_some() || facts.seen_error.is_none();
    let Some(version) = facts.pending() else { return (!known).then_some(Finding::UnknownError) };
    let (pending, current_opens) = (version.id.clone(), facts.current().and_then(opens));
    if refused {
        return Some(Finding::NotCreatedByFunction { pending, current_opens });
    }
    match &version.value {
        ValueFacts::Absent => return Some(Finding::ValuelessPending { pending }),
        ValueFacts::Stored { differs: Some(fields), .. } => {
            return Some(Finding::IdentityDiffers { pending, fields: fields.clone(), current_opens });
        }
        ValueFacts::Stored { differs: None, .. } | ValueFacts::Unreadable { .. } => {}
    }
    let pending_opens = opens(version);
    let age = version.created.map(|created| facts.age(created));
    match age {
        Some(age) if facts.underway(version) => Some(Finding::RotationUnderway { pending, age, current_opens, pending_opens }),
        // Said already, and moving AWSCURRENT there ends the rotation.
        _ if found.iter().any(|finding| matches!(finding, Finding::OnlyPendingOpens { .. })) => None,
        Some(_) | None => Some(Finding::StuckPending { pending, age, current_opens, pending_opens }),
    }
}

/// Secrets Manager's words in the event RotationFailed.
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot_rotation.html>
fn says_foreign(error: &str) -> bool {
    error.to_ascii_lowercase().contains("was not created by lambda")
}

fn unreadable(facts: &Facts) -> impl Iterator<Item = Finding> {
    facts.versions.iter().filter_map(|version| match &version.value {
        ValueFacts::Unreadable { why } => {
            Some(Finding::Unreadable { version: version.id.clone(), labels: version.labels.clone(), why: why.clone() })
        }
        ValueFacts::Absent | ValueFacts::Stored { .. } => None,
    })
}

/// Why no step would get as far as the service.
fn plugin(problem: &StepError) -> Option<Finding> {
    let why = described(problem);
    Some(match problem {
        StepError::Tag { .. } => Finding::InvalidTag { why },
        StepError::Source(error) => match &**error {
            SourceError::Catalogue(CatalogueError::NoMatch { .. } | CatalogueError::SeveralMatch { .. }) => {
                Finding::MissingTag { why }
            }
            SourceError::Catalogue(CatalogueError::Missing { .. } | CatalogueError::Mismatch { .. })
            | SourceError::Object(ObjectError::Missing { .. }) => Finding::UnknownPlugin { why },
            SourceError::Catalogue(_)
            | SourceError::Object(_)
            | SourceError::OtherDigest { .. }
            | SourceError::Signature { .. } => Finding::UnusablePlugin { why },
        },
        StepError::Untrusted(_) | StepError::Load { .. } => Finding::UnusablePlugin { why },
        StepError::Endpoint(EndpointError::NotGranted { .. } | EndpointError::MalformedTemplate { .. }) => {
            Finding::EndpointDenied { why }
        }
        StepError::Endpoint(EndpointError::MissingField { .. } | EndpointError::MalformedField { .. })
        | StepError::MissingField { .. } => Finding::MalformedSecret { why },
        // Found by looking at the pending version.
        StepError::Candidate(CandidateError::Differs { .. }) => return None,
        StepError::Candidate(CandidateError::NoAlternatingUsers { .. }) => Finding::UnusablePlugin { why },
        StepError::Candidate(_) => Finding::MalformedSecret { why },
        // None of these comes of choosing a plugin.
        StepError::Event(_)
        | StepError::NotRotatable(_)
        | StepError::Secrets(_)
        | StepError::NoCurrentValue
        | StepError::NoPendingValue { .. }
        | StepError::NoAdminValue { .. }
        | StepError::AdminElsewhere { .. }
        | StepError::Swapped { .. }
        | StepError::CanaryFailed { .. }
        | StepError::TooLittleTime { .. }
        | StepError::TooLittleTimeToSet { .. }
        | StepError::TooManyRefusedLogins { .. }
        | StepError::OutOfTime { .. }
        | StepError::Rejected { .. }
        | StepError::Plugin { .. }
        | StepError::TestProvesNothing { .. }
        | StepError::ControlInconclusive { .. }
        | StepError::CurrentMoved => return None,
    })
}

/// An error with its causes, in one sentence.
fn described(error: &StepError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let because = error.to_string();
        if !text.contains(&because) {
            text = format!("{text}: {because}");
        }
        cause = error.source();
    }
    text
}

fn rotation(facts: &Facts) -> Option<Finding> {
    match facts.examined.described.rotation_enabled {
        None => Some(Finding::RotationNotConfigured),
        Some(false) => Some(Finding::RotationDisabled),
        Some(true) => {
            let due = facts.examined.next_rotation.filter(|due| *due < facts.now)?;
            Some(Finding::Overdue { due })
        }
    }
}

/// Whether the secret still has to change its function.
fn other_function(facts: &Facts) -> Option<Finding> {
    let (has, meant) = (facts.examined.function.clone()?, facts.meant_function.clone()?);
    let pending = facts.pending().map(|pending| pending.id.clone());
    (has != meant).then_some(Finding::OtherFunction { has, meant, pending })
}

/// Every version was AWSCURRENT before it lost its label, unless a rotation was abandoned: so a version without a label that is newer
/// than AWSPREVIOUS, or beside which there is none, was never promoted.
fn abandoned(facts: &Facts) -> Option<Finding> {
    // If the service was asked, its answer says more.
    if facts.probed {
        return None;
    }
    let previous = facts.holder(AWSPREVIOUS).map(|previous| previous.created);
    let labelled: Vec<_> =
        facts.versions.iter().filter(|version| !version.labels.is_empty()).filter_map(VersionFacts::group).collect();
    let newer = |version: &&VersionFacts| match previous {
        Some(previous) => version.created > previous,
        None => true,
    };
    let lost = |version: &&VersionFacts| version.group().is_some_and(|group| !labelled.contains(&group));
    let mut unlabelled = facts.versions.iter().filter(|version| version.labels.is_empty());
    unlabelled
        .find(|version| lost(version) && newer(version))
        .map(|version| Finding::AbandonedVersion { version: version.id.clone() })
}

#[cfg(test)]
pub(in crate::doctor) mod tests;
