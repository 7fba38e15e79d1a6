//! Something between a client and an HTTP service that answers itself a number of times: an overloaded load balancer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Runs until the test process ends.
pub struct Front {
    port: u16,
    refused: Arc<AtomicU32>,
}

impl Front {
    /// Answers the first `times` requests with `status` and `body`, and passes later ones on to `service`.
    pub fn before(service: u16, times: u32, status: u16, body: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let refused = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&refused);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, refused) = (client.unwrap(), Arc::clone(&counted));
                std::thread::spawn(move || serve(client, service, times, status, body, &refused));
            }
        });
        Self { port, refused }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many requests it has answered itself.
    pub fn refused(&self) -> u32 {
        self.refused.load(Ordering::SeqCst)
    }
}

fn serve(mut client: TcpStream, service: u16, times: u32, status: u16, body: &str, refused: &AtomicU32) {
    let mut requests = BufReader::new(client.try_clone().unwrap());
    while let Ok(request @ [_, ..]) = message(&mut requests).as_deref() {
        let answer = if refused.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n < times).then_some(n + 1)).is_ok() {
            format!(
                "HTTP/1.1 {status} No\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        } else {
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, service)).unwrap();
            server.write_all(request).unwrap();
            message(&mut BufReader::new(server)).unwrap()
        };
        if client.write_all(&answer).is_err() {
            return;
        }
    }
}

/// One message with a Content-Length or without a body; empty at the end of the connection.
fn message(stream: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let (mut message, mut length) = (Vec::new(), 0);
    loop {
        let start = message.len();
        if stream.read_until(b'\n', &mut message)? == 0 {
            return Ok(Vec::new());
        }
        let line = String::from_utf8_lossy(&message[start..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
        if line.trim().is_empty() {
            stream.take(length).read_to_end(&mut message)?;
            return Ok(message);
        }
    }
}
