//! One HTTP/1.1 exchange with a test server, independent of the code under test.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use base64::Engine;

use super::pki::Pki;

/// Longest wait for one read or write.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request to a server on this machine.
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// User and password for basic authentication.
    pub login: Option<(&'a str, &'a str)>,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

/// The answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub body: String,
}

impl Request<'_> {
    /// Sends in plain text.
    pub fn send(&self, port: u16) -> std::io::Result<Response> {
        self.exchange(connect(port)?)
    }

    /// Sends over TLS to `localhost`, trusting `pki` only.
    pub fn send_over_tls(&self, port: u16, pki: &Pki) -> std::io::Result<Response> {
        self.exchange(connect_over_tls(port, pki)?)
    }

    fn exchange(&self, mut stream: impl Read + Write) -> std::io::Result<Response> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", self.method, self.path);
        if let Some((user, password)) = self.login {
            let login = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
            head.push_str(&format!("Authorization: Basic {login}\r\n"));
        }
        for (name, value) in self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        let request = [head.as_bytes(), self.body].concat();
        stream.write_all(&request)?;
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            // A TLS peer that closes without saying so is harmless here: the status line is what counts.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
            other => drop(other?),
        }
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other(format!("no HTTP answer: {answer}")))?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
        Ok(Response { status, body })
    }
}

/// A connection to a server on this machine.
pub fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A TLS connection to `localhost`, trusting `pki` only.
pub fn connect_over_tls(port: u16, pki: &Pki) -> std::io::Result<rustls::StreamOwned<rustls::ClientConnection, TcpStream>> {
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let session = rustls::ClientConnection::new(pki.client(), name).map_err(std::io::Error::other)?;
    Ok(rustls::StreamOwned::new(session, connect(port)?))
}
