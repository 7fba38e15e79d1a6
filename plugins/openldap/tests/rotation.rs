//! The plugin, natively, against a directory of its own that answers as slapd does.
#![allow(clippy::unwrap_used, reason = "the functions that tests share are meant to panic too")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use windlass_plugin_openldap::OpenLdap;
use windlass_plugin_openldap::ber::{ENUMERATED, Elements, INTEGER, OCTET_STRING, SEQUENCE, element, further_bytes, length};
use windlass_sdk::testing::Scene;
use windlass_sdk::{Cause, Effect, Outcome, Role};

const APP: &str = "uid=app,dc=test";
const ADMIN: &str = "cn=admin,dc=test";

/// What the directory knows, and what it was asked to do.
struct Directory {
    passwords: BTreeMap<String, String>,
    /// Whether accounts have access to their own passwords.
    self_service: bool,
    /// Result code of Password Modify, if not what slapd would say. Nothing is changed then.
    modify: Option<u8>,
    /// Whether the connection breaks after the next change, before its answer.
    breaks: bool,
    /// Code of the password policy for every bind and every change.
    policy: Option<u8>,
    /// Result code of StartTLS.
    start_tls: u8,
    /// Whether everybody is nobody.
    anonymous: bool,
    requests: Vec<&'static str>,
}

impl Directory {
    fn new(password: &str) -> Self {
        let passwords = [(APP, password), (ADMIN, "root")].map(|(name, password)| (name.to_owned(), password.to_owned()));
        Self {
            passwords: passwords.into(),
            self_service: true,
            modify: None,
            breaks: false,
            policy: None,
            start_tls: 2,
            anonymous: false,
            requests: Vec::new(),
        }
    }

    /// Tag, result code, diagnostic message and further parts of the answer to a request of a session of `user`, which a bind changes.
    /// Nothing closes the connection.
    fn answer(&mut self, user: &mut String, tag: u8, request: Elements<'_>) -> Option<(u8, u8, &'static str, Vec<u8>)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut request = request;
        if tag == 0x60 {
            self.requests.push("bind");
            assert_eq!(request.expect(INTEGER), Some(&[3][..]));
            let (name, password) = (text(request.expect(OCTET_STRING)?), text(request.expect(0x80)?));
            // As the specification has it: whoever leaves one out is nobody, successfully.
            assert!(!name.is_empty() && !password.is_empty());
            let right = self.passwords.get(&name) == Some(&password);
            *user = if right { name } else { String::new() };
            return Some((0x61, if right { 0 } else { 49 }, "", Vec::new()));
        }
        assert_eq!(tag, 0x77);
        let (code, diagnostic, value) = match request.expect(0x80)? {
            b"1.3.6.1.4.1.1466.20037" => {
                self.requests.push("StartTLS");
                (self.start_tls, "", Vec::new())
            }
            b"1.3.6.1.4.1.4203.1.11.3" => {
                let name = if self.anonymous { String::new() } else { format!("dn:{user}") };
                (0, "", element(0x8b, &[name.as_bytes()]))
            }
            b"1.3.6.1.4.1.4203.1.11.1" => {
                self.requests.push("modify");
                let parts = Elements::new(Elements::new(request.expect(0x81)?).expect(SEQUENCE)?);
                let (code, diagnostic) = self.modify(
                    user,
                    parts.content_of(0x80).map(text),
                    parts.content_of(0x81).map(text),
                    text(parts.content_of(0x82)?),
                );
                if self.breaks {
                    self.breaks = false;
                    return None;
                }
                (code, diagnostic, Vec::new())
            }
            _ => (2, "unsupported extended operation", Vec::new()),
        };
        Some((0x78, code, diagnostic, value))
    }

    fn modify(&mut self, user: &str, of: Option<String>, old: Option<String>, new: String) -> (u8, &'static str) {
        let of = of.unwrap_or_else(|| user.to_owned());
        if let Some(code) = self.modify {
            return (code, "canary");
        }
        let Some(password) = self.passwords.get_mut(&of) else { return (32, "") };
        let may = user == ADMIN || self.self_service;
        if old.is_some_and(|old| old != *password || !may) {
            return (53, "unwilling to verify old password");
        }
        if !may {
            return (50, "");
        }
        *password = new;
        (0, "")
    }
}

/// An element that arrives.
fn receive(mut stream: &TcpStream) -> Option<Vec<u8>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let mut further = vec![0; further_bytes(head[1])?];
    stream.read_exact(&mut further).ok()?;
    let mut content = vec![0; length(head[1], &further)];
    stream.read_exact(&mut content).ok()?;
    (head[0] == SEQUENCE).then_some(content)
}

