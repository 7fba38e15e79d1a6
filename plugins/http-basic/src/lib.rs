//! Rotates a password that one HTTP request changes, for a service that takes basic authentication. Which requests those are is said
//! by the operator's settings; there is nothing to write.
//!
//! Source: <https://www.rfc-editor.org/rfc/rfc7617>
//!
//! A character is looked for in a set of one, `[',']`: the search for a single one is quick and makes the component 3 KB larger.

pub mod codes;
pub mod requests;
pub mod template;

use requests::Meaning;
use template::Values;
use windlass_sdk::{Credential, Failure, Secret, Service};

/// A service that the settings describe.
pub struct HttpBasic;

/// Name and password that the service accepted; it takes them with every request.
pub struct Session {
    user: Secret,
    password: Secret,
}

impl Service for HttpBasic {
    type Session = Session;

    fn login(credential: &Credential) -> Result<Session, Failure> {
        let (user, password) = (credential.required("username")?, credential.required("password")?);
        // Exposed: the name ends at the first colon. The service would look for another account.
        if user.expose().contains([':']) {
            return Err(Failure::malformed_secret("the field `username` has a colon, which basic authentication cannot carry"));
        }
        let meaning = Meaning::read("login_codes")?;
        let request = requests::login(&Values { username: &user, password: None, old_password: None })?;
        meaning.judge(request.basic_auth(&user, &password).send()?)?;
        Ok(Session { user, password })
    }

    fn change(session: &mut Session, new: &Credential) -> Result<(), Failure> {
        let (user, password) = (new.required("username")?, new.required("password")?);
        // The password of an administrator is not the account's old one, and belongs into no body.
        let old_password = (session.user == user).then_some(&session.password);
        let meaning = Meaning::read("change_codes")?;
        let request = requests::change(&Values { username: &user, password: Some(&password), old_password })?;
        meaning.judge(request.basic_auth(&session.user, &session.password).send()?)
    }
}

windlass_sdk::export!(HttpBasic);
