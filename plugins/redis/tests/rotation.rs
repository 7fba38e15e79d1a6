//! The plugin, natively, against a server of its own that keeps users as Redis 7 does.
#![allow(clippy::unwrap_used, reason = "the functions that tests share are meant to panic too")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use windlass_plugin_redis::Redis;
use windlass_sdk::testing::Scene;
use windlass_sdk::{Cause, Effect, Outcome};

/// What the server knows: the passwords of `app`, and what it was asked to do.
#[derive(Default)]
struct Users {
    passwords: BTreeSet<String>,
    /// Whether `app` may change passwords itself.
    self_service: bool,
    /// Whether there is an ACL file.
    saves: bool,
    /// Answer of ACL SETUSER, if not what Redis would say; the empty text closes the connection after the change.
    setuser: Option<&'static str>,
    commands: Vec<String>,
}

impl Users {
    fn new(passwords: &[&str]) -> Self {
        let passwords = passwords.iter().map(|password| (*password).to_owned()).collect();
        Self { passwords, self_service: true, saves: true, ..Self::default() }
    }

    /// The reply to a command of a session of `user`, which AUTH changes. Nothing closes the connection.
    fn reply(&mut self, user: &mut Option<String>, command: &[String]) -> Option<String> {
        let words: Vec<_> = command.iter().map(String::as_str).collect();
        self.commands.push(words.iter().take(2).copied().collect::<Vec<_>>().join(" "));
        let may = self.self_service || user.as_deref() == Some("root");
        Some(match (words.as_slice(), &user) {
            (["AUTH", name, password], _) => {
                let right = match *name {
                    "app" => self.passwords.contains(*password),
                    "root" => *password == "root",
                    _ => false,
                };
                if right {
                    *user = Some((*name).to_owned());
                    "+OK".to_owned()
                } else {
                    "-WRONGPASS invalid username-password pair or user is disabled.".to_owned()
                }
            }
            (_, None) => "-NOAUTH Authentication required.".to_owned(),
            (["ACL", "WHOAMI"], Some(name)) => format!("${}\r\n{name}", name.len()),
            (["ACL", ..], _) if !may => "-NOPERM User app has no permissions to run the 'acl' command".to_owned(),
            (["ACL", "GETUSER", "app"], _) => "*4\r\n$5\r\nflags\r\n*1\r\n$2\r\non\r\n$9\r\npasswords\r\n*0".to_owned(),
            (["ACL", "GETUSER", _], _) => "*-1".to_owned(),
            (["ACL", "SETUSER", "app", modifier], _) => {
                let (how, password) = modifier.split_at(1);
                match (self.setuser, how) {
                    (Some(""), _) => {
                        self.passwords.insert(password.to_owned());
                        return None;
                    }
                    (Some(error), _) => error.to_owned(),
                    (None, ">") => {
                        self.passwords.insert(password.to_owned());
                        "+OK".to_owned()
                    }
                    (None, _) if self.passwords.remove(password) => "+OK".to_owned(),
                    (None, _) => format!(
                        "-ERR Error in ACL SETUSER modifier '<{password}': The password you are trying to remove from the user does not exist"
                    ),
                }
            }
            (["ACL", "SAVE"], _) if self.saves => "+OK".to_owned(),
            (["ACL", "SAVE"], _) => "-ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE".to_owned(),
            _ => "-ERR unknown command".to_owned(),
        })
    }
}

fn serve(stream: &TcpStream, users: &Mutex<Users>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut user = None;
    let line = |reader: &mut BufReader<&TcpStream>| {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        line.trim_end()[1..].parse::<usize>().ok()
    };
    loop {
        let mut command = Vec::new();
        for _ in 0..line(&mut reader)? {
            let mut argument = vec![0; line(&mut reader)? + 2];
            reader.read_exact(&mut argument).ok()?;
            argument.truncate(argument.len() - 2);
            command.push(String::from_utf8(argument).ok()?);
        }
        let reply = users.lock().unwrap().reply(&mut user, &command)?;
        let mut writer = stream;
        writer.write_all(format!("{reply}\r\n").as_bytes()).ok()?;
    }
}

fn start(users: Users) -> (SocketAddr, Arc<Mutex<Users>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let users = Arc::new(Mutex::new(users));
    let shared = Arc::clone(&users);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || serve(&stream.unwrap(), &shared));
        }
    });
    (address, users)
}

fn scene(users: Users) -> (Scene, Arc<Mutex<Users>>) {
    let (address, users) = start(users);
    let scene = Scene::new()
        .pending([("username", "app"), ("password", "new")])
        .current([("username", "app"), ("password", "now")])
        .previous([("username", "app"), ("password", "before")])
        .endpoint("redis", address);
    (scene, users)
}

