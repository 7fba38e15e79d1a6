//! A port that is known before what stands behind it, and that remembers what came in.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};

/// The most that is remembered of a connection, in bytes.
const REMEMBERED: usize = 4_096;

/// Forwards connections until the test process ends. Those that come before it knows where to are closed.
pub struct Tap {
    address: SocketAddr,
    behind: OnceLock<SocketAddr>,
    heard: Mutex<Vec<Vec<u8>>>,
}

impl Tap {
    pub fn new() -> Arc<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let tap = Arc::new(Self { address, behind: OnceLock::new(), heard: Mutex::default() });
        let accepting = Arc::clone(&tap);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                accepting.serve(client.unwrap());
            }
        });
        tap
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says what stands behind it.
    pub fn forward_to(&self, behind: SocketAddr) {
        self.behind.set(behind).unwrap();
    }

    /// The beginnings of what came in, one for each connection. One that was only opened has an empty one.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }

    fn serve(self: &Arc<Self>, mut client: TcpStream) {
        let number = {
            let mut heard = self.heard.lock().unwrap();
            heard.push(Vec::new());
            heard.len() - 1
        };
        let Some(Ok(mut service)) = self.behind.get().map(TcpStream::connect) else { return };
        let (mut answers, mut back) = (service.try_clone().unwrap(), client.try_clone().unwrap());
        for stream in [&client, &service] {
            stream.set_nodelay(true).unwrap();
        }
        let tap = Arc::clone(self);
        std::thread::spawn(move || {
            let mut chunk = [0; 16_384];
            while let Ok(count @ 1..) = client.read(&mut chunk) {
                let heard = &mut tap.heard.lock().unwrap()[number];
                let room = REMEMBERED - heard.len();
                heard.extend_from_slice(&chunk[..count.min(room)]);
                if service.write_all(&chunk[..count]).is_err() {
                    break;
                }
            }
            let _closed_already = service.shutdown(Shutdown::Both);
        });
        std::thread::spawn(move || {
            let _client_gone = std::io::copy(&mut answers, &mut back);
            let _closed_already = back.shutdown(Shutdown::Both);
        });
    }
}
