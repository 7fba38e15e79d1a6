//! The model services: what a credential is, without the rest of a service.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// How a service keeps the credentials of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One at a time: a change ends the old one.
    OneCredential,
    /// Several: a change adds one, the others stay until they are retired.
    Overlap,
    /// One at a time, and a change is accepted at once and takes effect later.
    Asynchronous,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::OneCredential, Self::Overlap, Self::Asynchronous];

    /// How long an asynchronous change takes.
    const DELAY: Duration = Duration::from_secs(3);
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneCredential => "one-credential",
            Self::Overlap => "overlap",
            Self::Asynchronous => "asynchronous",
        })
    }
}

/// The user of every model service.
pub const USER: &str = "app";

/// The state of a service: which passwords its user has.
#[derive(Debug)]
pub struct Service {
    kind: Kind,
    valid: Vec<String>,
    upcoming: Vec<(Instant, String)>,
}

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    Login { user: String, password: String },
    Change { password: String },
    Keep { passwords: Vec<String> },
}

impl Request {
    /// Reads a line of a client.
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.trim_end_matches('\n').split(' ').collect();
        match words[..] {
            ["LOGIN", user, password] => Some(Self::Login { user: user.to_owned(), password: password.to_owned() }),
            ["CHANGE", password] => Some(Self::Change { password: password.to_owned() }),
            ["KEEP", pending, current] => Some(Self::Keep { passwords: vec![pending.to_owned(), current.to_owned()] }),
            _ => None,
        }
    }
}

impl Service {
    pub fn new(kind: Kind, password: &str) -> Self {
        Self { kind, valid: vec![password.to_owned()], upcoming: Vec::new() }
    }

    /// The passwords that log in now.
    pub fn valid(&mut self) -> &[String] {
        let now = Instant::now();
        self.upcoming.sort_by_key(|(at, _)| *at);
        while self.upcoming.first().is_some_and(|(at, _)| *at <= now) {
            let (_, password) = self.upcoming.remove(0);
            self.valid = vec![password];
        }
        &self.valid
    }

    pub fn accepts(&mut self, password: &str) -> bool {
        self.valid().iter().any(|valid| valid == password)
    }

    /// Does what a client asks; whether it may. `authenticated` is whether the client has logged in.
    pub fn answer(&mut self, request: &Request, authenticated: bool) -> bool {
        match request {
            Request::Login { user, password } => user == USER && self.accepts(password),
            Request::Change { .. } | Request::Keep { .. } if !authenticated => false,
            Request::Change { password } => {
                let known = self.accepts(password);
                match self.kind {
                    Kind::OneCredential => self.valid = vec![password.clone()],
                    Kind::Overlap if known => {}
                    Kind::Overlap => self.valid.push(password.clone()),
                    // Asking again for what is coming does not put it off.
                    Kind::Asynchronous if self.upcoming.iter().any(|(_, coming)| coming == password) => {}
                    Kind::Asynchronous => self.upcoming.push((Instant::now() + Kind::DELAY, password.clone())),
                }
                true
            }
            Request::Keep { passwords } => {
                if self.kind == Kind::Overlap {
                    self.valid.retain(|valid| passwords.contains(valid));
                }
                true
            }
        }
    }
}
