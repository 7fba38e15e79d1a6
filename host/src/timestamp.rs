//! Times of day as the log shows them: RFC 3339, in UTC, with six digits of a second, as `tracing` writes them.

use std::time::{Duration, SystemTime};

/// Seconds of a day, without leap seconds.
const DAY: u64 = 24 * 60 * 60;

/// `2026-11-26T05:41:09.123456Z`. A time before 1970 is shown as its beginning.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc3339#section-5.6>
pub fn rfc3339(at: SystemTime) -> String {
    let since = since_1970(at);
    let (days, rest) = (since.as_secs() / DAY, since.as_secs() % DAY);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", since.subsec_micros())
}

/// Milliseconds since 1970.
pub fn milliseconds(at: SystemTime) -> u64 {
    u64::try_from(since_1970(at).as_millis()).unwrap_or(u64::MAX)
}

fn since_1970(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Year, month and day of the day that is so many days after 1970-01-01. Counts years from March on, so that a leap day is the last.
///
/// Source: <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
pub(crate) const fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::the_beginning(0, "1970-01-01T00:00:00.000000Z")]
    #[case::a_leap_day(1_709_164_800_000_000, "2024-02-29T00:00:00.000000Z")]
    #[case::the_day_after(1_709_251_200_000_000, "2024-03-01T00:00:00.000000Z")]
    #[case::no_leap_year(4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z")]
    #[case::the_end_of_a_year(1_798_761_599_999_999, "2026-12-31T23:59:59.999999Z")]
    #[case::zeros_are_kept(1_795_671_669_000_100, "2026-11-26T05:41:09.000100Z")]
    fn shows_a_time(#[case] microseconds: u64, #[case] text: &str) {
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(microseconds);
        assert_eq!((rfc3339(at).as_str(), milliseconds(at)), (text, microseconds / 1000));
    }
}
