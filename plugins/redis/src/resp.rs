//! RESP2, as much as the ACL commands need. Source: <https://redis.io/docs/latest/develop/reference/protocol-spec/>

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::vec;

use windlass_sdk::text::{decimal, joined};
use windlass_sdk::{Cause, Effect, Failure};

/// Longest line of a reply in bytes; the server's own errors are far shorter.
const MAX_LINE: usize = 4096;
/// All texts of a reply together, in bytes. A user with thousands of key patterns stays below.
const MAX_TEXT: usize = 1 << 20;
/// Elements of a reply, nested ones included.
const MAX_ELEMENTS: usize = 65_536;

/// What the server answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// The server refused the command.
    Error(ErrorReply),
    /// `+OK` and the like, and bulk strings.
    Text(Vec<u8>),
    /// A null, of either kind.
    Nothing,
    /// A number or an array, whose content nobody asked for.
    Other,
}

impl Reply {
    /// Makes sure that the reply to this command is `OK`.
    pub fn ok(self, command: &str) -> Result<(), Failure> {
        match self {
            Self::Error(error) => Err(error.failure(command)),
            Self::Text(text) if text == b"OK" => Ok(()),
            Self::Text(_) | Self::Nothing | Self::Other => {
                Err(Failure::internal(joined(&[command, " was answered with something other than OK"])))
            }
        }
    }
}

/// One side of a conversation.
pub struct Client<S: Read + Write> {
    stream: S,
    /// What came and was not looked at yet. The standard library's buffer makes the component 2 KB larger.
    received: vec::IntoIter<u8>,
}

impl<S: Read + Write> Client<S> {
    /// Speaks over this stream.
    pub fn new(stream: S) -> Self {
        Self { stream, received: Vec::new().into_iter() }
    }

    /// Sends a command and waits for its reply.
    pub fn call(&mut self, command: &[&[u8]]) -> Result<Reply, Failure> {
        let mut bytes = Vec::new();
        head(&mut bytes, b'*', command.len());
        for argument in command {
            head(&mut bytes, b'$', argument.len());
            bytes.extend_from_slice(argument);
            bytes.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&bytes)?;
        let line = self.line()?;
        let (mut text, mut elements) = (MAX_TEXT, MAX_ELEMENTS);
        let (reply, mut awaited) = self.element(&line, &mut text, &mut elements)?;
        while awaited > 0 {
            let line = self.line()?;
            awaited = awaited - 1 + self.element(&line, &mut text, &mut elements)?.1;
        }
        Ok(reply)
    }

    /// One element and how many follow that belong to it. Nested arrays are read flat, so depth costs nothing.
    fn element(&mut self, line: &[u8], text: &mut usize, left: &mut usize) -> Result<(Reply, usize), Failure> {
        let (kind, rest) = line.split_first().ok_or_else(unreadable)?;
        match kind {
            b'+' => Ok((Reply::Text(rest.to_vec()), 0)),
            b'-' => Ok((Reply::Error(ErrorReply(rest.to_vec())), 0)),
            b':' => Ok((Reply::Other, 0)),
            b'$' | b'*' if rest == b"-1" => Ok((Reply::Nothing, 0)),
            b'$' => {
                let length = number(rest, *text)?;
                *text -= length;
                let mut bulk = Vec::new();
                for _ in 0..length {
                    bulk.push(self.byte()?);
                }
                if [self.byte()?, self.byte()?] != *b"\r\n" {
                    return Err(unreadable());
                }
                Ok((Reply::Text(bulk), 0))
            }
            b'*' => {
                let elements = number(rest, *left)?;
                *left -= elements;
                Ok((Reply::Other, elements))
            }
            _ => Err(unreadable()),
        }
    }

    fn line(&mut self) -> Result<Vec<u8>, Failure> {
        let mut line = Vec::new();
        while line.len() < MAX_LINE {
            match self.byte()? {
                b'\n' if line.pop() == Some(b'\r') => return Ok(line),
                b'\n' => break,
                byte => line.push(byte),
            }
        }
        Err(unreadable())
    }

