//! `wit/log.wit`: lines of a guest, for the operator's log.
//!
//! They go to `tracing` under the target `plugin`, redacted, without control characters, and bounded in number and size.

use std::sync::Arc;

use crate::config::limits::Limits;
use crate::plugin::bindings::windlass::rotation::log::{Host, Level};
use crate::plugin::call::CallState;
use crate::redact::{Lines, Redactor};

/// The longest line, in bytes; the rest of it is cut.
pub(crate) const MAX_LINE_BYTES: usize = 2_048;

/// How the SDK's panic hook begins its line, and what follows the thread's name in the one of Rust's standard library.
const PANIC: &str = "panicked at ";

/// The log of one call. It is kept until the call ends: a value that is split over lines is recognised by its last part, and by then
/// the first one would have been written.
pub(crate) struct GuestLog {
    plugin: String,
    redactor: Arc<Redactor>,
    levels: Vec<Level>,
    lines: Lines,
    /// How many more lines may come.
    room: usize,
    /// How many more bytes may come, counted before anything is replaced.
    bytes: usize,
    dropped: u64,
    panic: Option<String>,
}

impl GuestLog {
    pub(crate) const fn new(plugin: String, redactor: Arc<Redactor>, limits: &Limits) -> Self {
        let (room, bytes) = (limits.log_lines(), limits.log_bytes());
        Self { plugin, redactor, levels: Vec::new(), lines: Lines::new(MAX_LINE_BYTES), room, bytes, dropped: 0, panic: None }
    }

    /// A text that may hold values of the secret, as one line without them.
    pub(crate) fn redacted(&self, text: &str) -> String {
        self.redactor.line(text, MAX_LINE_BYTES)
    }

    /// Takes one line of the guest.
    fn line(&mut self, level: Level, line: &str) {
        // The last words of a guest are worth reading even if it talked too much before.
        if level == Level::Error && line.starts_with(PANIC) {
            self.panic = Some(self.redactor.line(line, MAX_LINE_BYTES));
        }
        if self.room == 0 || self.bytes == 0 {
            self.dropped += 1;
            return;
        }
        self.room -= 1;
        self.bytes = self.bytes.saturating_sub(line.len().min(MAX_LINE_BYTES));
        self.levels.push(level);
        self.lines.push(&self.redactor, line);
    }

    /// Takes what the guest wrote to a standard stream; of `bytes`, what follows `until` only serves to recognise a value.
    pub(crate) fn stream(&mut self, level: Level, bytes: &[u8], until: usize) {
        let text = self.redactor.captured(bytes, until);
        if self.panic.is_none()
            && let Some((_, report)) = text.split_once(PANIC)
        {
            let report = report.split_once("\nnote: ").map_or(report, |(report, _)| report);
            self.panic = Some(self.redactor.line(&format!("{PANIC}{}", report.trim_end()), MAX_LINE_BYTES));
        }
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            self.line(level, line);
        }
    }

    /// Writes the log, and says how much was dropped. Returns what the guest said of its panic, if it did; redacted.
    pub(crate) fn close(self, also_dropped: u64) -> Option<String> {
        let (plugin, dropped) = (self.plugin.as_str(), self.dropped);
        for (level, line) in self.levels.into_iter().zip(self.lines.shown()) {
            match level {
                Level::Debug => tracing::debug!(target: "plugin", plugin, "{line}"),
                Level::Info => tracing::info!(target: "plugin", plugin, "{line}"),
                Level::Warn => tracing::warn!(target: "plugin", plugin, "{line}"),
                Level::Error => tracing::error!(target: "plugin", plugin, "{line}"),
            }
        }
        if dropped > 0 || also_dropped > 0 {
            tracing::warn!(target: "plugin", plugin, dropped, dropped_bytes = also_dropped, "the plugin logged too much; the rest was dropped");
        }
        self.panic
    }
}

impl Host for CallState {
    fn write(&mut self, level: Level, line: String) {
        self.log.line(level, &line);
    }
}
