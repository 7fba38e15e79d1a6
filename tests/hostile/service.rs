//! Services that mean harm, and one that does not. Each runs until the test process ends.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What a service does to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Answers a request with 204.
    Honest,
    /// Takes the connection and says nothing.
    Silent,
    /// Answers with a body without end.
    EndlessBody,
    /// Answers with 40,000 headers.
    ManyHeaders,
    /// Answers with one byte of a header every 2 ms.
    SlowLoris,
}

/// A running service on a port of 127.0.0.1.
pub struct Service {
    pub port: u16,
    connections: Arc<AtomicU32>,
}

impl Service {
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let client = client.unwrap();
                // Ends when the client hangs up, which is an error here.
                std::thread::spawn(move || drop(manner.serve(client)));
            }
        });
        Self { port, connections }
    }

    /// How many connections it has taken.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Manner {
    fn serve(self, mut client: TcpStream) -> std::io::Result<()> {
        if self != Self::Silent {
            // The beginning of a request is enough to answer it.
            let _some = client.read(&mut [0; 1024])?;
        }
        match self {
            Self::Honest => client.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
            Self::Silent => client.read_to_end(&mut Vec::new()).map(drop),
            Self::EndlessBody => {
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                loop {
                    client.write_all(&[b'x'; 65_536])?;
                }
            }
            Self::ManyHeaders => {
                client.write_all(b"HTTP/1.1 200 OK\r\n")?;
                for number in 0..40_000 {
                    client.write_all(format!("X-{number}: y\r\n").as_bytes())?;
                }
                client.write_all(b"Content-Length: 0\r\n\r\n")
            }
            Self::SlowLoris => {
                client.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ")?;
                loop {
                    client.write_all(b"x")?;
                    #[expect(clippy::disallowed_methods, reason = "being slow is what this service is for")]
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        }
    }
}
