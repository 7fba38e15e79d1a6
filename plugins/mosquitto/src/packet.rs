//! Control packets of MQTT 3.1.1, as many as a password's change needs.
//!
//! Source: <http://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html>, which the section numbers refer to.

use std::io::Read;

use windlass_sdk::Failure;
use windlass_sdk::text::joined;

/// The longest packet that is kept, in bytes. The answer that describes a user lists its connections, some 30 bytes for each.
const MAX_PACKET: usize = 4 << 20;

/// A packet that the server sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    /// CONNACK with its return code (3.2).
    Connected(u8),
    /// SUBACK: the packet it acknowledges, and its one return code (3.9).
    Subscribed(u16, u8),
    /// PUBACK: the packet it acknowledges (3.4).
    Published(u16),
    /// PUBLISH (3.3).
    Message {
        /// Where it was published.
        topic: Vec<u8>,
        /// What was published.
        payload: Vec<u8>,
    },
    /// PUBLISH of something that nobody here asked for: too long, or with a quality of service that was not subscribed.
    Foreign,
    /// PINGRESP (3.13).
    Alive,
}

impl Packet {
    /// Waits for the next packet.
    pub fn read(stream: &mut impl Read) -> Result<Self, Failure> {
        let head = byte(stream)?;
        let length = length(stream)?;
        if length > MAX_PACKET {
            // Answers to other administrators come on the same topic, and a list of all clients can be long.
            return if is_message(head) { skip(stream, length).map(|()| Self::Foreign) } else { Err(unreadable()) };
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Self::parse(head, &body).ok_or_else(unreadable)
    }

    fn parse(head: u8, body: &[u8]) -> Option<Self> {
        match (head, body) {
            (0x20, &[_, code]) => Some(Self::Connected(code)),
            (0x90, &[high, low, code]) => Some(Self::Subscribed(u16::from_be_bytes([high, low]), code)),
            (0x40, &[high, low]) => Some(Self::Published(u16::from_be_bytes([high, low]))),
            (0xd0, []) => Some(Self::Alive),
            // Quality of service 0, retained or not: no packet identifier follows the topic.
            (0x30 | 0x31, &[high, low, ref rest @ ..]) => {
                let (topic, payload) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
                Some(Self::Message { topic: topic.to_vec(), payload: payload.to_vec() })
            }
            _ => (is_message(head) && head > 0x31).then_some(Self::Foreign),
        }
    }
}

const fn is_message(head: u8) -> bool {
    head >> 4 == 3
}

fn byte(stream: &mut impl Read) -> Result<u8, Failure> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// The remaining length: seven bits in each byte, the low ones first, in at most four bytes (2.2.3).
fn length(stream: &mut impl Read) -> Result<usize, Failure> {
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let byte = byte(stream)?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    Err(unreadable())
}

fn skip(stream: &mut impl Read, length: usize) -> Result<(), Failure> {
    let mut unused = vec![0; 65_536];
    let mut rest = length;
    while rest > 0 {
        unused.truncate(rest);
        stream.read_exact(&mut unused)?;
        rest -= unused.len();
    }
    Ok(())
}

/// What is no MQTT 3.1.1, or none that a server sends at this point.
pub fn unreadable() -> Failure {
    Failure::internal("the server's answer is not MQTT 3.1.1: is this port MQTT, and is TLS set as the server has it?")
}

/// Who connects and how (3.1).
pub struct Connect<'a> {
    /// The client identifier.
    pub client_id: &'a str,
    /// The user's name.
    pub user: &'a str,
    /// The user's password.
    pub password: &'a str,
    /// Whether the server forgets what it keeps for this identifier: subscriptions, messages not yet delivered.
    pub clean_session: bool,
}

/// Seconds of silence after which the server may drop a connection that broke unnoticed. Longer than a step.
const KEEP_ALIVE: u16 = 60;

impl Connect<'_> {
    /// The packet.
    pub fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let flags = 0b1100_0000 | u8::from(self.clean_session) << 1;
        let mut body = b"\0\x04MQTT\x04".to_vec();
        body.push(flags);
        body.extend_from_slice(&KEEP_ALIVE.to_be_bytes());
        for (field, text) in [("client_id", self.client_id), ("username", self.user), ("password", self.password)] {
            if !prefixed(&mut body, text) {
                return Err(Failure::malformed_secret(joined(&["the field `", field, "` has more than 65,535 bytes"])));
            }
        }
        Ok(packet(0x10, &body))
    }
}

/// SUBSCRIBE to one topic with quality of service 0, so that nothing has to be acknowledged (3.8).
pub fn subscribe(id: u16, topic: &str) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    prefixed(&mut body, topic);
    body.push(0);
    packet(0x82, &body)
}

/// PUBLISH with quality of service 1, which the server acknowledges (3.3).
pub fn publish(id: u16, topic: &str, payload: &str) -> Vec<u8> {
    let mut body = Vec::new();
    prefixed(&mut body, topic);
    body.extend_from_slice(&id.to_be_bytes());
    body.extend_from_slice(payload.as_bytes());
    packet(0x32, &body)
}

/// PINGREQ (3.12).
pub const PING: &[u8] = &[0xc0, 0];

/// DISCONNECT (3.14).
pub const DISCONNECT: &[u8] = &[0xe0, 0];

