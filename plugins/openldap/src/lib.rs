//! Rotates the password of an entry of OpenLDAP, or of another LDAPv3 directory with the Password Modify operation.
//!
//! A login is a simple bind. The change is an extended operation, by which the server hashes the new password itself and replaces
//! whatever passwords the entry had. Sources: RFC 4511, RFC 4513 and RFC 3062, <https://www.rfc-editor.org/rfc/rfc3062>.

pub mod answer;
pub mod ber;
pub mod client;
pub mod policy;
mod transport;

use client::{Client, Whose};
use policy::Objection;
use windlass_sdk::{Credential, Failure, Secret, Service, Versions, connection, log};

/// OpenLDAP and what speaks its protocol.
pub struct OpenLdap;

/// A connection that is logged in.
pub struct Session {
    client: Client<connection::Connection>,
    name: Secret,
    password: Secret,
    /// What the password policy has against the login, though it let it pass.
    objection: Option<Objection>,
}

impl Service for OpenLdap {
    type Session = Session;

    fn login(credential: &Credential) -> Result<Session, Failure> {
        let (name, password) = (name(credential)?, credential.required("password")?);
        let mut client = transport::open(credential)?;
        let bound = client.bind(&name, &password)?;
        bound.success()?;
        // A name such as a single space counts as none in some servers, and they take any password for it.
        if client.who_am_i()?.nobody() {
            return Err(Failure::malformed_secret("the server took the bind without asking who it is: the name means nobody"));
        }
        Ok(Session { client, name, password, objection: bound.objection() })
    }

    fn change(session: &mut Session, new: &Credential) -> Result<(), Failure> {
        let (of, password) = (name(new)?, new.required("password")?);
        let whose = if of == session.name { Whose::Own(&session.password) } else { Whose::Of(&of) };
        session.client.modify_password(&whose, &password)?.success()
    }

    fn settle(session: &mut Session, _: &Versions) -> Result<(), Failure> {
        if session.objection == Some(Objection::ChangeAfterReset) {
            log::warn(
                "the new password logs in, but the policy lets the account do nothing until it changes it itself (pwdMustChange): \
                 let the account change its own password, or exempt it",
            );
        }
        Ok(())
    }
}

/// The name that logs in. Both fields may be there: `username` is then what the clients show, not what they bind with.
fn name(credential: &Credential) -> Result<Secret, Failure> {
    if credential.field("binddn").is_none() && credential.field("username").is_some() {
        return credential.required("username");
    }
    credential.required("binddn")
}

windlass_sdk::export!(OpenLdap);
