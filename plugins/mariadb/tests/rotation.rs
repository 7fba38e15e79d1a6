//! The plugin, natively, against a server of its own that keeps accounts as MariaDB does.
#![allow(clippy::unwrap_used, reason = "the functions that tests share are meant to panic too")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use windlass_plugin_mariadb::MariaDb;
use windlass_plugin_mariadb::authentication::{ed25519, native};
use windlass_sdk::testing::Scene;
use windlass_sdk::{Cause, Effect, Outcome, Role};

const CHALLENGE: [u8; 32] = *b"abcdefghijklmnopqrstABCDEFGHIJKL";

/// The account `app`@`%`, and how the server is.
#[derive(Clone)]
struct Server {
    ed25519: bool,
    password: String,
    /// Whether the password has to be changed before anything else.
    expired: bool,
    /// Error number and text of every SET PASSWORD.
    refuses: Option<(u16, &'static str)>,
    /// Whether stored forms are refused, because nobody can check them.
    strict: bool,
    /// Whether the server is MySQL, which skips the comments that MariaDB reads.
    mysql: bool,
    /// Whether the connection breaks after the change.
    breaks: bool,
    statements: Vec<String>,
}

impl Server {
    fn new(password: &str) -> Self {
        Self {
            ed25519: false,
            password: password.to_owned(),
            expired: false,
            refuses: None,
            strict: false,
            mysql: false,
            breaks: false,
            statements: Vec::new(),
        }
    }

    fn stored(&self, password: &str) -> String {
        if self.ed25519 { ed25519::stored(password.as_bytes()) } else { native::stored(password.as_bytes()) }
    }

    /// The error that answers a statement of this user, 0 for none. Nothing closes the connection.
    fn run(&mut self, user: &str, statement: &str) -> Option<(u16, &'static str)> {
        self.statements.push(statement.to_owned());
        let Some(rest) = statement.strip_prefix("SET /*M!100400 PASSWORD */") else {
            let expired = self.expired && user == "app" && !statement.starts_with("SET ");
            return Some(if expired { (1820, "You must SET PASSWORD before executing this statement") } else { (0, "") });
        };
        if self.mysql {
            return Some((1064, "You have an error in your SQL syntax"));
        }
        if let Some(error) = self.refuses.filter(|_| user == "app") {
            return Some(error);
        }
        let (account, value) = rest.split_once(" = ").unwrap();
        match (account, user) {
            ("", "app") | (" FOR `app`@`%`", "root") => {}
            (_, "root") => return Some((1133, "Can't find any matching row in the user table")),
            _ => return Some((1044, "Access denied for user 'app'@'%' to database 'mysql'")),
        }
        let passwords = ["now", "new", "canary"];
        let set = if let Some(clear) = value.strip_prefix("PASSWORD('") {
            clear.strip_suffix("')").unwrap().to_owned()
        } else if self.strict {
            return Some((1290, "The MariaDB server is running with the --strict-password-validation option so it cannot execute"));
        } else {
            let stored = value.trim_matches('\'');
            let Some(password) = passwords.into_iter().find(|password| self.stored(password) == stored) else {
                return Some((1372, "Password hash should be a 41-digit hexadecimal number"));
            };
            password.to_owned()
        };
        (self.password, self.expired) = (set, false);
        (!self.breaks).then_some((0, ""))
    }
}

fn send(mut stream: &TcpStream, number: u8, payload: &[u8]) -> Option<()> {
    let packet = [&[payload.len() as u8, 0, 0, number], payload].concat();
    stream.write_all(&packet).ok()
}

fn receive(mut stream: &TcpStream) -> Option<Vec<u8>> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).ok()?;
    let mut payload = vec![0; usize::from(header[0]) | usize::from(header[1]) << 8];
    stream.read_exact(&mut payload).ok()?;
    Some(payload)
}

