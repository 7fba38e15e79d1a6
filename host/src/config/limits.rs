//! The bounds of one plugin call: one table for the code, `windlass.toml` and the documentation.
//!
//! A limit that is reached ends the call with a typed error or refuses the one request; which of the two stands in the table's last
//! column. `host/SECURITY.md` shows the table as [`documentation`] prints it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Unexpected, Visitor};

/// Bounds of one plugin call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    values: [u64; TABLE.len()],
}

/// A row of [`TABLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// See [`Limits::call`].
    Call,
    /// See [`Limits::memory`].
    Memory,
    /// See [`Limits::connect`].
    Connect,
    /// See [`Limits::io`].
    Io,
    /// See [`Limits::open_connections`].
    OpenConnections,
    /// See [`Limits::connections`].
    Connections,
    /// See [`Limits::headers`].
    Headers,
    /// See [`Limits::header_bytes`].
    HeaderBytes,
    /// See [`Limits::body_bytes`].
    Body,
    /// See [`Limits::argument_bytes`].
    Argument,
    /// See [`Limits::random_bytes`].
    Random,
    /// See [`Limits::log_lines`].
    LogLines,
    /// See [`Limits::log_bytes`].
    LogBytes,
    /// See [`Limits::resources`].
    Resources,
    /// See [`Limits::instances`].
    Instances,
    /// See [`Limits::memories`].
    Memories,
    /// See [`Limits::tables`].
    Tables,
    /// See [`Limits::refused_logins`].
    RefusedLogins,
}

impl Limit {
    /// What the table says of it.
    pub const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

/// What the table says of a limit.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Which limit.
    pub limit: Limit,
    /// Its key in the table `limits` of `windlass.toml`.
    pub key: &'static str,
    /// What the number counts.
    pub unit: &'static str,
    /// What holds when nothing is configured.
    pub default: u64,
    /// The least that can be configured.
    pub least: u64,
    /// The most that can be configured.
    pub most: u64,
    /// What is bounded, why there is a bound, and what happens at it.
    pub reason: &'static str,
}

