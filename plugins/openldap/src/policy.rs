//! The password policy control: in which way a policy is against something, as a code.
//!
//! Without it a server says so in a sentence, and the result code is the same for "too short" and for "too soon". A server that does
//! not know the control ignores it. Source: <https://datatracker.ietf.org/doc/html/draft-behera-ldap-password-policy-11#section-6>

use crate::ber::{Elements, OCTET_STRING, SEQUENCE, element, number};

const TYPE: &[u8] = b"1.3.6.1.4.1.42.2.27.8.5.1";
/// Tag of `error` in the value of the response's control.
const ERROR: u8 = 0x81;

/// What a policy has against a bind or a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// The password is too old to log in with.
    Expired,
    /// Too many logins were refused, or an administrator locked the account.
    Locked,
    /// The user has to change its password itself before it may do anything else.
    ChangeAfterReset,
    /// The user may not change its password.
    ModificationNotAllowed,
    /// Whoever makes the change has to know the old password.
    MustSupplyOld,
    /// The new password is too simple.
    Quality,
    /// The new password is too short.
    TooShort,
    /// The last change was too recent.
    TooYoung,
    /// The new password was in use before.
    InHistory,
    /// The new password is too long.
    TooLong,
}

/// The control that asks for the policy's codes. It is not critical.
pub fn request() -> Vec<u8> {
    element(SEQUENCE, &[&element(OCTET_STRING, &[TYPE])])
}

/// What the policy's control among these controls says. One that does not parse says nothing: the result code counts anyway.
pub fn objection(mut controls: Elements<'_>) -> Option<Objection> {
    loop {
        let mut control = Elements::new(controls.expect(SEQUENCE)?);
        if control.expect(OCTET_STRING)? != TYPE {
            continue;
        }
        let mut value = Elements::new(control.content_of(OCTET_STRING)?);
        let error = Elements::new(value.expect(SEQUENCE)?).content_of(ERROR)?;
        return Some(match number(error)? {
            0 => Objection::Expired,
            1 => Objection::Locked,
            2 => Objection::ChangeAfterReset,
            3 => Objection::ModificationNotAllowed,
            4 => Objection::MustSupplyOld,
            5 => Objection::Quality,
            6 => Objection::TooShort,
            7 => Objection::TooYoung,
            8 => Objection::InHistory,
            9 => Objection::TooLong,
            _ => return None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ber::ENUMERATED;

    fn control(of: &[u8], value: &[u8]) -> Vec<u8> {
        element(SEQUENCE, &[&element(OCTET_STRING, &[of]), &element(1, &[&[0]]), &element(OCTET_STRING, &[value])])
    }

    #[test]
    fn finds_the_code_beside_warnings_and_other_controls() {
        let warning = element(0xa0, &[&element(0x80, &[&[60]])]);
        let value = element(SEQUENCE, &[&warning, &element(ERROR, &[&[7]])]);
        let controls = [control(b"1.2.3", b"canary"), control(TYPE, &value)].concat();
        assert_eq!(objection(Elements::new(&controls)), Some(Objection::TooYoung));
    }

    #[test]
    fn what_does_not_parse_says_nothing() {
        let warning = element(SEQUENCE, &[&element(0xa0, &[&element(0x81, &[&[3]])])]);
        for controls in [
            vec![],
            request(),
            control(TYPE, b""),
            control(TYPE, &warning),
            control(TYPE, &element(SEQUENCE, &[&element(ERROR, &[&[99]])])),
            control(TYPE, &element(SEQUENCE, &[&element(ENUMERATED, &[&[1]])])),
            b"canary".to_vec(),
        ] {
            assert_eq!(objection(Elements::new(&controls)), None);
        }
    }
}
