//! Rotates the password of an ACL user of Redis 6 or later, or Valkey.
//!
//! A user can have several passwords: the new one is added beside the current one, and the previous one is retired once the new
//! one logs in. Source: <https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/>

pub mod resp;

use resp::{Client, Reply};
use windlass_sdk::{Credential, Failure, Secret, Service, Versions, connection, log};

/// Redis and what speaks its protocol.
pub struct Redis;

/// A connection that is logged in.
pub struct Session {
    client: Client<connection::Connection>,
    user: Secret,
}

impl Service for Redis {
    type Session = Session;

    fn login(credential: &Credential) -> Result<Session, Failure> {
        let (user, password) = (credential.required("username")?, credential.required("password")?);
        let mut client = Client::new(connection::open("redis")?);
        // Exposed: the server compares them.
        client.call(&[b"AUTH", user.expose().as_bytes(), password.expose().as_bytes()])?.ok("AUTH")?;
        // The server's own word for whose session this is. A user need not have the right to ask: AUTH has succeeded.
        match client.call(&[b"ACL", b"WHOAMI"])? {
            // Exposed: compared with the server's answer.
            Reply::Text(name) if name == user.expose().as_bytes() => Ok(Session { client, user }),
            Reply::Error(error) if error.no_permission() => Ok(Session { client, user }),
            Reply::Error(error) => Err(error.failure("ACL WHOAMI")),
            Reply::Text(_) | Reply::Nothing | Reply::Other => {
                Err(Failure::internal("the server logged the session in as another user").unchanged())
            }
        }
    }

    fn change(session: &mut Session, new: &Credential) -> Result<(), Failure> {
        let (user, password) = (new.required("username")?, new.required("password")?);
        // SETUSER creates a user that does not exist, so somebody else has to make sure that this one does.
        if user != session.user {
            // Exposed: the server has to know which user.
            match session.client.call(&[b"ACL", b"GETUSER", user.expose().as_bytes()])? {
                Reply::Text(_) | Reply::Other => {}
                Reply::Nothing => {
                    return Err(Failure::malformed_secret("the server has no user of the name in the field `username`"));
                }
                Reply::Error(error) => return Err(error.failure("ACL GETUSER")),
            }
        }
        // Exposed: the server stores its hash.
        session.modify(&user, b'>', &password)?.ok("ACL SETUSER")
    }

    fn settle(session: &mut Session, versions: &Versions) -> Result<(), Failure> {
        let user = versions.pending.required("username")?;
        let in_use = [versions.pending.field("password"), versions.current.field("password")];
        let retired = versions.previous.as_ref().and_then(|previous| previous.field("password"));
        if let Some(password) = retired.filter(|password| !in_use.contains(&Some(password.clone()))) {
            match session.modify(&user, b'<', &password)? {
                Reply::Error(error) if error.no_such_password() => {} // retired by an earlier run
                reply => reply.ok("ACL SETUSER")?,
            }
        }
        match session.client.call(&[b"ACL", b"SAVE"])? {
            Reply::Error(error) if error.no_acl_file() => {
                log::warn("the server keeps its users in no ACL file: it forgets the new password when it restarts");
                Ok(())
            }
            reply => reply.ok("ACL SAVE"),
        }
    }
}

impl Session {
    /// Adds (`>`) or removes (`<`) a password of the user. A bulk string, so nothing in name or password is syntax.
    fn modify(&mut self, user: &Secret, how: u8, password: &Secret) -> Result<Reply, Failure> {
        // Exposed: the server stores the hash of the password, or looks for it.
        let modifier = [&[how], password.expose().as_bytes()].concat();
        self.client.call(&[b"ACL", b"SETUSER", user.expose().as_bytes(), &modifier])
    }
}

windlass_sdk::export!(Redis);