fn passwords(users: &Mutex<Users>) -> Vec<String> {
    users.lock().unwrap().passwords.iter().cloned().collect()
}

#[test]
fn the_new_password_joins_the_current_one_and_the_previous_one_is_retired() {
    let (mut scene, users) = scene(Users::new(&["before", "now"]));
    assert_eq!(scene.test_secret::<Redis>().unwrap_err().cause(), Cause::Unauthorized);
    assert_eq!(scene.set_secret::<Redis>(), Ok(Outcome::Changed));
    assert_eq!(passwords(&users), ["new", "now"]);
    assert_eq!(scene.test_secret::<Redis>(), Ok(()));
    assert_eq!(scene.set_secret::<Redis>(), Ok(Outcome::Unchanged));
    assert_eq!(passwords(&users), ["new", "now"]);
    assert_eq!(scene.lines().count(), 0);
}

#[test]
fn a_run_that_crashed_before_saving_is_healed_by_the_next_one() {
    let (mut scene, users) = scene(Users::new(&["before", "now", "new"]));
    assert_eq!(scene.set_secret::<Redis>(), Ok(Outcome::Unchanged));
    assert_eq!(passwords(&users), ["new", "now"]);
    assert_eq!(users.lock().unwrap().commands.last().map(String::as_str), Some("ACL SAVE"));
}

#[test]
fn a_previous_password_that_is_in_use_again_is_not_retired() {
    for in_use in ["now", "new"] {
        let (scene, users) = scene(Users::new(&["now"]));
        let mut scene = scene.previous([("username", "app"), ("password", in_use)]);
        assert_eq!(scene.set_secret::<Redis>(), Ok(Outcome::Changed));
        assert_eq!(passwords(&users), ["new", "now"]);
    }
}

#[test]
fn the_admin_does_what_the_user_may_not() {
    let (mut scene, users) = scene(Users { self_service: false, ..Users::new(&["before", "now"]) });
    let failure = scene.set_secret::<Redis>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unauthorized, Effect::Unchanged));
    assert!(failure.message().contains("current: ACL SETUSER was answered with NOPERM"), "{failure}");
    let mut scene = scene.admin([("username", "root"), ("password", "root")]);
    assert_eq!(scene.set_secret::<Redis>(), Ok(Outcome::Changed));
    assert_eq!(passwords(&users), ["new", "now"]);
}

#[test]
fn the_admin_does_not_create_a_user_that_is_missing() {
    let (scene, users) = scene(Users::new(&["now"]));
    let mut scene = scene
        .pending([("username", "ghost"), ("password", "new")])
        .current([("username", "ghost"), ("password", "now")])
        .admin([("username", "root"), ("password", "root")]);
    let failure = scene.set_secret::<Redis>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged));
    assert!(!users.lock().unwrap().commands.iter().any(|command| command == "ACL SETUSER"));
}

#[test]
fn a_server_without_an_acl_file_is_changed_and_the_operator_is_warned() {
    let (mut scene, _users) = scene(Users { saves: false, ..Users::new(&["now"]) });
    assert_eq!(scene.set_secret::<Redis>(), Ok(Outcome::Changed));
    assert_eq!(
        scene.lines().collect::<Vec<_>>(),
        ["the server keeps its users in no ACL file: it forgets the new password when it restarts"]
    );
}

#[test]
fn a_connection_that_breaks_after_the_change_counts_as_changed() {
    let (scene, users) = scene(Users { setuser: Some(""), ..Users::new(&["now"]) });
    let mut scene = scene.previous([("username", "app"), ("password", "now")]);
    assert_eq!(scene.set_secret::<Redis>(), Ok(Outcome::Changed));
    assert_eq!(passwords(&users), ["new", "now"]);
}

#[test]
fn no_failure_repeats_a_password() {
    for error in ["-ERR Error in ACL SETUSER modifier '>canary': no", "-canary", "-READONLY canary", "+canary", "canary"] {
        let (scene, _users) = scene(Users { setuser: Some(error), ..Users::new(&["now"]) });
        let mut scene = scene.pending([("username", "app"), ("password", "canary")]);
        let failure = scene.set_secret::<Redis>().unwrap_err();
        assert!(!failure.message().contains("canary"), "{failure}");
        assert_ne!(failure.cause(), Cause::Unauthorized, "{failure}");
    }
}

#[test]
fn a_server_that_is_down_is_unreachable_and_unchanged() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut scene = Scene::new().pending([("username", "app"), ("password", "new")]).endpoint("redis", address);
    let failure = scene.test_secret::<Redis>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unchanged));
}
