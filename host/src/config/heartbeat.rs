//! The table `[heartbeat]` of `windlass.toml`: how fast secrets are tested. Which ones are is in their rules (`heartbeat = true`).

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected};

/// How fast a heartbeat goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeartbeatTable {
    /// How many secrets are tested at the same time, 1 to 16. Default 4.
    #[serde(deserialize_with = "at_once")]
    pub at_once: u32,
    /// How many secrets are begun with per second at most, 1 to 100. Default 5: a heartbeat must not take the quota of Secrets Manager
    /// away from rotations, nor knock at one service for all its accounts at once.
    #[serde(deserialize_with = "per_second")]
    pub per_second: u32,
}

impl Default for HeartbeatTable {
    fn default() -> Self {
        Self { at_once: 4, per_second: 5 }
    }
}

fn at_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    within(deserializer, 16, "`at_once` from 1 to 16")
}

fn per_second<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    within(deserializer, 100, "`per_second` from 1 to 100")
}

fn within<'de, D: Deserializer<'de>>(deserializer: D, most: u32, expected: &str) -> Result<u32, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let fits = u32::try_from(number).ok().filter(|number| (1..=most).contains(number));
    fits.ok_or_else(|| D::Error::invalid_value(Unexpected::Signed(number), &expected))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("", 4, 5)]
    #[case::least("at_once = 1\nper_second = 1", 1, 1)]
    #[case::most("at_once = 16\nper_second = 100", 16, 100)]
    fn reads_how_fast_it_goes(#[case] text: &str, #[case] at_once: u32, #[case] per_second: u32) {
        assert_eq!(toml::from_str::<HeartbeatTable>(text).unwrap(), HeartbeatTable { at_once, per_second });
    }

    #[rstest]
    #[case::none_at_once("at_once = 0", "expected `at_once` from 1 to 16")]
    #[case::too_many_at_once("at_once = 17", "expected `at_once` from 1 to 16")]
    #[case::negative("per_second = -1", "expected `per_second` from 1 to 100")]
    #[case::too_fast("per_second = 101", "expected `per_second` from 1 to 100")]
    #[case::text("per_second = \"5\"", "expected i64")]
    #[case::unknown("every = 5", "unknown field `every`, expected `at_once` or `per_second`")]
    fn a_mistake_is_refused_with_what_is_allowed(#[case] text: &str, #[case] part: &str) {
        let error = toml::from_str::<HeartbeatTable>(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
