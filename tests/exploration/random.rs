//! Random sequences of faults, which proptest makes shorter when something does not hold.

use std::sync::Mutex;
use std::time::Instant;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use windlass::local::fault::Fault;

use crate::explorer::Explorer;
use crate::schedule::sequences;
use crate::service::Kind;
use crate::sweep::{Failure, Summary};

/// Tries `cases` sequences on each core, or as many as the time allows. The same seed makes the same sequences.
pub fn random(of_kinds: &[(Kind, Vec<Fault>)], seed: u64, cases: u32, end: Option<Instant>) -> Summary {
    let began = Instant::now();
    let summary = Mutex::new(Summary::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let summary = &summary;
            scope.spawn(move || one_thread(of_kinds, seed.wrapping_add(thread as u64), cases, end, summary));
        }
    });
    let mut summary = summary.into_inner().unwrap();
    summary.took = began.elapsed();
    summary
}

/// So many sequences are made before the time is looked at.
const BATCH: u32 = 50;

fn one_thread(of_kinds: &[(Kind, Vec<Fault>)], seed: u64, cases: u32, end: Option<Instant>, summary: &Mutex<Summary>) {
    let explorer = Explorer::windlass();
    let strategy = sequences(of_kinds.to_vec());
    let mut tried = 0;
    while tried < cases && end.is_none_or(|end| Instant::now() < end) {
        // Each batch has a seed of its own, so that it does not matter how many there are.
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..12].copy_from_slice(&tried.to_le_bytes());
        let config = Config { cases: BATCH.min(cases - tried), failure_persistence: None, ..Config::default() };
        tried += config.cases;
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let result = runner.run(&strategy, |schedule| {
            let outcome = explorer.explore(&schedule);
            let violated = !outcome.violations.is_empty();
            summary.lock().unwrap().add(&schedule, outcome);
            if violated { Err(TestCaseError::fail("violated")) } else { Ok(()) }
        });
        if let Err(TestError::Fail(_, schedule)) = result {
            // What was seen on the way to it is longer.
            let outcome = explorer.explore(&schedule);
            let mut summary = summary.lock().unwrap();
            summary.failures.retain(|failure| failure.schedule.faults.len() < schedule.faults.len());
            summary.failures.insert(0, Failure { schedule, outcome });
            return;
        }
    }
}
