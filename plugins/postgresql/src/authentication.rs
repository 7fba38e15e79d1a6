//! The way from an open stream to a session: TLS, startup, password.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-flow.html>

use std::io::{Read, Write};

use md5::{Digest, Md5};
use windlass_sdk::text::joined;
use windlass_sdk::{Failure, Secret};

use crate::error_response::Stage;
use crate::message::{Client, Message, unreadable};
use crate::scram::{self, Opening};

/// Protocol 3.0, as the startup message has it.
const PROTOCOL: [u8; 4] = [0, 3, 0, 0];
/// The whole SSLRequest: its length and its code, 1234 and 5679.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// What the stream hides from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// It is encrypted, and the server's certificate was checked.
    Encrypted,
    /// Everybody on the way can read it and answer in the server's name.
    PlainText,
}

/// Who logs in to what.
pub struct Login {
    /// The role.
    pub user: Secret,
    /// Its password.
    pub password: Secret,
    /// The database.
    pub database: Secret,
    /// How the server is reached.
    pub channel: Channel,
}

/// Makes sure that the server begins TLS next. Reads the one byte of its answer and nothing beyond: what follows has to be encrypted.
pub fn agree_on_tls<S: Read + Write>(stream: &mut S) -> Result<(), Failure> {
    stream.write_all(&SSL_REQUEST)?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    match answer {
        [b'S'] => Ok(()),
        [b'N'] => Err(Failure::unreachable("the server has no TLS, and the secret does not say `\"tls\": false`").unchanged()),
        // An error instead of an answer comes from a server that cannot start a session, and is not authenticated.
        [b'E'] => Err(Failure::unreachable("the server answers the request for TLS with an error: is it up?").unchanged()),
        _ => Err(unreadable().unchanged()),
    }
}

impl Login {
    /// Logs in. The random bytes are for a nonce.
    ///
    /// A server that asks for no password is a failure: the login would prove nothing.
    pub fn perform<S: Read + Write>(&self, client: &mut Client<S>, random: &[u8; 18]) -> Result<(), Failure> {
        client.send_startup(&self.startup())?;
        match next(client, Stage::Unasked)? {
            (3, _) => {
                self.encrypted_only("the password in plain text")?;
                // Exposed: the server compares it, and the stream is encrypted.
                client.send(b'p', &[self.password.expose().as_bytes(), b"\0"].concat())?;
            }
            (5, salt) => {
                self.encrypted_only("an MD5 hash of the password")?;
                let salt: [u8; 4] = salt.try_into().map_err(|_| unreadable())?;
                client.send(b'p', &[self.md5(salt).as_bytes(), b"\0"].concat())?;
            }
            (10, mechanisms) => self.scram(client, &mechanisms, random)?,
            (0, _) => {
                return Err(Failure::unsupported("the server asks for no password (pg_hba.conf says `trust`, `peer` or `cert`)"));
            }
            (2 | 6..=9, _) => return Err(Failure::unsupported("the server asks for Kerberos, GSSAPI or SSPI, not for a password")),
            _ => return Err(unreadable()),
        }
        match next(client, Stage::Asked)? {
            (0, _) => {}
            _ => return Err(unreadable()),
        }
        loop {
            match client.receive()? {
                Message::ReadyForQuery => return Ok(()),
                Message::BackendKeyData => {}
                Message::Error(error) => return Err(error.of_the_login(Stage::Accepted)),
                Message::Authentication(..) | Message::CommandComplete(_) => return Err(unreadable()),
            }
        }
    }

