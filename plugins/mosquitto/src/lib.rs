//! Rotates the password of a client of Mosquitto's dynamic security plugin, which is what Mosquitto 2 calls its users.
//!
//! Passwords are changed with a message to the plugin's topic, over MQTT 3.1.1:
//! <http://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html>,
//! <https://mosquitto.org/documentation/dynamic-security/>

pub mod client;
pub mod dynamic_security;
pub mod packet;

use client::Client;
use dynamic_security::{ANSWERS, COMMANDS, Entry, Reason, answer, command};
use packet::Connect;
use windlass_sdk::text::joined;
use windlass_sdk::{Credential, Failure, Role, Secret, Service, connection, random};

/// Mosquitto with its dynamic security plugin.
pub struct Mosquitto;

/// A connection that is logged in.
pub struct Session {
    client: Client<connection::Connection>,
    /// Whether the connection took over what the server keeps for an application.
    shared: bool,
}

impl Service for Mosquitto {
    type Session = Session;

    fn login(credential: &Credential) -> Result<Session, Failure> {
        let (user, password) = (name(credential, "username")?, password(credential)?);
        let bound = client_id(credential)?;
        // An application that is bound to its client id has a session of that name. Its subscriptions and waiting messages have to
        // outlive this connection. An administrator has none worth keeping.
        let shared = bound.is_some() && credential.role() != Role::Admin;
        // A name of its own for every other connection: a second one of the same name would end the first.
        let id = bound.unwrap_or_else(|| Secret::new(joined(&["windlass", &unique()])));
        // Exposed: the server compares them.
        let (client_id, user, password) = (id.expose(), user.expose(), password.expose());
        let connect = Connect { client_id, user, password, clean_session: !shared };
        Ok(Session { client: Client::connect(connection::open("mosquitto")?, &connect)?, shared })
    }

    fn change(session: &mut Session, new: &Credential) -> Result<(), Failure> {
        let (user, password) = (name(new, "username")?, password(new)?);
        if session.shared {
            // The subscription to the answers would stay behind in the application's session.
            return Err(Failure::unauthorized("a user with a `client_id` does not change passwords; an admin credential does"));
        }
        session.look(&user, client_id(new)?.as_ref()).map_err(Failure::unchanged)?;
        // Exposed: the server stores the hash of the password under the name.
        let members = [("username", user.expose()), ("password", password.expose())];
        match session.execute("setClientPassword", &members)? {
            Some(answer) => answer.map(drop).map_err(|reason| reason.failure("setClientPassword")),
            None => Err(Failure::internal("the server did not answer setClientPassword, though it answered another command")),
        }
    }
}

impl Session {
    /// Makes sure that commands are executed and answered, and that the client will be able to log in with a new password.
    ///
    /// A server drops a command of a session without the right and says nothing, and the same silence can follow a command that was
    /// executed. So a command that changes nothing goes first: where silence is harmless.
    fn look(&mut self, user: &Secret, client_id: Option<&Secret>) -> Result<(), Failure> {
        if !self.client.subscribe(ANSWERS)? {
            return Err(Failure::unauthorized("the user may not subscribe to the answers of the dynamic security plugin"));
        }
        // Exposed: the server has to know which client.
        let entry = match self.execute("getClient", &[("username", user.expose())])? {
            Some(Ok(answer)) => {
                Entry::of(&answer).ok_or_else(|| Failure::internal("the answer to getClient describes no client"))?
            }
            Some(Err(reason)) => return Err(reason.failure("getClient")),
            None => {
                return Err(Failure::unauthorized(
                    "the server does not answer commands: the user may not send them or not receive the answers, or there is no \
                     dynamic security plugin",
                ));
            }
        };
        // The server refuses both like a wrong password, and would do so after the change.
        if entry.disabled {
            return Err(Failure::unauthorized("the client is disabled; nobody can log in as it"));
        }
        // Exposed: compared with the server's answer.
        if !entry.takes(client_id.map(Secret::expose)) {
            return Err(Failure::malformed_secret(
                "the client is bound to a client id, and the field `client_id` does not say the same",
            ));
        }
        Ok(())
    }

    /// Sends a command and waits for its answer. Nothing if there is none.
    fn execute(&mut self, name: &str, members: &[(&str, &str)]) -> Result<Option<Result<String, Reason>>, Failure> {
        let mark = unique();
        self.client.ask(COMMANDS, &command(name, &mark, members), |topic, payload| {
            let answer = if topic == ANSWERS.as_bytes() { answer(payload, &mark) } else { None };
            answer.map(|answer| answer.map(str::to_owned))
        })
    }
}

/// A field that the server reads as an MQTT text: Mosquitto closes the connection on a control character.
fn name(credential: &Credential, field: &str) -> Result<Secret, Failure> {
    let value = credential.required(field)?;
    // Exposed: looked through for characters.
    if value.expose().contains(char::is_control) {
        return Err(Failure::malformed_secret(joined(&["the field `", field, "` has a control character"])));
    }
    Ok(value)
}

/// The client id that the user must use, if it is bound to one.
fn client_id(credential: &Credential) -> Result<Option<Secret>, Failure> {
    match credential.field("client_id") {
        Some(_) => name(credential, "client_id").map(Some),
        None => Ok(None),
    }
}

/// The password, which the server would silently cut at a zero byte.
fn password(credential: &Credential) -> Result<Secret, Failure> {
    let value = credential.required("password")?;
    // Exposed: looked through for a character.
    if value.expose().contains('\0') {
        return Err(Failure::malformed_secret("the field `password` has a zero byte"));
    }
    Ok(value)
}

/// A text that nobody else uses. With the eight letters in front of it, it stays within the 23 letters and digits that every server
/// takes as a client id (MQTT 3.1.1, 3.1.3.1).
fn unique() -> String {
    let mut text = String::new();
    for byte in random::bytes::<7>() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b'a' + digit));
        }
    }
    text
}

windlass_sdk::export!(Mosquitto);
