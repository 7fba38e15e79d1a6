//! What a server's answer means for a rotation.
//!
//! Sources: result codes in RFC 4511 section 4.1.9 and appendix A, <https://www.rfc-editor.org/rfc/rfc4511#appendix-A>; when OpenLDAP
//! sends which: `servers/slapd/passwd.c` and `servers/slapd/overlays/ppolicy.c` of OpenLDAP 2.5.

use windlass_sdk::text::{decimal, joined};
use windlass_sdk::{Cause, Effect, Failure};

use crate::policy::Objection;

/// What was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// To go on encrypted.
    StartTls,
    /// To log in.
    Bind,
    /// Whom the server takes the other side for.
    WhoAmI,
    /// To change a password.
    PasswordModify,
}

/// The server's answer to an operation. Its sentence is never quoted: what stands in it is the server's choice.
#[derive(PartialEq, Eq)]
pub struct Answer {
    operation: Operation,
    code: u32,
    diagnostic: Vec<u8>,
    objection: Option<Objection>,
    value: Option<Vec<u8>>,
}

impl Answer {
    /// An answer of these parts.
    pub fn new(operation: Operation, code: u32, diagnostic: &[u8], objection: Option<Objection>, value: Option<Vec<u8>>) -> Self {
        Self { operation, code, diagnostic: diagnostic.to_vec(), objection, value }
    }

    /// Makes sure that the server did what was asked.
    pub fn success(&self) -> Result<(), Failure> {
        if self.code == 0 { Ok(()) } else { Err(self.failure()) }
    }

    /// What the password policy has against it, also against a login that it lets pass.
    pub const fn objection(&self) -> Option<Objection> {
        self.objection
    }

    /// Whether this answer to "Who am I?" is "nobody".
    pub fn nobody(&self) -> bool {
        self.code == 0 && self.value.as_ref().is_some_and(Vec::is_empty)
    }

    fn failure(&self) -> Failure {
        let (cause, effect, meaning) =
            self.objection.and_then(|objection| self.refused_by_policy(objection)).unwrap_or_else(|| match self.operation {
                Operation::PasswordModify => self.change_refused(),
                Operation::StartTls => self.encryption_refused(),
                Operation::Bind | Operation::WhoAmI => self.login_refused(),
            });
        let operation = match self.operation {
            Operation::StartTls => "StartTLS",
            Operation::Bind => "the bind",
            Operation::WhoAmI => "the question who is logged in",
            Operation::PasswordModify => "Password Modify",
        };
        Failure::new(
            cause,
            effect,
            joined(&[operation, " was answered with ", &decimal(self.code as usize), name(self.code), meaning]),
        )
    }

    /// What the policy's own code means, where it says more than the result code.
    fn refused_by_policy(&self, objection: Objection) -> Option<Meaning> {
        let unchanged = |cause, meaning| Some((cause, Effect::Unchanged, meaning));
        match (self.operation, objection) {
            (Operation::Bind, Objection::Expired) => unchanged(Cause::Unauthorized, ": the password is expired"),
            (Operation::Bind, Objection::Locked) => unchanged(Cause::Unauthorized, ": the account is locked"),
            (Operation::PasswordModify, Objection::ModificationNotAllowed) => {
                unchanged(Cause::Unauthorized, ": the policy does not let the user change its own password")
            }
            (Operation::PasswordModify, Objection::MustSupplyOld) => {
                unchanged(Cause::Unauthorized, ": the policy lets only the user itself change this password (pwdSafeModify)")
            }
            (Operation::PasswordModify, Objection::Quality) => unchanged(Cause::Rejected, ": too simple for the policy"),
            (Operation::PasswordModify, Objection::TooShort) => unchanged(Cause::Rejected, ": too short for the policy"),
            (Operation::PasswordModify, Objection::TooLong) => unchanged(Cause::Rejected, ": too long for the policy"),
            (Operation::PasswordModify, Objection::InHistory) => unchanged(Cause::Rejected, ": used before"),
            // The wait can be days, and an admin with `manage` need not wait: no case for another attempt right now.
            (Operation::PasswordModify, Objection::TooYoung) => {
                unchanged(Cause::Unauthorized, ": the policy wants more time since the last change (pwdMinAge)")
            }
            _ => None,
        }
    }

