//! When a secret is due: `rate()`, `cron()` and `AutomaticallyAfterDays`, all in UTC.
//!
//! A rotation happens at any time inside a window, which opens on the hour. `NextRotationDate` is the end of the next window,
//! because it is the date "on or before" which the rotation happens.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html>

mod cron;
mod date;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use super::api::RotationRules;
use cron::Cron;
use date::{DAY, HOUR};

/// The shortest time between two rotations, in hours.
const SHORTEST: u64 = 4;

/// When rotations are due, and how long each window is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    every: Every,
    /// How long the window is open, in hours, if the rules say so.
    duration: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Every {
    Days(u64),
    Hours(u64),
    Cron(Cron),
}

/// Why rotation rules are no schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Two ways to say when.
    #[error("You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules.")]
    Both,
    /// A window without a time at which it opens.
    #[error("RotationRules has a Duration but neither AutomaticallyAfterDays nor ScheduleExpression.")]
    DurationAlone,
    /// Days out of bounds.
    #[error("RotationRules.AutomaticallyAfterDays must be within 1-1000.")]
    Days,
    /// Not an expression at all.
    #[error(
        "Invalid ScheduleExpression: write rate(VALUE hours), rate(VALUE days) or cron(0 HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK *)."
    )]
    Expression,
    /// A rate out of bounds.
    #[error("Invalid ScheduleExpression: a rate is 4 to 23976 hours or 1 to 999 days.")]
    Rate,
    /// Minutes other than 0.
    #[error("Invalid ScheduleExpression: the minutes of cron() must be 0, because rotation windows open on the hour.")]
    Minutes,
    /// A year.
    #[error("Invalid ScheduleExpression: the year of cron() must be *.")]
    Year,
    /// A field that cannot be read, or a value out of its bounds.
    #[error("Invalid ScheduleExpression: the {0} field of cron() is not valid.")]
    Field(&'static str),
    /// Day-of-month and day-of-week both, or neither.
    #[error("Invalid ScheduleExpression: exactly one of day-of-month and day-of-week of cron() must be ?.")]
    TwoDays,
    /// Windows that are too close to each other.
    #[error("Invalid ScheduleExpression: a secret can be rotated as often as every four hours.")]
    TooOften,
    /// A day that no month has.
    #[error("Invalid ScheduleExpression: cron() never comes true.")]
    Never,
    /// Not a duration.
    #[error("RotationRules.Duration must be a number of hours with the unit h, for example 3h.")]
    Duration,
    /// A window that is too long.
    #[error("RotationRules.Duration is too long: the window must not extend into the next UTC day or the next rotation window.")]
    LongWindow,
}

impl Schedule {
    /// The schedule of these rules; none, if they name none.
    ///
    /// # Errors
    ///
    /// [`ScheduleError`] says which rule of AWS is broken.
    pub fn of(rules: &RotationRules) -> Result<Option<Self>, ScheduleError> {
        let duration = rules.duration.as_deref().map(hours).transpose()?;
        let every = match (rules.automatically_after_days, rules.schedule_expression.as_deref()) {
            (Some(_), Some(_)) => return Err(ScheduleError::Both),
            (None, None) if duration.is_some() => return Err(ScheduleError::DurationAlone),
            (None, None) => return Ok(None),
            (Some(days @ 1..=1000), None) => Every::Days(days.unsigned_abs()),
            (Some(_), None) => return Err(ScheduleError::Days),
            (None, Some(expression)) => Every::parse(expression)?,
        };
        if duration.is_some_and(|duration| duration > every.longest_window()) {
            return Err(ScheduleError::LongWindow);
        }
        Ok(Some(Self { every, duration }))
    }

    /// The last second of the next window.
    ///
    /// `last` is when the value changed last: AWS counts a new value that was put by hand as a rotation. `since` is when the
    /// schedule was set. Absent, if no window opens within 40 years.
    pub fn next(&self, last: SystemTime, since: SystemTime) -> Option<SystemTime> {
        let last = date::seconds(last);
        let opens = match &self.every {
            Every::Days(days) => last / DAY * DAY + days * DAY,
            // Windows of a rate begin at midnight and come every so many hours from there.
            Every::Hours(hours) => {
                let (midnight, period) = (last / DAY * DAY, hours * HOUR);
                midnight + ((last - midnight) / period + 1) * period
            }
            Every::Cron(cron) => cron.after(last.max(date::seconds(since)))?,
        };
        let closes = match self.duration {
            Some(hours) => opens + hours * HOUR,
            None if self.every.is_hourly() => opens + HOUR,
            None => (opens / DAY + 1) * DAY,
        };
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(closes - 1))
    }
}

impl Every {
    fn parse(expression: &str) -> Result<Self, ScheduleError> {
        let inside = |name: &str| expression.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(fields) = inside("cron") {
            return Cron::parse(fields).map(Self::Cron);
        }
        let rate = inside("rate").ok_or(ScheduleError::Expression)?;
        let Some((value, unit)) = rate.split_once(' ') else { return Err(ScheduleError::Expression) };
        let value: u64 = value.parse().map_err(|_| ScheduleError::Expression)?;
        match unit {
            "hour" | "hours" if value > 0 && value < SHORTEST => Err(ScheduleError::TooOften),
            "hour" | "hours" if (SHORTEST..=999 * 24).contains(&value) => Ok(Self::Hours(value)),
            "day" | "days" if (1..=999).contains(&value) => Ok(Self::Days(value)),
            "hour" | "hours" | "day" | "days" => Err(ScheduleError::Rate),
            _ => Err(ScheduleError::Expression),
        }
    }

    /// Whether windows close after an hour unless a duration is given.
    fn is_hourly(&self) -> bool {
        match self {
            Self::Days(_) => false,
            Self::Hours(_) => true,
            Self::Cron(cron) => cron.is_hourly(),
        }
    }

    /// In hours.
    fn longest_window(&self) -> u64 {
        match self {
            Self::Days(_) => 24,
            Self::Hours(hours) => (*hours).min(24),
            Self::Cron(cron) => cron.longest_window(),
        }
    }
}

/// `3h` as a number.
fn hours(text: &str) -> Result<u64, ScheduleError> {
    let digits = text.strip_suffix('h').filter(|digits| matches!(digits.len(), 1..=2)).ok_or(ScheduleError::Duration)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ScheduleError::Duration);
    }
    digits.parse().ok().filter(|hours| *hours > 0).ok_or(ScheduleError::Duration)
}