/// Every limit, in the order of [`Limit`].
pub const TABLE: &[Row; 18] = &[
    Row {
        limit: Limit::Call,
        key: "call_seconds",
        unit: "s",
        default: 25,
        least: 1,
        most: 890,
        reason: "one call from start to end, and never past the Lambda's own deadline less 500 ms: a plugin that hangs must leave time \
                 to say so. The call ends",
    },
    Row {
        limit: Limit::Memory,
        key: "memory_mib",
        unit: "MiB",
        default: 64,
        least: 1,
        most: 1024,
        reason: "all linear memories and tables of a call together: one plugin must not end the function for all secrets. The call ends",
    },
    Row {
        limit: Limit::Connect,
        key: "connect_milliseconds",
        unit: "ms",
        default: 5_000,
        least: 100,
        most: 60_000,
        reason: "resolving, connecting and the TLS handshake, each: a service that is gone must not cost the whole call. The \
                 connection fails",
    },
    Row {
        limit: Limit::Io,
        key: "io_milliseconds",
        unit: "ms",
        default: 10_000,
        least: 100,
        most: 60_000,
        reason: "one read or write, and the head and the body of an HTTP answer, each: a service that answers byte by byte must not \
                 hold the call. The connection fails",
    },
    Row {
        limit: Limit::OpenConnections,
        key: "open_connections",
        unit: "connections",
        default: 8,
        least: 1,
        most: 64,
        reason: "open at the same time: a rotation logs in with one credential after the other. The next one is denied",
    },
    Row {
        limit: Limit::Connections,
        key: "connections",
        unit: "connections",
        default: 64,
        least: 1,
        most: 1_024,
        reason: "opened in the whole call, HTTP requests included: a retry loop must not become a flood of log-ins. The next one is denied",
    },
    Row {
        limit: Limit::Headers,
        key: "http_headers",
        unit: "headers",
        default: 100,
        least: 10,
        most: 1_000,
        reason: "of one request or one answer: more of them is a mistake or an attack on the parser. The request fails",
    },
    Row {
        limit: Limit::HeaderBytes,
        key: "http_header_kib",
        unit: "KiB",
        default: 32,
        least: 8,
        most: 256,
        reason: "names and values of one message's headers together, for the same reason. The request fails",
    },
    Row {
        limit: Limit::Body,
        key: "http_body_kib",
        unit: "KiB",
        default: 1_024,
        least: 1,
        most: 16_384,
        reason: "the body of one request or one answer: it is held in memory, outside the plugin's own. The request fails",
    },
    Row {
        limit: Limit::Argument,
        key: "argument_kib",
        unit: "KiB",
        default: 1_280,
        least: 64,
        most: 32_768,
        reason: "what a plugin hands over in one call of a host function, and the message of its failure: the host copies it. The call \
                 ends",
    },
    Row {
        limit: Limit::Random,
        key: "random_kib",
        unit: "KiB",
        default: 64,
        least: 1,
        most: 1_024,
        reason: "what one request to wasi:random gives; the contract's own random gives at most 64 KiB. The call ends",
    },
    Row {
        limit: Limit::LogLines,
        key: "log_lines",
        unit: "lines",
        default: 200,
        least: 0,
        most: 10_000,
        reason: "of one call, standard output included: the log is paid for by the byte and read by people. The rest is dropped and \
                 counted",
    },
    Row {
        limit: Limit::LogBytes,
        key: "log_kib",
        unit: "KiB",
        default: 64,
        least: 0,
        most: 1_024,
        reason: "of one call, and as much of each standard stream; a line has at most 2 KiB. The rest is dropped and counted",
    },
    Row {
        limit: Limit::Resources,
        key: "resources",
        unit: "handles",
        default: 256,
        least: 16,
        most: 4_096,
        reason: "connections and WASI streams that a plugin holds at a time: a rotation needs about five. The call ends",
    },
    Row {
        limit: Limit::Instances,
        key: "core_instances",
        unit: "instances",
        default: 128,
        least: 1,
        most: 1_024,
        reason: "of core modules in a component: interpreters are linked from some twenty. The call ends",
    },
    Row {
        limit: Limit::Memories,
        key: "core_memories",
        unit: "memories",
        default: 16,
        least: 1,
        most: 128,
        reason: "linear memories of a component: each reserves 4 GiB of address space. The call ends",
    },
    Row {
        limit: Limit::Tables,
        key: "core_tables",
        unit: "tables",
        default: 64,
        least: 1,
        most: 1_024,
        reason: "tables of functions of a component; linked modules have one each. The call ends",
    },
    Row {
        limit: Limit::RefusedLogins,
        key: "refused_logins",
        unit: "logins",
        default: 6,
        least: 2,
        most: 64,
        reason: "that the service refuses in one step, all its calls and the negative control together: services lock accounts that are \
                 tried too often. A rotation causes one in setSecret, before the current credential is tried, and one in testSecret, \
                 so at least two have to be allowed. Further connections are denied, and the step fails",
    },
];

impl Limits {
    /// Time that is kept back from the Lambda's deadline for answering with a typed error.
    pub const RESERVE: Duration = Duration::from_millis(500);

    /// Longest run of one call. The Lambda's remaining time less [`Limits::RESERVE`] bounds it too.
    pub const fn call(&self) -> Duration {
        Duration::from_secs(self.get(Limit::Call))
    }

    /// All linear memories and tables of a call together, in bytes.
    pub const fn memory(&self) -> usize {
        self.size(Limit::Memory, 1 << 20)
    }

    /// Longest wait for a connection: resolve, connect and TLS each.
    pub const fn connect(&self) -> Duration {
        Duration::from_millis(self.get(Limit::Connect))
    }

    /// Longest wait for one read or write.
    pub const fn io(&self) -> Duration {
        Duration::from_millis(self.get(Limit::Io))
    }

    /// Connections open at once.
    pub const fn open_connections(&self) -> usize {
        self.size(Limit::OpenConnections, 1)
    }

