//! Many schedules, on all cores.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::explorer::{Explorer, Outcome};
use crate::schedule::Schedule;

/// What many schedules came to.
#[derive(Debug, Default)]
pub struct Summary {
    pub schedules: usize,
    pub succeeded: usize,
    pub states: BTreeSet<u64>,
    pub most_refused: u32,
    pub failures: Vec<Failure>,
    pub took: Duration,
}

/// A schedule after which something did not hold.
#[derive(Debug, Clone)]
pub struct Failure {
    pub schedule: Schedule,
    pub outcome: Outcome,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "WINDLASS_SCHEDULE='{}'", self.schedule)?;
        self.outcome.violations.iter().try_for_each(|violation| writeln!(f, "    {violation}"))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schedules, succeeded, states, most_refused, failures, took } = self;
        write!(
            f,
            "{schedules} schedules, {succeeded} ended in a finished rotation, {} were ended by somebody else; {} states; at most \
             {most_refused} refused logins in a step; {} violated something; {:.1} s",
            schedules - succeeded,
            states.len(),
            failures.len(),
            took.as_secs_f64()
        )
    }
}

impl Summary {
    pub fn add(&mut self, schedule: &Schedule, outcome: Outcome) {
        self.schedules += 1;
        self.succeeded += usize::from(outcome.succeeded);
        self.states.extend(&outcome.states);
        self.most_refused = self.most_refused.max(outcome.most_refused);
        if !outcome.violations.is_empty() {
            self.failures.push(Failure { schedule: schedule.clone(), outcome });
        }
    }

    /// Fails the test with the first schedules that violated something.
    #[track_caller]
    pub fn assert_nothing_violated(&self) {
        let first: Vec<String> = self.failures.iter().take(10).map(Failure::to_string).collect();
        assert!(self.failures.is_empty(), "{self}\n{}", first.join(""));
    }
}

/// Tries the schedules until all are tried or the time is over, each thread with a host that `explorer` makes.
pub fn sweep(
    schedules: impl Iterator<Item = Schedule> + Send,
    end: Option<Instant>,
    explorer: impl Fn() -> Explorer + Sync,
) -> Summary {
    let began = Instant::now();
    let (schedules, summary) = (Mutex::new(schedules), Mutex::new(Summary::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let explorer = explorer();
                loop {
                    // Taken in a statement of its own, which lets go of the lock.
                    let next = schedules.lock().unwrap().next();
                    match next {
                        Some(schedule) if end.is_none_or(|end| Instant::now() < end) => {
                            let outcome = explorer.explore(&schedule);
                            summary.lock().unwrap().add(&schedule, outcome);
                        }
                        Some(_) | None => return,
                    }
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap();
    summary.took = began.elapsed();
    summary
}
