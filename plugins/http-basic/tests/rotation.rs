//! The plugin, natively, against a service that is played by a function.
#![allow(clippy::unwrap_used, reason = "the functions that tests share are meant to panic too")]

use std::cell::RefCell;
use std::rc::Rc;

use windlass_plugin_http_basic::HttpBasic;
use windlass_sdk::http::{Request, Response};
use windlass_sdk::testing::Scene;
use windlass_sdk::{Cause, Effect, Outcome, Role};

const OLD: &str = "Basic YXBwOm9sZA=="; // app:old
const NEW: &str = "Basic YXBwOm5ldw=="; // app:new
const ADMIN: &str = "Basic cm9vdDpyb290"; // root:root

/// A service whose account `app` has one password.
struct Account {
    /// The header of `app` that is valid.
    valid: &'static str,
    /// Who may change the password.
    changer: &'static str,
    /// What it answers to a change, and whether the change takes effect.
    change: (u16, bool),
    /// Method, path, content type and body of the changes.
    changes: Vec<String>,
}

impl Account {
    fn answer(&mut self, request: &Request) -> Response {
        assert_eq!(request.header_value("x-requested-by"), Some("windlass"));
        let login = request.header_value("authorization").unwrap();
        if login != self.valid && login != ADMIN {
            return Response::new(401, "");
        }
        if request.path() == "/me" {
            return Response::new(200, "");
        }
        if login != self.changer {
            return Response::new(403, "");
        }
        let body = std::str::from_utf8(request.body_bytes()).unwrap();
        let content_type = request.header_value("content-type").unwrap_or_default();
        self.changes.push(format!("{} {} {content_type} {body}", request.method(), request.path()));
        if self.change.1 {
            self.valid = NEW;
        }
        Response::new(self.change.0, "")
    }
}

