//! The plugin, natively, against a server of its own that authenticates as PostgreSQL 15 does, in plain text.
#![allow(clippy::unwrap_used, reason = "the functions that tests share are meant to panic too")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use windlass_plugin_postgresql::PostgreSql;
use windlass_sdk::testing::Scene;
use windlass_sdk::{Cause, Effect, Outcome};

/// What the server knows, and what it was asked to do.
struct Roles {
    verifiers: BTreeMap<String, String>,
    /// How it answers statements.
    answer: Answer,
    version: &'static str,
    statements: Vec<String>,
}

#[derive(Clone, Copy)]
enum Answer {
    /// As PostgreSQL does: for the role itself, and for `root`.
    Honest,
    /// The role may not, `root` may.
    OnlyRoot,
    /// With an error: severity and code.
    Error(&'static str, &'static str),
    /// Changes the password and closes the connection.
    Lost,
    /// Closes the connection without a change.
    Closed,
}

impl Roles {
    fn new(password: &str, answer: Answer) -> Self {
        let verifiers = [("app", password), ("root", "root")];
        let verifiers = verifiers.map(|(role, password)| (role.to_owned(), quick_verifier(password)));
        Self { verifiers: verifiers.into(), answer, version: "15.18 (Debian 15.18-0+deb12u1)", statements: Vec::new() }
    }

    /// Answers statements that are sent together: all of them happen, or none.
    fn query(&mut self, session: &str, query: &str) -> Option<Vec<u8>> {
        let before = self.verifiers.clone();
        let mut answers = Vec::new();
        for statement in query.split(';') {
            self.statements.push(statement.to_owned());
            match self.answer {
                Answer::Error("ERROR", code) => return Some([error("ERROR", code), ready()].concat()),
                Answer::Error(severity, code) => return Some(error(severity, code)),
                Answer::Closed => return None,
                Answer::OnlyRoot if session != "root" => return Some([error("ERROR", "42501"), ready()].concat()),
                Answer::Honest | Answer::OnlyRoot | Answer::Lost => {}
            }
            match self.run(statement) {
                Ok(tag) => answers.extend(message(b'C', tag)),
                Err(code) => {
                    self.verifiers = before;
                    return Some([answers, error("ERROR", code), ready()].concat());
                }
            }
        }
        matches!(self.answer, Answer::Honest | Answer::OnlyRoot).then(|| [answers, ready()].concat())
    }

    fn run(&mut self, statement: &str) -> Result<&'static [u8], &'static str> {
        let role = |text: &str| text.split('"').nth(1).unwrap().to_owned();
        let verifier = || statement.split('\'').nth(1).unwrap().to_owned();
        if let Some(rest) = statement.strip_prefix("ALTER ROLE ") {
            let stored = self.verifiers.get_mut(&role(rest)).ok_or("42704")?;
            if rest.contains(" PASSWORD ") {
                *stored = verifier();
            }
            Ok(b"ALTER ROLE\0")
        } else if let Some(rest) = statement.strip_prefix("CREATE ROLE ") {
            self.verifiers.insert(role(rest), verifier()).map_or(Ok(b"CREATE ROLE\0"), |_| Err("42710"))
        } else {
            let first = role(statement.strip_prefix("GRANT ").unwrap());
            self.verifiers.contains_key(&first).then_some(b"GRANT ROLE\0".as_slice()).ok_or("42704")
        }
    }
}

/// A verifier with one iteration.
fn quick_verifier(password: &str) -> String {
    let salted = mac(password.as_bytes(), "salt\0\0\0\u{1}");
    let [stored, server] = [Sha256::digest(mac(&salted, "Client Key")).into(), mac(&salted, "Server Key")];
    let [salt, stored, server] = [b"salt".as_slice(), &stored, &server].map(Base64::encode_string);
    format!("SCRAM-SHA-256$1:{salt}${stored}:{server}")
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], (body.len() as u32 + 4).to_be_bytes().as_slice(), body].concat()
}

fn authentication(request: u8, rest: &str) -> Vec<u8> {
    message(b'R', &[&[0, 0, 0, request], rest.as_bytes()].concat())
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn error(severity: &str, code: &str) -> Vec<u8> {
    message(b'E', format!("S{severity}\0V{severity}\0C{code}\0Mcanary\0\0").as_bytes())
}

fn mac(key: &[u8], text: &str) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().into()
}