fn answer(stream: &TcpStream, number: u8, (code, text): (u16, &str)) -> Option<()> {
    let [low, high] = code.to_le_bytes();
    match code {
        0 => send(stream, number, &[0, 0, 0, 2, 0, 0, 0]),
        _ => send(stream, number, &[&[0xff, low, high], b"#HY000".as_slice(), text.as_bytes()].concat()),
    }
}

fn serve(stream: &TcpStream, server: &Mutex<Server>) -> Option<()> {
    let greeting = b"\x0a5.5.5-10.11.19-MariaDB\0\x05\0\0\0abcdefgh\0\xfe\xff\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0\
        ijklmnopqrst\0mysql_native_password\0";
    send(stream, 0, greeting)?;
    let login = receive(stream)?;
    let mut parts = login[32..].splitn(2, |byte| *byte == 0);
    let user = String::from_utf8(parts.next()?.to_vec()).ok()?;
    let proof = parts.next()?.get(1..21)?.to_vec();
    let (by_signature, password) = {
        let server = server.lock().unwrap();
        (server.ed25519 && user == "app", if user == "root" { "root".to_owned() } else { server.password.clone() })
    };
    let number = if by_signature { 4 } else { 2 };
    let right = if by_signature {
        send(stream, 2, &[b"\xfeclient_ed25519\0".as_slice(), &CHALLENGE].concat())?;
        receive(stream)? == ed25519::answer(password.as_bytes(), &CHALLENGE)
    } else {
        proof == native::answer(password.as_bytes(), CHALLENGE[..20].try_into().unwrap())
    };
    if !right || !["app", "root"].contains(&user.as_str()) {
        return answer(stream, number, (1045, "Access denied for user 'app'@'%' (using password: YES)"));
    }
    answer(stream, number, (0, ""))?;
    loop {
        let command = receive(stream)?;
        let statement = String::from_utf8(command.strip_prefix(&[3])?.to_vec()).ok()?;
        let error = server.lock().unwrap().run(&user, &statement)?;
        answer(stream, 1, error)?;
    }
}

fn start(server: Server) -> (SocketAddr, Arc<Mutex<Server>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = Arc::new(Mutex::new(server));
    let shared = Arc::clone(&server);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || serve(&stream.unwrap(), &shared));
        }
    });
    (address, server)
}

fn credential<'a>(username: &'a str, password: &'a str) -> [(&'a str, &'a str); 4] {
    [("username", username), ("password", password), ("userhost", "%"), ("tls", "false")]
}

fn scene(server: Server) -> (Scene, Arc<Mutex<Server>>) {
    let (address, server) = start(server);
    let scene = Scene::new().pending(credential("app", "new")).current(credential("app", "now")).endpoint("mariadb", address);
    (scene, server)
}

fn password(server: &Mutex<Server>) -> String {
    server.lock().unwrap().password.clone()
}

#[test]
fn the_account_changes_its_own_password() {
    for ed25519 in [false, true] {
        let (mut scene, server) = scene(Server { ed25519, ..Server::new("now") });
        assert_eq!(scene.test_secret::<MariaDb>().unwrap_err().cause(), Cause::Unauthorized);
        assert_eq!(scene.set_secret::<MariaDb>(), Ok(Outcome::Changed));
        assert_eq!(password(&server), "new");
        assert_eq!(scene.test_secret::<MariaDb>(), Ok(()));
        assert_eq!(scene.set_secret::<MariaDb>(), Ok(Outcome::Unchanged));
        assert_eq!(scene.refused(), [Role::Pending, Role::Pending]);
        let statements = server.lock().unwrap().statements.concat();
        assert!(!statements.contains("new") && !statements.contains(" FOR "), "{statements}");
    }
}

#[test]
fn a_server_that_checks_passwords_is_shown_them() {
    for ed25519 in [false, true] {
        let (mut scene, server) = scene(Server { ed25519, strict: true, ..Server::new("now") });
        assert_eq!(scene.set_secret::<MariaDb>(), Ok(Outcome::Changed));
        assert_eq!(password(&server), "new");
    }
}

