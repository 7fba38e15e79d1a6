//! What the server's errors mean. Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>

use std::fmt;

use windlass_sdk::text::joined;
use windlass_sdk::{Cause, Effect, Failure};

/// An error. It prints nothing of itself, because the server repeats what it was sent; only the code is ever quoted.
#[derive(PartialEq, Eq)]
pub struct ErrorResponse {
    /// Five letters and digits.
    code: String,
    /// Whether only the statement failed, and the session goes on: then the statement's transaction was rolled back.
    of_the_statement: bool,
    /// Whether another session changed the same row at the same time. That has no code of its own.
    updated_twice: bool,
}

/// How far a login got before the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The server has not asked for a password.
    Unasked,
    /// It has asked.
    Asked,
    /// It has accepted the password.
    Accepted,
}

impl ErrorResponse {
    /// Reads the fields; nothing if they are not laid out as the protocol says.
    ///
    /// Source: <https://www.postgresql.org/docs/current/protocol-error-fields.html>
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut error = Self { code: String::new(), of_the_statement: false, updated_twice: false };
        let mut rest = body;
        loop {
            let (kind, fields) = rest.split_first()?;
            if *kind == 0 {
                return Some(error);
            }
            let end = fields.iter().position(|byte| *byte == 0)?;
            let (value, after) = fields.split_at(end);
            match kind {
                b'C' if value.len() == 5 && value.iter().all(u8::is_ascii_alphanumeric) => {
                    error.code = String::from_utf8(value.to_vec()).ok()?;
                }
                // `S` says the same in the server's language.
                b'V' => error.of_the_statement = value == b"ERROR",
                // The server does not translate this one.
                b'M' => error.updated_twice = value == b"tuple concurrently updated",
                _ => {}
            }
            rest = after.get(1..)?;
        }
    }

    /// What this answer to a login means.
    pub fn of_the_login(&self, stage: Stage) -> Failure {
        let (cause, meaning) = match (self.code.as_bytes(), stage) {
            (b"28P01", _) => (Cause::Unauthorized, ": wrong user name or password, or the password has expired"),
            (b"28000", Stage::Unasked) => {
                (Cause::Unreachable, ": pg_hba.conf lets this user into this database neither from here nor with this encryption")
            }
            (b"28000", Stage::Asked | Stage::Accepted) => (Cause::Unauthorized, ": the user may not log in"),
            (b"3D000", _) => (Cause::MalformedSecret, ": there is no database of the name in the field `dbname`"),
            (b"42501", _) => (Cause::MalformedSecret, ": the user may not connect to the database in the field `dbname`"),
            (b"53300", _) => (Cause::RateLimited, ": the server, the database or the user has no free connection"),
            (b"08P01" | [b'0', b'A', ..], _) => {
                (Cause::Unsupported, ": it does not take this login; is it PostgreSQL 10 or later?")
            }
            ([b'5', b'3' | b'7' | b'8', ..], _) => (Cause::Unreachable, ": the server is not ready"),
            _ => (Cause::Internal, ""),
        };
        self.failure(cause, Effect::Unchanged, "the login", meaning)
    }

    /// Whether only the statement failed, and the session goes on.
    pub const fn of_the_statement(&self) -> bool {
        self.of_the_statement
    }

    /// Whether there is no role of the name.
    pub fn is_missing_role(&self) -> bool {
        self.code == "42704"
    }

    /// What this answer to the change of a role means.
    pub fn of_the_change(&self) -> Failure {
        let (cause, meaning) = match self.code.as_bytes() {
            b"42501" => (Cause::Unauthorized, ": the user may not change this password"),
            b"42704" => (Cause::MalformedSecret, ": the server has no role of the name in the field `username`"),
            b"25006" => (Cause::Unsupported, ": transactions are read-only; the secret has to name the primary"),
            b"42601" | [b'0', b'A', ..] => (Cause::Unsupported, ": is it PostgreSQL 10 or later?"),
            // The second of two that make it at once waits for the first, and hears of the index then.
            b"42710" | b"23505" => (Cause::Conflict, ": another session has made the same role"),
            [b'4', b'0', ..] | [b'5', b'5', ..] => (Cause::Conflict, ": another session changes the same role"),
            _ if self.updated_twice => (Cause::Conflict, ": another session changes the same role"),
            [b'0', b'8', ..] | [b'5', b'3' | b'7' | b'8', ..] => (Cause::Unreachable, ": the server could not finish it"),
            [b'2', b'2' | b'3' | b'8', ..] | [b'4', b'2', ..] | [b'P', ..] => {
                (Cause::Rejected, ": the server does not take the password")
            }
            _ => (Cause::Internal, ""),
        };
        // In a conflict the other session may have made the same change.
        let certain = self.of_the_statement && cause != Cause::Conflict;
        self.failure(cause, if certain { Effect::Unchanged } else { Effect::Unknown }, "the change of the role", meaning)
    }

    fn failure(&self, cause: Cause, effect: Effect, what: &str, meaning: &str) -> Failure {
        let code = if self.code.is_empty() { "an error without a code" } else { &self.code };
        Failure::new(cause, effect, joined(&[what, " was answered with ", code, meaning]))
    }
}

