//! The plugin of the model services in `tests/exploration`: a line for each question, a line for each answer.

use std::io::{BufRead, BufReader, Write};

use windlass_sdk::connection::{self, Connection};
use windlass_sdk::{Credential, Failure, Service, Versions};

/// The plugin.
pub struct Model;

impl Service for Model {
    type Session = BufReader<Connection>;

    fn login(credential: &Credential) -> Result<Self::Session, Failure> {
        let (user, password) = (credential.required("username")?, credential.required("password")?);
        let mut session = BufReader::new(connection::open("service")?);
        ask(&mut session, &["LOGIN", user.expose(), password.expose()])?;
        Ok(session)
    }

    fn change(session: &mut Self::Session, new: &Credential) -> Result<(), Failure> {
        ask(session, &["CHANGE", new.required("password")?.expose()])
    }

    /// Retires every credential but those that are in use. A service that holds one has nothing to retire.
    fn settle(session: &mut Self::Session, versions: &Versions) -> Result<(), Failure> {
        let (pending, current) = (versions.pending.required("password")?, versions.current.required("password")?);
        ask(session, &["KEEP", pending.expose(), current.expose()])
    }
}

fn ask(session: &mut BufReader<Connection>, words: &[&str]) -> Result<(), Failure> {
    session.get_mut().write_all([&words.join(" "), "\n"].concat().as_bytes())?;
    let mut answer = String::new();
    session.read_line(&mut answer)?;
    match answer.trim_end() {
        "OK" => Ok(()),
        "NO" => Err(Failure::unauthorized("the service says no")),
        "" => Err(Failure::unreachable("the service closed the connection")),
        _ => Err(Failure::internal("the service's answer is none")),
    }
}

windlass_sdk::export!(Model);
