//! The proleptic Gregorian calendar, in UTC, without leap seconds.

use std::time::SystemTime;

/// Seconds of an hour.
pub(super) const HOUR: u64 = 60 * 60;
/// Seconds of a day.
pub(super) const DAY: u64 = 24 * HOUR;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: u64,
    /// 1 to 12.
    pub(super) month: u32,
    /// 1 to 31.
    pub(super) day: u32,
    /// 1 is Sunday, 7 is Saturday, as in `cron()`.
    pub(super) weekday: u32,
}

impl Date {
    /// The date of a day that is so many days after 1970-01-01.
    pub(super) fn of(days: u64) -> Self {
        let mut rest = days;
        let mut year = 1970;
        while rest >= days_of_year(year) {
            rest -= days_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while rest >= u64::from(days_of_month(year, month)) {
            rest -= u64::from(days_of_month(year, month));
            month += 1;
        }
        // Both are small: a day of a month, and a day of a week. 1970-01-01 was a Thursday.
        Self { year, month, day: rest as u32 + 1, weekday: ((days + 4) % 7) as u32 + 1 }
    }

    /// How many days its month has.
    pub(super) const fn days_of_month(self) -> u32 {
        days_of_month(self.year, self.month)
    }
}

/// Seconds since 1970.
pub(super) fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

const fn days_of_month(year: u64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}
