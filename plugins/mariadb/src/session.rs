//! A connection that is logged in.

use std::io::{Read, Write};

use windlass_sdk::Failure;

use crate::authentication::{ed25519, native};
use crate::greeting::Greeting;
use crate::packet::{Fields, Packets, unreadable};
use crate::refusal::Refusal;

const QUIT: u8 = 1;
const QUERY: u8 = 3;

const OK: u8 = 0;
const SWITCH: u8 = 0xfe;

/// How often the server may ask for another authentication plugin: accounts list a few.
const MAX_SWITCHES: usize = 8;

/// What encrypts a stream from here on.
pub type StartTls<S> = fn(&mut S) -> Result<(), Failure>;

/// A connection that is logged in. Dropping it says goodbye: the server counts connections that end without.
pub struct Session<S: Read + Write>(Packets<S>);

impl<S: Read + Write> Session<S> {
    /// Logs in on this stream. Where `start_tls` is given, it encrypts the stream before the account is named.
    pub fn login(stream: S, start_tls: Option<StartTls<S>>, username: &str, password: &[u8]) -> Result<Self, Failure> {
        let mut packets = Packets::new(stream);
        let greeting = Greeting::read(&packets.receive()?)?;
        if let Some(start_tls) = start_tls {
            packets.send(&greeting.tls_request()?)?;
            start_tls(packets.stream())?;
        }
        let answer = native::answer(password, &greeting.challenge);
        packets.send(&greeting.login(start_tls.is_some(), username, native::NAME, &answer))?;
        for _ in 0..=MAX_SWITCHES {
            let packet = packets.receive()?;
            if let Some(refusal) = Refusal::read(&packet) {
                return Err(refusal.failure("the login"));
            }
            match packet.split_first() {
                Some((&OK, _)) => return Ok(Self(packets)),
                Some((&SWITCH, request)) => packets.send(&switched(request, password)?)?,
                // No plugin that this one knows has more to say.
                _ => return Err(unreadable()),
            }
        }
        Err(Failure::unsupported("the server asked for one authentication plugin after the other"))
    }

    /// Runs a statement that answers with no rows. The outer result is the connection's, the inner one the server's.
    pub fn run(&mut self, statement: &str) -> Result<Result<(), Refusal>, Failure> {
        self.0.begin();
        self.0.send(&[&[QUERY], statement.as_bytes()].concat())?;
        let packet = self.0.receive()?;
        match (Refusal::read(&packet), packet.first()) {
            (Some(refusal), _) => Ok(Err(refusal)),
            (None, Some(&OK)) => Ok(Ok(())),
            (None, _) => Err(unreadable()),
        }
    }
}

impl<S: Read + Write> Drop for Session<S> {
    fn drop(&mut self) {
        self.0.begin();
        // The connection ends either way.
        let _ = self.0.send(&[QUIT]);
    }
}

/// The answer to a server that wants the password proved through another authentication plugin.
fn switched(request: &[u8], password: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut fields = Fields(request);
    let name = fields.text();
    if name == native::NAME.as_bytes() {
        return Ok(native::answer(password, &fields.bytes()?).to_vec());
    }
    if name == ed25519::NAME.as_bytes() {
        return Ok(ed25519::answer(password, &fields.bytes()?).to_vec());
    }
    let plain = name.len() <= 64 && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let name = std::str::from_utf8(name).ok().filter(|name| plain && !name.is_empty()).unwrap_or("mysql_old_password or another");
    Err(Failure::unsupported(["the account authenticates through ", name, ", which this plugin does not speak"].concat()))
}

#[cfg(test)]
mod tests {
    use windlass_sdk::{Cause, Effect};

    use super::*;
    use crate::greeting::tests::GREETING;
    use crate::script::Script;

    const OK_PACKET: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

    /// What comes of a login to which the server answers with these packets.
    fn login(answers: &[&[u8]]) -> Result<Session<Script>, Failure> {
        let answers = answers.iter().zip(1..).map(|(answer, at)| (2 * at, *answer));
        Session::login(Script::of_packets([(0, GREETING)].into_iter().chain(answers)), None, "app", b"canary")
    }

    fn sent(session: &mut Session<Script>) -> &[u8] {
        &session.0.stream().written
    }

    #[test]
    fn the_password_is_proved_as_the_server_asks() {
        let mut session = login(&[OK_PACKET]).unwrap();
        assert!(sent(&mut session).ends_with(b"mysql_native_password\0"));
        let challenge = *b"ABCDEFGHIJKLMNOPQRST";
        let switch = [b"\xfemysql_native_password\0".as_slice(), &challenge, &[0]].concat();
        let mut session = login(&[&switch, OK_PACKET]).unwrap();
        assert!(sent(&mut session).ends_with(&native::answer(b"canary", &challenge)));
        let challenge = [3; 32];
        let switch = [b"\xfeclient_ed25519\0".as_slice(), &challenge].concat();
        let mut session = login(&[&switch, OK_PACKET]).unwrap();
        assert!(sent(&mut session).ends_with(&ed25519::answer(b"canary", &challenge)));
    }

    #[test]
    fn the_password_itself_is_never_sent() {
        let table: [(&[u8], &str); 6] = [
            (b"\xfemysql_clear_password\0", "mysql_clear_password"),
            (b"\xfecaching_sha2_password\0abcdefghijklmnopqrst\0", "caching_sha2_password"),
            (b"\xfeparsec\0", "parsec"),
            (b"\xfe", "mysql_old_password"),
            (b"\xfecan ary\0", "another"),
            (b"\xfe\xff\xff", "another"),
        ];
        for (switch, named) in table {
            let failure = login(&[switch]).map(drop).unwrap_err();
            assert_eq!((failure.cause(), failure.effect()), (Cause::Unsupported, Effect::Unchanged));
            assert!(failure.message().contains(named) && !failure.message().contains("can ary"), "{failure}");
        }
    }

    #[test]
    fn a_server_that_asks_for_ever_is_left() {
        let switch = b"\xfemysql_native_password\0abcdefghijklmnopqrst\0".as_slice();
        assert!(login(&[[switch; MAX_SWITCHES].as_slice(), &[OK_PACKET]].concat()).is_ok());
        let failure = login(&[switch; 2 * MAX_SWITCHES]).map(drop).unwrap_err();
        assert_eq!(failure.cause(), Cause::Unsupported);
    }

    #[test]
    fn answers_of_the_wrong_kind_are_not_taken_for_success() {
        let short = b"\xfeclient_ed25519\0abcdefghijklmnopqrst\0".as_slice();
        for answer in [[1, 4].as_slice(), &[2], short, b"\xfemysql_native_password\0abc"] {
            assert_eq!(login(&[answer]).map(drop), Err(unreadable()));
        }
        for answer in [[1].as_slice(), &[0xfb, b'/', b'e'], &[0xfe, 0, 0, 2, 0]] {
            let packets = [(0, GREETING), (2, OK_PACKET), (1, answer)];
            let mut session = Session::login(Script::of_packets(packets), None, "app", b"canary").unwrap();
            assert_eq!(session.run("DO 0").map(drop), Err(unreadable()));
        }
    }

    #[test]
    fn no_answer_is_a_panic() {
        let plugins = ["mysql_native_password", "client_ed25519", "x"];
        for first in 0..=u8::MAX {
            for (length, plugin) in (0..64).zip(plugins.iter().cycle()) {
                let answer = [&[first], plugin.as_bytes(), &vec![first.wrapping_mul(31); length]].concat();
                let _ = login(&[&answer]);
                let _ = login(&[&answer[..=length.min(plugin.len())]]);
            }
        }
    }
}
