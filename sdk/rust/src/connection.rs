//! Byte streams to the endpoints of the plugin's manifest.

use std::io::{Read, Result, Write};

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
        target.copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
