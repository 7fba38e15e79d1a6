//! One side of an MQTT conversation.

use std::io::{Read, Write};

use windlass_sdk::Failure;

use crate::packet::{self, Connect, Packet, unreadable};

/// Packets that are read in the wait for one. Answers to other administrators arrive in between.
const MAX_PACKETS: usize = 1024;

/// A connection that is logged in. Dropping it says goodbye.
pub struct Client<S: Read + Write> {
    stream: S,
    last_id: u16,
    pings: u16,
}

impl<S: Read + Write> Client<S> {
    /// Logs in over this stream.
    pub fn connect(mut stream: S, connect: &Connect<'_>) -> Result<Self, Failure> {
        stream.write_all(&connect.bytes()?)?;
        let Packet::Connected(code) = Packet::read(&mut stream)? else { return Err(unreadable()) };
        match refusal(code) {
            None => Ok(Self { stream, last_id: 0, pings: 0 }),
            Some(failure) => Err(failure.unchanged()),
        }
    }

    /// Subscribes to a topic; says whether the server allows that.
    pub fn subscribe(&mut self, topic: &str) -> Result<bool, Failure> {
        let id = self.next_id();
        self.send(&packet::subscribe(id, topic))?;
        for _ in 0..MAX_PACKETS {
            match Packet::read(&mut self.stream)? {
                Packet::Subscribed(of, code) if of == id => {
                    return match code {
                        0..=2 => Ok(true),
                        0x80 => Ok(false),
                        _ => Err(unreadable()),
                    };
                }
                Packet::Message { .. } | Packet::Foreign => {}
                _ => return Err(unreadable()),
            }
        }
        Err(talkative())
    }

    /// Publishes a question and waits for the message in which `find` finds its answer. Nothing if none comes.
    ///
    /// MQTT 3.1.1 has no refusal for a PUBLISH: the server acknowledges and drops it (3.3.5.2). So the end of the wait is the answer
    /// to a ping that is sent after the acknowledgement. Mosquitto puts the answer to a command into the queue before it reads the
    /// next packet.
    pub fn ask<T>(&mut self, topic: &str, question: &str, find: impl Fn(&[u8], &[u8]) -> Option<T>) -> Result<Option<T>, Failure> {
        let id = self.next_id();
        let mut pinged = false;
        self.send(&packet::publish(id, topic, question))?;
        for _ in 0..MAX_PACKETS {
            match Packet::read(&mut self.stream)? {
                Packet::Message { topic, payload } => {
                    if let Some(answer) = find(&topic, &payload) {
                        return Ok(Some(answer));
                    }
                }
                Packet::Published(of) if of == id && !pinged => {
                    self.send(packet::PING)?;
                    self.pings += 1;
                    pinged = true;
                }
                // The ping of an earlier question can be answered behind that question's answer.
                Packet::Alive if self.pings > 0 => {
                    self.pings -= 1;
                    if pinged && self.pings == 0 {
                        return Ok(None);
                    }
                }
                // An earlier question's acknowledgement, likewise.
                Packet::Published(of) if of < id => {}
                Packet::Foreign => {}
                _ => return Err(unreadable()),
            }
        }
        Err(talkative())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.stream.write_all(bytes)?)
    }

    fn next_id(&mut self) -> u16 {
        self.last_id += 1;
        self.last_id
    }
}

/// Tells the server that the connection ends on purpose, so that it does not log a lost one.
impl<S: Read + Write> Drop for Client<S> {
    fn drop(&mut self) {
        // The server has forgotten the connection either way.
        let _ = self.send(packet::DISCONNECT);
    }
}

/// What a return code of CONNACK means (table 3.1).
fn refusal(code: u8) -> Option<Failure> {
    Some(match code {
        0 => return None,
        1 => Failure::unsupported("the server refused the connection with code 1: it does not speak MQTT 3.1.1"),
        2 => Failure::malformed_secret("the server refused the connection with code 2: it does not take the client id"),
        3 => Failure::unreachable("the server refused the connection with code 3: it is not available"),
        4 => Failure::unauthorized("the server refused the connection with code 4: wrong user name or password"),
        5 => Failure::unauthorized(
            "the server refused the connection with code 5: wrong user name or password, or the client is disabled or bound to \
             another client id",
        ),
        _ => Failure::internal("the server refused the connection with a code that MQTT 3.1.1 does not know"),
    })
}