    /// Connections opened in the whole call.
    pub const fn connections(&self) -> usize {
        self.size(Limit::Connections, 1)
    }

    /// The most headers of a request or an answer.
    pub const fn headers(&self) -> usize {
        self.size(Limit::Headers, 1)
    }

    /// The most bytes that the names and values of a message's headers have together.
    pub const fn header_bytes(&self) -> usize {
        self.size(Limit::HeaderBytes, 1 << 10)
    }

    /// The largest body of a request or an answer, in bytes.
    pub const fn body_bytes(&self) -> usize {
        self.size(Limit::Body, 1 << 10)
    }

    /// The most bytes that a guest may hand to the host in one call of a host function.
    pub const fn argument_bytes(&self) -> usize {
        self.size(Limit::Argument, 1 << 10)
    }

    /// The most random bytes of one request to `wasi:random`.
    pub const fn random_bytes(&self) -> usize {
        self.size(Limit::Random, 1 << 10)
    }

    /// The most log lines of one call.
    pub const fn log_lines(&self) -> usize {
        self.size(Limit::LogLines, 1)
    }

    /// The most bytes of all log lines of one call.
    pub const fn log_bytes(&self) -> usize {
        self.size(Limit::LogBytes, 1 << 10)
    }

    /// The most resources that a guest may hold at a time.
    pub const fn resources(&self) -> usize {
        self.size(Limit::Resources, 1)
    }

    /// The most core instances of a component.
    pub const fn instances(&self) -> usize {
        self.size(Limit::Instances, 1)
    }

    /// The most linear memories of a component.
    pub const fn memories(&self) -> usize {
        self.size(Limit::Memories, 1)
    }

    /// The most logins that a service may refuse in one step.
    pub const fn refused_logins(&self) -> u32 {
        // At most 64, as the table says.
        self.get(Limit::RefusedLogins) as u32
    }

    /// The most tables of a component.
    pub const fn tables(&self) -> usize {
        self.size(Limit::Tables, 1)
    }

    /// The number of a limit, in its row's unit.
    pub const fn get(&self, limit: Limit) -> u64 {
        self.values[limit as usize]
    }

    /// These limits with one other number.
    ///
    /// # Panics
    ///
    /// If the number is out of the row's range: what comes from a file is checked when it is read.
    #[must_use]
    pub const fn with(mut self, limit: Limit, value: u64) -> Self {
        let row = limit.row();
        assert!(row.least <= value && value <= row.most, "the number is out of the limit's range");
        self.values[limit as usize] = value;
        self
    }

    /// These limits where `over` says nothing else.
    #[must_use]
    pub fn overridden(mut self, over: &LimitsTable) -> Self {
        for (limit, value) in &over.0 {
            self = self.with(*limit, *value);
        }
        self
    }

    const fn size(&self, limit: Limit, unit: usize) -> usize {
        // Every row's largest number fits, on 32-bit systems too.
        self.get(limit) as usize * unit
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { values: TABLE.map(|row| row.default) }
    }
}

/// What a table `limits` of `windlass.toml` sets. Every number is in its row's range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitsTable(BTreeMap<Limit, u64>);

impl LimitsTable {
    /// The number that is set for this limit, if one is.
    pub fn get(&self, limit: Limit) -> Option<u64> {
        self.0.get(&limit).copied()
    }

    /// This table with one more number, or another.
    ///
    /// # Panics
    ///
    /// As [`Limits::with`].
    #[must_use]
    pub fn with(mut self, limit: Limit, value: u64) -> Self {
        self.0.insert(limit, Limits::default().with(limit, value).get(limit));
        self
    }
}

