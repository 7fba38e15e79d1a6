use std::time::{Duration, SystemTime};

use rstest::rstest;

use super::*;
use crate::doctor::facts::PluginFacts;
use crate::event::{SecretArn, VersionId};
use crate::manifest::PluginName;
use crate::secrets::examination::Examined;
use crate::state::{AWSCURRENT, AWSPENDING, Described};

const HOUR: u64 = 3_600;

pub(in crate::doctor) fn id(digit: char) -> VersionId {
    VersionId::parse(&format!("0000000{digit}-0000-4000-8000-000000000000")).unwrap()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000)
}

/// A version whose value is its own, stored so many hours ago.
pub(in crate::doctor) fn version(digit: char, labels: &[&str], hours: u64) -> VersionFacts {
    VersionFacts {
        id: id(digit),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        created: Some(now() - Duration::from_secs(hours * HOUR)),
        value: ValueFacts::Stored { group: digit as usize - '0' as usize, differs: None },
        probe: NotAsked,
    }
}

/// A secret that rotates, with these versions.
pub(in crate::doctor) fn facts(versions: Vec<VersionFacts>) -> Facts {
    let labels = versions.iter().filter(|version| !version.labels.is_empty());
    Facts {
        examined: Examined {
            arn: SecretArn::parse("arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/cache-a1B2c3").unwrap(),
            described: Described {
                rotation_enabled: Some(true),
                labels: labels.map(|version| (version.id.clone(), version.labels.clone())).collect(),
                ..Described::default()
            },
            function: Some("arn:aws:lambda:eu-west-1:123456789012:function:windlass".to_owned()),
            last_rotated: Some(now() - Duration::from_secs(24 * HOUR)),
            next_rotation: Some(now() + Duration::from_secs(24 * HOUR)),
            primary_region: None,
        },
        now: now(),
        stuck_after: Duration::from_secs(15 * 60),
        versions,
        unread: 0,
        plugin: PluginFacts { looked: true, ..PluginFacts::default() },
        probed: false,
        seen_error: None,
        meant_function: None,
    }
}

/// AWSCURRENT, AWSPENDING (three hours old), AWSPREVIOUS and one without a label that is older, and what the service says to them.
pub(in crate::doctor) fn probed(said: [Probe; 4]) -> Facts {
    let versions =
        [version('0', &[AWSCURRENT], 24), version('1', &[AWSPENDING], 3), version('2', &[AWSPREVIOUS], 48), version('3', &[], 72)];
    let versions = versions.into_iter().zip(said).map(|(version, probe)| VersionFacts { probe, ..version }).collect();
    Facts { probed: true, ..facts(versions) }
}

fn healthy() -> Facts {
    facts(vec![version('0', &[AWSCURRENT], 24), version('1', &[AWSPREVIOUS], 48)])
}

fn pending() -> Facts {
    facts(vec![version('0', &[AWSCURRENT], 24), version('1', &[AWSPENDING], 3)])
}

fn changed(mut facts: Facts, change: impl FnOnce(&mut Facts)) -> Facts {
    change(&mut facts);
    facts
}

fn described(change: impl FnOnce(&mut Described)) -> Facts {
    changed(healthy(), |facts| change(&mut facts.examined.described))
}

fn meant(facts: Facts, function: &str) -> Facts {
    let function = format!("arn:aws:lambda:eu-west-1:123456789012:function:{function}");
    changed(facts, |facts| facts.meant_function = Some(function))
}

fn problem(problem: StepError) -> Facts {
    changed(healthy(), |facts| facts.plugin.problem = Some(problem))
}

fn unserved(why: CatalogueError) -> Facts {
    problem(SourceError::from(why).into())
}

fn plugin_name(name: &str) -> PluginName {
    PluginName::try_from(name.to_owned()).unwrap()
}

const FOREIGN: &str = "Pending secret version V for Secret S was not created by Lambda L. Remove the AWSPENDING staging label";
const UNCLEAR: fn() -> Probe = || Probe::Unclear { why: "unreachable (unchanged): no answer".to_owned() };
const DENIED: fn() -> Probe = || Probe::Denied { why: "10.0.0.1 is not granted".to_owned() };
use Probe::{NotAsked, Opens, Refused, Spared, Withheld};