    fn login_refused(&self) -> Meaning {
        let (cause, meaning) = match self.code {
            49 => (Cause::Unauthorized, ": wrong name or password, or the account is locked"),
            48 => (Cause::Unauthorized, ": the entry has no password"),
            50 => (Cause::Unauthorized, ": the name may not log in"),
            53 => (Cause::Unsupported, ": the server lets nobody log in like this, or not this account"),
            _ => return self.refused(),
        };
        (cause, Effect::Unchanged, meaning)
    }

    fn encryption_refused(&self) -> Meaning {
        match self.code {
            1 | 2 | 53 => (Cause::Unsupported, Effect::Unchanged, ": the server does not offer it on this port"),
            52 => (Cause::Unreachable, Effect::Unchanged, ": the server cannot encrypt, see its own log"),
            _ => self.refused(),
        }
    }

    fn change_refused(&self) -> Meaning {
        let unchanged = |cause, meaning| (cause, Effect::Unchanged, meaning);
        match self.code {
            2 => unchanged(Cause::Unsupported, ": the server has no Password Modify operation (RFC 3062)"),
            // The old password logged in just now. Without access of its own to its password an account hears this and not 50. Or
            // somebody has replaced the password meanwhile, which the ladder finds out by the new one.
            53 if self.says("verify old password") => {
                unchanged(Cause::Unauthorized, ": the account has no access to its own password (`by self =wx`)")
            }
            16 => (Cause::Conflict, Effect::Unknown, ": the old password is not there any more"),
            53 if self.says("shadow context") || self.says("operation restricted") => {
                unchanged(Cause::Unsupported, ": this server takes no changes; the secret has to name one that does")
            }
            19 | 21 => unchanged(Cause::Rejected, ": against the policy"),
            53 => unchanged(Cause::Rejected, ": against the policy, or not here"),
            49 | 50 => unchanged(Cause::Unauthorized, ": whoever is logged in may not change this password"),
            65 => unchanged(Cause::MalformedSecret, ": an entry of this class has no password"),
            // A proxy in front of the directory says this when it has lost the answer.
            52 => (Cause::Unreachable, Effect::Unknown, ": the server is not available"),
            3 => (Cause::RateLimited, Effect::Unknown, ": the server took too long"),
            _ => self.refused(),
        }
    }

    /// What a code means whatever was asked.
    fn refused(&self) -> Meaning {
        let (cause, meaning) = match self.code {
            7 => (Cause::Unsupported, ": the server does not take passwords like this (simple bind)"),
            8 | 13 => (Cause::Unsupported, ": the server wants an encrypted connection; use TLS, or `\"start_tls\": true`"),
            10 => (Cause::Unsupported, ": this server takes no changes and names another; the secret has to name that one"),
            11 | 51 => (Cause::RateLimited, ": the server is busy"),
            32 | 33 | 36 => (Cause::MalformedSecret, ": the server has no entry of this name"),
            34 => (Cause::MalformedSecret, ": the name is no distinguished name"),
            3 | 52 => (Cause::Unreachable, ": the server is not available"),
            _ => {
                let effect = if self.operation == Operation::PasswordModify { Effect::Unknown } else { Effect::Unchanged };
                return (Cause::Internal, effect, "");
            }
        };
        (cause, Effect::Unchanged, meaning)
    }

    fn says(&self, part: &str) -> bool {
        self.diagnostic.windows(part.len()).any(|window| window == part.as_bytes())
    }
}

