//! Rotates the password of a user of RabbitMQ through the management plugin's HTTP API.
//!
//! A PUT replaces the whole user, so what the user has besides the password is read first and sent back. Permissions are kept
//! elsewhere and survive. Source: <https://www.rabbitmq.com/docs/http-api-reference#put-apiusersname>

use windlass_sdk::http::Response;
use windlass_sdk::text::joined;
use windlass_sdk::{Credential, Failure, Secret, Service, http, json};

/// RabbitMQ with its management plugin.
pub struct RabbitMq;

/// Name and password that log in; the API takes them with every request.
pub struct Session {
    user: Secret,
    password: Secret,
    /// Whether the user has a tag that opens the API to it. Users of applications have none.
    manages: bool,
}

impl Service for RabbitMq {
    type Session = Session;

    fn login(credential: &Credential) -> Result<Session, Failure> {
        let (user, password) = (credential.required("username")?, credential.required("password")?);
        let answer = http::get("management", "/api/whoami").basic_auth(&user, &password).send()?;
        // The API looks at the tags after the password was accepted, so this refusal proves the password. Every other 401 is one
        // of the login itself. Source: deps/rabbitmq_web_dispatch/src/rabbit_web_dispatch_access_control.erl, is_authorized.
        if answer.status() == 401 && json::member(answer.text()?, "reason") == Some(r#""Not management user""#) {
            return Ok(Session { user, password, manages: false });
        }
        answer.ok()?;
        Ok(Session { user, password, manages: true })
    }

    fn change(session: &mut Session, new: &Credential) -> Result<(), Failure> {
        if !session.manages {
            return Err(Failure::unauthorized("the user has no management tag; only an administrator can change passwords"));
        }
        let (user, password) = (new.required("username")?, new.required("password")?);
        // Exposed: the API has to know which user.
        let path = joined(&["/api/users/", &http::segment(user.expose())]);
        let kept = answer(http::get("management", &*path).basic_auth(&session.user, &session.password).send()?)?;
        let kept = kept.text()?;
        let Some(tags) = json::member(kept, "tags") else {
            return Err(Failure::internal("the server describes the user without its tags").unchanged());
        };
        // Exposed: the server stores its hash.
        let mut body = json::Object::new().text("password", password.expose()).raw("tags", tags);
        if let Some(limits) = json::member(kept, "limits").filter(|limits| limits.starts_with('{')) {
            body = body.raw("limits", limits);
        }
        answer(http::put("management", path).basic_auth(&session.user, &session.password).json(body.finish()).send()?).map(drop)
    }
}

/// Users are the only thing these requests are about, so a 404 says that there is none of this name.
fn answer(response: Response) -> Result<Response, Failure> {
    if response.status() == 404 {
        return Err(Failure::malformed_secret("the server has no user of the name in the field `username`"));
    }
    response.ok()
}

