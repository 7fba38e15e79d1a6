//! Rotates the password of a user of NAME through its HTTP interface.

use windlass_sdk::{Credential, Failure, Secret, Service, http, json};

/// The service.
pub struct TYPE;

/// Name and password that log in; the interface takes them with every request.
pub struct Session {
    user: Secret,
    password: Secret,
}

impl Service for TYPE {
    type Session = Session;

    /// Has to fail if the password is wrong: with `unauthorized`, which `ok` makes of status 401.
    fn login(credential: &Credential) -> Result<Session, Failure> {
        let (user, password) = (credential.required("username")?, credential.required("password")?);
        http::get("api", "/me").basic_auth(&user, &password).send()?.ok()?;
        Ok(Session { user, password })
    }

    fn change(session: &mut Session, new: &Credential) -> Result<(), Failure> {
        let (user, password) = (new.required("username")?, new.required("password")?);
        // Exposed: the service has to know whose password becomes which.
        let path = ["/users/", &http::segment(user.expose()), "/password"].concat();
        let body = json::object([("password", password.expose())]);
        http::put("api", path).basic_auth(&session.user, &session.password).json(body).send()?.ok()?;
        Ok(())
    }
}

windlass_sdk::export!(TYPE);

#[cfg(test)]
mod tests {
    use windlass_sdk::http::{Request, Response};
    use windlass_sdk::testing::Scene;
    use windlass_sdk::{Cause, Outcome};

    use super::*;

    const OLD: &str = "Basic YXBwOm9sZA=="; // app:old
    const NEW: &str = "Basic YXBwOm5ldw=="; // app:new

    /// A service that knows one user, whose password is `old` until it is changed.
    fn service() -> impl FnMut(&Request) -> Response {
        let mut valid = OLD;
        move |request| {
            if request.header_value("authorization") != Some(valid) {
                return Response::new(401, "");
            }
            match (request.method(), request.path()) {
                ("GET", "/me") => Response::new(200, "{}"),
                ("PUT", "/users/app/password") => {
                    assert_eq!(request.body_bytes(), br#"{"password":"new"}"#);
                    valid = NEW;
                    Response::new(204, "")
                }
                _ => Response::new(404, ""),
            }
        }
    }

    fn scene() -> Scene {
        Scene::new()
            .pending([("username", "app"), ("password", "new")])
            .current([("username", "app"), ("password", "old")])
            .http("api", service())
    }

    #[test]
    fn a_rotation_changes_the_password_and_a_second_run_finds_it_done() {
        let mut scene = scene();
        assert_eq!(scene.test_secret::<TYPE>().unwrap_err().cause(), Cause::Unauthorized);
        assert_eq!(scene.set_secret::<TYPE>(), Ok(Outcome::Changed));
        assert_eq!(scene.set_secret::<TYPE>(), Ok(Outcome::Unchanged));
        assert_eq!(scene.test_secret::<TYPE>(), Ok(()));
    }
}