fn serve(stream: &TcpStream, directory: &Mutex<Directory>) -> Option<()> {
    let mut user = String::new();
    loop {
        let message = receive(stream)?;
        let mut message = Elements::new(&message);
        let id = message.expect(INTEGER)?;
        let (tag, request) = message.next()?;
        let mut directory = directory.lock().unwrap();
        let (tag, code, diagnostic, value) = directory.answer(&mut user, tag, Elements::new(request))?;
        let result = [element(ENUMERATED, &[&[code]]), element(OCTET_STRING, &[]), element(OCTET_STRING, &[diagnostic.as_bytes()])];
        let policy = directory.policy.map(|code| {
            let value = element(SEQUENCE, &[&element(0x81, &[&[code]])]);
            let name = element(OCTET_STRING, &[b"1.3.6.1.4.1.42.2.27.8.5.1"]);
            element(0xa0, &[&element(SEQUENCE, &[&name, &element(OCTET_STRING, &[&value])])])
        });
        let answer = element(tag, &[&result.concat(), &value]);
        let mut writer = stream;
        writer.write_all(&element(SEQUENCE, &[&element(INTEGER, &[id]), &answer, &policy.unwrap_or_default()])).ok()?;
    }
}

fn start(directory: Directory) -> (SocketAddr, Arc<Mutex<Directory>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let directory = Arc::new(Mutex::new(directory));
    let shared = Arc::clone(&directory);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || serve(&stream.unwrap(), &shared));
        }
    });
    (address, directory)
}

fn scene(directory: Directory) -> (Scene, Arc<Mutex<Directory>>) {
    let (address, directory) = start(directory);
    let scene = Scene::new()
        .pending([("binddn", APP), ("password", "new")])
        .current([("binddn", APP), ("password", "now")])
        .previous([("binddn", APP), ("password", "before")])
        .endpoint("ldaps", address)
        .endpoint("ldap", address);
    (scene, directory)
}

fn with_admin(scene: Scene) -> Scene {
    scene.admin([("username", ADMIN), ("password", "root")])
}

fn password(directory: &Mutex<Directory>) -> String {
    directory.lock().unwrap().passwords[APP].clone()
}

#[test]
fn the_new_password_replaces_the_current_one_and_a_second_run_changes_nothing() {
    let (mut scene, directory) = scene(Directory::new("now"));
    assert_eq!(scene.test_secret::<OpenLdap>().unwrap_err().cause(), Cause::Unauthorized);
    assert_eq!(scene.set_secret::<OpenLdap>(), Ok(Outcome::Changed));
    assert_eq!(password(&directory), "new");
    assert_eq!(scene.test_secret::<OpenLdap>(), Ok(()));
    assert_eq!(scene.set_secret::<OpenLdap>(), Ok(Outcome::Unchanged));
    assert_eq!(directory.lock().unwrap().requests.iter().filter(|request| **request == "modify").count(), 1);
    assert_eq!(scene.lines().count(), 0);
}

#[test]
fn a_password_that_was_rolled_back_is_replaced_too() {
    let (mut scene, directory) = scene(Directory::new("before"));
    assert_eq!(scene.set_secret::<OpenLdap>(), Ok(Outcome::Changed));
    assert_eq!(password(&directory), "new");
}

#[test]
fn the_admin_does_what_the_account_may_not() {
    let (mut scene, directory) = scene(Directory { self_service: false, ..Directory::new("now") });
    let failure = scene.set_secret::<OpenLdap>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unauthorized, Effect::Unchanged));
    assert!(failure.message().contains("current: Password Modify was answered with 53"), "{failure}");
    let mut scene = with_admin(scene);
    assert_eq!(scene.set_secret::<OpenLdap>(), Ok(Outcome::Changed));
    assert_eq!((password(&directory).as_str(), &directory.lock().unwrap().passwords[ADMIN]), ("new", &"root".to_owned()));
}

#[test]
fn the_admin_does_not_create_an_entry_that_is_missing() {
    let (scene, directory) = scene(Directory::new("now"));
    let scene =
        scene.pending([("binddn", "uid=ghost"), ("password", "new")]).current([("binddn", "uid=ghost"), ("password", "now")]);
    let failure = with_admin(scene.previous([("binddn", "uid=ghost"), ("password", "x")])).set_secret::<OpenLdap>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged), "{failure}");
    assert_eq!(directory.lock().unwrap().passwords.len(), 2);
}

