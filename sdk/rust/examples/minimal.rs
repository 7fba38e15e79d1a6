//! A plugin: a struct, two methods and one macro.

use windlass_sdk::{Credential, Failure, Secret, Service, http, json};

/// The service Acme, which has an HTTP interface.
pub struct Acme;

impl Service for Acme {
    type Session = (Secret, Secret);

    fn login(credential: &Credential) -> Result<Self::Session, Failure> {
        let (user, password) = (credential.required("username")?, credential.required("password")?);
        http::get("api", "/v1/me").basic_auth(&user, &password).send()?.ok()?;
        Ok((user, password))
    }

    fn change((user, password): &mut Self::Session, new: &Credential) -> Result<(), Failure> {
        let body = json::object([("password", new.required("password")?.expose())]);
        http::put("api", "/v1/me/password").basic_auth(user, password).json(body).send()?.ok()?;
        Ok(())
    }
}

windlass_sdk::export!(Acme);