/// Cause, effect, and the end of the message.
type Meaning = (Cause, Effect, &'static str);

/// The name that the specification gives to a code, for those that operators meet.
const fn name(code: u32) -> &'static str {
    match code {
        1 => " operationsError",
        2 => " protocolError",
        3 => " timeLimitExceeded",
        7 => " authMethodNotSupported",
        8 => " strongerAuthRequired",
        10 => " referral",
        11 => " adminLimitExceeded",
        13 => " confidentialityRequired",
        16 => " noSuchAttribute",
        19 => " constraintViolation",
        21 => " invalidAttributeSyntax",
        32 => " noSuchObject",
        34 => " invalidDNSyntax",
        48 => " inappropriateAuthentication",
        49 => " invalidCredentials",
        50 => " insufficientAccessRights",
        51 => " busy",
        52 => " unavailable",
        53 => " unwillingToPerform",
        65 => " objectClassViolation",
        80 => " other",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(operation: Operation, code: u32, diagnostic: &str, objection: Option<Objection>) -> Failure {
        Answer::new(operation, code, diagnostic.as_bytes(), objection, None).success().unwrap_err()
    }

    #[test]
    fn codes_become_causes_and_effects() {
        use Operation::{Bind, PasswordModify, StartTls};
        let table = [
            (Bind, 49, "", Cause::Unauthorized, Effect::Unchanged),
            (Bind, 48, "", Cause::Unauthorized, Effect::Unchanged),
            (Bind, 13, "", Cause::Unsupported, Effect::Unchanged),
            (Bind, 8, "", Cause::Unsupported, Effect::Unchanged),
            (Bind, 34, "", Cause::MalformedSecret, Effect::Unchanged),
            (Bind, 51, "", Cause::RateLimited, Effect::Unchanged),
            (Bind, 52, "", Cause::Unreachable, Effect::Unchanged),
            (Bind, 53, "", Cause::Unsupported, Effect::Unchanged),
            (Bind, 80, "", Cause::Internal, Effect::Unchanged),
            (StartTls, 2, "", Cause::Unsupported, Effect::Unchanged),
            (StartTls, 52, "", Cause::Unreachable, Effect::Unchanged),
            (PasswordModify, 2, "", Cause::Unsupported, Effect::Unchanged),
            (PasswordModify, 10, "", Cause::Unsupported, Effect::Unchanged),
            (PasswordModify, 16, "", Cause::Conflict, Effect::Unknown),
            (PasswordModify, 19, "", Cause::Rejected, Effect::Unchanged),
            (PasswordModify, 32, "", Cause::MalformedSecret, Effect::Unchanged),
            (PasswordModify, 50, "", Cause::Unauthorized, Effect::Unchanged),
            (PasswordModify, 51, "", Cause::RateLimited, Effect::Unchanged),
            (PasswordModify, 52, "", Cause::Unreachable, Effect::Unknown),
            (PasswordModify, 53, "", Cause::Rejected, Effect::Unchanged),
            (PasswordModify, 53, "unwilling to verify old password", Cause::Unauthorized, Effect::Unchanged),
            (PasswordModify, 53, "shadow context; no update referral", Cause::Unsupported, Effect::Unchanged),
            (PasswordModify, 80, "", Cause::Internal, Effect::Unknown),
            (PasswordModify, 4096, "", Cause::Internal, Effect::Unknown),
        ];
        for (operation, code, diagnostic, cause, effect) in table {
            let failure = failure(operation, code, &["canary ", diagnostic].concat(), None);
            assert_eq!((failure.cause(), failure.effect()), (cause, effect), "{failure}");
            assert!(!failure.message().contains("canary"), "{failure}");
        }
    }

    #[test]
    fn the_policy_says_more_than_the_result_code() {
        for (objection, cause) in [
            (Objection::TooShort, Cause::Rejected),
            (Objection::Quality, Cause::Rejected),
            (Objection::InHistory, Cause::Rejected),
            (Objection::TooYoung, Cause::Unauthorized),
            (Objection::ModificationNotAllowed, Cause::Unauthorized),
            (Objection::MustSupplyOld, Cause::Unauthorized),
        ] {
            assert_eq!(failure(Operation::PasswordModify, 19, "", Some(objection)).cause(), cause);
        }
        assert_eq!(failure(Operation::Bind, 49, "", Some(Objection::Locked)).cause(), Cause::Unauthorized);
        assert_eq!(failure(Operation::Bind, 52, "", Some(Objection::ChangeAfterReset)).cause(), Cause::Unreachable);
    }
}