/// Reads a message; the first one of a connection has no kind.
fn read(mut stream: &TcpStream, first: bool) -> Option<Vec<u8>> {
    let mut head = [0; 5];
    let head = &mut head[usize::from(first)..];
    stream.read_exact(head).ok()?;
    let length = u32::from_be_bytes(head[head.len() - 4..].try_into().unwrap());
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

fn serve(stream: &TcpStream, roles: &Mutex<Roles>) -> Option<()> {
    let send = |bytes: Vec<u8>| {
        let mut stream = stream;
        stream.write_all(&bytes).ok()
    };
    let startup = String::from_utf8(read(stream, true)?[4..].to_vec()).ok()?;
    let parameters: Vec<_> = startup.split('\0').collect();
    let &["user", user, "database", "db", "client_encoding", "UTF8", "application_name", "windlass", "", ""] =
        parameters.as_slice()
    else {
        panic!("{parameters:?}")
    };
    // A role that does not exist is asked too, as PostgreSQL does it.
    let verifier = roles.lock().unwrap().verifiers.get(user).cloned().unwrap_or_else(|| quick_verifier(""));
    let [iterations, salt, stored, server] = verifier.split(['$', ':']).skip(1).collect::<Vec<_>>().try_into().ok()?;
    let [stored, server] = [stored, server].map(|key| Base64::decode_vec(key).unwrap());

    send(authentication(10, "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"))?;
    let first = read(stream, false)?;
    let bare = std::str::from_utf8(&first).ok()?.split_once("n,,")?.1;
    let nonce = bare.strip_prefix("n=,r=")?;
    let challenge = format!("r={nonce}of the server,s={salt},i={iterations}");
    send(authentication(11, &challenge))?;
    let last = String::from_utf8(read(stream, false)?).ok()?;
    let (last, proof) = last.split_once(",p=")?;
    let signed = [bare, &challenge, last].join(",");
    let mut key = Base64::decode_vec(proof).unwrap();
    key.iter_mut().zip(mac(&stored, &signed)).for_each(|(key, byte)| *key ^= byte);
    if Sha256::digest(key).as_slice() != stored {
        return send(error("FATAL", "28P01"));
    }
    send(authentication(12, &format!("v={}", Base64::encode_string(&mac(&server, &signed)))))?;
    let version = format!("server_version\0{}\0", roles.lock().unwrap().version);
    send([authentication(0, ""), message(b'S', version.as_bytes()), message(b'K', &[0; 8]), ready()].concat())?;
    loop {
        let statement = String::from_utf8(read(stream, false)?).ok()?;
        let answer = roles.lock().unwrap().query(user, statement.trim_end_matches('\0'))?;
        send(answer)?;
    }
}

fn start(roles: Roles) -> (SocketAddr, Arc<Mutex<Roles>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let roles = Arc::new(Mutex::new(roles));
    let shared = Arc::clone(&roles);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || serve(&stream.unwrap(), &shared));
        }
    });
    (address, roles)
}

fn secret<'a>(user: &'a str, password: &'a str) -> [(&'a str, &'a str); 4] {
    [("username", user), ("password", password), ("dbname", "db"), ("tls", "false")]
}

fn scene(roles: Roles) -> (Scene, Arc<Mutex<Roles>>) {
    let (address, roles) = start(roles);
    let scene = Scene::new().pending(secret("app", "new")).current(secret("app", "now")).endpoint("plain-text", address);
    (scene, roles)
}

#[test]
fn the_role_changes_its_own_password_and_the_server_never_sees_it() {
    let (mut scene, roles) = scene(Roles::new("now", Answer::Honest));
    assert_eq!(scene.test_secret::<PostgreSql>().unwrap_err().cause(), Cause::Unauthorized);
    assert_eq!(scene.set_secret::<PostgreSql>(), Ok(Outcome::Changed));
    assert_eq!(scene.test_secret::<PostgreSql>(), Ok(()));
    assert_eq!(scene.set_secret::<PostgreSql>(), Ok(Outcome::Unchanged));
    let statements = &roles.lock().unwrap().statements;
    assert_eq!(statements.len(), 1);
    assert!(statements[0].starts_with("ALTER ROLE \"app\" PASSWORD 'SCRAM-SHA-256$4096:"), "{statements:?}");
    assert_eq!(scene.lines().count(), 0);
}

