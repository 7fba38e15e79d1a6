//! The contract's imports, in the SDK's types.

use crate::bindings::windlass::rotation as contract;
use crate::http::{Request, Response};
use crate::log::Level;
use crate::{Failure, Role};

const fn version(role: Role) -> contract::secret::Version {
    match role {
        Role::Pending => contract::secret::Version::Pending,
        Role::Current => contract::secret::Version::Current,
        Role::Previous => contract::secret::Version::Previous,
        Role::Admin => contract::secret::Version::Admin,
    }
}

pub(crate) fn field(of: Role, name: &str) -> Option<String> {
    contract::secret::field(version(of), name)
}

pub(crate) fn text(of: Role) -> Option<String> {
    contract::secret::text(version(of))
}

pub(crate) fn bytes(of: Role) -> Option<Vec<u8>> {
    contract::secret::raw(version(of))
}

pub(crate) fn setting(name: &str) -> Option<String> {
    contract::secret::setting(name)
}

pub(crate) fn refused(of: Role) {
    contract::secret::refused(version(of));
}

pub(crate) fn log(level: Level, line: &str) {
    contract::log::write(level, line);
}

pub(crate) fn random(count: u32) -> Vec<u8> {
    contract::random::generate(count)
}

pub(crate) fn send(request: Request) -> Result<Response, Failure> {
    let Request { endpoint, method, path, headers, body } = request;
    let request = contract::http::Request { endpoint, method: method.to_owned(), path, headers, body };
    let answer = contract::http::send(&request)?;
    Ok(Response { status: answer.status, headers: answer.headers, body: answer.body, asked: None })
}

#[derive(Debug)]
pub(crate) struct Stream(contract::connection::Connection);

impl Stream {
    pub(crate) fn open(endpoint: &str) -> Result<Self, Failure> {
        Ok(Self(contract::connection::Connection::open(endpoint)?))
    }

    pub(crate) fn read(&mut self, max: u32) -> Result<Vec<u8>, Failure> {
        Ok(self.0.read(max)?)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.0.write(bytes)?)
    }

    pub(crate) fn start_tls(&self) -> Result<(), Failure> {
        Ok(self.0.start_tls()?)
    }
}
