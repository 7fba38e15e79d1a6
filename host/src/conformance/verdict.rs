//! What came of a check.

use serde::Serialize;

/// What came of a check.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// The plugin does what a plugin has to do here.
    Passed {
        /// What is worth knowing besides; may be empty.
        note: String,
    },
    /// It does not.
    Failed {
        /// In what.
        flaws: Vec<Flaw>,
    },
    /// It could not be shown either way.
    NotShown {
        /// Why not.
        why: String,
    },
}

/// Something that a plugin does wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// What was seen.
    pub seen: String,
    /// What the author should change.
    pub change: &'static str,
}

/// Flaws, while a check goes on.
#[derive(Debug, Default)]
pub struct Flaws(Vec<Flaw>);

impl Flaws {
    /// Remembers a flaw unless the condition holds, and returns whether it holds.
    pub fn expect(&mut self, holds: bool, seen: impl FnOnce() -> String, change: &'static str) -> bool {
        if !holds {
            let flaw = Flaw { seen: seen(), change };
            // The same thing seen forty times is one flaw.
            if !self.0.contains(&flaw) {
                self.0.push(flaw);
            }
        }
        holds
    }

    /// The verdict.
    pub fn verdict(self, note: impl Into<String>) -> Verdict {
        if self.0.is_empty() { Verdict::Passed { note: note.into() } } else { Verdict::Failed { flaws: self.0 } }
    }
}