/// The names of the findings, the most urgent first, and after `!` what may be applied about them.
#[rstest]
#[case::healthy(healthy(), "")]
#[case::healthy_first_rotation_to_come(facts(vec![version('0', &[AWSCURRENT], 24)]), "")]
#[case::healthy_where_awspending_lingers(facts(vec![version('0', &[AWSCURRENT, AWSPENDING], 24), version('1', &[AWSPREVIOUS], 48)]), "")]
#[case::healthy_and_asked(probed_without_pending([Opens, Refused, NotAsked]), "")]
#[case::stuck(pending(), "stuck-pending")]
#[case::stuck_of_unknown_age(changed(pending(), |facts| facts.versions[1].created = None), "stuck-pending")]
#[case::stuck_and_setsecret_has_not_run(probed([Opens, Refused, Refused, NotAsked]), "stuck-pending !remove 1")]
#[case::stuck_and_both_open(probed([Opens, Opens, Refused, NotAsked]), "stuck-pending !remove 1")]
#[case::stuck_and_the_service_does_not_answer(probed([UNCLEAR(), NotAsked, NotAsked, NotAsked]), "stuck-pending, probe-unclear")]
#[case::underway(changed(pending(), |facts| facts.versions[1].created = Some(now())), "rotation-underway")]
#[case::underway_between_set_and_finish(
    changed(probed([Refused, Opens, Refused, Refused]), |facts| facts.versions[1].created = Some(now())),
    "rotation-underway"
)]
#[case::young_but_nothing_can_run(
    changed(pending(), |facts| {
        facts.versions[1].created = Some(now());
        facts.examined.described.rotation_enabled = Some(false);
    }),
    "stuck-pending, rotation-disabled"
)]
#[case::valueless(changed(pending(), |facts| (facts.versions[1].value, facts.versions[1].created) = (ValueFacts::Absent, None)), "valueless-pending !remove 1")]
#[case::valueless_without_a_first_value(
    facts(vec![VersionFacts { value: ValueFacts::Absent, created: None, ..version('1', &[AWSPENDING], 0) }]),
    "no-current-value, valueless-pending !remove 1"
)]
#[case::empty(facts(vec![]), "no-current-value")]
#[case::only_pending_opens(probed([Refused, Opens, Refused, Refused]), "only-pending-opens !move 0 to 1")]
#[case::only_pending_opens_as_far_as_is_known(probed([Refused, Opens, Refused, Spared]), "only-pending-opens")]
#[case::pending_and_previous_open(probed([Refused, Opens, Opens, Refused]), "only-pending-opens")]
#[case::previous_opens(probed_without_pending([Refused, Opens, Refused]), "only-other-opens !move 0 to 2")]
#[case::abandoned_holds_the_only_one(probed_without_pending([Refused, Refused, Opens]), "only-abandoned-opens !move 0 to 3")]
#[case::abandoned_with_another_rotation_pending(
    probed([Refused, Refused, Refused, Opens]),
    "only-abandoned-opens !move 0 to 3, stuck-pending"
)]
#[case::abandoned_but_for_somebody_else(probed_without_pending([Refused, Refused, Withheld]), "drift")]
#[case::drift(probed_without_pending([Refused, Refused, Refused]), "drift")]
#[case::drift_with_pending(probed([Refused, Refused, Refused, Refused]), "drift, stuck-pending")]
#[case::not_asked_and_nothing_abandoned(facts(vec![version('0', &[AWSCURRENT], 24), version('2', &[AWSPREVIOUS], 48), version('3', &[], 72)]), "")]
#[case::perhaps_abandoned(facts(vec![version('0', &[AWSCURRENT], 24), version('2', &[AWSPREVIOUS], 48), version('3', &[], 25)]), "abandoned-version")]
#[case::perhaps_the_first_abandoned(facts(vec![version('0', &[AWSCURRENT], 24), version('3', &[], 25)]), "abandoned-version")]
#[case::abandoned_with_the_value_of_current(
    changed(facts(vec![version('0', &[AWSCURRENT], 24), version('3', &[], 25)]), |facts| {
        facts.versions[1].value = facts.versions[0].value.clone();
    }),
    ""
)]
#[case::identity_differs(differing(NotAsked), "identity-differs")]
#[case::identity_differs_and_current_opens(differing(Opens), "identity-differs !remove 1")]
#[case::identity_differs_and_current_does_not(differing(Refused), "drift, identity-differs")]
#[case::foreign(changed(pending(), |facts| facts.seen_error = Some(FOREIGN.to_owned())), "not-created-by-function")]
#[case::foreign_and_current_opens(
    changed(probed([Opens, Refused, Refused, NotAsked]), |facts| facts.seen_error = Some(FOREIGN.to_owned())),
    "not-created-by-function !remove 1"
)]
#[case::foreign_and_the_service_has_it(
    changed(probed([Refused, Opens, Refused, Refused]), |facts| facts.seen_error = Some(FOREIGN.to_owned())),
    "only-pending-opens !move 0 to 1, not-created-by-function"
)]
#[case::foreign_no_more(changed(healthy(), |facts| facts.seen_error = Some(FOREIGN.to_owned())), "unknown-error")]
#[case::another_error(changed(healthy(), |facts| facts.seen_error = Some("Windlass.Unauthorized".to_owned())), "unknown-error")]
#[case::another_error_beside_what_is_wrong(
    changed(pending(), |facts| facts.seen_error = Some("Windlass.Unauthorized".to_owned())),
    "stuck-pending"
)]
#[case::unreadable(
    changed(healthy(), |facts| facts.versions[0].value = ValueFacts::Unreadable { why: "denied".to_owned() }),
    "unreadable"
)]
#[case::denied_at_the_service(probed_without_pending([DENIED(), NotAsked, NotAsked]), "endpoint-denied")]
#[case::deleted(described(|described| described.deleted = true), "marked-for-deletion")]
#[case::deleted_without_a_label(
    changed(facts(vec![]), |facts| facts.examined.described.deleted = true),
    "marked-for-deletion"
)]
#[case::owned(described(|described| described.owning_service = Some("rds".to_owned())), "owned-by-another-service")]
#[case::managed(described(|described| described.managed_type = Some("Partner".to_owned())), "owned-by-another-service")]
#[case::replica(described(|described| described.replica = true), "replica")]
#[case::disabled(described(|described| described.rotation_enabled = Some(false)), "rotation-disabled")]
#[case::never_configured(described(|described| described.rotation_enabled = None), "rotation-not-configured")]
#[case::overdue(changed(healthy(), |facts| facts.examined.next_rotation = Some(now() - Duration::from_secs(1))), "overdue")]
#[case::off_is_not_overdue(
    changed(healthy(), |facts| {
        facts.examined.next_rotation = Some(now() - Duration::from_secs(1));
        facts.examined.described.rotation_enabled = Some(false);
    }),
    "rotation-disabled"
)]
#[case::the_function_that_is_meant(meant(healthy(), "windlass"), "")]
#[case::another_function(meant(healthy(), "other"), "other-function")]
#[case::another_function_at_work(meant(pending(), "other"), "stuck-pending, other-function")]
#[case::no_function_yet(
    meant(changed(described(|described| described.rotation_enabled = None), |facts| facts.examined.function = None), "other"),
    "rotation-not-configured"
)]
#[case::multi_user_secret(changed(healthy(), |facts| facts.plugin.ignores_master = true), "masterarn-ignored")]
#[case::missing_tag(unserved(CatalogueError::NoMatch { installed: vec![] }), "missing-tag")]
#[case::ambiguous(unserved(CatalogueError::SeveralMatch { matching: vec![] }), "missing-tag")]
#[case::unknown_plugin(
    unserved(CatalogueError::Missing { name: plugin_name("kafka"), folders: vec![], installed: vec![] }),
    "unknown-plugin"
)]
#[case::misnamed_plugin(
    unserved(CatalogueError::OtherName { path: "kafka.wasm".into(), manifest: "redis".into() }),
    "unusable-plugin"
)]
#[case::wrong_tag(problem(StepError::Tag { tag: "windlass:plugins".to_owned(), why: "there is no such tag".to_owned() }), "invalid-tag")]
#[case::endpoint_not_granted(
    problem(StepError::Endpoint(EndpointError::NotGranted {
        endpoint: "server".to_owned(),
        address: crate::capability::endpoint::Address::parse("10.0.0.1:6379").unwrap(),
    })),
    "endpoint-denied"
)]
#[case::missing_field(problem(StepError::MissingField { plugin: "redis".to_owned(), field: "host".to_owned() }), "malformed-secret")]
#[case::broken_json(problem(StepError::Candidate(CandidateError::BrokenJson)), "malformed-secret")]
#[case::several_at_once(
    changed(pending(), |facts| {
        facts.plugin.problem = Some(SourceError::from(CatalogueError::NoMatch { installed: vec![] }).into());
        facts.examined.described.rotation_enabled = Some(false);
        facts.versions[1].value = ValueFacts::Absent;
        facts.versions.remove(0);
    }),
    "no-current-value, valueless-pending !remove 1, missing-tag, rotation-disabled"
)]
fn facts_lead_to_findings(#[case] facts: Facts, #[case] expected: &str) {
    let found = diagnose(&facts).iter().map(|finding| shown(&facts, finding)).collect::<Vec<_>>().join(", ");
    assert_eq!(found, expected);
}

