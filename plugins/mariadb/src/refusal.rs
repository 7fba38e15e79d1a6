//! Error packets. Source: <https://mariadb.com/kb/en/err_packet/> and <https://mariadb.com/kb/en/mariadb-error-code-reference/>

use std::fmt;

use windlass_sdk::{Cause, Effect, Failure};

/// What the server refused, by its number and text. It prints nothing of itself: a syntax error repeats the statement.
pub struct Refusal {
    code: u16,
    text: Vec<u8>,
}

impl Refusal {
    /// The refusal, if the packet is one.
    pub fn read(packet: &[u8]) -> Option<Self> {
        match packet {
            [0xff, low, high, text @ ..] => Some(Self { code: u16::from_le_bytes([*low, *high]), text: text.to_vec() }),
            _ => None,
        }
    }

    /// Whether a stored form was set that is not that of the account's authentication plugin.
    pub const fn other_plugin(&self) -> bool {
        self.code == 1372
    }

    /// Whether the server wants to see the password itself, to check it.
    pub fn wants_clear_text(&self) -> bool {
        self.code == 1290 && self.text.windows(26).any(|part| part == b"strict-password-validation")
    }

    /// What this answer to `what` means.
    pub fn failure(&self, what: &str) -> Failure {
        let (cause, effect, meaning) = match self.code {
            1045 | 1698 => (
                Cause::Unauthorized,
                Effect::Unchanged,
                "wrong user name or password, or an account that needs TLS or another address of the client",
            ),
            1044 | 1142 | 1227 => (Cause::Unauthorized, Effect::Unchanged, "the account may not do this"),
            1820 | 1862 => (Cause::Unauthorized, Effect::Unchanged, "the password has expired"),
            4151 => (Cause::Unauthorized, Effect::Unchanged, "the account is locked"),
            1133 | 1470 => (
                Cause::MalformedSecret,
                Effect::Unchanged,
                "the server has no account of the names in the fields `username` and `userhost`",
            ),
            1819 => (Cause::Rejected, Effect::Unchanged, "the server's password policy refuses the new password"),
            1064 | 1065 => (Cause::Unsupported, Effect::Unchanged, "MariaDB 10.4 or later is needed, and this is something else"),
            1251 | 1524 => (Cause::Unsupported, Effect::Unchanged, "the account's authentication plugin is not supported"),
            1372 | 1699 => {
                (Cause::Unsupported, Effect::Unchanged, "the account's authentication plugin takes no password of this kind")
            }
            1290 | 1836 => (
                Cause::Unsupported,
                Effect::Unchanged,
                "the server is read-only, or runs without accounts; the secret has to name the primary",
            ),
            1040 | 1203 | 1226 => (Cause::RateLimited, Effect::Unchanged, "the server has no free connection"),
            1129 | 1130 => (Cause::Unreachable, Effect::Unchanged, "the server takes no connections from this address"),
            4150 => (
                Cause::Unreachable,
                Effect::Unchanged,
                "the account is blocked after too many wrong passwords; FLUSH PRIVILEGES unblocks it",
            ),
            1047 => (Cause::Unreachable, Effect::Unchanged, "the node is not ready"),
            1053 | 1317 | 1927 => (Cause::Unreachable, Effect::Unknown, "the server is shutting down, or ended the session"),
            1205 | 1213 => (Cause::Conflict, Effect::Unknown, "somebody else holds the server's tables of accounts"),
            _ => (Cause::Internal, Effect::Unknown, "see the server's own list of errors"),
        };
        Failure::new(cause, effect, [what, " was answered with error ", &self.code.to_string(), ": ", meaning].concat())
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u16, text: &str) -> Refusal {
        Refusal::read(&[&[0xff], code.to_le_bytes().as_slice(), text.as_bytes()].concat()).unwrap()
    }

    #[test]
    fn numbers_become_causes_and_texts_are_not_quoted() {
        let table = [
            (1045, Cause::Unauthorized, Effect::Unchanged),
            (1044, Cause::Unauthorized, Effect::Unchanged),
            (1820, Cause::Unauthorized, Effect::Unchanged),
            (4151, Cause::Unauthorized, Effect::Unchanged),
            (1133, Cause::MalformedSecret, Effect::Unchanged),
            (1819, Cause::Rejected, Effect::Unchanged),
            (1064, Cause::Unsupported, Effect::Unchanged),
            (1372, Cause::Unsupported, Effect::Unchanged),
            (1699, Cause::Unsupported, Effect::Unchanged),
            (1290, Cause::Unsupported, Effect::Unchanged),
            (1040, Cause::RateLimited, Effect::Unchanged),
            (1130, Cause::Unreachable, Effect::Unchanged),
            (4150, Cause::Unreachable, Effect::Unchanged),
            (1053, Cause::Unreachable, Effect::Unknown),
            (1205, Cause::Conflict, Effect::Unknown),
            (9999, Cause::Internal, Effect::Unknown),
        ];
        for (code, cause, effect) in table {
            let refusal = refusal(code, "#HY000canary");
            let failure = refusal.failure("SET PASSWORD");
            assert_eq!((failure.cause(), failure.effect()), (cause, effect), "{code}");
            assert!(failure.message().contains(&code.to_string()), "{failure}");
            assert!(!failure.message().contains("canary"), "{failure}");
            assert_eq!(format!("{refusal:?}"), "[redacted]");
        }
    }

    #[test]
    fn an_option_that_prevents_the_statement_is_told_from_another_one() {
        let strict = "#HY000The MariaDB server is running with the --strict-password-validation option so it cannot execute this";
        assert!(refusal(1290, strict).wants_clear_text());
        assert!(!refusal(1290, "#HY000The MariaDB server is running with the --read-only option so it").wants_clear_text());
        assert!(!refusal(1064, strict).wants_clear_text());
        assert!(refusal(1372, "").other_plugin());
    }

    #[test]
    fn other_packets_are_no_refusals() {
        for packet in [[].as_slice(), &[0xff], &[0xff, 1], &[0, 0, 0, 2, 0]] {
            assert!(Refusal::read(packet).is_none());
        }
    }
}
