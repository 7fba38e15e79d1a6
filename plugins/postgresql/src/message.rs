//! Messages of the frontend/backend protocol 3.0, as much as a login and one statement need.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::io::{BufReader, Read, Write};

use windlass_sdk::Failure;

use crate::error_response::ErrorResponse;

/// Longest message in bytes. The longest that a login brings are notices and the server's parameters.
const MAX_MESSAGE: usize = 65_536;
/// All messages of a connection together, in bytes.
const MAX_TOTAL: usize = 1 << 20;

/// What the server sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// The server asks for proof, or accepts it: the kind of the request, and what belongs to it.
    Authentication(u32, Vec<u8>),
    /// The server refused.
    Error(ErrorResponse),
    /// A statement is done; what it was, with a zero byte at the end.
    CommandComplete(Vec<u8>),
    /// The server waits for a statement.
    ReadyForQuery,
    /// How to cancel a statement from elsewhere, which nobody will.
    BackendKeyData,
}

/// One side of a conversation.
pub struct Client<S: Read + Write> {
    stream: BufReader<S>,
    /// Bytes that the server may still send.
    left: usize,
    server_version: Option<u32>,
}

impl<S: Read + Write> Client<S> {
    /// Speaks over this stream.
    pub fn new(stream: S) -> Self {
        Self { stream: BufReader::with_capacity(1024, stream), left: MAX_TOTAL, server_version: None }
    }

    /// The server's major version, if it has said it.
    pub const fn server_version(&self) -> Option<u32> {
        self.server_version
    }

    /// Sends the first message, which has no kind.
    pub fn send_startup(&mut self, body: &[u8]) -> Result<(), Failure> {
        self.write(&[], body)
    }

    /// Sends a message.
    pub fn send(&mut self, kind: u8, body: &[u8]) -> Result<(), Failure> {
        self.write(&[kind], body)
    }

    fn write(&mut self, kind: &[u8], body: &[u8]) -> Result<(), Failure> {
        // The length counts itself. What is sent is as long as fields of a secret, which has at most 64 KiB.
        let length = u32::try_from(body.len() + 4).map_err(|_| unreadable())?;
        Ok(self.stream.get_mut().write_all(&[kind, &length.to_be_bytes(), body].concat())?)
    }

    /// The next message that is not only told by the way: parameters, notices and notifications come at any time.
    pub fn receive(&mut self) -> Result<Message, Failure> {
        loop {
            let (kind, body) = self.read()?;
            return Ok(match kind {
                b'R' => {
                    let (request, rest) = body.split_first_chunk().ok_or_else(unreadable)?;
                    Message::Authentication(u32::from_be_bytes(*request), rest.to_vec())
                }
                b'E' => Message::Error(ErrorResponse::parse(&body).ok_or_else(unreadable)?),
                b'C' => Message::CommandComplete(body),
                b'Z' => Message::ReadyForQuery,
                b'K' => Message::BackendKeyData,
                b'S' => {
                    if let Some(version) = body.strip_prefix(b"server_version\0") {
                        self.server_version = major(version);
                    }
                    continue;
                }
                b'N' | b'A' => continue,
                _ => return Err(unreadable()),
            });
        }
    }

    fn read(&mut self) -> Result<(u8, Vec<u8>), Failure> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes(length)).ok().and_then(|length| length.checked_sub(4));
        let length = length.filter(|length| *length <= MAX_MESSAGE).ok_or_else(unreadable)?;
        self.left = self.left.checked_sub(length + head.len()).ok_or_else(unreadable)?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((kind, body))
    }
}

/// The number that `15.18 (Debian …)`, `16beta1` and the like begin with.
fn major(version: &[u8]) -> Option<u32> {
    let digits = version.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(version.get(..digits)?).ok()?.parse().ok()
}

/// The server sent what the protocol does not have at this place.
pub fn unreadable() -> Failure {
    Failure::internal("the server's answer is not PostgreSQL's protocol 3.0, or too long: is this port PostgreSQL?")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Cursor;

    use windlass_sdk::{Cause, Effect};

    use super::*;

    /// A stream that has all its answers already, and keeps what was sent.
    pub(crate) struct Script(Cursor<Vec<u8>>, pub(crate) Vec<u8>);

    impl Script {
        pub(crate) fn new(answers: impl Into<Vec<u8>>) -> Self {
            Self(Cursor::new(answers.into()), Vec::new())
        }
    }

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

    /// A message of the server.
    pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind], (body.len() as u32 + 4).to_be_bytes().as_slice(), body].concat()
    }

    fn receive(bytes: impl Into<Vec<u8>>) -> Result<Message, Failure> {
        Client::new(Script::new(bytes)).receive()
    }

    #[test]
    fn messages_carry_their_length() {
        let mut client = Client::new(Script::new(""));
        client.send_startup(b"\0\x03\0\0").unwrap();
        client.send(b'Q', b"SELECT\0").unwrap();
        assert_eq!(client.stream.get_ref().1, b"\0\0\0\x08\0\x03\0\0Q\0\0\0\x0bSELECT\0");
    }

    #[test]
    fn what_comes_by_the_way_is_skipped_and_the_version_kept() {
        for (version, major) in [
            ("15.18 (Debian 15.18-0+deb12u1)", Some(15)),
            ("9.6.24", Some(9)),
            ("16beta1", Some(16)),
            ("x", None),
            ("99999999999", None),
        ] {
            let parameter = message(b'S', ["server_version\0", version, "\0"].concat().as_bytes());
            let other = message(b'S', b"server_version_num\x001\0");
            let stream = [parameter, other, message(b'N', b"\0"), message(b'A', b"x"), message(b'Z', b"I")].concat();
            let mut client = Client::new(Script::new(stream));
            assert_eq!(client.receive(), Ok(Message::ReadyForQuery));
            assert_eq!(client.server_version(), major, "{version}");
        }
    }

    #[test]
    fn a_hostile_server_cannot_exhaust_the_plugin() {
        let endless = message(b'N', &[b'x'; 60_000]).repeat(18);
        for bytes in [
            endless.as_slice(),
            b"R\0\0\0\x03",
            b"R\0\0\0\x07\0\0\0",
            b"R\xff\xff\xff\xff",
            b"Z\0\x01\0\x05",
            b"E\0\0\0\x05S",
            b"T\0\0\0\x04",
            b"HTTP/1.1 400 Bad Request\r\n",
            b"-ERR unknown command\r\n",
        ] {
            assert_eq!(receive(bytes), Err(unreadable()));
        }
        for bytes in ["", "Z", "Z\0\0\0\x05"] {
            let failure = receive(bytes).unwrap_err();
            assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unknown));
        }
    }

    #[test]
    fn no_bytes_panic() {
        let whole =
            [message(b'R', &[0, 0, 0, 10, b'x', 0, 0]), message(b'E', b"SERROR\0C28P01\0\0"), message(b'C', b"x\0")].concat();
        for end in 0..whole.len() {
            for at in 0..end {
                for change in [0, 1, 0x7f, 0xff] {
                    let mut bytes = whole[..end].to_vec();
                    bytes[at] = change;
                    let mut client = Client::new(Script::new(bytes));
                    while client.receive().is_ok() {}
                }
            }
        }
    }
}