impl fmt::Debug for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(severity: &str, code: &str, text: &str) -> ErrorResponse {
        let body = format!("SFEHLER\0V{severity}\0C{code}\0M{text}\0Fuser.c\0\0");
        ErrorResponse::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn errors_of_a_login_become_causes() {
        let table = [
            ("28P01", Stage::Asked, Cause::Unauthorized),
            ("28000", Stage::Unasked, Cause::Unreachable),
            ("28000", Stage::Asked, Cause::Unauthorized),
            ("28000", Stage::Accepted, Cause::Unauthorized),
            ("3D000", Stage::Accepted, Cause::MalformedSecret),
            ("42501", Stage::Accepted, Cause::MalformedSecret),
            ("53300", Stage::Accepted, Cause::RateLimited),
            ("53200", Stage::Unasked, Cause::Unreachable),
            ("57P03", Stage::Unasked, Cause::Unreachable),
            ("08P01", Stage::Unasked, Cause::Unsupported),
            ("0A000", Stage::Unasked, Cause::Unsupported),
            ("XX000", Stage::Unasked, Cause::Internal),
            ("canary", Stage::Asked, Cause::Internal),
        ];
        for (code, stage, cause) in table {
            let failure = error("FATAL", code, "canary").of_the_login(stage);
            assert_eq!((failure.cause(), failure.effect()), (cause, Effect::Unchanged), "{code}");
            assert!(!failure.message().contains("canary"), "{failure}");
        }
    }

    #[test]
    fn errors_of_a_change_become_causes() {
        let table = [
            ("42501", Cause::Unauthorized, Effect::Unchanged),
            ("42704", Cause::MalformedSecret, Effect::Unchanged),
            ("25006", Cause::Unsupported, Effect::Unchanged),
            ("42601", Cause::Unsupported, Effect::Unchanged),
            ("40P01", Cause::Conflict, Effect::Unknown),
            ("42710", Cause::Conflict, Effect::Unknown),
            ("23505", Cause::Conflict, Effect::Unknown),
            ("55P03", Cause::Conflict, Effect::Unknown),
            ("57014", Cause::Unreachable, Effect::Unchanged),
            ("53100", Cause::Unreachable, Effect::Unchanged),
            ("22023", Cause::Rejected, Effect::Unchanged),
            ("28P01", Cause::Rejected, Effect::Unchanged),
            ("P0001", Cause::Rejected, Effect::Unchanged),
            ("XX000", Cause::Internal, Effect::Unchanged),
            ("", Cause::Internal, Effect::Unchanged),
        ];
        for (code, cause, effect) in table {
            let failure = error("ERROR", code, "canary").of_the_change();
            assert_eq!((failure.cause(), failure.effect()), (cause, effect), "{code}");
            assert!(!failure.message().contains("canary"), "{failure}");
            // After these the server may have committed already.
            for severity in ["FATAL", "PANIC", ""] {
                assert_eq!(error(severity, code, "canary").of_the_change(), failure.clone().unknown());
            }
        }
        assert_eq!(error("ERROR", "XX000", "tuple concurrently updated").of_the_change().cause(), Cause::Conflict);
    }

    #[test]
    fn what_is_no_error_is_not_read_as_one() {
        for body in ["", "S", "SERROR", "SERROR\0", "SERROR\0C28P01\0"] {
            assert_eq!(ErrorResponse::parse(body.as_bytes()), None);
        }
        assert_eq!(format!("{:?}", ErrorResponse::parse(b"\0")), "Some([redacted])");
    }
}
