//! Rotates the password of a role of PostgreSQL 10 or later.
//!
//! A role has one password, which the role itself or an administrator replaces; or two roles take turns, and the second acts as the first. The server gets a SCRAM verifier that is computed
//! here, so that the password stands in no statement that it could log. Source: <https://www.postgresql.org/docs/current/sql-alterrole.html>

pub mod authentication;
pub mod error_response;
pub mod message;
pub mod saslprep;
pub mod scram;
pub mod statement;

use authentication::{Channel, Login};
use error_response::ErrorResponse;
use message::{Client, Message};
use windlass_sdk::text::{decimal, joined};
use windlass_sdk::{Cause, Credential, Effect, Failure, Outcome, Role, Secret, Service, Steps, Versions, connection, random};

/// PostgreSQL.
pub struct PostgreSql;

impl Steps for PostgreSql {
    fn set_secret(versions: &Versions) -> Result<Outcome, Failure> {
        Server::set_secret(versions).map_err(|failure| match (failure.cause(), versions.current.field("password")) {
            // It may be the right password: then nothing is wrong with the secret.
            (Cause::Unauthorized, Some(current)) if failure.effect() == Effect::Unchanged && versions.admin.is_none() && !plain(&current) => {
                Failure::unsupported(joined(&[
                    "the current password has characters that SASLprep may change, which this plugin does not apply, and nothing else \
                     works: bind an admin secret, or change the password once by hand. ",
                    failure.message(),
                ]))
            }
            _ => failure,
        })
    }

    fn test_secret(pending: &Credential) -> Result<(), Failure> {
        Server::test_secret(pending)
    }
}

/// A server, and one role after the other that logs in to it.
struct Server;

/// A connection that is logged in and waits for statements.
pub struct Session {
    client: Client<connection::Connection>,
    role: Role,
}

impl Service for Server {
    type Session = Session;

    const ALTERNATING: Option<&'static str> = Some("username");

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
            Ok(()) => Ok(Session { client, role: credential.role() }),
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
        let (user, verifier) = (text(new, "username")?, session.verifier(new)?);
        // Exposed: the server has to know which role.
        session.run(&[statement::alter_role(user.expose(), &verifier)])?.map_err(|error| error.of_the_change())
    }

    fn change_other(session: &mut Session, new: &Credential, current: &Credential) -> Result<(), Failure> {
        let (user, verifier) = (text(new, "username")?, session.verifier(new)?);
        // Exposed: the server has to know which role.
        let name = user.expose();
        // The server would cut the name and might change the other role.
        if name.len() > MAX_NAME {
            return Err(Failure::malformed_secret(joined(&[
                "the other user's name is longer than ",
                &decimal(MAX_NAME),
                " bytes",
            ])));
        }
        let rights = rights(new, current)?;
        // Statements that are sent together are one transaction: nobody logs in without the rights.
        // https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT
        let with_rights = |first| std::iter::once(first).chain(rights.iter().cloned()).collect::<Vec<_>>();
        let mut result = session.run(&with_rights(statement::alter_role(name, &verifier)))?;
        if !rights.is_empty() && result.as_ref().is_err_and(ErrorResponse::is_missing_role) {
            result = session.run(&with_rights(statement::create_role(name, &verifier)))?;
        }
        result.map_err(|error| error.of_the_change())
    }

    fn settle(session: &mut Session, versions: &Versions) -> Result<(), Failure> {
        let rights = rights(&versions.pending, &versions.current)?;
        if rights.is_empty() {
            return Ok(());
        }
        if session.role != Role::Admin {
            return Err(Failure::unauthorized("only the admin credential may give the other user its rights"));
        }
        session.run(&rights)?.map_err(|error| error.of_the_change())
    }
}

impl Session {
    /// What the server is to store instead of the password. Refused where nobody could log in with it.
    fn verifier(&self, new: &Credential) -> Result<String, Failure> {
        let password = text(new, "password")?;
        // An older server would take the verifier for the password itself.
        if self.client.server_version().is_none_or(|version| version < 10) {
            return Err(Failure::unsupported("the server does not say that it is PostgreSQL 10 or later"));
        }
        if !plain(&password) {
            return Err(Failure::rejected(CHARACTERS));
        }
        // Exposed: hashed.
        Ok(scram::verifier(password.expose(), &random::bytes()))
    }

    /// Runs statements as one transaction, and says which error ended it.
    fn run(&mut self, statements: &[String]) -> Result<Result<(), ErrorResponse>, Failure> {
        self.client.send(b'Q', &[statements.join(";").as_bytes(), b"\0"].concat())?;
        // The last one is answered when all are committed.
        for _ in statements {
            match self.client.receive()? {
                Message::CommandComplete(_) => {}
                Message::Error(error) => {
                    // The others are skipped. If the session ends here, whatever is run next finds out.
                    if error.of_the_statement() {
                        let _ = self.client.receive();
                    }
                    return Ok(Err(error));
                }
                _ => return Err(message::unreadable()),
            }
        }
        Ok(Ok(()))
    }
}

/// The longest name of a role, in bytes: `NAMEDATALEN` less one.
///
/// Source: <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS>
const MAX_NAME: usize = 63;

/// What gives the second of two users the rights of the first; nothing where the pending credential is for the first, or the only one.
fn rights(pending: &Credential, current: &Credential) -> Result<Vec<String>, Failure> {
    let (user, current) = (text(pending, "username")?, text(current, "username")?);
    // Exposed: compared, and named to the server.
    let (user, first) = (user.expose(), current.expose());
    let second = user.strip_prefix(first).is_some_and(|rest| !rest.is_empty());
    Ok(if second { statement::equal_rights(first, user).into() } else { Vec::new() })
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
