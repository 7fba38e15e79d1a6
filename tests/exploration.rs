//! Every fault at every boundary of a rotation, and what must hold whatever happens: no sequence of crashes, repeats, duplicates, stale
//! reads and lost answers leaves a service that no stored credential opens.
//!
//! The real rotation runs with the real sandbox and a real plugin, against the local Secrets Manager and model services, all in memory
//! and under a clock that only moves when everybody waits. `tests/exploration/README.md` says how to explore further.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test is meant to panic, in its helpers too; `pub` is for the other files of this test"
)]

mod support;

#[path = "exploration/explorer.rs"]
mod explorer;
#[path = "exploration/host.rs"]
mod host;
#[path = "exploration/invariant.rs"]
mod invariant;
#[path = "exploration/mutant.rs"]
mod mutant;
#[path = "exploration/random.rs"]
mod random;
#[path = "exploration/schedule.rs"]
mod schedule;
#[path = "exploration/service.rs"]
mod service;
#[path = "exploration/sweep.rs"]
mod sweep;
#[path = "exploration/world.rs"]
mod world;

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use explorer::Explorer;
use mutant::Mutation;
use random::random;
use schedule::{Schedule, pairs, singles};
use service::Kind;
use sweep::sweep;
use windlass::local::fault::Fault;

/// The seed of the sequences that every run of the tests tries. Any other does as well: `tests/run --explore` takes a new one.
const SEED: u64 = 4;

/// So many of them on each core.
const SEQUENCES: u32 = 300;

/// Every fault at every boundary that a rotation without faults has.
fn all_singles(explorer: &Explorer) -> Vec<(Kind, Vec<Fault>)> {
    let of_kind = |kind| {
        let outcome = explorer.explore(&Schedule { kind, faults: Vec::new() });
        assert!(outcome.succeeded && outcome.violations.is_empty(), "{kind}: {:?}", outcome.violations);
        (kind, singles(&outcome.places))
    };
    Kind::ALL.into_iter().map(of_kind).collect()
}

fn schedules(of_kinds: &[(Kind, Vec<Fault>)]) -> Vec<Schedule> {
    let of_kind = |(kind, faults): &(Kind, Vec<Fault>)| {
        let kind = *kind;
        faults.clone().into_iter().map(move |fault| Schedule { kind, faults: vec![fault] })
    };
    of_kinds.iter().flat_map(of_kind).collect()
}

#[test]
fn no_single_fault_at_any_boundary_locks_anybody_out() {
    let schedules = schedules(&all_singles(&Explorer::windlass()));
    assert!(schedules.len() > 1_000, "only {} schedules", schedules.len());
    let summary = sweep(schedules.into_iter(), None, Explorer::windlass);
    println!("single faults: {summary}");
    summary.assert_nothing_violated();
}

#[test]
fn no_random_sequence_of_faults_locks_anybody_out() {
    let summary = random(&all_singles(&Explorer::windlass()), SEED, SEQUENCES, None);
    println!("random sequences of seed {SEED}: {summary}");
    summary.assert_nothing_violated();
}

/// What `tests/run --explore` was told.
fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "test functions have no arguments; read in tests that run alone")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Every single fault, then pairs and random sequences by turns: until all pairs are tried, or the seconds of `WINDLASS_EXPLORE` are
/// over. `tests/run --explore` runs it.
#[test]
#[ignore = "takes as long as it is given: tests/run --explore"]
fn explore() {
    let seconds = variable("WINDLASS_EXPLORE");
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.parse().unwrap()));
    let of_kinds = all_singles(&Explorer::windlass());
    let singles = sweep(schedules(&of_kinds).into_iter(), end, Explorer::windlass);
    println!("single faults: {singles}");
    singles.assert_nothing_violated();
    let seed = variable("WINDLASS_SEED").map_or_else(|| RandomState::new().hash_one(0), |seed| seed.parse().unwrap());
    let sequences = end.map(|end| Instant::now() + end.saturating_duration_since(Instant::now()) / 2);
    let random = random(&of_kinds, seed, if end.is_some() { u32::MAX } else { 20_000 }, sequences);
    println!("random sequences, WINDLASS_SEED={seed}: {random}");
    random.assert_nothing_violated();
    let count: usize = of_kinds.iter().map(|(_, faults)| faults.len() * (faults.len() - 1) / 2).sum();
    let of_kind = |(kind, faults): (Kind, Vec<Fault>)| pairs(faults).map(move |pair| Schedule { kind, faults: pair.to_vec() });
    let pairs = sweep(of_kinds.into_iter().flat_map(of_kind), end, Explorer::windlass);
    println!("pairs, of {count}: {pairs}");
    pairs.assert_nothing_violated();
}

/// The schedule of `WINDLASS_SCHEDULE`, as a failed exploration prints it. `tests/run --explore SCHEDULE` runs it.
#[test]
#[ignore = "needs a schedule: tests/run --explore SCHEDULE"]
fn one_schedule() {
    let schedule: Schedule = variable("WINDLASS_SCHEDULE").unwrap().parse().unwrap();
    let outcome = Explorer::windlass().explore(&schedule);
    println!("{}", outcome.story);
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
    println!(
        "{schedule}: nothing violated; the rotation {}",
        if outcome.succeeded { "succeeded" } else { "was ended by somebody else" }
    );
}

#[test]
fn another_function_that_is_right_passes_too() {
    let schedules = schedules(&all_singles(&Explorer::mutant(Mutation::None)));
    let summary = sweep(schedules.into_iter(), None, || Explorer::mutant(Mutation::None));
    println!("another function: {summary}");
    summary.assert_nothing_violated();
}

#[test]
fn every_mutant_is_caught_by_the_invariant_that_it_breaks() {
    let schedules = schedules(&all_singles(&Explorer::mutant(Mutation::None)));
    for (mutation, invariant) in Mutation::ALL {
        let found = schedules.iter().find_map(|schedule| {
            let violations = Explorer::mutant(mutation).explore(schedule).violations;
            violations.into_iter().find(|violation| violation.invariant == invariant).map(|violation| (schedule, violation))
        });
        let Some((schedule, violation)) = found else { panic!("{mutation:?} is not caught by {invariant:?}") };
        println!("{mutation:?} after {schedule}: {violation}");
    }
}