    fn byte(&mut self) -> Result<u8, Failure> {
        if self.received.as_slice().is_empty() {
            let mut received = vec![0; 1024];
            let count = self.stream.read(&mut received)?;
            received.truncate(count);
            self.received = received.into_iter();
        }
        self.received.next().ok_or_else(|| std::io::Error::from(ErrorKind::UnexpectedEof).into())
    }
}

fn head(bytes: &mut Vec<u8>, kind: u8, count: usize) {
    bytes.push(kind);
    bytes.extend_from_slice(decimal(count).as_bytes());
    bytes.extend_from_slice(b"\r\n");
}

fn number(digits: &[u8], most: usize) -> Result<usize, Failure> {
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.filter(|number| *number <= most).ok_or_else(unreadable)
}

fn unreadable() -> Failure {
    Failure::internal("the server's answer is no RESP2, or too long: is this port Redis, and is TLS set as the server has it?")
}

/// An error reply. It prints nothing of itself: `ACL SETUSER` repeats the password in it.
///
/// Source of codes and words: `src/server.c` (`createSharedObjects`) and `src/acl.c` of Redis 7.
#[derive(PartialEq, Eq)]
pub struct ErrorReply(Vec<u8>);

impl ErrorReply {
    /// Whether the session is logged in and lacks the right.
    pub fn no_permission(&self) -> bool {
        self.code() == b"NOPERM"
    }

    /// Whether a password was to be removed that the user does not have.
    pub fn no_such_password(&self) -> bool {
        self.says("you are trying to remove from the user does not exist")
    }

    /// Whether the server keeps its users in no file of their own.
    pub fn no_acl_file(&self) -> bool {
        self.says("not configured to use an ACL file")
    }

    /// What this answer to `command` means.
    pub fn failure(&self, command: &str) -> Failure {
        let code = self.code();
        let plain = code.len() <= 16 && code.iter().all(u8::is_ascii_uppercase);
        let quoted = std::str::from_utf8(code).ok().filter(|_| plain).unwrap_or("an error");
        let (cause, effect, meaning) = match code {
            b"WRONGPASS" => (Cause::Unauthorized, Effect::Unchanged, ": wrong user name or password, or the user is off"),
            b"NOAUTH" => (Cause::Unauthorized, Effect::Unchanged, ""),
            b"NOPERM" => (Cause::Unauthorized, Effect::Unchanged, ": the user may not do this"),
            b"LOADING" | b"MASTERDOWN" | b"BUSY" | b"CLUSTERDOWN" | b"TRYAGAIN" => {
                (Cause::Unreachable, Effect::Unchanged, ": the server is not ready")
            }
            b"DENIED" => (Cause::Unreachable, Effect::Unchanged, ": the server is in protected mode"),
            b"READONLY" => (Cause::Unsupported, Effect::Unchanged, ": this is a replica; the secret has to name the primary"),
            _ if self.says("max number of clients") => {
                (Cause::RateLimited, Effect::Unchanged, ": the server has no free connection")
            }
            _ if command == "ACL SAVE" => {
                (Cause::Unreachable, Effect::Changed, ": the server could not write its ACL file, see its own log")
            }
            _ if self.says("unknown command") || self.says("nknown subcommand") || self.says("wrong number of arguments") => {
                (Cause::Unsupported, Effect::Unchanged, ": ACL users need Redis 6 or later")
            }
            _ if command == "ACL SETUSER" => (Cause::Rejected, Effect::Unchanged, ""),
            _ => (Cause::Internal, Effect::Unchanged, ""),
        };
        Failure::new(cause, effect, joined(&[command, " was answered with ", quoted, meaning]))
    }

    fn code(&self) -> &[u8] {
        self.0.split(|byte| *byte == b' ').next().unwrap_or_default()
    }

    fn says(&self, part: &str) -> bool {
        self.0.windows(part.len()).any(|window| window == part.as_bytes())
    }
}