/// Appends a text behind its length in two bytes, unless it is too long for them (1.5.3).
fn prefixed(body: &mut Vec<u8>, text: &str) -> bool {
    let Ok(length) = u16::try_from(text.len()) else { return false };
    body.extend_from_slice(&length.to_be_bytes());
    body.extend_from_slice(text.as_bytes());
    true
}

fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![head];
    let mut length = body.len();
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        packet.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}

#[cfg(test)]
mod tests {
    use windlass_sdk::{Cause, Effect};

    use super::*;

    fn read(mut bytes: &[u8]) -> Result<Packet, Failure> {
        Packet::read(&mut bytes)
    }

    #[test]
    fn reads_every_kind_of_packet() {
        let message = |topic: &[u8], payload: &[u8]| Packet::Message { topic: topic.to_vec(), payload: payload.to_vec() };
        let table: [(&[u8], Packet); 9] = [
            (b"\x20\x02\x00\x05", Packet::Connected(5)),
            (b"\x90\x03\x01\x02\x80", Packet::Subscribed(258, 0x80)),
            (b"\x40\x02\x00\x07", Packet::Published(7)),
            (b"\xd0\x00", Packet::Alive),
            (b"\x30\x06\x00\x02a/xy", message(b"a/", b"xy")),
            (b"\x31\x02\x00\x00", message(b"", b"")),
            (b"\x30\x86\x00\x00\x02a/xy", message(b"a/", b"xy")),
            (b"\x32\x05\x00\x01a\x00\x01", Packet::Foreign),
            (b"\x3d\x00", Packet::Foreign),
        ];
        for (bytes, packet) in table {
            assert_eq!(read(bytes), Ok(packet), "{bytes:x?}");
        }
    }

    #[test]
    fn refuses_what_no_server_sends() {
        let table: [&[u8]; 11] = [
            b"\x20\x01\x00",
            b"\x20\x03\x00\x00\x00",
            b"\x21\x02\x00\x00",
            b"\x90\x02\x00\x01",
            b"\x90\x04\x00\x01\x00\x00",
            b"\xd0\x01\x00",
            b"\x30\x03\x00\x02a",
            b"\x30\x01\x00",
            b"\x20\xff\xff\xff\xff\x01",
            b"\x20\xff\xff\xff\x7f",
            b"HTTP/1.1 400 Bad Request\r\n",
        ];
        for bytes in table {
            // `H` is a PUBACK with wrong flags, and `T` its length.
            let long = [bytes, &[0; 128]].concat();
            assert_eq!(read(&long).unwrap_err(), unreadable(), "{bytes:x?}");
        }
    }

    #[test]
    fn an_answer_cut_short_is_no_answer() {
        for bytes in [b"".as_slice(), b"\x20", b"\x20\x02", b"\x20\x02\x00", b"\x30\xff", b"\x30\xff\xff\xff\x7fabc"] {
            let failure = read(bytes).unwrap_err();
            assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unknown), "{bytes:x?}");
        }
    }

    #[test]
    fn a_long_message_is_skipped_and_not_kept() {
        let mut bytes = packet(0x30, &vec![b'x'; MAX_PACKET + 100_000]);
        bytes.extend_from_slice(b"\xd0\x00");
        let mut stream = bytes.as_slice();
        assert_eq!(Packet::read(&mut stream), Ok(Packet::Foreign));
        assert_eq!(Packet::read(&mut stream), Ok(Packet::Alive));
    }

    #[test]
    fn no_bytes_panic() {
        // Every head, and bodies from a generator that needs no seed: Knuth's MMIX constants.
        let mut state = 1u64;
        for round in 0..20_000u32 {
            let mut bytes = vec![round as u8];
            for _ in 0..round % 23 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // Small numbers are the likelier lengths.
                bytes.push((state >> if round % 2 == 0 { 60 } else { 56 }) as u8);
            }
            let _ = read(&bytes);
        }
    }

    #[test]
    fn writes_what_the_specification_shows() {
        let connect = Connect { client_id: "id", user: "ü", password: "p\"", clean_session: true };
        assert_eq!(connect.bytes().unwrap(), b"\x10\x16\0\x04MQTT\x04\xc2\0\x3c\0\x02id\0\x02\xc3\xbc\0\x02p\"");
        let connect = Connect { clean_session: false, ..connect };
        assert_eq!(connect.bytes().unwrap()[9], 0xc0);
        assert_eq!(subscribe(258, "a/b"), b"\x82\x08\x01\x02\0\x03a/b\0");
        assert_eq!(publish(1, "a", "{}"), b"\x32\x07\0\x01a\0\x01{}");
        // Table 2.4.
        for (length, written) in
            [(127, vec![0x7f]), (128, vec![0x80, 1]), (16_383, vec![0xff, 0x7f]), (16_384, vec![0x80, 0x80, 1])]
        {
            let packet = packet(0, &vec![0; length]);
            assert_eq!(&packet[1..=written.len()], written);
            assert_eq!(packet.len(), 1 + written.len() + length);
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_named() {
        let long = "x".repeat(65_536);
        let connect = Connect { client_id: "id", user: "app", password: &long, clean_session: true };
        let failure = connect.bytes().unwrap_err();
        assert_eq!(failure.cause(), Cause::MalformedSecret);
        assert!(failure.message().contains("`password`"), "{failure}");
    }
}