fn shown(facts: &Facts, finding: &Finding) -> String {
    let digit = |id: &VersionId| id.as_str()[7..8].to_owned();
    let name = finding.name();
    match remedy(facts, finding) {
        None => name.to_owned(),
        Some(Remedy::RemovePending { from }) => format!("{name} !remove {}", digit(&from)),
        Some(Remedy::MoveCurrent { from, to }) => format!("{name} !move {} to {}", digit(&from), digit(&to)),
    }
}

fn probed_without_pending([current, previous, unlabelled]: [Probe; 3]) -> Facts {
    changed(probed([current, NotAsked, previous, unlabelled]), |facts| {
        facts.examined.described.labels.remove(&id('1'));
        facts.versions.remove(1);
    })
}

fn differing(current: Probe) -> Facts {
    changed(pending(), |facts| {
        facts.probed = current != NotAsked;
        if facts.probed {
            facts.versions[1].probe = Withheld;
        }
        facts.versions[0].probe = current;
        facts.versions[1].value = ValueFacts::Stored { group: 1, differs: Some("`host`".to_owned()) };
    })
}

#[test]
fn what_is_pending_for_less_than_a_step_can_take_is_left_alone_even_if_it_can_be_applied() {
    let young = |said| changed(probed(said), |facts| facts.versions[1].created = Some(now()));
    for said in [[Opens, Refused, Refused, NotAsked], [Refused, Opens, Refused, Refused], [Refused, Refused, Refused, Opens]] {
        let facts = young(said);
        for finding in diagnose(&facts) {
            assert_eq!(remedy(&facts, &finding), None, "{finding:?}");
        }
    }
}