/// Reads keys and numbers by [`TABLE`]. An error inside a value carries the value's place in the file.
impl<'de> serde::Deserialize<'de> for LimitsTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = LimitsTable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of limits")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LimitsTable, A::Error> {
        let mut table = LimitsTable::default();
        while let Some(row) = map.next_key_seed(Key)? {
            table.0.insert(row.limit, map.next_value_seed(Number(row))?);
        }
        Ok(table)
    }
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = &'static Row;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static Row, D::Error> {
        const KEYS: [&str; TABLE.len()] = {
            let mut keys = [""; TABLE.len()];
            let mut row = 0;
            while row < TABLE.len() {
                keys[row] = TABLE[row].key;
                row += 1;
            }
            keys
        };
        let key: String = serde::Deserialize::deserialize(deserializer)?;
        TABLE.iter().find(|row| row.key == key).ok_or_else(|| D::Error::unknown_field(&key, &KEYS))
    }
}

struct Number(&'static Row);

impl<'de> DeserializeSeed<'de> for Number {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        let Self(Row { key, unit, least, most, .. }) = self;
        let number: i64 = serde::Deserialize::deserialize(deserializer)?;
        let fits = u64::try_from(number).ok().filter(|number| (least..=most).contains(&number));
        fits.ok_or_else(|| {
            D::Error::invalid_value(Unexpected::Signed(number), &format!("`{key}` from {least} to {most} {unit}").as_str())
        })
    }
}

/// The table as Markdown, for `host/SECURITY.md`.
pub fn documentation() -> String {
    let mut text =
        "| key in `[limits]` | default | from | to | unit | what it bounds, why, and what happens |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for Row { key, unit, default, least, most, reason, .. } in TABLE {
        text.push_str(&format!("| `{key}` | {default} | {least} | {most} | {unit} | {reason} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> Result<LimitsTable, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn the_table_is_in_the_order_of_the_limits_and_its_defaults_are_in_range() {
        for (place, row) in TABLE.iter().enumerate() {
            assert_eq!(row.limit as usize, place, "{}", row.key);
            assert!((row.least..=row.most).contains(&row.default), "{}", row.key);
        }
        assert!(TABLE.iter().all(|row| TABLE.iter().filter(|other| other.key == row.key).count() == 1));
    }

    #[test]
    fn every_limit_can_be_set_from_its_least_to_its_most() {
        for row in TABLE {
            for value in [row.least, row.most] {
                let limits = Limits::default().overridden(&read(&format!("{} = {value}", row.key)).unwrap());
                assert_eq!(limits, Limits::default().with(row.limit, value), "{}", row.key);
                assert_eq!(limits.get(row.limit), value);
            }
        }
    }

    #[test]
    fn no_limit_can_be_set_beyond_its_range() {
        for row in TABLE {
            let below = i64::try_from(row.least).unwrap() - 1;
            for value in [below, i64::try_from(row.most).unwrap() + 1, i64::MIN, i64::MAX] {
                let error = read(&format!("{} = {value}", row.key)).unwrap_err().to_string();
                assert!(error.contains(&format!("expected `{}` from {} to {}", row.key, row.least, row.most)), "{error}");
            }
        }
    }

    #[rstest]
    #[case::unknown("memory = 5", "unknown field `memory`, expected one of `call_seconds`, `memory_mib`")]
    #[case::text("memory_mib = \"5\"", "expected i64")]
    #[case::fraction("memory_mib = 5.5", "expected i64")]
    fn what_is_no_limit_is_refused_with_its_place(#[case] text: &str, #[case] part: &str) {
        let error = read(&format!("io_milliseconds = 100\n{text}")).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("line 2"), "{error}");
    }

    #[test]
    fn a_number_out_of_range_is_shown_with_its_place() {
        insta::assert_snapshot!(read("call_seconds = 20\nmemory_mib = 4096").unwrap_err(), @r"
        TOML parse error at line 2, column 14
          |
        2 | memory_mib = 4096
          |              ^^^^
        invalid value: integer `4096`, expected `memory_mib` from 1 to 1024 MiB
        ");
    }

    #[test]
    fn the_security_document_shows_this_table() {
        assert!(
            include_str!("../../SECURITY.md").contains(&documentation()),
            "put this into host/SECURITY.md:\n{}",
            documentation()
        );
    }
}
