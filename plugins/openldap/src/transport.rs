//! How the server is reached: encrypted from the first byte, or after StartTLS.

use std::cell::Cell;

use windlass_sdk::connection::{self, Connection};
use windlass_sdk::{Credential, Failure, Role};

use crate::client::Client;

thread_local! {
    /// Whether the secret that is rotated asks for StartTLS. The admin credential is of another secret, which does not say how this
    /// one's server is reached; the pending credential is always tried before it.
    static START_TLS: Cell<bool> = const { Cell::new(false) };
}

/// A connection to the server, as the secret wants it.
pub(crate) fn open(credential: &Credential) -> Result<Client<Connection>, Failure> {
    if credential.role() != Role::Admin {
        START_TLS.set(asks_for_start_tls(credential)?);
    }
    if !START_TLS.get() {
        return Ok(Client::new(connection::open("ldaps")?));
    }
    let mut client = Client::new(connection::open("ldap")?);
    client.start_tls()?.start_tls()?;
    Ok(client)
}

fn asks_for_start_tls(credential: &Credential) -> Result<bool, Failure> {
    // Exposed: these fields are no secrets, and what they may say is in this file.
    let says = |field, wanted: &str| credential.field(field).is_some_and(|value| value.expose().eq_ignore_ascii_case(wanted));
    match (says("start_tls", "true"), says("start_tls", "false") || credential.field("start_tls").is_none()) {
        (true, _) if says("tls", "false") => {
            Err(Failure::malformed_secret("the field `start_tls` asks for encryption and the field `tls` for none"))
        }
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        (..) => Err(Failure::malformed_secret("the field `start_tls` must be `true` or `false`")),
    }
}
