//! Rotates the password of a user of etcd, through the gateway that takes gRPC calls as JSON over HTTP.
//!
//! A login yields a token, which the server forgets when the user's password changes. Only a user with the role `root` may change
//! passwords, its own included. Source: <https://etcd.io/docs/v3.5/op-guide/authentication/rbac/>

pub mod gateway;

use gateway::Call;
use windlass_sdk::{Credential, Failure, Secret, Service};

/// etcd 3.4 or later.
pub struct Etcd;

/// A login.
pub struct Session {
    token: Secret,
}

/// The hash uses no more bytes. Servers with an older bcrypt, such as 3.4.23, cut the rest off and then accept whatever begins
/// alike; those with a newer one fail.
///
/// Source: <https://pkg.go.dev/golang.org/x/crypto/bcrypt#GenerateFromPassword>
const LONGEST_PASSWORD: usize = 72;

impl Service for Etcd {
    type Session = Session;

    fn login(credential: &Credential) -> Result<Session, Failure> {
        let (user, password) = (credential.required("username")?, credential.required("password")?);
        let answer = gateway::ask(Call::Authenticate, &user, &password, None)?;
        Ok(Session { token: gateway::token(&answer)? })
    }

    fn change(session: &mut Session, new: &Credential) -> Result<(), Failure> {
        let (user, password) = (new.required("username")?, new.required("password")?);
        // Exposed: only its length is looked at.
        if password.expose().len() > LONGEST_PASSWORD {
            return Err(Failure::rejected("the new password has more than 72 bytes, which is all that etcd's hash uses"));
        }
        // A user that is missing is an error here, and none is made.
        gateway::ask(Call::ChangePassword, &user, &password, Some(&session.token)).map(drop)
    }
}

