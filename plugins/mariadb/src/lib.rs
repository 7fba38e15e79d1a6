//! Rotates the password of an account of MariaDB 10.4 or later.
//!
//! The account, or an admin, runs `SET PASSWORD` with what the server would store, so that no statement holds the password itself.
//! Source: <https://mariadb.com/kb/en/clientserver-protocol/> and <https://mariadb.com/kb/en/set-password/>

pub mod authentication;
pub mod greeting;
pub mod packet;
pub mod refusal;
#[cfg(test)]
mod script;
pub mod session;

use authentication::{ed25519, native};
use refusal::Refusal;
use session::Session;
use windlass_sdk::{Credential, Failure, Role, Secret, Service, connection};

/// MariaDB.
pub struct MariaDb;

/// A session and whose it is.
pub struct LoggedIn {
    session: Session<connection::Connection>,
    username: Secret,
}

impl Service for MariaDb {
    type Session = LoggedIn;

    fn login(credential: &Credential) -> Result<LoggedIn, Failure> {
        let (username, password) = (text(credential, "username")?, text(credential, "password")?);
        let start_tls = if plain_text(credential)? { None } else { Some(connection::Connection::start_tls as fn(&mut _) -> _) };
        let stream = connection::open("mariadb")?;
        // Exposed: the server looks for the account, and the password is proved to it.
        let mut session = Session::login(stream, start_tls, username.expose(), password.expose().as_bytes())?;
        // Who has an expired password is let in, but only to change it: good for the old one, useless for the new one.
        if credential.role() == Role::Pending {
            session.run("DO 0")?.map_err(|refusal| refusal.failure("the first statement"))?;
        }
        Ok(LoggedIn { session, username })
    }

    fn change(logged_in: &mut LoggedIn, new: &Credential) -> Result<(), Failure> {
        let (username, password) = (text(new, "username")?, text(new, "password")?);
        let LoggedIn { session, username: own } = logged_in;
        let account = if username == *own {
            String::new()
        } else {
            // Exposed: the server has to know which account.
            [" FOR ", &quoted(username.expose(), '`'), "@", &quoted(text(new, "userhost")?.expose(), '`')].concat()
        };
        // However the server is configured, how it reads the next statement is known.
        let reading = "SET character_set_client = utf8mb4, sql_mode = 'NO_BACKSLASH_ESCAPES'";
        session.run(reading)?.map_err(|refusal| refusal.failure("SET sql_mode").unchanged())?;
        // MySQL would take the stored form for the password itself. It skips this comment, and finds no statement.
        let mut set = |value: &str| session.run(&["SET /*M!100400 PASSWORD */", &account, " = ", value].concat());
        // Exposed: the server stores its hash.
        let password = password.expose();
        // Only who may read the tables of accounts sees which authentication plugin this one has; but each refuses the form of the
        // other. A server that checks passwords may insist on seeing them.
        let mut done = set(&quoted(&native::stored(password.as_bytes()), '\''))?;
        if done.as_ref().is_err_and(Refusal::other_plugin) {
            done = set(&quoted(&ed25519::stored(password.as_bytes()), '\''))?;
        }
        if done.as_ref().is_err_and(Refusal::wants_clear_text) {
            done = set(&["PASSWORD(", &quoted(password, '\''), ")"].concat())?;
        }
        done.map_err(|refusal| refusal.failure("SET PASSWORD"))
    }
}

/// A field that the protocol can carry: names and passwords end at a zero byte.
fn text(credential: &Credential, field: &str) -> Result<Secret, Failure> {
    let value = credential.required(field)?;
    // Exposed: looked through.
    if value.expose().contains('\0') {
        return Err(Failure::malformed_secret(["the field `", field, "` holds a zero byte"].concat()));
    }
    Ok(value)
}

/// Whether the secret asks for no encryption. The server begins in plain text, so it is the plugin that keeps this promise.
fn plain_text(credential: &Credential) -> Result<bool, Failure> {
    // Exposed: compared; it is no secret.
    let wish = credential.field("tls").map(|wish| wish.expose().to_ascii_lowercase());
    match wish.as_deref() {
        None | Some("true" | "yes" | "1") => Ok(false),
        Some("false" | "no" | "0") => Ok(true),
        Some(_) => Err(Failure::malformed_secret("the field `tls` must be `true` or `false`")),
    }
}

/// A name or text between quotes, for a server that knows no escapes but the doubled quote.
fn quoted(text: &str, quote: char) -> String {
    let mut quoted = String::from(quote);
    for character in text.chars() {
        if character == quote {
            quoted.push(quote);
        }
        quoted.push(character);
    }
    quoted.push(quote);
    quoted
}

windlass_sdk::export!(MariaDb);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_quoted_text_but_its_quote() {
        for (text, plain, name) in [
            ("app", "'app'", "`app`"),
            ("o'br`ien", "'o''br`ien'", "`o'br``ien`"),
            ("back\\slash\\", "'back\\slash\\'", "`back\\slash\\`"),
            ("''", "''''''", "`''`"),
            ("ünï-密 --/*\n", "'ünï-密 --/*\n'", "`ünï-密 --/*\n`"),
        ] {
            assert_eq!((quoted(text, '\''), quoted(text, '`')), (plain.to_owned(), name.to_owned()));
        }
    }
}
