//! Where the time of a step goes. A step that runs out of time says which stage took it.
//!
//! The account belongs to the task that runs the step, as a tracing span does: whoever waits for something says so with [`spend`],
//! without knowing whose time it is. A wait that is cut off by a deadline counts as far as it came. Whoever tries something again says
//! so with [`tried_again`].

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    static ACCOUNT: TimeAccount;
}

/// What a step has spent its time on so far.
#[derive(Debug, Clone, Default)]
pub struct TimeAccount {
    entries: Arc<Mutex<Vec<Entry>>>,
    /// How often something was tried again.
    again: Arc<AtomicU32>,
}

/// On whom time is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Secrets Manager, way there and back included.
    SecretsManager,
    /// S3, likewise.
    S3,
    /// What only this process does.
    Host,
    /// A call of the plugin, and everything in it.
    Plugin,
    /// The service and the way there, which is part of a plugin's call.
    Service,
}

#[derive(Debug)]
struct Entry {
    on: On,
    stage: String,
    times: u32,
    spent: Duration,
}

/// A stage under way. It ends when this is dropped.
#[must_use = "the stage ends when this is dropped"]
pub struct Spending {
    account: Option<TimeAccount>,
    on: On,
    stage: String,
    began: Instant,
}

/// A stage begins, in the account of the step that this task runs; in none, if it runs no step.
pub fn spend(on: On, stage: impl Into<String>) -> Spending {
    Spending { account: ACCOUNT.try_with(TimeAccount::clone).ok(), on, stage: stage.into(), began: Instant::now() }
}

/// Something is tried again, in the step that this task runs.
pub fn tried_again() {
    // Outside of a step nobody counts.
    let _no_step = ACCOUNT.try_with(|account| account.again.fetch_add(1, Ordering::Relaxed));
}

impl TimeAccount {
    /// Keeps this account while `step` runs.
    pub async fn keep<T>(&self, step: impl Future<Output = T>) -> T {
        ACCOUNT.scope(self.clone(), step).await
    }

    /// How much time was spent on somebody so far.
    pub fn spent(&self, on: On) -> Duration {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().filter(|entry| entry.on == on).map(|entry| entry.spent).sum()
    }

    /// 1, and 1 more each time something had to be tried again.
    pub fn attempts(&self) -> u32 {
        self.again.load(Ordering::Relaxed).saturating_add(1)
    }

    fn enter(&self, on: On, stage: &str, spent: Duration) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.iter_mut().find(|entry| entry.stage == stage && entry.on == on) {
            Some(entry) => {
                entry.times += 1;
                entry.spent += spent;
            }
            None => entries.push(Entry { on, stage: stage.to_owned(), times: 1, spent }),
        }
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.enter(self.on, &self.stage, self.began.elapsed());
        }
    }
}

/// The stages, those first that took longest; what happens within others stands behind them in brackets.
impl fmt::Display for TimeAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.spent));
        let list = |within: bool| {
            let entries = entries.iter().filter(|entry| (entry.on == On::Service) == within);
            let each = entries.map(|Entry { stage, times, spent, .. }| {
                let times = if *times > 1 { format!(" ({times} times)") } else { String::new() };
                format!("{stage}{times} {:.1} s", spent.as_secs_f64())
            });
            each.collect::<Vec<_>>().join(", ")
        };
        let (stages, within) = (list(false), list(true));
        f.write_str(if stages.is_empty() { "nothing" } else { &stages })?;
        if within.is_empty() { Ok(()) } else { write!(f, " [of these: {within}]") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn wait(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn says_what_took_longest_first_and_what_was_part_of_what() {
        let account = TimeAccount::default();
        let step = account.keep(async {
            for seconds in [1, 2] {
                let _spending = spend(On::SecretsManager, "GetSecretValue");
                wait(seconds).await;
            }
            let _spending = spend(On::Plugin, "set-secret");
            let _within = spend(On::Service, "waiting for db.example:5432");
            wait(600).await;
        });
        let cut_off = tokio::time::timeout(Duration::from_secs(20), step).await;
        assert!(cut_off.is_err());
        let seconds = |on| account.spent(on).as_secs();
        assert_eq!((seconds(On::SecretsManager), seconds(On::Plugin), seconds(On::Service), seconds(On::S3)), (3, 17, 17, 0));
        insta::assert_snapshot!(
            account,
            @"set-secret 17.0 s, GetSecretValue (2 times) 3.0 s [of these: waiting for db.example:5432 17.0 s]"
        );
    }

    #[tokio::test]
    async fn each_step_counts_what_it_tries_again() {
        let (first, second) = (TimeAccount::default(), TimeAccount::default());
        first.keep(async { tried_again() }).await;
        second.keep(async {}).await;
        assert_eq!((first.attempts(), second.attempts()), (2, 1));
    }

    #[test]
    fn nobody_keeps_an_account_outside_a_step() {
        tried_again();
        let spending = spend(On::Host, "anything");
        assert!(spending.account.is_none());
    }
}
