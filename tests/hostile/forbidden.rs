//! Listeners where no plugin may get to. The kernel takes a connection for them whether or not anybody looks, so that one that was
//! opened at any time is there to be found.

use std::net::{IpAddr, SocketAddr, TcpListener};

use crate::support::port;

/// Listeners on some addresses, at one port.
pub struct Forbidden {
    /// The port that all of them have.
    pub port: u16,
    listeners: Vec<TcpListener>,
}

impl Forbidden {
    /// On the machine itself: three ways to say loopback, as far as it has them.
    pub fn on_loopback() -> Self {
        loop {
            let port = port::free();
            let bind = |ip: &str| TcpListener::bind(SocketAddr::new(ip.parse().unwrap(), port));
            // Somebody else may have the port on one of them.
            let Ok(first) = bind("127.0.0.1") else { continue };
            let more = ["127.0.0.2", "::1"].into_iter().filter_map(|ip| bind(ip).ok());
            return Self { port, listeners: [first].into_iter().chain(more).collect() };
        }
    }

    /// At this port of these addresses, which have to exist.
    pub fn at(port: u16, ips: &[IpAddr]) -> Self {
        let bind = |ip| TcpListener::bind(SocketAddr::new(ip, port)).unwrap_or_else(|error| panic!("{ip}, port {port}: {error}"));
        Self { port, listeners: ips.iter().copied().map(bind).collect() }
    }

    /// Where a connection has arrived since this was asked last.
    pub fn heard(&self) -> Vec<SocketAddr> {
        let mut heard = Vec::new();
        for listener in &self.listeners {
            listener.set_nonblocking(true).unwrap();
            while listener.accept().is_ok() {
                heard.push(listener.local_addr().unwrap());
            }
        }
        heard
    }
}
