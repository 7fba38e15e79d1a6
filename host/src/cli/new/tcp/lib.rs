//! Rotates the password of a user of NAME, which speaks a line of JSON for each question and each answer.

use std::io::{BufRead, BufReader, Read, Write};

use windlass_sdk::connection::{self, Connection};
use windlass_sdk::{Credential, Failure, Service, json};

/// The service.
pub struct TYPE;

/// A connection that is logged in.
pub struct Session(BufReader<Connection>);

/// The longest answer, in bytes: a service must not fill the plugin's memory.
const LONGEST: u64 = 4_096;

impl Service for TYPE {
    type Session = Session;

    /// Has to fail with `unauthorized` if the password is wrong.
    fn login(credential: &Credential) -> Result<Session, Failure> {
        let (user, password) = (credential.required("username")?, credential.required("password")?);
        let mut session = Session(BufReader::new(connection::open("service")?));
        // Exposed: the service compares them.
        session.ask(json::object([("do", "login"), ("user", user.expose()), ("password", password.expose())]))?;
        Ok(session)
    }

    fn change(session: &mut Session, new: &Credential) -> Result<(), Failure> {
        let (user, password) = (new.required("username")?, new.required("password")?);
        // Exposed: the service has to know whose password becomes which.
        session.ask(json::object([("do", "change"), ("user", user.expose()), ("password", password.expose())]))
    }
}

impl Session {
    fn ask(&mut self, mut question: String) -> Result<(), Failure> {
        question.push('\n');
        self.0.get_mut().write_all(question.as_bytes())?;
        let mut answer = String::new();
        self.0.by_ref().take(LONGEST).read_line(&mut answer)?;
        match json::member(&answer, "answer") {
            Some(r#""ok""#) => Ok(()),
            Some(r#""no""#) => Err(Failure::unauthorized("the service refuses the user or the password")),
            Some(r#""invalid""#) => Err(Failure::rejected("the service does not take the new password")),
            Some(_) | None => Err(Failure::internal("the service answered what it should not")),
        }
    }
}

windlass_sdk::export!(TYPE);

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};

    use windlass_sdk::testing::Scene;
    use windlass_sdk::{Cause, Outcome};

    use super::*;

    /// A service that knows one user, whose password is `old` until it is changed.
    fn service() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut valid = r#""old""#.to_owned();
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let mut question = String::new();
                while stream.read_line(&mut question).unwrap() > 0 {
                    let password = json::member(&question, "password").unwrap();
                    let changes = json::member(&question, "do") == Some(r#""change""#);
                    let answer = if changes || password == valid { "ok" } else { "no" };
                    valid = if changes { password.to_owned() } else { valid };
                    stream.get_mut().write_all(format!("{{\"answer\":\"{answer}\"}}\n").as_bytes()).unwrap();
                    question.clear();
                }
            }
        });
        address
    }

    #[test]
    fn a_rotation_changes_the_password_and_a_second_run_finds_it_done() {
        let mut scene = Scene::new()
            .pending([("username", "app"), ("password", "new")])
            .current([("username", "app"), ("password", "old")])
            .endpoint("service", service());
        assert_eq!(scene.test_secret::<TYPE>().unwrap_err().cause(), Cause::Unauthorized);
        assert_eq!(scene.set_secret::<TYPE>(), Ok(Outcome::Changed));
        assert_eq!(scene.set_secret::<TYPE>(), Ok(Outcome::Unchanged));
        assert_eq!(scene.test_secret::<TYPE>(), Ok(()));
    }
}
