//! What every plugin has to do. One function per check; each gets a new account and leaves nothing behind that another one needs.

use std::pin::Pin;

use super::ConformanceError;
use super::scene::Bench;
use super::verdict::Verdict;

mod characters;
mod concurrency;
mod drift;
mod failures;
mod interruption;
mod order;
mod others;
mod places;
mod turns;
mod words;

/// A check.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its name, as on the command line.
    pub name: &'static str,
    /// What it proves, in a few words.
    pub proves: &'static str,
    run: Run,
}

type Run = for<'a> fn(&'a mut Bench) -> Pin<Box<dyn Future<Output = Result<Verdict, ConformanceError>> + 'a>>;

impl Check {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// [`ConformanceError`] if the service or the case is broken, which says nothing about the plugin.
    pub async fn run(&self, bench: &mut Bench) -> Result<Verdict, ConformanceError> {
        (self.run)(bench).await
    }
}

macro_rules! check {
    ($name:literal, $proves:literal, $run:path) => {
        Check { name: $name, proves: $proves, run: |bench| Box::pin($run(bench)) }
    };
}

/// All checks, in the order in which they run: what everything else stands on comes first, and what is seen in all calls last.
pub const CHECKS: [Check; 23] = [
    check!("set-then-test", "set makes the service accept the new value, and test says so", order::set_then_test),
    check!("set-twice", "a second set finds the work done", order::set_twice),
    check!("test-before-set", "test fails as `unauthorized` before set", order::test_before_set),
    check!("test-changes-nothing", "test only looks", order::test_changes_nothing),
    check!("overlap", "the old value lives or dies as the manifest says", order::overlap),
    check!("other-accounts", "set changes no other account", others::other_accounts),
    check!("alternating-users", "the turn of one user leaves the other as it is", turns::alternating_users),
    check!("drift-pending", "the service holds AWSPENDING already", drift::pending),
    check!("drift-previous", "the service still holds AWSPREVIOUS", drift::previous),
    check!("drift-other", "the service holds something else", drift::other),
    check!("wrong-credential", "a wrong credential is `unauthorized`, and nothing is changed", failures::wrong_credential),
    check!("dead-host", "a port that nobody listens on is `unreachable`", failures::dead_host),
    check!("silent-host", "a service that never answers is `unreachable`", failures::silent_host),
    check!("rejected-value", "a value that the service refuses is `rejected` and `unchanged`", failures::rejected),
    check!("missing-field", "a missing field is `malformed-secret`, and named", failures::missing_field),
    check!("interrupted", "killed after any call of the host, a retry converges", interruption::interrupted),
    check!("lost-answer", "an answer that is lost leaves an honest effect, and a retry converges", interruption::lost_answer),
    check!("concurrency", "two runs of set at once end well", concurrency::concurrency),
    check!("hostile-passwords", "characters that are syntax somewhere work in passwords", characters::passwords),
    check!("old-passwords", "a password that no policy makes is replaced, or refused as such", characters::old_passwords),
    check!("hostile-user-names", "characters that are syntax somewhere work in user names", characters::user_names),
    check!("granted-endpoints", "only what the manifest declares is asked for", words::granted_endpoints),
    check!("no-values-in-words", "no value stands in a message or a log line", words::no_values),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_checks_have_one_name() {
        let mut names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }
}
