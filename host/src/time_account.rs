//! Where the time of a step goes. A step that runs out of time says which stage took it.
//!
//! The account belongs to the task that runs the step, as a tracing span does: whoever waits for something says so with [`spend`],
//! without knowing whose time it is. A wait that is cut off by a deadline counts as far as it came.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    static ACCOUNT: TimeAccount;
}

/// What a step has spent its time on so far.
#[derive(Debug, Clone, Default)]
pub struct TimeAccount(Arc<Mutex<Vec<Entry>>>);

#[derive(Debug)]
struct Entry {
    stage: String,
    /// Within the stage that comes before, rather than after it.
    within: bool,
    times: u32,
    spent: Duration,
}

/// A stage under way. It ends when this is dropped.
#[must_use = "the stage ends when this is dropped"]
pub struct Spending {
    account: Option<TimeAccount>,
    stage: String,
    within: bool,
    began: Instant,
}

/// A stage begins, in the account of the step that this task runs; in none, if it runs no step.
pub fn spend(stage: impl Into<String>) -> Spending {
    Spending::begin(stage.into(), false)
}

/// A stage begins within another one, such as a connection within a plugin's call.
pub fn spend_within(stage: impl Into<String>) -> Spending {
    Spending::begin(stage.into(), true)
}

impl TimeAccount {
    /// Keeps this account while `step` runs.
    pub async fn keep<T>(&self, step: impl Future<Output = T>) -> T {
        ACCOUNT.scope(self.clone(), step).await
    }

    fn enter(&self, stage: &str, within: bool, spent: Duration) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.iter_mut().find(|entry| entry.stage == stage && entry.within == within) {
            Some(entry) => {
                entry.times += 1;
                entry.spent += spent;
            }
            None => entries.push(Entry { stage: stage.to_owned(), within, times: 1, spent }),
        }
    }
}

impl Spending {
    fn begin(stage: String, within: bool) -> Self {
        Self { account: ACCOUNT.try_with(TimeAccount::clone).ok(), stage, within, began: Instant::now() }
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.enter(&self.stage, self.within, self.began.elapsed());
        }
    }
}

/// The stages, those first that took longest; what happens within others stands behind them in brackets.
impl fmt::Display for TimeAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.spent));
        let list = |within: bool| {
            let entries = entries.iter().filter(|entry| entry.within == within);
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
                let _spending = spend("GetSecretValue");
                wait(seconds).await;
            }
            let _spending = spend("set-secret");
            let _within = spend_within("waiting for db.example:5432");
            wait(600).await;
        });
        let cut_off = tokio::time::timeout(Duration::from_secs(20), step).await;
        assert!(cut_off.is_err());
        insta::assert_snapshot!(
            account,
            @"set-secret 17.0 s, GetSecretValue (2 times) 3.0 s [of these: waiting for db.example:5432 17.0 s]"
        );
    }

    #[test]
    fn nobody_keeps_an_account_outside_a_step() {
        let spending = spend("anything");
        assert!(spending.account.is_none());
    }
}