#[test]
fn the_previous_password_makes_the_change_if_the_current_one_never_arrived() {
    let (scene, _roles) = scene(Roles::new("before", Answer::Honest));
    let mut scene = scene.previous(secret("app", "before"));
    assert_eq!(scene.set_secret::<PostgreSql>(), Ok(Outcome::Changed));
}

#[test]
fn the_admin_does_what_the_role_may_not_or_cannot() {
    for password in ["now", "drifted"] {
        let (mut scene, _roles) = scene(Roles::new(password, Answer::OnlyRoot));
        let failure = scene.set_secret::<PostgreSql>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::Unauthorized, Effect::Unchanged));
        let mut scene = scene.admin(secret("root", "root"));
        assert_eq!(scene.set_secret::<PostgreSql>(), Ok(Outcome::Changed));
        assert_eq!(scene.test_secret::<PostgreSql>(), Ok(()));
    }
}

#[test]
fn a_role_that_is_missing_is_not_created() {
    let (scene, roles) = scene(Roles::new("now", Answer::Honest));
    let mut scene = scene.pending(secret("ghost", "new")).current(secret("ghost", "now")).admin(secret("root", "root"));
    let failure = scene.set_secret::<PostgreSql>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged));
    assert!(!roles.lock().unwrap().verifiers.contains_key("ghost"));
}

/// The current user is `current`, and it is the turn of `pending`.
fn turn(current: &str, pending: &str, roles: Roles) -> (Scene, Arc<Mutex<Roles>>) {
    let (scene, roles) = scene(roles);
    let scene = scene.pending(secret(pending, "new")).current(secret(current, "now")).admin(secret("root", "root"));
    (scene, roles)
}

#[test]
fn the_second_role_is_made_with_the_rights_of_the_first() {
    let (mut scene, roles) = turn("app", "app_clone", Roles::new("now", Answer::OnlyRoot));
    assert_eq!(scene.set_secret::<PostgreSql>(), Ok(Outcome::Changed));
    assert_eq!(scene.test_secret::<PostgreSql>(), Ok(()));
    let rights = ["GRANT \"app\" TO \"app_clone\"", "ALTER ROLE \"app_clone\" SET role = \"app\""];
    let mut statements = std::mem::take(&mut roles.lock().unwrap().statements);
    let secretly = |statement: &mut String| statement.truncate(statement.find('$').unwrap_or(usize::MAX).min(statement.len()));
    statements.iter_mut().for_each(secretly);
    let of_role = |verb: &str, more: &str| format!("{verb} ROLE \"app_clone\"{more} PASSWORD 'SCRAM-SHA-256");
    assert_eq!(statements[0], of_role("ALTER", ""));
    assert_eq!(statements[1], of_role("CREATE", " LOGIN"));
    assert_eq!(statements[2..], [rights, rights].concat());
    // Whoever takes the rights away finds them given again.
    assert_eq!(scene.set_secret::<PostgreSql>(), Ok(Outcome::Unchanged));
    assert_eq!(roles.lock().unwrap().statements, rights);
}

#[test]
fn the_first_role_is_never_made() {
    let mut roles = Roles::new("before", Answer::OnlyRoot);
    roles.verifiers.insert("app_clone".to_owned(), quick_verifier("now"));
    let (mut scene, roles) = turn("app_clone", "app", roles);
    assert_eq!(scene.set_secret::<PostgreSql>(), Ok(Outcome::Changed));
    assert_eq!(roles.lock().unwrap().statements.len(), 1);
    roles.lock().unwrap().verifiers.remove("app");
    let failure = scene.set_secret::<PostgreSql>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged));
}

#[test]
fn a_name_that_the_server_would_cut_is_refused() {
    let user = "x".repeat(60);
    let (mut scene, roles) = turn(&user, &format!("{user}_clone"), Roles::new("now", Answer::Honest));
    let failure = scene.set_secret::<PostgreSql>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged));
    assert!(roles.lock().unwrap().statements.is_empty());
}