#[test]
fn a_connection_that_breaks_after_the_change_counts_as_changed() {
    let (mut scene, directory) = scene(Directory { breaks: true, ..Directory::new("now") });
    assert_eq!(scene.set_secret::<OpenLdap>(), Ok(Outcome::Changed));
    assert_eq!(password(&directory), "new");
}

#[test]
fn a_refusal_has_its_cause_and_repeats_nothing() {
    for (modify, policy, cause, effect) in [
        (19, None, Cause::Rejected, Effect::Unchanged),
        (19, Some(7), Cause::Unauthorized, Effect::Unchanged),
        (10, None, Cause::Unsupported, Effect::Unchanged),
        (80, None, Cause::Internal, Effect::Unknown),
    ] {
        let (scene, directory) = scene(Directory { modify: Some(modify), policy, ..Directory::new("now") });
        let failure = with_admin(scene).set_secret::<OpenLdap>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (cause, effect), "{failure}");
        assert!(!failure.message().contains("canary"), "{failure}");
        assert_eq!(password(&directory), "now");
    }
}

#[test]
fn an_account_that_its_policy_holds_back_is_reported() {
    let (mut scene, _directory) = scene(Directory { policy: Some(2), ..Directory::new("now") });
    assert_eq!(scene.set_secret::<OpenLdap>(), Ok(Outcome::Changed));
    let lines: Vec<_> = scene.lines().collect();
    assert!(matches!(lines[..], [line] if line.contains("pwdMustChange")), "{lines:?}");
}

#[test]
fn nothing_is_sent_in_the_clear_when_encryption_was_asked_for() {
    // Success too: native tests have no TLS, so the upgrade fails behind the answer.
    for (start_tls, cause) in [(0, Cause::Denied), (2, Cause::Unsupported), (52, Cause::Unreachable)] {
        let (scene, directory) = scene(Directory { start_tls, ..Directory::new("now") });
        let mut scene = scene.pending([("binddn", APP), ("password", "new"), ("start_tls", "true")]);
        let failure = scene.test_secret::<OpenLdap>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (cause, Effect::Unchanged), "{failure}");
        assert_eq!(directory.lock().unwrap().requests, ["StartTLS"]);
    }
}

#[test]
fn the_admin_reaches_the_server_as_the_secret_says() {
    let (scene, directory) = scene(Directory { start_tls: 52, ..Directory::new("now") });
    let mut scene = with_admin(scene.pending([("binddn", APP), ("password", "new"), ("start_tls", "true")]));
    scene.test_secret::<OpenLdap>().unwrap_err();
    let failure = scene.with(|versions| {
        use windlass_sdk::Service;
        OpenLdap::login(versions.admin.as_ref().unwrap()).map(drop).unwrap_err()
    });
    assert_eq!(failure.cause(), Cause::Unreachable);
    assert_eq!(directory.lock().unwrap().requests, ["StartTLS", "StartTLS"]);
}

#[test]
fn secrets_that_prove_nothing_or_contradict_themselves_are_refused_before_anything_is_sent() {
    for fields in [
        [("binddn", APP), ("password", ""), ("tls", "true")],
        [("binddn", ""), ("password", "new"), ("tls", "true")],
        [("user", APP), ("password", "new"), ("tls", "true")],
        [("password", "new"), ("start_tls", "true"), ("tls", "false")],
        [("binddn", APP), ("password", "new"), ("start_tls", "perhaps")],
    ] {
        let (scene, directory) = scene(Directory::new("now"));
        let failure = scene.pending(fields).test_secret::<OpenLdap>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged), "{failure}");
        assert_eq!(directory.lock().unwrap().requests.len(), 0);
    }
}

#[test]
fn a_server_that_logs_nobody_in_has_proved_nothing() {
    let (mut scene, directory) = scene(Directory { anonymous: true, ..Directory::new("new") });
    assert_eq!(scene.test_secret::<OpenLdap>().unwrap_err().cause(), Cause::MalformedSecret);
    assert_eq!(scene.set_secret::<OpenLdap>().unwrap_err().effect(), Effect::Unchanged);
    assert_eq!(password(&directory), "new");
    assert_eq!(scene.refused(), [] as [Role; 0]);
}

#[test]
fn a_server_that_is_down_is_unreachable_and_unchanged() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut scene = Scene::new().pending([("binddn", APP), ("password", "new")]).endpoint("ldaps", address);
    let failure = scene.test_secret::<OpenLdap>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unchanged));
}
