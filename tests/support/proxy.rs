//! A TCP proxy in front of a service that acts at a chosen moment: between a request and its reply, or between two requests.
//!
//! It counts turns, not bytes: a request is everything the client sends until the service answers, a reply everything the service
//! sends until the client speaks again. That fits protocols in which the sides take turns, such as HTTP/1.1 and RESP, in plain text
//! (a TLS handshake is turns too). Turns are counted across connections, from 1. What the service says before the first request
//! is no reply.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// When to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The client has sent (the beginning of) its n-th request and nothing of it has reached the service. The n-1 replies before
    /// have reached the client: this is also "after reply n-1".
    BeforeRequest(u32),
    /// The service has answered the n-th request, so its effect is there, and nothing of the reply has reached the client.
    BeforeReply(u32),
}

/// A running proxy. Dropping it closes its connections.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

/// What has passed so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turns {
    pub requests: u32,
    pub replies: u32,
}

#[derive(Default)]
struct Shared {
    turns: Turns,
    armed: Option<(Moment, Box<dyn FnOnce() + Send>)>,
    fired: bool,
    closed: bool,
    connections: Vec<TcpStream>,
}

impl Proxy {
    /// A proxy in front of this port of this machine, on a free port. It passes everything on until told otherwise.
    pub fn before(service: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.lock().unwrap().closed {
                    return;
                }
                // A service that is down looks to the client like one that closes at once.
                if let (Ok(client), Ok(service)) = (client, TcpStream::connect((Ipv4Addr::LOCALHOST, service))) {
                    forward(client, service, &accepting);
                }
            }
        });
        Self { address, shared }
    }

    /// The port clients connect to.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// At `moment`, runs `act` (to its end, before a byte moves on) and then closes the connection on both sides, once. Turns are
    /// counted anew from here; later connections are passed on.
    pub fn at(&self, moment: Moment, act: impl FnOnce() + Send + 'static) {
        let mut shared = self.shared.lock().unwrap();
        shared.turns = Turns::default();
        shared.fired = false;
        shared.armed = Some((moment, Box::new(act)));
    }

    /// At `moment`, closes the connection, once.
    pub fn cut_at(&self, moment: Moment) {
        self.at(moment, || {});
    }

    /// Passes everything on again. Says whether the moment had come before.
    pub fn disarm(&self) -> bool {
        let mut shared = self.shared.lock().unwrap();
        shared.armed = None;
        shared.fired
    }

    /// Whether the moment has come. If not after a whole run, the run has fewer turns: a loop over all moments ends here.
    pub fn fired(&self) -> bool {
        self.shared.lock().unwrap().fired
    }

    /// The turns since the start or the last [`Proxy::at`].
    pub fn turns(&self) -> Turns {
        self.shared.lock().unwrap().turns
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut shared = self.shared.lock().unwrap();
        shared.closed = true;
        for connection in shared.connections.drain(..) {
            let _gone_already = connection.shutdown(Shutdown::Both);
        }
        drop(shared);
        // Wakes the accepting thread, which then ends.
        drop(TcpStream::connect(self.address));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Service,
}

fn forward(client: TcpStream, service: TcpStream, shared: &Arc<Mutex<Shared>>) {
    for stream in [&client, &service] {
        stream.set_nodelay(true).unwrap();
        shared.lock().unwrap().connections.push(stream.try_clone().unwrap());
    }
    // So that what the service says first begins no turn.
    let speaker = Arc::new(Mutex::new(Side::Service));
    for side in [Side::Client, Side::Service] {
        let (from, to) = match side {
            Side::Client => (&client, &service),
            Side::Service => (&service, &client),
        };
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let (shared, speaker) = (Arc::clone(shared), Arc::clone(&speaker));
        std::thread::spawn(move || pump(side, from, to, &shared, &speaker));
    }
}

fn pump(side: Side, mut from: TcpStream, mut to: TcpStream, shared: &Mutex<Shared>, speaker: &Mutex<Side>) {
    let mut chunk = [0; 16384];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        // Held while the bytes are passed on, so that the two directions of a connection cannot overtake each other.
        let mut speaker = speaker.lock().unwrap();
        let new_turn = std::mem::replace(&mut *speaker, side) != side;
        let act = if new_turn { shared.lock().unwrap().turn(side) } else { None };
        if let Some(act) = act {
            act();
            break;
        }
        if to.write_all(&chunk[..count]).is_err() {
            break;
        }
        drop(speaker);
    }
    for stream in [from, to] {
        let _closed_already = stream.shutdown(Shutdown::Both);
    }
}

impl Shared {
    /// Counts a turn, and returns what is to be done now.
    fn turn(&mut self, side: Side) -> Option<Box<dyn FnOnce() + Send>> {
        let now = match side {
            Side::Client => {
                self.turns.requests += 1;
                Moment::BeforeRequest(self.turns.requests)
            }
            Side::Service => {
                self.turns.replies += 1;
                Moment::BeforeReply(self.turns.replies)
            }
        };
        let (_, act) = self.armed.take_if(|(moment, _)| *moment == now)?;
        self.fired = true;
        Some(act)
    }
}
