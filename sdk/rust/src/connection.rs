//! Byte streams to the endpoints of the plugin's manifest.

use std::io::{ErrorKind, Read, Result, Write};

use crate::{Failure, host};

/// Opens a stream to the endpoint of this name.
///
/// It is encrypted from the first byte unless the manifest says `tls = "start-tls"`, or `"optional"` and the secret asks for plain
/// text.
///
/// # Errors
///
/// `denied` (no such endpoint, or policy) or `unreachable` (resolve, connect, TLS), always with effect `unchanged`.
pub fn open(endpoint: &str) -> std::result::Result<Connection, Failure> {
    host::Stream::open(endpoint).map(Connection)
}

/// An open byte stream; dropping it closes it. It is not buffered: wrap it in [`std::io::BufReader`] to read lines.
///
/// Errors of [`Read`] and [`Write`] carry the host's [`Failure`], which `?` brings out again.
#[derive(Debug)]
pub struct Connection(host::Stream);

impl Connection {
    /// Encrypts the stream from here on, once, after the protocol's negotiation in plain text. Do it before a credential is sent.
    ///
    /// # Errors
    ///
    /// `denied` if the endpoint is not declared `tls = "start-tls"` or the stream is encrypted already; `unreachable` if the
    /// handshake fails. After that the stream is closed.
    pub fn start_tls(&mut self) -> std::result::Result<(), Failure> {
        self.0.start_tls()
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        // The contract reads a zero as one.
        if buffer.is_empty() {
            return Ok(0);
        }
        let max = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let bytes = self.0.read(max)?;
        let target =
            buffer.get_mut(..bytes.len()).ok_or_else(|| Failure::internal("the host returned more bytes than asked for"))?;
        // `copy_from_slice` would bring in what prints two lengths that differ.
        target.iter_mut().zip(&bytes).for_each(|(target, byte)| *target = *byte);
        Ok(bytes.len())
    }

    // As the standard library's, which indexes: that brings in the 3 KB that print an index out of bounds.
    fn read_exact(&mut self, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            match self.read(buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => buffer = buffer.get_mut(count..).unwrap_or_default(),
            }
        }
        Ok(())
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.write(bytes)?;
        Ok(bytes.len())
    }

    // As the standard library's, which indexes.
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        // The contract writes all or fails.
        self.write(bytes).map(drop)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::testing::Scene;
    use crate::{Cause, Effect};

    /// Four bytes of an answer that comes in these pieces, to a question of five bytes.
    fn four_bytes(pieces: &'static [&[u8]]) -> std::result::Result<[u8; 4], Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut scene = Scene::new().endpoint("api", listener.local_addr().unwrap());
        let service = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; 5];
            stream.read_exact(&mut question).unwrap();
            // Each piece leaves by itself; whether it also arrives by itself is the kernel's business.
            stream.set_nodelay(true).unwrap();
            for piece in pieces {
                stream.write_all(piece).unwrap();
            }
            question
        });
        let answer = scene.with(|_| {
            let mut connection = open("api")?;
            connection.write_all(b"hello")?;
            let mut answer = [0; 4];
            connection.read_exact(&mut answer)?;
            Ok(answer)
        });
        assert_eq!(&service.join().unwrap(), b"hello");
        answer
    }

    #[test]
    fn an_answer_is_read_whole_though_it_comes_in_pieces() {
        assert_eq!(four_bytes(&[b"a", b"bc", b"d"]), Ok(*b"abcd"));
    }

    #[test]
    fn an_answer_that_ends_early_is_unreachable() {
        let failure = four_bytes(&[b"a", b"bc"]).unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unknown));
    }
}
