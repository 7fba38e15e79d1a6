//! How much time an invocation has, from the time of day at which Lambda will end it.

use std::time::{Duration, SystemTime};

/// The longest that Lambda lets an invocation run.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const LONGEST: Duration = Duration::from_secs(900);

/// What is left until `deadline`, which the Runtime API names in `Lambda-Runtime-Deadline-Ms`; nothing if it has just passed.
///
/// One that passed longer ago than any invocation lasts is not of this one: cargo-lambda, for one, sends the same number always. Then
/// this is [`LONGEST`], and what the step itself waits for has bounds of its own.
pub fn time_left(deadline: SystemTime, now: SystemTime) -> Duration {
    match now.duration_since(deadline) {
        Ok(passed) if passed > LONGEST => LONGEST,
        _ => deadline.duration_since(now).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[rstest]
    #[case::to_come(NOW + 30, 30)]
    #[case::passed(NOW - 1, 0)]
    #[case::passed_long_ago(NOW - 900, 0)]
    #[case::of_another_time(600, 900)]
    fn a_deadline_counts_unless_it_cannot_be_this_ones(#[case] deadline: u64, #[case] left: u64) {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(time_left(at(deadline), at(NOW)), Duration::from_secs(left));
    }
}
