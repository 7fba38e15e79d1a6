//! What an import lets a component do, in words for whoever judges it.

use crate::plugin::component_file::{ComponentFile, interface};

/// Something that a component can have the host do for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// Read the secret.
    Secret,
    /// Open byte streams.
    Connection,
    /// Send HTTP requests.
    Http,
    /// Write into the operator's log, line by line or through its output.
    Log,
    /// Get random bytes.
    Random,
    /// Tell the time.
    Clocks,
}

impl Ability {
    /// What an import gives. Nothing, if it holds types only or what the host offers without content: no files, an empty
    /// environment.
    pub fn of(import: &str) -> Option<Self> {
        Some(match interface(import) {
            "windlass:rotation/secret" => Self::Secret,
            "windlass:rotation/connection" => Self::Connection,
            "windlass:rotation/http" => Self::Http,
            "windlass:rotation/log" | "wasi:cli/stdout" | "wasi:cli/stderr" => Self::Log,
            "windlass:rotation/random" | "wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed" => {
                Self::Random
            }
            "wasi:clocks/monotonic-clock" | "wasi:clocks/wall-clock" | "wasi:clocks/timezone" => Self::Clocks,
            _ => return None,
        })
    }

    /// Whether any import of the component gives it.
    pub fn held_by(self, component: &ComponentFile) -> bool {
        component.imports().iter().any(|import| Self::of(import) == Some(self))
    }

    /// The word for scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Connection => "connection",
            Self::Http => "http",
            Self::Log => "log",
            Self::Random => "random",
            Self::Clocks => "clocks",
        }
    }

    /// What it can do then.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Secret => "read the versions of this secret, each in the step that needs it, and its settings",
            Self::Connection => "open byte streams to its endpoints; the host dials and encrypts",
            Self::Http => "send HTTP requests to its endpoints; the host dials and encrypts",
            Self::Log => "write lines to the operator's log, with handed-out values replaced",
            Self::Random => "get random bytes",
            Self::Clocks => "tell the time",
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::types_only("windlass:rotation/failures@0.1.0", None)]
    #[case::later_patch("windlass:rotation/secret@0.1.7", Some(Ability::Secret))]
    #[case::output("wasi:cli/stderr@0.2.6", Some(Ability::Log))]
    #[case::nothing_in_it("wasi:filesystem/types@0.2.6", None)]
    #[case::seed("wasi:random/insecure-seed@0.2.0", Some(Ability::Random))]
    #[case::time("wasi:clocks/wall-clock@0.2.0", Some(Ability::Clocks))]
    fn an_import_gives_what_the_host_does_for_it(#[case] import: &str, #[case] ability: Option<Ability>) {
        assert_eq!(Ability::of(import), ability);
    }
}