impl fmt::Debug for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

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

    fn answer(bytes: impl Into<Vec<u8>>) -> Result<Reply, Failure> {
        Client::new(Script(Cursor::new(bytes.into()), Vec::new())).call(&[b"X"])
    }

    #[test]
    fn arguments_are_bulk_strings_whatever_they_hold() {
        let mut client = Client::new(Script(Cursor::new(b"+OK\r\n".to_vec()), Vec::new()));
        client.call(&[b"AUTH", b"a b", b"\r\nFLUSHALL\r\n"]).unwrap().ok("AUTH").unwrap();
        assert_eq!(client.stream.1, b"*3\r\n$4\r\nAUTH\r\n$3\r\na b\r\n$12\r\n\r\nFLUSHALL\r\n\r\n");
    }

    #[test]
    fn reads_every_kind_of_reply() {
        assert_eq!(answer("+OK\r\n"), Ok(Reply::Text(b"OK".to_vec())));
        assert_eq!(answer("$3\r\nabcde"), Err(unreadable()));
        assert_eq!(answer("$4\r\na\r\nb\r\n"), Ok(Reply::Text(b"a\r\nb".to_vec())));
        assert_eq!((answer("$-1\r\n"), answer("*-1\r\n")), (Ok(Reply::Nothing), Ok(Reply::Nothing)));
        assert_eq!(answer("*3\r\n:1\r\n*2\r\n+a\r\n$-1\r\n*0\r\n"), Ok(Reply::Other));
    }

    #[test]
    fn a_hostile_server_cannot_exhaust_the_plugin() {
        let long = [b"+".as_slice(), &[b'a'; 5000]].concat();
        let many = ["*65536\r\n", &"*1\r\n".repeat(3)].concat();
        for bytes in [
            long,
            many.into_bytes(),
            b"$1048577\r\n".to_vec(),
            b"$-2\r\n".to_vec(),
            b"*9999999999999999999\r\n".to_vec(),
            b"HTTP/1.1 400\r\n".to_vec(),
        ] {
            assert_eq!(answer(bytes).unwrap_err(), unreadable());
        }
    }

    #[test]
    fn a_server_that_hangs_up_is_unreachable_wherever_its_answer_ends() {
        let whole = "*2\r\n$3\r\nabc\r\n:1\r\n";
        for end in 0..whole.len() {
            let failure = answer(&whole[..end]).unwrap_err();
            assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unknown), "{end}");
        }
        assert_eq!(answer(whole), Ok(Reply::Other));
    }

    #[test]
    fn a_text_may_come_in_several_pieces() {
        let text = "a\r\n".repeat(1000);
        assert_eq!(answer(format!("${}\r\n{text}\r\n", text.len())), Ok(Reply::Text(text.into_bytes())));
    }

    #[test]
    fn errors_become_causes_and_are_not_quoted() {
        let table = [
            ("WRONGPASS invalid canary", Cause::Unauthorized, Effect::Unchanged),
            ("NOAUTH canary", Cause::Unauthorized, Effect::Unchanged),
            ("NOPERM canary", Cause::Unauthorized, Effect::Unchanged),
            ("LOADING canary", Cause::Unreachable, Effect::Unchanged),
            ("READONLY canary", Cause::Unsupported, Effect::Unchanged),
            ("ERR max number of clients reached canary", Cause::RateLimited, Effect::Unchanged),
            ("ERR Error in ACL SETUSER modifier '>canary': Syntax error", Cause::Rejected, Effect::Unchanged),
            ("canary CANARY", Cause::Rejected, Effect::Unchanged),
        ];
        for (error, cause, effect) in table {
            let failure = answer(["-", error, "\r\n"].concat()).unwrap().ok("ACL SETUSER").unwrap_err();
            assert_eq!((failure.cause(), failure.effect()), (cause, effect), "{error}");
            assert!(!failure.message().to_lowercase().contains("canary"), "{failure}");
        }
        let gone =
            "-ERR Error in ACL SETUSER modifier '<x': The password you are trying to remove from the user does not exist\r\n";
        let Ok(Reply::Error(error)) = answer(gone) else { panic!("an error reply was sent") };
        assert!(error.no_such_password());
        assert_eq!(format!("{error:?}"), "[redacted]");
    }
}