#[test]
fn the_admin_does_what_the_account_may_not() {
    let (mut scene, server) = scene(Server { refuses: Some((1044, "")), ed25519: true, ..Server::new("now") });
    let failure = scene.set_secret::<MariaDb>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unauthorized, Effect::Unchanged));
    let mut scene = scene.admin(credential("root", "root"));
    assert_eq!(scene.set_secret::<MariaDb>(), Ok(Outcome::Changed));
    assert_eq!(password(&server), "new");
}

#[test]
fn the_admin_sets_what_no_stored_credential_knows() {
    let (scene, server) = scene(Server::new("drifted"));
    let mut scene = scene.admin(credential("root", "root"));
    assert_eq!(scene.set_secret::<MariaDb>(), Ok(Outcome::Changed));
    assert_eq!(password(&server), "new");
}

#[test]
fn an_account_that_is_missing_stays_so() {
    let (scene, _server) = scene(Server::new("now"));
    let mut scene = scene.pending(credential("ghost", "new")).current(credential("ghost", "now")).admin(credential("root", "root"));
    let failure = scene.set_secret::<MariaDb>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged));
}

#[test]
fn an_expired_password_can_be_replaced_but_is_no_new_one() {
    let (mut scene, server) = scene(Server { expired: true, ..Server::new("now") });
    assert_eq!(scene.set_secret::<MariaDb>(), Ok(Outcome::Changed));
    assert_eq!(scene.test_secret::<MariaDb>(), Ok(()));
    server.lock().unwrap().expired = true;
    assert_eq!(scene.test_secret::<MariaDb>().unwrap_err().cause(), Cause::Unauthorized);
}

#[test]
fn a_connection_that_breaks_after_the_change_counts_as_changed() {
    let (mut scene, server) = scene(Server { breaks: true, ..Server::new("now") });
    assert_eq!(scene.set_secret::<MariaDb>(), Ok(Outcome::Changed));
    assert_eq!(password(&server), "new");
}

#[test]
fn mysql_is_left_alone() {
    let (mut scene, server) = scene(Server { mysql: true, ..Server::new("now") });
    let failure = scene.set_secret::<MariaDb>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unsupported, Effect::Unchanged));
    assert_eq!(password(&server), "now");
}

#[test]
fn no_failure_repeats_a_password() {
    for code in [1064, 1290, 1372, 1819, 9999] {
        let (scene, _server) = scene(Server { refuses: Some((code, "canary")), ..Server::new("now") });
        let mut scene = scene.pending(credential("app", "canary"));
        let failure = scene.set_secret::<MariaDb>().unwrap_err();
        assert!(!failure.message().contains("canary"), "{failure}");
        assert_ne!(failure.cause(), Cause::Unauthorized, "{failure}");
    }
}

#[test]
fn what_the_protocol_cannot_carry_is_not_sent() {
    for (username, password, tls) in
        [("a\0pp", "new", "false"), ("app", "n\0ew", "false"), ("app", "new", "perhaps"), ("", "new", "0")]
    {
        let (scene, server) = scene(Server::new("now"));
        let mut scene = scene.pending([("username", username), ("password", password), ("tls", tls)]);
        let failure = scene.set_secret::<MariaDb>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged));
        assert_eq!(server.lock().unwrap().statements.len(), 0);
    }
}

#[test]
fn tls_is_the_default() {
    let (scene, server) = scene(Server::new("new"));
    let mut scene = scene.pending([("username", "app"), ("password", "new")]);
    // Native tests have no TLS: that it was asked for is what is seen.
    assert_eq!(scene.test_secret::<MariaDb>().unwrap_err().cause(), Cause::Denied);
    assert_eq!(server.lock().unwrap().statements.len(), 0);
}

#[test]
fn a_server_that_is_down_is_unreachable_and_unchanged() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut scene = Scene::new().pending(credential("app", "new")).endpoint("mariadb", address);
    let failure = scene.test_secret::<MariaDb>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unchanged));
}