    fn startup(&self) -> Vec<u8> {
        let mut body = PROTOCOL.to_vec();
        let parameters = [
            // Exposed: the server has to know who logs in to what.
            ("user", self.user.expose()),
            ("database", self.database.expose()),
            // What the statement is written in, whatever the role's own setting.
            ("client_encoding", "UTF8"),
            ("application_name", "windlass"),
        ];
        for text in parameters.into_iter().flat_map(|(name, value)| [name, value]) {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
        body.push(0);
        body
    }

    fn scram<S: Read + Write>(&self, client: &mut Client<S>, mechanisms: &[u8], random: &[u8; 18]) -> Result<(), Failure> {
        if !mechanisms.split(|byte| *byte == 0).any(|name| name == scram::MECHANISM.as_bytes()) {
            return Err(Failure::unsupported("the server does not offer the login SCRAM-SHA-256"));
        }
        let opening = Opening::new(random);
        let message = opening.message();
        let length = (message.len() as u32).to_be_bytes();
        client.send(b'p', &[scram::MECHANISM.as_bytes(), b"\0", &length, message.as_bytes()].concat())?;
        let (11, challenge) = next(client, Stage::Asked)? else { return Err(unreadable()) };
        // Exposed: hashed with what the server sent.
        let (answer, proof) = opening.answer(&challenge, self.password.expose())?;
        client.send(b'p', answer.as_bytes())?;
        let (12, signature) = next(client, Stage::Asked)? else { return Err(unreadable()) };
        proof.check(&signature)
    }

    /// Both ways to prove a password of old let an eavesdropper or a false server find it.
    fn encrypted_only(&self, what: &str) -> Result<(), Failure> {
        match self.channel {
            Channel::Encrypted => Ok(()),
            Channel::PlainText => Err(Failure::unsupported(joined(&["the server asks for ", what, ", which needs TLS"]))),
        }
    }

    /// Source: AuthenticationMD5Password in the protocol's flow.
    fn md5(&self, salt: [u8; 4]) -> String {
        // Exposed: hashed, with what the server sent.
        let stored = hex(&Md5::new().chain_update(self.password.expose()).chain_update(self.user.expose()).finalize());
        joined(&["md5", &hex(&Md5::new().chain_update(stored).chain_update(salt).finalize())])
    }
}

/// The next request of the server, or why the login ends here.
fn next<S: Read + Write>(client: &mut Client<S>, stage: Stage) -> Result<(u32, Vec<u8>), Failure> {
    match client.receive()? {
        Message::Authentication(request, rest) => Ok((request, rest)),
        Message::Error(error) => Err(error.of_the_login(stage)),
        Message::CommandComplete(_) | Message::ReadyForQuery | Message::BackendKeyData => Err(unreadable()),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use windlass_sdk::{Cause, Effect};

    use super::*;
    use crate::message::tests::{Script, message};

    fn login(channel: Channel) -> Login {
        Login { user: Secret::new("app"), password: Secret::new("canary"), database: Secret::new("db"), channel }
    }

    fn request(kind: u8, rest: &[u8]) -> Vec<u8> {
        message(b'R', &[&[0, 0, 0, kind], rest].concat())
    }

    fn perform(channel: Channel, answers: &[Vec<u8>]) -> (Result<(), Failure>, Vec<u8>) {
        let mut script = Script::new(answers.concat());
        let result = login(channel).perform(&mut Client::new(&mut script), &[0; 18]);
        (result, script.1)
    }

    fn ready() -> Vec<u8> {
        [message(b'S', b"server_version\x0015.1\0"), message(b'K', &[0; 8]), message(b'Z', b"I")].concat()
    }

    #[test]
    fn tls_is_agreed_on_in_one_byte() {
        let table = [
            ("S", None),
            ("Sinjected", None),
            ("N", Some(Cause::Unreachable)),
            ("E\0\0\0\x05\0", Some(Cause::Unreachable)),
            ("HTTP/1.1 400", Some(Cause::Internal)),
            ("", Some(Cause::Unreachable)),
        ];
        for (answer, cause) in table {
            let mut stream = Script::new(answer);
            assert_eq!(agree_on_tls(&mut stream).err().map(|failure| failure.cause()), cause, "{answer}");
            assert_eq!(stream.1, [0, 0, 0, 8, 4, 210, 22, 47]);
        }
        let mut stream = Script::new("Sinjected");
        agree_on_tls(&mut stream).unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "injected");
    }

    #[test]
    fn old_ways_work_over_tls() {
        let (result, sent) = perform(Channel::Encrypted, &[request(3, b""), request(0, b""), ready()]);
        assert_eq!(result, Ok(()));
        assert!(
            sent.starts_with(
                b"\0\0\0\x4d\0\x03\0\0user\0app\0database\0db\0client_encoding\0UTF8\0application_name\0windlass\0\0p"
            )
        );
        assert!(sent.ends_with(b"p\0\0\0\x0bcanary\0"));
        let (result, sent) = perform(Channel::Encrypted, &[request(5, b"salt"), request(0, b""), ready()]);
        assert_eq!(result, Ok(()));
        // md5(md5("canary" + "app") + "salt"), from another implementation.
        assert!(sent.ends_with(b"p\0\0\0\x28md533ae121d91e386c7c383df6505f68fd4\0"));
    }

    #[test]
    fn old_ways_send_nothing_over_plain_text() {
        for challenge in [request(3, b""), request(5, b"salt")] {
            let (result, sent) = perform(Channel::PlainText, &[challenge, request(0, b""), ready()]);
            assert_eq!(result.unwrap_err().cause(), Cause::Unsupported);
            assert!(!sent.contains(&b'p') || !sent.windows(6).any(|window| window == b"canary"));
            assert!(sent.ends_with(b"windlass\0\0"));
        }
    }

    #[test]
    fn a_login_that_proves_nothing_is_none() {
        let table = [
            (vec![request(0, b""), ready()], Cause::Unsupported),
            (vec![request(7, b"")], Cause::Unsupported),
            (vec![request(10, b"SCRAM-SHA-512\0\0")], Cause::Unsupported),
            (vec![request(99, b"")], Cause::Internal),
            (vec![ready()], Cause::Internal),
            (vec![request(5, b"sal")], Cause::Internal),
            (vec![request(3, b""), request(3, b"")], Cause::Internal),
            (vec![request(3, b""), ready()], Cause::Internal),
            (vec![request(10, b"SCRAM-SHA-256\0\0"), request(0, b""), ready()], Cause::Internal),
            (vec![request(10, b"SCRAM-SHA-256\0\0"), request(12, b"v=AAAA"), request(0, b"")], Cause::Internal),
            (
                vec![request(10, b"SCRAM-SHA-256\0\0"), request(11, b"r=AAAAAAAAAAAAAAAAAAAAAAAAx,s=AAAA,i=1"), request(0, b"")],
                Cause::Internal,
            ),
            (
                vec![
                    request(10, b"SCRAM-SHA-256\0\0"),
                    request(11, b"r=AAAAAAAAAAAAAAAAAAAAAAAAx,s=AAAA,i=1"),
                    request(12, b"v=AAAA"),
                    request(0, b""),
                    ready(),
                ],
                Cause::Internal,
            ),
        ];
        for (at, (answers, cause)) in table.into_iter().enumerate() {
            let (result, _) = perform(Channel::Encrypted, &answers);
            assert_eq!(result.unwrap_err().cause(), cause, "{at}");
        }
    }

    #[test]
    fn an_error_means_something_else_at_each_stage() {
        let error = |code: &str| message(b'E', format!("SFATAL\0VFATAL\0C{code}\0Mno\0\0").as_bytes());
        let table = [
            (vec![error("28000")], Cause::Unreachable),
            (vec![request(3, b""), error("28P01")], Cause::Unauthorized),
            (vec![request(10, b"SCRAM-SHA-256\0\0"), error("28P01")], Cause::Unauthorized),
            (vec![request(3, b""), request(0, b""), error("3D000")], Cause::MalformedSecret),
            (vec![request(3, b""), request(0, b""), error("28000")], Cause::Unauthorized),
        ];
        for (answers, cause) in table {
            let failure = perform(Channel::Encrypted, &answers).0.unwrap_err();
            assert_eq!((failure.cause(), failure.effect()), (cause, Effect::Unchanged));
        }
    }
}
