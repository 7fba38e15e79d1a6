//! LDAPv3, as much as it takes to log in and to change a password.
//!
//! Sources: RFC 4511 (the protocol) <https://www.rfc-editor.org/rfc/rfc4511>, RFC 3062 (Password Modify)
//! <https://www.rfc-editor.org/rfc/rfc3062> and RFC 4532 (Who am I?) <https://www.rfc-editor.org/rfc/rfc4532>.

use std::io::{Read, Write};

use windlass_sdk::{Failure, Secret};

use crate::answer::{Answer, Operation};
use crate::ber::{ENUMERATED, Elements, INTEGER, OCTET_STRING, SEQUENCE, element, further_bytes, length, number};
use crate::policy;

/// Longest message of the server in bytes. Answers to these operations have a few hundred.
const MAX_MESSAGE: usize = 65_536;

/// Object identifiers of the extended operations.
mod extended {
    pub(super) const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
    pub(super) const PASSWORD_MODIFY: &[u8] = b"1.3.6.1.4.1.4203.1.11.1";
    pub(super) const WHO_AM_I: &[u8] = b"1.3.6.1.4.1.4203.1.11.3";
}

/// Tags of protocol operations and their parts.
mod tag {
    pub(super) const BIND_REQUEST: u8 = 0x60;
    pub(super) const BIND_RESPONSE: u8 = 0x61;
    pub(super) const EXTENDED_REQUEST: u8 = 0x77;
    pub(super) const EXTENDED_RESPONSE: u8 = 0x78;
    pub(super) const CONTROLS: u8 = 0xa0;
    /// The password of a simple bind.
    pub(super) const SIMPLE: u8 = 0x80;
    pub(super) const REQUEST_NAME: u8 = 0x80;
    pub(super) const REQUEST_VALUE: u8 = 0x81;
    pub(super) const RESPONSE_VALUE: u8 = 0x8b;
    pub(super) const USER_IDENTITY: u8 = 0x80;
    pub(super) const OLD_PASSWORD: u8 = 0x81;
    pub(super) const NEW_PASSWORD: u8 = 0x82;
}