fn account(changer: &'static str) -> (Rc<RefCell<Account>>, Scene) {
    let account = Rc::new(RefCell::new(Account { valid: OLD, changer, change: (204, true), changes: Vec::new() }));
    let service = Rc::clone(&account);
    // The defaults of the manifest, and what has none.
    let scene = [
        ("login_method", "GET"),
        ("login_path", "/me"),
        ("login_codes", "200-299"),
        ("change_method", "PUT"),
        ("change_path", "/users/{username}/password"),
        ("change_body", r#"{"password":"{password}"}"#),
        ("change_content_type", "application/json"),
        ("change_codes", "200-299"),
        ("unauthorized_codes", "401, 403"),
        ("rejected_codes", "400, 422"),
        ("headers", "X-Requested-By: windlass\n"),
    ]
    .into_iter()
    .fold(Scene::new(), |scene, (name, value)| scene.setting(name, value))
    .pending([("username", "app"), ("password", "new")])
    .current([("username", "app"), ("password", "old")])
    .http("api", move |request| service.borrow_mut().answer(request));
    (account, scene)
}

#[test]
fn an_account_changes_its_own_password() {
    let (account, scene) = account(OLD);
    let mut scene = scene
        .setting("change_method", "POST")
        .setting("change_path", "/me/password")
        .setting("change_content_type", "application/x-www-form-urlencoded")
        .setting("change_body", "old={old_password}&new={password}&again={password}");
    assert_eq!(scene.test_secret::<HttpBasic>().unwrap_err().cause(), Cause::Unauthorized);
    assert_eq!(scene.refused(), [Role::Pending]);
    assert_eq!(scene.set_secret::<HttpBasic>(), Ok(Outcome::Changed));
    assert_eq!(scene.set_secret::<HttpBasic>(), Ok(Outcome::Unchanged));
    assert_eq!(scene.test_secret::<HttpBasic>(), Ok(()));
    assert_eq!(account.borrow().changes, ["POST /me/password application/x-www-form-urlencoded old=old&new=new&again=new"]);
}

#[test]
fn an_administrator_changes_the_password_of_an_account() {
    let (account, scene) = account(ADMIN);
    let mut scene = scene.admin([("username", "root"), ("password", "root")]);
    assert_eq!(scene.set_secret::<HttpBasic>(), Ok(Outcome::Changed));
    assert_eq!(account.borrow().changes, [r#"PUT /users/app/password application/json {"password":"new"}"#]);
}

#[test]
fn the_new_password_may_stand_in_the_path_and_the_body_be_empty() {
    let (account, scene) = account(OLD);
    let mut scene = scene.setting("change_path", "/users/{username}?password={password}").setting("change_body", "");
    assert_eq!(scene.set_secret::<HttpBasic>(), Ok(Outcome::Changed));
    assert_eq!(account.borrow().changes, ["PUT /users/app?password=new  "]);
}

#[test]
fn the_password_of_an_administrator_is_not_sent_as_the_old_one() {
    let (account, scene) = account(ADMIN);
    let mut scene =
        scene.admin([("username", "root"), ("password", "root")]).setting("change_body", r#"["{old_password}","{password}"]"#);
    let failure = scene.set_secret::<HttpBasic>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unauthorized, Effect::Unchanged));
    assert!(failure.message().contains("admin: the setting `change_body` needs the account's old password"), "{failure}");
    assert!(account.borrow().changes.is_empty());
}

#[test]
fn a_code_means_what_the_settings_say_and_else_what_http_says() {
    let table = [
        (200, "200-299", "", "", None),
        (303, "303", "", "", None),
        (409, "200-299", "409", "", Some((Cause::Unauthorized, Effect::Unchanged))),
        (500, "200-299", "", "500", Some((Cause::Rejected, Effect::Unchanged))),
        (401, "200-299", "", "", Some((Cause::Unauthorized, Effect::Unchanged))),
        (422, "200-299", "", "", Some((Cause::Rejected, Effect::Unchanged))),
        (404, "200-299", "", "", Some((Cause::Unsupported, Effect::Unchanged))),
        (429, "200-299", "", "", Some((Cause::RateLimited, Effect::Unchanged))),
        (409, "200-299", "", "", Some((Cause::Conflict, Effect::Unchanged))),
        (303, "200-299", "", "", Some((Cause::Unsupported, Effect::Unknown))),
        (502, "200-299", "", "", Some((Cause::Unreachable, Effect::Unknown))),
        (202, "204", "", "", Some((Cause::Internal, Effect::Unknown))),
    ];
    for (status, success, unauthorized, rejected, expected) in table {
        let (account, scene) = account(OLD);
        account.borrow_mut().change = (status, expected.is_none());
        let mut scene =
            scene.setting("change_codes", success).setting("unauthorized_codes", unauthorized).setting("rejected_codes", rejected);
        let failure = scene.set_secret::<HttpBasic>().err();
        assert_eq!(failure.as_ref().map(|failure| (failure.cause(), failure.effect())), expected, "{status} {success}");
        assert_eq!(account.borrow().changes.len(), 1);
    }
}

#[test]
fn an_answer_that_was_lost_after_the_change_is_looked_into() {
    for status in [202, 303, 502] {
        let (account, scene) = account(OLD);
        account.borrow_mut().change = (status, true);
        assert_eq!(scene.setting("change_codes", "204").set_secret::<HttpBasic>(), Ok(Outcome::Changed));
    }
}

#[test]
fn a_change_that_another_run_made_first_is_found() {
    let (account, mut scene) = account(OLD);
    account.borrow_mut().change = (401, true);
    assert_eq!(scene.set_secret::<HttpBasic>(), Ok(Outcome::Unchanged));
}

#[test]
fn settings_that_make_no_request_are_refused_before_one_is_sent() {
    let table = [
        ("login_path", ""),
        ("login_path", "me"),
        ("login_path", "/{password}"),
        ("login_method", "HEAD"),
        ("login_codes", ""),
        ("login_codes", "2xx"),
        ("change_path", ""),
        ("change_path", "https://other.example/"),
        ("change_method", "put"),
        ("change_method", ""),
        ("change_body", "{}"),
        ("change_body", ""),
        ("change_body", r#"{"password":"{pasword}"}"#),
        ("change_body", r#"{"password":"{password}}"#),
        ("change_content_type", "application/xml"),
        ("change_content_type", ""),
        ("change_codes", "0"),
        ("unauthorized_codes", "401 403"),
        ("rejected_codes", "-"),
        ("headers", "no colon"),
        ("headers", "Authorization: Basic x"),
        ("headers", "content-Type: text/plain"),
    ];
    for (name, value) in table {
        let (account, scene) = account(OLD);
        let failure = scene.setting(name, value).set_secret::<HttpBasic>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::Unsupported, Effect::Unchanged), "{name} = {value}");
        assert!(failure.message().contains(name), "{failure}");
        assert!(account.borrow().changes.is_empty(), "{name} = {value}");
    }
}

#[test]
fn a_name_with_a_colon_is_refused_before_anything_is_sent() {
    let mut scene = Scene::new().pending([("username", "a:b"), ("password", "new")]);
    let failure = scene.test_secret::<HttpBasic>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged));
}
