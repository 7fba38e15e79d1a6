use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// 2024-02-27, a Tuesday, at 10:30:00 UTC.
const LAST: u64 = 1_709_029_800;

fn rules(expression: &str, duration: Option<&str>) -> RotationRules {
    RotationRules {
        automatically_after_days: None,
        duration: duration.map(str::to_owned),
        schedule_expression: Some(expression.to_owned()),
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A time as `2024-02-27 10:30:00`.
fn written(time: SystemTime) -> String {
    let seconds = date::seconds(time);
    let date = date::Date::of(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / HOUR, seconds / 60 % 60, seconds % 60);
    format!("{}-{:02}-{:02} {hour:02}:{minute:02}:{second:02}", date.year, date.month, date.day)
}

#[rstest]
#[case::one_day("rate(1 day)", None, "2024-02-28 23:59:59")]
#[case::ten_days("rate(10 days)", None, "2024-03-08 23:59:59")]
#[case::ten_days_short_window("rate(10 days)", Some("3h"), "2024-03-08 02:59:59")]
#[case::four_hours("rate(4 hours)", None, "2024-02-27 12:59:59")]
#[case::twelve_hours("rate(12 hours)", None, "2024-02-27 12:59:59")]
#[case::hours_over_midnight("rate(30 hours)", None, "2024-02-28 06:59:59")]
#[case::hours_long_window("rate(6 hours)", Some("6h"), "2024-02-27 17:59:59")]
#[case::every_eight_hours("cron(0 /8 * * ? *)", None, "2024-02-27 16:59:59")]
#[case::every_eight_hours_from_eight("cron(0 8/8 * * ? *)", None, "2024-02-27 16:59:59")]
#[case::twice_a_day("cron(0 4/12 * * ? *)", None, "2024-02-27 16:59:59")]
#[case::daily("cron(0 10 * * ? *)", None, "2024-02-28 23:59:59")]
#[case::saturdays("cron(0 18 ? * SAT *)", None, "2024-03-02 23:59:59")]
#[case::weekdays("cron(0 6 ? * MON-FRI *)", Some("2h"), "2024-02-28 07:59:59")]
#[case::first_of_month("cron(0 8 1 * ? *)", None, "2024-03-01 23:59:59")]
#[case::last_of_a_leap_february("cron(0 16 L * ? *)", None, "2024-02-29 23:59:59")]
#[case::every_three_months("cron(0 1 1 1/3 ? *)", None, "2024-04-01 23:59:59")]
#[case::named_months("cron(0 1 15 JAN,JUN ? *)", None, "2024-06-15 23:59:59")]
#[case::second_sunday("cron(0 0 ? * SUN#2 *)", None, "2024-03-10 23:59:59")]
#[case::first_sunday_by_number("cron(0 0 ? * 1#1 *)", None, "2024-03-03 23:59:59")]
#[case::last_thursday("cron(0 0 ? * 5L *)", None, "2024-02-29 23:59:59")]
#[case::last_day_of_the_week("cron(0 0 ? * L *)", None, "2024-03-02 23:59:59")]
#[case::every_day_of_the_week("cron(0 12 ? * * *)", None, "2024-02-27 23:59:59")]
#[case::leap_days_only("cron(0 9 29 2 ? *)", None, "2024-02-29 23:59:59")]
fn the_next_rotation_is_due_at_the_end_of_its_window(
    #[case] expression: &str,
    #[case] duration: Option<&str>,
    #[case] expected: &str,
) {
    let schedule = Schedule::of(&rules(expression, duration)).unwrap().unwrap();
    assert_eq!(written(schedule.next(at(LAST), at(0)).unwrap()), expected);
}

#[test]
fn days_are_counted_from_the_last_change_of_the_value() {
    let rules = RotationRules { automatically_after_days: Some(30), ..RotationRules::default() };
    let schedule = Schedule::of(&rules).unwrap().unwrap();
    assert_eq!(written(schedule.next(at(LAST), at(LAST + 100 * DAY)).unwrap()), "2024-03-28 23:59:59");
}

#[test]
fn cron_is_counted_from_the_day_on_which_it_was_set() {
    let schedule = Schedule::of(&rules("cron(0 8 1 * ? *)", None)).unwrap().unwrap();
    assert_eq!(written(schedule.next(at(LAST), at(LAST + 100 * DAY)).unwrap()), "2024-07-01 23:59:59");
}

#[rstest]
#[case::nothing("", ScheduleError::Expression)]
#[case::words("every day", ScheduleError::Expression)]
#[case::unit("rate(3 weeks)", ScheduleError::Expression)]
#[case::no_number("rate(x days)", ScheduleError::Expression)]
#[case::no_day("rate(0 days)", ScheduleError::Rate)]
#[case::many_days("rate(1000 days)", ScheduleError::Rate)]
#[case::three_hours("rate(3 hours)", ScheduleError::TooOften)]
#[case::five_fields("cron(0 8 1 * ?)", ScheduleError::Expression)]
#[case::minutes("cron(30 8 1 * ? *)", ScheduleError::Minutes)]
#[case::year("cron(0 8 1 * ? 2030)", ScheduleError::Year)]
#[case::both_days("cron(0 8 1 * SUN *)", ScheduleError::TwoDays)]
#[case::no_days("cron(0 8 ? * ? *)", ScheduleError::TwoDays)]
#[case::hour("cron(0 24 1 * ? *)", ScheduleError::Field("hours"))]
#[case::month("cron(0 8 1 13 ? *)", ScheduleError::Field("month"))]
#[case::day("cron(0 8 32 * ? *)", ScheduleError::Field("day-of-month"))]
#[case::weekday_of_month("cron(0 8 3W * ? *)", ScheduleError::Field("day-of-month"))]
#[case::weekday("cron(0 8 ? * 8 *)", ScheduleError::Field("day-of-week"))]
#[case::sixth_sunday("cron(0 8 ? * SUN#6 *)", ScheduleError::Field("day-of-week"))]
#[case::backwards("cron(0 8 9-3 * ? *)", ScheduleError::Field("day-of-month"))]
#[case::no_step("cron(0 8 1/0 * ? *)", ScheduleError::Field("day-of-month"))]
#[case::sign("cron(0 +8 1 * ? *)", ScheduleError::Field("hours"))]
#[case::hourly("cron(0 * * * ? *)", ScheduleError::TooOften)]
#[case::close_over_midnight("cron(0 1,23 * * ? *)", ScheduleError::TooOften)]
#[case::no_such_day("cron(0 8 31 4 ? *)", ScheduleError::Never)]
fn an_expression_that_aws_does_not_take_is_refused(#[case] expression: &str, #[case] error: ScheduleError) {
    assert_eq!(Schedule::of(&rules(expression, None)), Err(error));
}

#[rstest]
#[case::whole_day("rate(1 day)", "24h", None)]
#[case::longer_than_a_day("rate(2 days)", "25h", Some(ScheduleError::LongWindow))]
#[case::next_window("rate(4 hours)", "5h", Some(ScheduleError::LongWindow))]
#[case::to_midnight("cron(0 20 * * ? *)", "4h", None)]
#[case::over_midnight("cron(0 20 * * ? *)", "5h", Some(ScheduleError::LongWindow))]
#[case::next_window_of_cron("cron(0 0/8 * * ? *)", "9h", Some(ScheduleError::LongWindow))]
#[case::no_unit("rate(1 day)", "3", Some(ScheduleError::Duration))]
#[case::minutes("rate(1 day)", "30m", Some(ScheduleError::Duration))]
#[case::nothing("rate(1 day)", "0h", Some(ScheduleError::Duration))]
#[case::sign("rate(1 day)", "+3h", Some(ScheduleError::Duration))]
fn a_window_stays_within_its_day_and_before_the_next(
    #[case] expression: &str,
    #[case] duration: &str,
    #[case] error: Option<ScheduleError>,
) {
    assert_eq!(Schedule::of(&rules(expression, Some(duration))).err(), error);
}

#[test]
fn rules_without_a_schedule_are_none_and_contradictions_are_refused() {
    assert_eq!(Schedule::of(&RotationRules::default()), Ok(None));
    let both = RotationRules { automatically_after_days: Some(1), ..rules("rate(1 day)", None) };
    assert_eq!(Schedule::of(&both), Err(ScheduleError::Both));
    let alone = RotationRules { duration: Some("3h".to_owned()), ..RotationRules::default() };
    assert_eq!(Schedule::of(&alone), Err(ScheduleError::DurationAlone));
    for days in [0, 1001, -1] {
        let rules = RotationRules { automatically_after_days: Some(days), ..RotationRules::default() };
        assert_eq!(Schedule::of(&rules), Err(ScheduleError::Days));
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_refused_or_has_a_next_date(
        expression in "(rate|cron)\\([0-9*?LSUNMO#,/ -]{0,24}\\)",
        last in 0_u64..10_000_000_000,
    ) {
        if let Ok(Some(schedule)) = Schedule::of(&rules(&expression, None)) {
            let next = schedule.next(at(last), at(0)).unwrap();
            prop_assert!(next > at(last));
        }
    }
}