/// Whose password is to be changed.
pub enum Whose<'a> {
    /// That of the name that is logged in, which proves once more that it knows this password: some policies demand it.
    Own(&'a Secret),
    /// That of this name.
    Of(&'a Secret),
}

/// One side of a conversation.
pub struct Client<S> {
    /// Not buffered: what somebody slips in behind the answer to StartTLS must not be read as if it had come encrypted.
    stream: S,
    message: u8,
}

impl<S: Read + Write> Client<S> {
    /// Speaks over this stream.
    pub const fn new(stream: S) -> Self {
        Self { stream, message: 0 }
    }

    /// Asks the server to go on encrypted. Its stream has to be encrypted next.
    pub fn start_tls(&mut self) -> Result<&mut S, Failure> {
        self.extended(Operation::StartTls, &[&element(tag::REQUEST_NAME, &[extended::START_TLS])])?.success()?;
        Ok(&mut self.stream)
    }

    /// Logs in. Neither text may be empty: servers answer such a bind with success and log nobody in
    /// (<https://www.rfc-editor.org/rfc/rfc4513#section-5.1.2>).
    pub fn bind(&mut self, name: &Secret, password: &Secret) -> Result<Answer, Failure> {
        // Exposed: the server looks the name up and compares the password.
        let (name, password) = (name.expose().as_bytes(), password.expose().as_bytes());
        if name.is_empty() || password.is_empty() {
            return Err(Failure::malformed_secret("an empty name or password would be a login that proves nothing"));
        }
        let version = element(INTEGER, &[&[3]]);
        let request = element(tag::BIND_REQUEST, &[&version, &element(OCTET_STRING, &[name]), &element(tag::SIMPLE, &[password])]);
        self.call(Operation::Bind, &request)
    }

    /// Whom the server takes the other side for.
    pub fn who_am_i(&mut self) -> Result<Answer, Failure> {
        self.extended(Operation::WhoAmI, &[&element(tag::REQUEST_NAME, &[extended::WHO_AM_I])])
    }

    /// Changes a password.
    pub fn modify_password(&mut self, whose: &Whose<'_>, new: &Secret) -> Result<Answer, Failure> {
        let whose = match whose {
            // Exposed: the server compares it with what it has.
            Whose::Own(old) => element(tag::OLD_PASSWORD, &[old.expose().as_bytes()]),
            // Exposed: the server has to know which entry.
            Whose::Of(name) => element(tag::USER_IDENTITY, &[name.expose().as_bytes()]),
        };
        // Exposed: the server stores its hash.
        let new = element(tag::NEW_PASSWORD, &[new.expose().as_bytes()]);
        let value = element(tag::REQUEST_VALUE, &[&element(SEQUENCE, &[&whose, &new])]);
        self.extended(Operation::PasswordModify, &[&element(tag::REQUEST_NAME, &[extended::PASSWORD_MODIFY]), &value])
    }

    fn extended(&mut self, operation: Operation, parts: &[&[u8]]) -> Result<Answer, Failure> {
        self.call(operation, &element(tag::EXTENDED_REQUEST, parts))
    }

    /// Sends a request and waits for its answer.
    fn call(&mut self, operation: Operation, request: &[u8]) -> Result<Answer, Failure> {
        // 1 to 127: one byte, and never zero, with which the server marks what nobody asked for.
        self.message = self.message % 127 + 1;
        let id = element(INTEGER, &[&[self.message]]);
        let controls = match operation {
            Operation::Bind | Operation::PasswordModify => element(tag::CONTROLS, &[&policy::request()]),
            Operation::StartTls | Operation::WhoAmI => Vec::new(),
        };
        self.stream.write_all(&element(SEQUENCE, &[&id, request, &controls]))?;
        let message = self.receive()?;
        parse(&message, operation, self.message.into()).ok_or_else(unreadable)?
    }

    /// The content of the next message.
    fn receive(&mut self) -> Result<Vec<u8>, Failure> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        let [SEQUENCE, first] = head else { return Err(unreadable()) };
        let mut further = vec![0; further_bytes(first).ok_or_else(unreadable)?];
        self.stream.read_exact(&mut further)?;
        let length = length(first, &further);
        if length > MAX_MESSAGE {
            return Err(unreadable());
        }
        let mut message = vec![0; length];
        self.stream.read_exact(&mut message)?;
        Ok(message)
    }
}

/// What a message says in answer to the request of this number; nothing if it is no such answer.
fn parse(message: &[u8], operation: Operation, request: u32) -> Option<Result<Answer, Failure>> {
    let mut message = Elements::new(message);
    let id = number(message.expect(INTEGER)?)?;
    let (found, content) = message.next()?;
    let mut content = Elements::new(content);
    let code = number(content.expect(ENUMERATED)?)?;
    let _matched_name = content.expect(OCTET_STRING)?;
    let diagnostic = content.expect(OCTET_STRING)?;
    if id == 0 && found == tag::EXTENDED_RESPONSE {
        return Some(Err(Failure::unreachable("the server says that it closes the connection, and not whether it did anything")));
    }
    let expected = match operation {
        Operation::Bind => tag::BIND_RESPONSE,
        Operation::StartTls | Operation::PasswordModify | Operation::WhoAmI => tag::EXTENDED_RESPONSE,
    };
    (id == request && found == expected).then(|| {
        let objection = message.content_of(tag::CONTROLS).and_then(|controls| policy::objection(Elements::new(controls)));
        let value = content.content_of(tag::RESPONSE_VALUE).map(<[u8]>::to_vec);
        Ok(Answer::new(operation, code, diagnostic, objection, value))
    })
}

