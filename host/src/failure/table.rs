//! What follows from a plugin's failure: one table for what the host does, what Lambda reports, and `host/FAILURES.md`.
//!
//! Who acts and whether a repeat helps depends on the cause. What may have become of the service depends on the effect, which never
//! changes what is safe: the same version is tried again, setSecret looks first whether the pending credential works already, and both
//! credentials are stored until one of them is known to be the service's.

use super::{Cause, Effect};
use crate::error::{Blame, Retry};

/// What follows from a failure of this cause and effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consequence {
    /// Lambda's `errorType`.
    pub error_type: &'static str,
    /// Whether the host repeats the call within the step, after a pause that doubles, as long as there is time. A service that applies
    /// changes late must not depend on how soon Secrets Manager repeats a rotation, which is not documented.
    pub repeated: bool,
    /// Whether Secrets Manager's next attempt can succeed without anybody doing anything.
    pub retry: Retry,
    /// Who has to act.
    pub blame: Blame,
    /// What to do, for the operator.
    pub advice: &'static str,
    /// Which stored credential opens the service now.
    pub credential: &'static str,
}

/// The table.
pub const fn consequence(cause: Cause, effect: Effect) -> Consequence {
    const NOTHING: &str = "nothing: it is tried again, by Secrets Manager or by the next heartbeat";
    let (error_type, repeated, retry, blame, advice) = match cause {
        Cause::Unauthorized => (
            "Windlass.Unauthorized",
            false,
            Retry::AfterChange,
            Blame::Operator,
            "no stored version of the secret is accepted or has the rights: correct the secret, or bind an admin secret in the \
             configuration. `windlass doctor SECRET --probe` says which version works",
        ),
        Cause::Unreachable => (
            "Windlass.Unreachable",
            false,
            Retry::Helps,
            Blame::Operator,
            "check the network path from the function to the service: security groups, routes, DNS, TLS",
        ),
        Cause::Rejected => (
            "Windlass.Rejected",
            false,
            Retry::AfterChange,
            Blame::Operator,
            match effect {
                Effect::Unchanged => {
                    "the service refuses the new value: change the password options, remove AWSPENDING from the version and rotate again"
                }
                // What is labelled AWSPENDING may be the only credential that works.
                Effect::Changed | Effect::Unknown => {
                    "the service refuses the new value and may hold it all the same, so keep AWSPENDING: find out with `windlass doctor \
                     SECRET --probe` which version works, and follow what it says; then change the password options"
                }
            },
        ),
        Cause::RateLimited => ("Windlass.RateLimited", true, Retry::Helps, Blame::Service, NOTHING),
        Cause::NotYetEffective => ("Windlass.NotYetEffective", true, Retry::Helps, Blame::Service, NOTHING),
        Cause::Conflict => ("Windlass.Conflict", false, Retry::Helps, Blame::Service, NOTHING),
        Cause::MalformedSecret => {
            ("Windlass.MalformedSecret", false, Retry::AfterChange, Blame::Operator, "correct the secret's fields")
        }
        Cause::Denied => (
            "Windlass.Denied",
            false,
            Retry::AfterChange,
            Blame::Operator,
            "grant what the plugin asked for in the configuration, or replace the plugin",
        ),
        Cause::Unsupported => {
            ("Windlass.Unsupported", false, Retry::AfterChange, Blame::Operator, "use a plugin that handles this service")
        }
        Cause::Internal => (
            "Windlass.PluginInternal",
            false,
            Retry::AfterChange,
            Blame::Plugin,
            match effect {
                Effect::Unchanged => "report this to the plugin's author; the service is unchanged",
                Effect::Changed | Effect::Unknown => {
                    "report this to the plugin's author; the service may hold the new credential, which is stored as AWSPENDING"
                }
            },
        ),
    };
    let credential = match effect {
        Effect::Unchanged => "the one that worked before",
        Effect::Changed => "AWSPENDING; AWSCURRENT too where the service keeps both",
        Effect::Unknown => "AWSPENDING or the one that worked before",
    };
    Consequence { error_type, repeated, retry, blame, advice, credential }
}

/// The table as `host/FAILURES.md` shows it.
pub fn documentation() -> String {
    let mut text = String::from(
        "| cause | effect | errorType | repeated in the step | a retry helps | who acts | to do | credential that works afterwards |\n|---|---|---|---|---|---|---|---|\n",
    );
    for cause in Cause::ALL {
        for effect in Effect::ALL {
            let Consequence { error_type, repeated, retry, blame, advice, credential } = consequence(cause, effect);
            let retry = match retry {
                Retry::Helps => "yes",
                Retry::AfterChange => "after a change",
            };
            let repeated = if repeated { "yes" } else { "no" };
            let blame = blame.name();
            text.push_str(&format!(
                "| {cause} | {effect} | `{error_type}` | {repeated} | {retry} | {blame} | {advice} | {credential} |\n"
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_documentation_shows_this_table() {
        let page = include_str!("../../FAILURES.md");
        assert!(page.contains(&documentation()), "put this into host/FAILURES.md:\n\n{}", documentation());
    }

    #[test]
    fn the_documentation_has_every_error_type() {
        let page = include_str!("../../FAILURES.md");
        let sources = [
            include_str!("../error.rs"),
            include_str!("table.rs"),
            include_str!("../init_error.rs"),
            include_str!("../heartbeat/error.rs"),
        ];
        let types: BTreeSet<&str> = sources.iter().flat_map(|source| types(source)).collect();
        assert!(types.len() > 30, "{types:?}");
        let missing: Vec<_> = types.into_iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "host/FAILURES.md says nothing about {missing:?}");
    }

    fn types(source: &str) -> impl Iterator<Item = &str> {
        let quoted = source.split('"').filter(|text| text.starts_with("Windlass."));
        quoted.filter(|text| {
            text["Windlass.".len()..].bytes().all(|byte| byte.is_ascii_alphanumeric()) && text.len() > "Windlass.".len()
        })
    }
}