fn talkative() -> Failure {
    Failure::unreachable("the server sent a thousand packets and not the one that answers")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use windlass_sdk::{Cause, Effect};

    use super::*;

    /// A stream that has all its answers already.
    struct Script<'a>(Cursor<Vec<u8>>, &'a mut Vec<u8>);

    impl Read for Script<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Script<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    const CONNECT: Connect<'static> = Connect { client_id: "id", user: "app", password: "canary", clean_session: true };

    /// What `talk` makes of a server that accepts the login and then sends these bytes, and what was sent to it since.
    fn with<T>(answers: &[u8], talk: impl FnOnce(&mut Client<Script<'_>>) -> Result<T, Failure>) -> (Result<T, Failure>, Vec<u8>) {
        let mut sent = Vec::new();
        let script = Script(Cursor::new([b"\x20\x02\0\0", answers].concat()), &mut sent);
        let mut client = Client::connect(script, &CONNECT).unwrap();
        let result = talk(&mut client);
        drop(client);
        let connect = CONNECT.bytes().unwrap().len();
        (result, sent.split_off(connect))
    }

    fn ask(answers: &[u8]) -> (Result<Option<Vec<u8>>, Failure>, Vec<u8>) {
        with(answers, |client| client.ask("q", "?", |topic, payload| (topic == b"a").then(|| payload.to_vec())))
    }

    #[test]
    fn return_codes_become_causes_and_nothing_has_changed() {
        let table = [
            (1, Cause::Unsupported),
            (2, Cause::MalformedSecret),
            (3, Cause::Unreachable),
            (4, Cause::Unauthorized),
            (5, Cause::Unauthorized),
            (6, Cause::Internal),
            (255, Cause::Internal),
        ];
        for (code, cause) in table {
            let mut sent = Vec::new();
            let Err(failure) = Client::connect(Script(Cursor::new(vec![0x20, 2, 0, code]), &mut sent), &CONNECT) else {
                panic!("code {code} is a refusal")
            };
            assert_eq!((failure.cause(), failure.effect()), (cause, Effect::Unchanged), "{code}");
            assert_eq!(sent, CONNECT.bytes().unwrap(), "a connection that was refused is not ended");
        }
    }

    #[test]
    fn a_subscription_is_granted_or_not() {
        let subscribe = |answers: &[u8]| with(answers, |client| client.subscribe("a"));
        assert_eq!(subscribe(b"\x90\x03\0\x01\0"), (Ok(true), b"\x82\x06\0\x01\0\x01a\0\xe0\0".to_vec()));
        assert_eq!(subscribe(b"\x31\x04\0\x01zz\x90\x03\0\x01\x80").0, Ok(false));
        for answers in [b"\x90\x03\0\x01\x03".as_slice(), b"\x90\x03\0\x02\0", b"\xd0\0", b"\x20\x02\0\0"] {
            assert_eq!(subscribe(answers).0, Err(unreadable()), "{answers:x?}");
        }
    }

    #[test]
    fn the_answer_is_found_among_others_wherever_it_stands() {
        let question = b"\x32\x06\0\x01q\0\x01?".to_vec();
        let (answer, sent) = ask(b"\x30\x04\0\x01zz\x30\x04\0\x01a!");
        assert_eq!((answer, sent), (Ok(Some(b"!".to_vec())), [&question, packet::DISCONNECT].concat()));
        let (answer, sent) = ask(b"\x40\x02\0\x01\x30\x04\0\x01a!");
        assert_eq!((answer, sent), (Ok(Some(b"!".to_vec())), [&question, packet::PING, packet::DISCONNECT].concat()));
    }

    #[test]
    fn a_server_that_answers_the_ping_alone_has_no_answer() {
        assert_eq!(ask(b"\x40\x02\0\x01\x30\x04\0\x01zz\xd0\0").0, Ok(None));
    }

    #[test]
    fn an_earlier_question_does_not_end_the_wait_for_the_next() {
        let answers = b"\x40\x02\0\x01\x30\x03\0\x01a\xd0\0\x40\x02\0\x02\x30\x04\0\x01a2\xd0\0";
        let find = |topic: &[u8], payload: &[u8]| (topic == b"a").then(|| payload.to_vec());
        let (result, _) = with(answers, |client| {
            client.ask("q", "1", find)?;
            client.ask("q", "2", find)
        });
        assert_eq!(result, Ok(Some(b"2".to_vec())));
        let late = b"\x30\x03\0\x01a\x40\x02\0\x01\x40\x02\0\x02\xd0\0";
        let (result, _) = with(late, |client| {
            client.ask("q", "1", find)?;
            client.ask("q", "2", find)
        });
        assert_eq!(result, Ok(None));
    }

    #[test]
    fn a_server_that_never_stops_is_given_up() {
        let failure = ask(&b"\x30\x04\0\x01zz".repeat(2000)).0.unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unknown));
    }

    #[test]
    fn what_a_server_cannot_send_now_leaves_the_effect_unknown() {
        for answers in [b"\xd0\0".as_slice(), b"\x40\x02\0\x02", b"\x40\x02\0\x01\x40\x02\0\x01", b"\x20\x02\0\0", b"\x10\0"] {
            assert_eq!(ask(answers).0, Err(unreadable()), "{answers:x?}");
        }
        assert_eq!(ask(b"").0.unwrap_err().effect(), Effect::Unknown);
    }
}