#[test]
fn an_answer_that_is_lost_is_looked_into() {
    let (mut lost, _roles) = scene(Roles::new("now", Answer::Lost));
    assert_eq!(lost.set_secret::<PostgreSql>(), Ok(Outcome::Changed));
    let (mut closed, _roles) = scene(Roles::new("now", Answer::Closed));
    let failure = closed.set_secret::<PostgreSql>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unknown));
}

#[test]
fn errors_of_the_change_are_told_without_their_text() {
    let table = [
        ("ERROR", "22023", Cause::Rejected, Effect::Unchanged),
        ("ERROR", "25006", Cause::Unsupported, Effect::Unchanged),
        ("ERROR", "40P01", Cause::Conflict, Effect::Unknown),
        ("FATAL", "57P01", Cause::Unreachable, Effect::Unknown),
    ];
    for (severity, code, cause, effect) in table {
        let (mut scene, _roles) = scene(Roles::new("now", Answer::Error(severity, code)));
        let failure = scene.set_secret::<PostgreSql>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (cause, effect), "{code}");
        assert!(!failure.message().contains("canary"), "{failure}");
    }
}

#[test]
fn a_server_that_would_take_the_verifier_for_a_password_is_left_alone() {
    for version in ["9.6.24", "8.0.2", ""] {
        let (mut scene, roles) = scene(Roles { version, ..Roles::new("now", Answer::Honest) });
        let failure = scene.set_secret::<PostgreSql>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::Unsupported, Effect::Unchanged));
        assert!(roles.lock().unwrap().statements.is_empty());
    }
}

#[test]
fn a_password_that_clients_may_change_is_no_proof_and_is_not_set() {
    let (scene, roles) = scene(Roles::new("now", Answer::Honest));
    let mut scene = scene.pending(secret("app", "\u{212b}"));
    for failure in [scene.test_secret::<PostgreSql>().unwrap_err(), scene.set_secret::<PostgreSql>().unwrap_err()] {
        assert_eq!((failure.cause(), failure.effect()), (Cause::Rejected, Effect::Unchanged));
    }
    assert!(roles.lock().unwrap().statements.is_empty());
}

#[test]
fn a_refused_current_password_that_clients_may_change_is_no_wrong_one() {
    let (scene, _roles) = scene(Roles::new("\u{e9}", Answer::Honest));
    let mut scene = scene.current(secret("app", "e\u{301}"));
    let failure = scene.set_secret::<PostgreSql>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unsupported, Effect::Unchanged));
    let mut scene = scene.admin(secret("root", "root"));
    assert_eq!(scene.set_secret::<PostgreSql>(), Ok(Outcome::Changed));
}

#[test]
fn a_zero_byte_ends_no_text_early() {
    for (field, value) in [("username", "app\0database\0other"), ("password", "now\0"), ("dbname", "db\0options\0-c x")] {
        let (scene, _roles) = scene(Roles::new("now", Answer::Honest));
        let fields = secret("app", "now").map(|(name, kept)| (name, if name == field { value } else { kept }));
        let failure = scene.pending(fields).test_secret::<PostgreSql>().unwrap_err();
        assert_eq!(failure.cause(), Cause::MalformedSecret);
        assert!(failure.message().contains(field), "{failure}");
    }
}

#[test]
fn without_the_word_false_nothing_is_sent_in_plain_text() {
    for wish in ["true", "", "nein"] {
        let (address, roles) = start(Roles::new("now", Answer::Honest));
        let fields = [("username", "app"), ("password", "now"), ("dbname", "db"), ("tls", wish)];
        let mut scene = Scene::new().pending(fields).endpoint("plain-text", address);
        let failure = scene.test_secret::<PostgreSql>().unwrap_err();
        assert_eq!(failure.message(), "the manifest has no endpoint `postgresql`");
        drop(roles);
    }
}

#[test]
fn a_server_that_is_down_is_unreachable_and_unchanged() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut scene = Scene::new().pending(secret("app", "new")).endpoint("plain-text", address);
    let failure = scene.test_secret::<PostgreSql>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unchanged));
}