windlass_sdk::export!(RabbitMq);

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use windlass_sdk::http::{Request, Response};
    use windlass_sdk::testing::Scene;
    use windlass_sdk::{Cause, Effect, Outcome};

    use super::*;

    /// A broker of one user and one administrator, as RabbitMQ 3.10 answers.
    struct Broker {
        /// Base64 of `app:…` for the password that is valid.
        app: &'static str,
        /// The user's tags, as JSON.
        tags: &'static str,
        /// Bodies of the PUTs that were accepted.
        puts: Vec<String>,
        /// Status for PUTs, if not success.
        put_status: Option<u16>,
        /// Whether a PUT takes effect.
        put_works: bool,
    }

    const OLD: &str = "YXBwOm9sZA=="; // app:old
    const NEW: &str = "YXBwOm5ldw=="; // app:new
    const ADMIN: &str = "cm9vdDpyb290"; // root:root

    impl Broker {
        fn answer(&mut self, request: &Request) -> Response {
            let refused = |reason: &str| Response::new(401, format!(r#"{{"error":"not_authorised","reason":"{reason}"}}"#));
            let login = request.header_value("authorization").and_then(|value| value.strip_prefix("Basic ")).unwrap();
            let admin = login == ADMIN || (login == self.app && self.tags.contains("administrator"));
            if login != self.app && login != ADMIN {
                return refused("Login failed");
            }
            if login == self.app && self.tags == "[]" {
                return refused("Not management user");
            }
            match (request.method(), request.path()) {
                ("GET", "/api/whoami") => Response::new(200, r#"{"name":"app"}"#),
                (_, "/api/users/app") if !admin => refused("Not administrator user"),
                ("GET", "/api/users/app") => Response::new(
                    200,
                    format!(r#"{{"name":"app","password_hash":"x","tags":{},"limits":{{"max-connections":5}}}}"#, self.tags),
                ),
                ("PUT", "/api/users/app") => {
                    self.puts.push(String::from_utf8(request.body_bytes().to_vec()).unwrap());
                    if self.put_works {
                        self.app = NEW;
                    }
                    Response::new(self.put_status.unwrap_or(204), "")
                }
                _ => Response::new(404, r#"{"error":"Object Not Found"}"#),
            }
        }
    }

    fn broker(tags: &'static str) -> (Rc<RefCell<Broker>>, Scene) {
        let broker = Rc::new(RefCell::new(Broker { app: OLD, tags, puts: Vec::new(), put_status: None, put_works: true }));
        let service = Rc::clone(&broker);
        let scene = Scene::new()
            .pending([("username", "app"), ("password", "new")])
            .current([("username", "app"), ("password", "old")])
            .http("management", move |request| service.borrow_mut().answer(request));
        (broker, scene)
    }

    #[test]
    fn an_administrator_changes_itself_and_keeps_tags_and_limits() {
        let (broker, mut scene) = broker(r#"["administrator","audit"]"#);
        assert_eq!(scene.test_secret::<RabbitMq>().unwrap_err().cause(), Cause::Unauthorized);
        assert_eq!(scene.set_secret::<RabbitMq>(), Ok(Outcome::Changed));
        assert_eq!(scene.set_secret::<RabbitMq>(), Ok(Outcome::Unchanged));
        assert_eq!(scene.test_secret::<RabbitMq>(), Ok(()));
        assert_eq!(broker.borrow().puts, [r#"{"password":"new","tags":["administrator","audit"],"limits":{"max-connections":5}}"#]);
    }

    #[test]
    fn a_user_without_tags_is_changed_by_the_admin_and_tested_by_the_reason_of_the_refusal() {
        let (broker, scene) = broker("[]");
        let mut scene = scene.admin([("username", "root"), ("password", "root")]);
        assert_eq!(scene.set_secret::<RabbitMq>(), Ok(Outcome::Changed));
        assert_eq!(scene.test_secret::<RabbitMq>(), Ok(()));
        assert_eq!(broker.borrow().puts, [r#"{"password":"new","tags":[],"limits":{"max-connections":5}}"#]);
    }

    #[test]
    fn without_an_administrator_nothing_happens_and_the_failure_says_why() {
        for tags in ["[]", r#"["management"]"#] {
            let (broker, mut scene) = broker(tags);
            let failure = scene.set_secret::<RabbitMq>().unwrap_err();
            assert_eq!((failure.cause(), failure.effect()), (Cause::Unauthorized, Effect::Unchanged));
            assert!(broker.borrow().puts.is_empty());
        }
    }

    #[test]
    fn an_answer_that_was_lost_after_the_change_is_looked_into() {
        let (broker_of, mut scene) = broker(r#"["administrator"]"#);
        broker_of.borrow_mut().put_status = Some(502);
        assert_eq!(scene.set_secret::<RabbitMq>(), Ok(Outcome::Changed));

        let (broker_of, mut scene) = broker(r#"["administrator"]"#);
        broker_of.borrow_mut().put_status = Some(502);
        broker_of.borrow_mut().put_works = false;
        let failure = scene.set_secret::<RabbitMq>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unknown));
    }

    #[test]
    fn a_change_that_another_run_made_first_is_found() {
        let (broker_of, mut scene) = broker(r#"["administrator"]"#);
        // The other run's change takes effect between this one's login and its PUT, which is refused for that reason.
        broker_of.borrow_mut().put_status = Some(401);
        assert_eq!(scene.set_secret::<RabbitMq>(), Ok(Outcome::Unchanged));
    }

    #[test]
    fn a_password_that_the_validator_refuses_is_rejected_unchanged() {
        let (broker, mut scene) = broker(r#"["administrator"]"#);
        (broker.borrow_mut().put_status, broker.borrow_mut().put_works) = (Some(400), false);
        let failure = scene.set_secret::<RabbitMq>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::Rejected, Effect::Unchanged));
        assert_eq!(failure.message(), "the endpoint `management` answered PUT with 400");
    }

    #[test]
    fn a_user_that_does_not_exist_is_not_created() {
        let mut scene = Scene::new()
            .pending([("username", "a/b"), ("password", "new")])
            .current([("username", "a/b"), ("password", "old")])
            .admin([("username", "root"), ("password", "root")])
            .http("management", |request| match (request.header_value("authorization"), request.path()) {
                (Some("Basic cm9vdDpyb290"), "/api/whoami") => Response::new(200, "{}"),
                (Some("Basic cm9vdDpyb290"), "/api/users/a%2Fb") => {
                    assert_eq!(request.method(), "GET");
                    Response::new(404, "")
                }
                _ => Response::new(401, r#"{"reason":"Login failed"}"#),
            });
        assert_eq!(scene.set_secret::<RabbitMq>().unwrap_err().cause(), Cause::MalformedSecret);
    }
}