fn unreadable() -> Failure {
    Failure::internal("the server's answer is no LDAP, or too long: is this port LDAP, and is TLS set as the server has it?")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use windlass_sdk::{Cause, Effect};

    use super::*;
    use crate::policy::Objection;

    /// A stream that has all its answers already.
    struct Script(Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn client(bytes: &[u8]) -> Client<Script> {
        Client::new(Script(Cursor::new(bytes.to_vec()), Vec::new()))
    }

    /// A bind, answered with these bytes.
    fn answer(bytes: &[u8]) -> Result<Answer, Failure> {
        client(bytes).bind(&Secret::new("cn=a"), &Secret::new("b"))
    }

    #[test]
    fn a_bind_is_what_the_specification_says_it_is() {
        let mut client = client(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00");
        client.bind(&Secret::new("cn=a"), &Secret::new("b")).and_then(|answer| answer.success()).unwrap();
        let control = b"\xa0\x1d\x30\x1b\x04\x191.3.6.1.4.1.42.2.27.8.5.1";
        assert_eq!(
            client.stream.1,
            [b"\x30\x30\x02\x01\x01\x60\x0c\x02\x01\x03\x04\x04cn=a\x80\x01b".as_slice(), control].concat()
        );
    }

    #[test]
    fn a_change_names_the_old_password_or_the_entry() {
        let ok = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
        for (whose, part) in [(Whose::Own(&Secret::new("old")), b"\x81\x03old"), (Whose::Of(&Secret::new("c=d")), b"\x80\x03c=d")] {
            let mut client = client(ok);
            client.modify_password(&whose, &Secret::new("new")).and_then(|answer| answer.success()).unwrap();
            let value = [b"\x80\x171.3.6.1.4.1.4203.1.11.1\x81\x0c\x30\x0a".as_slice(), part, b"\x82\x03new"].concat();
            assert!(client.stream.1.windows(value.len()).any(|window| window == value));
        }
    }

    #[test]
    fn an_empty_text_never_becomes_a_bind() {
        for (name, password) in [("", "b"), ("cn=a", ""), ("", "")] {
            let mut client = client(b"");
            let failure = client.bind(&Secret::new(name), &Secret::new(password)).map(drop).unwrap_err();
            assert_eq!((failure.cause(), client.stream.1.len()), (Cause::MalformedSecret, 0));
        }
    }

    #[test]
    fn reads_controls_and_long_lengths() {
        let policy = element(SEQUENCE, &[&element(0x81, &[&[1]])]);
        let name = element(OCTET_STRING, &[b"1.3.6.1.4.1.42.2.27.8.5.1"]);
        let control = element(SEQUENCE, &[&name, &element(OCTET_STRING, &[&policy])]);
        let content = [b"\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00".as_slice(), &element(0xa0, &[&control])].concat();
        let bytes = [b"\x30\x84\x00\x00\x00".as_slice(), &[content.len() as u8], &content].concat();
        let answer = answer(&bytes).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(answer.objection(), Some(Objection::Locked));
        assert_eq!(answer.success().unwrap_err().cause(), Cause::Unauthorized);
    }

    #[test]
    fn a_notice_of_disconnection_leaves_the_effect_unknown() {
        let notice = b"\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x34\x04\x00\x04\x00";
        let failure = answer(notice).map(drop).unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unknown));
    }

    #[test]
    fn a_hostile_server_cannot_exhaust_the_plugin() {
        for bytes in [
            &b"\x30\x84\xff\xff\xff\xff"[..],
            b"\x30\x83\x01\x00\x01",
            b"\x30\x80\x02\x01\x01",
            b"\x30\x00",
            b"HTTP/1.1 400\r\n",
            b"\x30\x03\x02\x01\x01",
            b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00", // another number
            b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00", // another operation
            b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x80\x04\x00\x04\x00", // a negative code
            b"\x30\x0a\x02\x01\x01\x61\x05\x0a\x01\x00\x04\x00",         // no diagnostic message
        ] {
            assert_eq!(answer(bytes).map(drop).unwrap_err(), unreadable(), "{bytes:?}");
        }
        for cut in [&b""[..], b"\x30", b"\x30\x0c\x02\x01\x01", b"\x30\x84\x00"] {
            let failure = answer(cut).map(drop).unwrap_err();
            assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unknown));
        }
    }

    #[test]
    fn no_answer_panics() {
        let whole = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
        for at in 0..whole.len() {
            for byte in 0..=u8::MAX {
                let mut bytes = *whole;
                bytes[at] = byte;
                let _ = answer(&bytes);
                let _ = answer(&bytes[..at]);
            }
        }
        // Pseudo-random bytes behind a head that promises them.
        let mut state = 1_u32;
        for length in 0..2000 {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            let message: Vec<u8> = (0..length % 64).map(|_| next() & 0xb7).collect();
            let _ = answer(&element(SEQUENCE, &[&message]));
            let _ = answer(&element(SEQUENCE, &[b"\x02\x01\x01\x61", &message]));
        }
    }
}
