//! Rotates the password of a role of PostgreSQL 10 or later.
//!
//! A role has one password, which the role itself or an administrator replaces. The server gets a SCRAM verifier that is computed
//! here, so that the password stands in no statement that it could log. Source: <https://www.postgresql.org/docs/current/sql-alterrole.html>

pub mod authentication;
pub mod error_response;
pub mod message;
pub mod saslprep;
pub mod scram;
pub mod statement;

use authentication::{Channel, Login};
use message::{Client, Message};
use windlass_sdk::text::joined;
use windlass_sdk::{Cause, Credential, Failure, Role, Secret, Service, connection, random};

/// PostgreSQL.
pub struct PostgreSql;

/// A connection that is logged in and waits for a statement.
pub struct Session(Client<connection::Connection>);

impl Service for PostgreSql {
    type Session = Session;

    fn login(credential: &Credential) -> Result<Session, Failure> {
        let login = Login {
            user: text(credential, "username")?,
            password: text(credential, "password")?,
            database: text(credential, "dbname")?,
            channel: channel(credential),
        };
        let stream = match login.channel {
            Channel::Encrypted => {
                let mut stream = connection::open("postgresql")?;
                authentication::agree_on_tls(&mut stream)?;
                stream.start_tls()?;
                stream
            }
            Channel::PlainText => connection::open("plain-text")?,
        };
        let mut client = Client::new(stream);
        match login.perform(&mut client, &random::bytes()) {
            Ok(()) => Ok(Session(client)),
            // A refusal of the pending credential is the proof that it does not work, and this one proves nothing. Others may be
            // refused wrongly: then the next one is tried.
            Err(refused)
                if refused.cause() == Cause::Unauthorized && credential.role() == Role::Pending && !plain(&login.password) =>
            {
                Err(Failure::rejected(CHARACTERS))
            }
            Err(failure) => Err(failure),
        }
    }

    fn change(session: &mut Session, new: &Credential) -> Result<(), Failure> {
        let (user, password) = (text(new, "username")?, text(new, "password")?);
        // An older server would take the verifier for the password itself.
        if session.0.server_version().is_none_or(|version| version < 10) {
            return Err(Failure::unsupported("the server does not say that it is PostgreSQL 10 or later"));
        }
        if !plain(&password) {
            return Err(Failure::rejected(CHARACTERS));
        }
        // Exposed: hashed.
        let verifier = scram::verifier(password.expose(), &random::bytes());
        // Exposed: the server has to know which role.
        session.0.send(b'Q', &[statement::alter_role(user.expose(), &verifier).as_bytes(), b"\0"].concat())?;
        match session.0.receive()? {
            Message::CommandComplete(tag) if tag == b"ALTER ROLE\0" => Ok(()),
            Message::Error(error) => Err(error.of_the_change()),
            _ => Err(message::unreadable()),
        }
    }
}

/// Why a password is not [`plain`].
const CHARACTERS: &str = "the new password has characters that SASLprep may change, which this plugin does not apply";

/// Whether every client makes the same of the password.
fn plain(password: &Secret) -> bool {
    // Exposed: asked for its characters.
    saslprep::leaves_alone(password.expose())
}

/// A field of the secret. The protocol ends its texts with a zero byte, so none can be inside.
fn text(credential: &Credential, name: &str) -> Result<Secret, Failure> {
    let value = credential.required(name)?;
    // Exposed: asked for its characters.
    if value.expose().contains('\0') {
        return Err(Failure::malformed_secret(joined(&["the field `", name, "` holds a zero byte"])));
    }
    Ok(value)
}

/// What the secret's field `tls` asks for. Where host and plugin read it differently, the connection fails; it never stays in plain
/// text against the host's reading.
fn channel(credential: &Credential) -> Channel {
    match credential.field("tls") {
        // Exposed: compared with words.
        Some(wish) if ["false", "no", "0"].iter().any(|no| wish.expose().eq_ignore_ascii_case(no)) => Channel::PlainText,
        Some(_) | None => Channel::Encrypted,
    }
}

windlass_sdk::export!(PostgreSql);