windlass_sdk::export!(Etcd);

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use windlass_sdk::http::{Request, Response};
    use windlass_sdk::testing::Scene;
    use windlass_sdk::{Cause, Effect, Outcome, Role};

    use super::*;

    /// A server of the users `root` and `app`, as etcd 3.4.23 answers.
    struct Server {
        passwords: Vec<(&'static str, String)>,
        /// What was asked, with name and password.
        calls: Vec<String>,
        /// Answers to a change, one after another, if not what etcd would say, and whether the change takes effect all the same.
        changes: Vec<(u16, &'static str, bool)>,
    }

    fn refused(status: u16, sentence: &str, code: u8) -> Response {
        Response::new(status, format!(r#"{{"error":"{sentence}","message":"{sentence}","code":{code}}}"#))
    }

    impl Server {
        fn answer(&mut self, request: &Request) -> Response {
            assert_eq!((request.method(), request.header_value("content-type")), ("POST", Some("application/json")));
            let body = std::str::from_utf8(request.body_bytes()).unwrap();
            let field = |name| windlass_sdk::json::member(body, name).unwrap().trim_matches('"').to_owned();
            let (name, password) = (field("name"), field("password"));
            self.calls.push(format!("{} {name} {password}", request.path().rsplit('/').next().unwrap()));
            let known = self.passwords.iter().position(|(user, _)| *user == name);
            match request.path() {
                "/v3/auth/authenticate" => match known {
                    // The password stands in for the serial number, which outdates the token too.
                    Some(at) if self.passwords[at].1 == password => {
                        Response::new(200, format!(r#"{{"header":{{"revision":"1"}},"token":"{name}.{password}"}}"#))
                    }
                    _ => refused(400, "etcdserver: authentication failed, invalid user ID or password", 3),
                },
                "/v3/auth/user/changepw" => {
                    let (user, proof) = request.header_value("authorization").unwrap().split_once('.').unwrap();
                    if let Some((status, sentence, works)) = self.changes.pop() {
                        if works {
                            self.passwords[known.unwrap()].1 = password;
                        }
                        return refused(status, sentence, 0);
                    }
                    if !self.passwords.contains(&(if user == "root" { "root" } else { "app" }, proof.to_owned())) {
                        return refused(401, "etcdserver: invalid auth token", 16);
                    }
                    if user != "root" {
                        return refused(403, "etcdserver: permission denied", 7);
                    }
                    let Some(at) = known else { return refused(412, "etcdserver: user name not found", 9) };
                    self.passwords[at].1 = password;
                    Response::new(200, r#"{"header":{"revision":"1"}}"#)
                }
                _ => Response::new(404, "404 page not found\n"),
            }
        }
    }

    fn scene(user: &str) -> (Rc<RefCell<Server>>, Scene) {
        let passwords = vec![("root", "admin".to_owned()), ("app", "old".to_owned())];
        let server = Rc::new(RefCell::new(Server { passwords, calls: Vec::new(), changes: Vec::new() }));
        let service = Rc::clone(&server);
        let old = if user == "root" { "admin" } else { "old" };
        let scene = Scene::new()
            .pending([("username", user), ("password", "new")])
            .current([("username", user), ("password", old)])
            .http("gateway", move |request| service.borrow_mut().answer(request));
        (server, scene)
    }

    #[test]
    fn the_admin_changes_the_password_of_a_user() {
        let (server, scene) = scene("app");
        let mut scene = scene.admin([("username", "root"), ("password", "admin")]);
        assert_eq!(scene.test_secret::<Etcd>().unwrap_err().cause(), Cause::Unauthorized);
        assert_eq!(scene.refused(), [Role::Pending]);
        server.borrow_mut().calls.clear();
        assert_eq!(scene.set_secret::<Etcd>(), Ok(Outcome::Changed));
        assert_eq!(
            server.borrow().calls,
            [
                "authenticate app new",
                "authenticate app old",
                "changepw app new",
                "authenticate root admin",
                "changepw app new",
                "authenticate app new"
            ]
        );
        assert_eq!(scene.set_secret::<Etcd>(), Ok(Outcome::Unchanged));
        assert_eq!(scene.test_secret::<Etcd>(), Ok(()));
    }

    #[test]
    fn root_changes_itself() {
        let (server, mut scene) = scene("root");
        assert_eq!(scene.set_secret::<Etcd>(), Ok(Outcome::Changed));
        assert_eq!(scene.test_secret::<Etcd>(), Ok(()));
        assert_eq!(server.borrow().calls[..3], ["authenticate root new", "authenticate root admin", "changepw root new"]);
    }

    #[test]
    fn without_the_role_root_nothing_happens_and_the_failure_says_why() {
        let (server, mut scene) = scene("app");
        let failure = scene.set_secret::<Etcd>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::Unauthorized, Effect::Unchanged));
        assert!(failure.message().contains("current: the user has no role `root`"), "{failure}");
        assert_eq!(server.borrow().passwords[1].1, "old");
    }

    #[test]
    fn a_user_that_does_not_exist_is_not_created() {
        let (server, scene) = scene("ghost");
        let mut scene = scene.admin([("username", "root"), ("password", "admin")]);
        let failure = scene.set_secret::<Etcd>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged));
        assert_eq!(server.borrow().passwords.len(), 2);
    }

    #[test]
    fn an_answer_that_was_lost_is_looked_into() {
        for works in [true, false] {
            let (server, mut scene) = scene("root");
            server.borrow_mut().changes.push((503, "etcdserver: request timed out", works));
            let result = scene.set_secret::<Etcd>();
            if works {
                assert_eq!(result, Ok(Outcome::Changed));
            } else {
                let failure = result.unwrap_err();
                assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unknown));
            }
        }
    }

    #[test]
    fn a_change_that_another_run_made_first_is_found() {
        let (server, mut scene) = scene("root");
        // The other run's change ends the session between this one's login and its change.
        server.borrow_mut().changes.push((401, "etcdserver: invalid auth token", true));
        assert_eq!(scene.set_secret::<Etcd>(), Ok(Outcome::Unchanged));
    }

    #[test]
    fn a_password_that_the_hash_cannot_hold_is_rejected_before_anything_is_changed() {
        for (length, accepted) in [(72, true), (73, false)] {
            let (server, scene) = scene("root");
            let password = "x".repeat(length);
            let mut scene = scene.pending([("username", "root"), ("password", &password)]);
            let result = scene.set_secret::<Etcd>();
            assert_eq!(result.as_ref().err().map(|failure| (failure.cause(), failure.effect())).is_none(), accepted);
            assert_eq!(server.borrow().calls.iter().any(|call| call.starts_with("changepw")), accepted);
            if !accepted {
                assert_eq!(result.unwrap_err().cause(), Cause::Rejected);
            }
        }
    }

    #[test]
    fn what_is_no_gateway_of_etcd_is_no_login() {
        let table = [
            (404, "404 page not found\n", Cause::Unsupported),
            (200, "<html>", Cause::Internal),
            (200, "{}", Cause::Internal),
            (302, "", Cause::Unsupported),
            (503, "", Cause::Unreachable),
            (429, "", Cause::RateLimited),
        ];
        for (status, body, cause) in table {
            let mut scene = Scene::new()
                .pending([("username", "app"), ("password", "canary")])
                .http("gateway", move |_| Response::new(status, body));
            let failure = scene.test_secret::<Etcd>().unwrap_err();
            assert_eq!((failure.cause(), failure.effect()), (cause, Effect::Unchanged), "{status} {body}");
            assert!(!failure.message().contains("canary"));
        }
    }
}
