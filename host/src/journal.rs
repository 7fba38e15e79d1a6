//! The door through which finished lines leave for the log, beside those of `tracing`: one JSON object each.
//!
//! A line leaves in one piece. The standard output is locked while it is written, by `tracing` too, and is flushed with every line
//! feed, so no two lines mix.

use std::fmt;
use std::io::{self, Write as _};

use serde::Serialize;

/// Where lines go.
pub struct Journal(Box<Write>);

/// What takes a line.
type Write = dyn Fn(&[u8]) + Send + Sync;

impl Journal {
    /// To the standard output, where CloudWatch Logs reads lines and CloudWatch the metrics in them.
    pub fn standard_output() -> Self {
        Self::of(|line| {
            // Nobody could be told that it is gone.
            let _nobody_reads = io::stdout().lock().write_all(line);
        })
    }

    /// To whatever `write` does with a line, its line feed included.
    pub fn of(write: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self(Box::new(write))
    }

    /// Writes a line, whatever the level of the log: metrics come out of it.
    pub fn write(&self, line: &impl Serialize) {
        // Lines have text keys and numbers that are finite, so there is nothing that JSON cannot say.
        if let Ok(mut text) = serde_json::to_vec(line) {
            text.push(b'\n');
            (self.0)(&text);
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Journal")
    }
}
