//! A name server that changes its mind: <https://www.rfc-editor.org/rfc/rfc1035#section-4>. Only inside a namespace of the test's own.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};

/// Runs until the test process ends.
#[derive(Clone)]
pub struct Resolver(Arc<Mutex<BTreeMap<&'static str, Name>>>);

struct Name {
    /// What it answers to the first question, to the second, and so on; the last one again and again.
    answers: Vec<Vec<Ipv4Addr>>,
    asked: usize,
}

impl Resolver {
    /// Answers for these names on 127.0.0.1, port 53. Others do not exist.
    pub fn start(names: impl IntoIterator<Item = (&'static str, Vec<Vec<Ipv4Addr>>)>) -> Self {
        let names = names.into_iter().map(|(name, answers)| (name, Name { answers, asked: 0 })).collect();
        let resolver = Self(Arc::new(Mutex::new(names)));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap();
        let serving = resolver.clone();
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut question) {
                socket.send_to(&serving.answer(&question[..length]), client).unwrap();
            }
        });
        resolver
    }

    /// How often the IPv4 addresses of a name were asked for.
    pub fn asked(&self, name: &str) -> usize {
        self.0.lock().unwrap()[name].asked
    }

    fn answer(&self, question: &[u8]) -> Vec<u8> {
        const HEADER: usize = 12;
        const A: u16 = 1;
        const IN: u16 = 1;
        let (mut at, mut labels) = (HEADER, Vec::new());
        while question[at] != 0 {
            let end = at + 1 + usize::from(question[at]);
            labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_lowercase());
            at = end;
        }
        let question_end = at + 5;
        let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
        let mut names = self.0.lock().unwrap();
        let name = names.get_mut(labels.join(".").as_str());
        let (code, addresses) = match name {
            None => (3_u8, Vec::new()),
            Some(name) if kind == A => {
                let answer = name.answers[name.asked.min(name.answers.len() - 1)].clone();
                name.asked += 1;
                (0, answer)
            }
            // It exists and has no addresses of this kind.
            Some(_) => (0, Vec::new()),
        };
        let mut message = question[..2].to_vec();
        message.extend([0x81, 0x80 | code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
        message.extend(&question[HEADER..question_end]);
        for address in addresses {
            // The name of the question, for zero seconds.
            message.extend([0xc0, HEADER as u8]);
            message.extend([A.to_be_bytes(), IN.to_be_bytes(), [0, 0], [0, 0], [0, 4]].concat());
            message.extend(address.octets());
        }
        message
    }
}
