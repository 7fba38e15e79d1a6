//! The dialect of `cron()` that Secrets Manager takes: minutes are 0, the year is `*`, days have `L` and `#`.

use super::ScheduleError;
use super::date::{DAY, Date, HOUR};

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A fifth Sunday in February is the rarest day: up to 40 years away, across a year such as 2100.
const SEARCHED_DAYS: u64 = 41 * 366;

/// When windows open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    /// One bit for each hour.
    hours: u64,
    /// One bit for each month, 1 to 12.
    months: u64,
    days: Days,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    /// One bit for each day, 1 to 31.
    OfMonth(u64),
    /// `L`.
    LastOfMonth,
    /// One bit for each weekday, 1 to 7.
    OfWeek(u64),
    /// `SUN#2`: the second Sunday of a month.
    Nth { weekday: u32, nth: u32 },
    /// `5L`: the last Thursday of a month.
    LastOfWeekday(u32),
}

impl Cron {
    /// Reads what stands between the parentheses.
    pub(super) fn parse(fields: &str) -> Result<Self, ScheduleError> {
        let fields: Vec<&str> = fields.split(' ').collect();
        let [minutes, hours, day, month, weekday, year] = fields[..] else { return Err(ScheduleError::Expression) };
        if minutes != "0" {
            return Err(ScheduleError::Minutes);
        }
        if year != "*" {
            return Err(ScheduleError::Year);
        }
        let field = |name, text, first, last, names: &[&str]| set(text, first, last, names).ok_or(ScheduleError::Field(name));
        let days = match (day, weekday) {
            ("?", "?") => return Err(ScheduleError::TwoDays),
            (_, "?") if day == "L" => Days::LastOfMonth,
            (_, "?") => Days::OfMonth(field("day-of-month", day, 1, 31, &[])?),
            // AWS's own examples leave the other field at `?`; two stars have one meaning too.
            ("?", _) => Days::parse_weekday(weekday).ok_or(ScheduleError::Field("day-of-week"))?,
            _ => return Err(ScheduleError::TwoDays),
        };
        let cron = Self { hours: field("hours", hours, 0, 23, &[])?, months: field("month", month, 1, 12, &MONTHS)?, days };
        if cron.closest_hours() < super::SHORTEST {
            return Err(ScheduleError::TooOften);
        }
        cron.after(0).map(|_| cron).ok_or(ScheduleError::Never)
    }

    /// The first window that opens after a time, both in seconds since 1970.
    pub(super) fn after(&self, time: u64) -> Option<u64> {
        let today = time / DAY;
        (today..=today + SEARCHED_DAYS)
            .filter(|day| self.is_on(Date::of(*day)))
            .flat_map(|day| self.opening_hours().map(move |hour| day * DAY + hour * HOUR))
            .find(|opens| *opens > time)
    }

    /// Whether several windows open on one day.
    pub(super) const fn is_hourly(&self) -> bool {
        self.hours.count_ones() > 1
    }

    /// In hours: until the next window or the end of the UTC day, whichever comes first after any window.
    pub(super) fn longest_window(&self) -> u64 {
        let hours: Vec<u64> = self.opening_hours().collect();
        let gaps = hours.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.chain(hours.last().map(|last| 24 - last)).min().unwrap_or(24)
    }

    /// The shortest time between two openings of one day, in hours. Those of two days count too: the schedule starts anew each day.
    fn closest_hours(&self) -> u64 {
        let hours: Vec<u64> = self.opening_hours().collect();
        let over_night = hours.first().zip(hours.last()).map(|(first, last)| first + 24 - last);
        hours.windows(2).map(|pair| pair[1] - pair[0]).chain(over_night).min().unwrap_or(24)
    }

    fn opening_hours(&self) -> impl Iterator<Item = u64> {
        let hours = self.hours;
        (0..24).filter(move |hour| hours >> hour & 1 == 1)
    }

    fn is_on(&self, date: Date) -> bool {
        let last_days = date.days_of_month();
        let on = match self.days {
            Days::OfMonth(days) => days >> date.day & 1 == 1,
            Days::LastOfMonth => date.day == last_days,
            Days::OfWeek(weekdays) => weekdays >> date.weekday & 1 == 1,
            Days::Nth { weekday, nth } => date.weekday == weekday && (date.day - 1) / 7 + 1 == nth,
            Days::LastOfWeekday(weekday) => date.weekday == weekday && date.day + 7 > last_days,
        };
        on && self.months >> date.month & 1 == 1
    }
}

impl Days {
    fn parse_weekday(text: &str) -> Option<Self> {
        if let Some((weekday, nth)) = text.split_once('#') {
            let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth))?;
            return Some(Self::Nth { weekday: number(weekday, 1, 7, &WEEKDAYS)?, nth });
        }
        if text == "L" {
            return Some(Self::OfWeek(1 << 7)); // The last day of the week.
        }
        if let Some(weekday) = text.strip_suffix('L') {
            return number(weekday, 1, 7, &WEEKDAYS).map(Self::LastOfWeekday);
        }
        set(text, 1, 7, &WEEKDAYS).map(Self::OfWeek)
    }
}

/// A field with `,`, `-`, `*` and `/`, as one bit for each value.
fn set(text: &str, first: u32, last: u32, names: &[&str]) -> Option<u64> {
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| (1..=last).contains(step))?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            // `/8` starts at the first value, as AWS's examples do.
            None if range == "*" || (range.is_empty() && step.is_some()) => (first, last),
            None => {
                let from = number(range, first, last, names)?;
                (from, if step.is_some() { last } else { from })
            }
            Some((from, to)) => (number(from, first, last, names)?, number(to, first, last, names)?),
        };
        if from > to {
            return None;
        }
        (from..=to).step_by(step.unwrap_or(1) as usize).for_each(|value| set |= 1 << value);
    }
    Some(set)
}

/// A value, or its name.
fn number(text: &str, first: u32, last: u32, names: &[&str]) -> Option<u32> {
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(text)).and_then(|at| u32::try_from(at).ok());
    let digits = || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
    named.map(|at| first + at).or_else(digits).filter(|value| (first..=last).contains(value))
}
