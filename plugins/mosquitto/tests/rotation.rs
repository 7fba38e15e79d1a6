//! The plugin, natively, against a server of its own that behaves as Mosquitto 2 with its dynamic security plugin.
#![allow(clippy::unwrap_used, reason = "the functions that tests share are meant to panic too")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use windlass_plugin_mosquitto::Mosquitto;
use windlass_sdk::testing::Scene;
use windlass_sdk::{Cause, Effect, Outcome, json};

/// What users other than `root` may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rights {
    Nothing,
    /// Subscribe to the answers. Commands are dropped in silence.
    Listen,
    Everything,
}

/// What becomes of `setClientPassword`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Works,
    /// It works and nobody is told.
    Silent,
    /// It works and the connection breaks.
    Breaks,
    /// It is answered with this error.
    Fails(&'static str),
}

/// What the server knows of the client `app`, and what it was asked to do.
struct Server {
    password: String,
    client_id: Option<&'static str>,
    disabled: bool,
    rights: Rights,
    change: Change,
    /// User, client id and whether the session is a clean one.
    logins: Vec<(String, String, bool)>,
    commands: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            password: "now".to_owned(),
            client_id: None,
            disabled: false,
            rights: Rights::Nothing,
            change: Change::Works,
            logins: Vec::new(),
            commands: Vec::new(),
        }
    }
}

impl Server {
    fn accepts(&self, id: &str, user: &str, password: &str) -> bool {
        match user {
            "app" => password == self.password && !self.disabled && self.client_id.is_none_or(|bound| bound == id),
            "root" => password == "root",
            _ => false,
        }
    }

    /// The answer to a command. Nothing breaks the connection, an empty one is not sent.
    fn execute(&mut self, by: &str, request: &str) -> Option<String> {
        let command = json::member(request, "commands").unwrap();
        let command = command.strip_prefix('[').unwrap().strip_suffix(']').unwrap();
        let text = |name: &str| json::member(command, name).unwrap().trim_matches('"').to_owned();
        self.commands.push(text("command"));
        let answer = json::Object::new().text("command", &text("command"));
        let answer = match (text("command").as_str(), text("username").as_str()) {
            (_, user) if user != "app" => answer.text("error", "Client not found"),
            ("getClient", _) => {
                let mut client = json::Object::new().text("username", "app");
                if let Some(id) = self.client_id {
                    client = client.text("clientid", id);
                }
                if self.disabled {
                    client = client.raw("disabled", "true");
                }
                answer.raw("data", &json::Object::new().raw("client", &client.finish()).finish())
            }
            ("setClientPassword", _) => {
                if let Change::Fails(error) = self.change {
                    answer.text("error", error)
                } else {
                    self.password = text("password");
                    match self.change {
                        Change::Silent => return Some(String::new()),
                        Change::Breaks => return None,
                        // Connections of a client whose password changes are closed, before the answer is sent.
                        _ if by == "app" => return None,
                        _ => answer,
                    }
                }
            }
            _ => answer.text("error", "Unknown command"),
        };
        let answer = answer.text("correlationData", &text("correlationData")).finish();
        Some(json::Object::new().raw("responses", &["[", &answer, "]"].concat()).finish())
    }
}

fn packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte).ok()?;
    let head = byte[0];
    let (mut length, mut shift) = (0, 0);
    loop {
        stream.read_exact(&mut byte).ok()?;
        length |= usize::from(byte[0] & 127) << shift;
        shift += 7;
        if byte[0] < 128 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn text(body: &mut Vec<u8>) -> String {
    let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let rest = body.split_off(2 + length);
    String::from_utf8(std::mem::replace(body, rest).split_off(2)).unwrap()
}

fn message(payload: &str) -> Vec<u8> {
    let topic = "$CONTROL/dynamic-security/v1/response";
    let length = 2 + topic.len() + payload.len();
    let mut bytes = vec![0x30, (length % 128) as u8 | 128, (length / 128) as u8, 0, topic.len() as u8];
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(payload.as_bytes());
    bytes
}

fn serve(mut stream: TcpStream, server: &Mutex<Server>) -> Option<()> {
    let (_, mut connect) = packet(&mut stream)?;
    assert!(connect.starts_with(b"\0\x04MQTT\x04"));
    let clean = connect[7] & 2 != 0;
    connect.drain(..10);
    let (id, user, password) = (text(&mut connect), text(&mut connect), text(&mut connect));
    let accepted = server.lock().unwrap().accepts(&id, &user, &password);
    stream.write_all(&[0x20, 2, 0, if accepted { 0 } else { 5 }]).ok()?;
    if !accepted {
        return None;
    }
    server.lock().unwrap().logins.push((user.clone(), id, clean));
    let rights = if user == "root" { Rights::Everything } else { server.lock().unwrap().rights };
    loop {
        let (head, mut body) = packet(&mut stream)?;
        match head {
            0x82 => stream.write_all(&[0x90, 3, body[0], body[1], if rights == Rights::Nothing { 0x80 } else { 0 }]).ok()?,
            0x32 => {
                assert_eq!(text(&mut body), "$CONTROL/dynamic-security/v1");
                let payload = body.split_off(2);
                let answer = if rights == Rights::Everything {
                    server.lock().unwrap().execute(&user, std::str::from_utf8(&payload).unwrap())?
                } else {
                    String::new()
                };
                stream.write_all(&[0x40, 2, body[0], body[1]]).ok()?;
                if !answer.is_empty() {
                    stream.write_all(&message(r#"{"responses":[{"command":"x","correlationData":"of another"}]}"#)).ok()?;
                    stream.write_all(&message(&answer)).ok()?;
                }
            }
            0xc0 => stream.write_all(&[0xd0, 0]).ok()?,
            _ => return None,
        }
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
            thread::spawn(move || serve(stream.unwrap(), &shared));
        }
    });
    (address, server)
}

const PENDING: [(&str, &str); 2] = [("username", "app"), ("password", "new")];
const CURRENT: [(&str, &str); 2] = [("username", "app"), ("password", "now")];
const ROOT: [(&str, &str); 2] = [("username", "root"), ("password", "root")];

fn scene(server: Server) -> (Scene, Arc<Mutex<Server>>) {
    let (address, server) = start(server);
    (Scene::new().pending(PENDING).current(CURRENT).endpoint("mosquitto", address), server)
}

#[test]
fn the_admin_changes_the_password_once() {
    let (scene, server) = scene(Server::default());
    let mut scene = scene.admin(ROOT);
    assert_eq!(scene.test_secret::<Mosquitto>().unwrap_err().cause(), Cause::Unauthorized);
    assert_eq!(scene.set_secret::<Mosquitto>(), Ok(Outcome::Changed));
    assert_eq!(server.lock().unwrap().password, "new");
    assert_eq!(scene.test_secret::<Mosquitto>(), Ok(()));
    assert_eq!(scene.set_secret::<Mosquitto>(), Ok(Outcome::Unchanged));
    assert_eq!(server.lock().unwrap().commands, ["getClient", "setClientPassword"]);
}

#[test]
fn no_two_connections_share_a_client_id() {
    let (scene, server) = scene(Server::default());
    let mut scene = scene.admin(ROOT);
    assert_eq!(scene.set_secret::<Mosquitto>(), Ok(Outcome::Changed));
    let logins = &server.lock().unwrap().logins;
    let mut ids: Vec<_> = logins.iter().map(|(_, id, _)| id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), logins.len());
    assert!(logins.len() > 1 && logins.iter().all(|(_, _, clean)| *clean));
    assert!(ids.iter().all(|id| id.len() <= 23 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())), "{ids:?}");
}

#[test]
fn without_the_right_nothing_happens_and_the_ladder_goes_on() {
    for (rights, word) in [(Rights::Nothing, "may not subscribe"), (Rights::Listen, "does not answer commands")] {
        let (mut scene, server) = scene(Server { rights, ..Server::default() });
        let failure = scene.set_secret::<Mosquitto>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::Unauthorized, Effect::Unchanged));
        assert!(failure.message().contains(word), "{failure}");
        assert!(server.lock().unwrap().commands.is_empty());
        assert_eq!(scene.admin(ROOT).set_secret::<Mosquitto>(), Ok(Outcome::Changed));
    }
}

#[test]
fn an_administrator_changes_itself_though_nobody_answers() {
    let (mut scene, server) = scene(Server { rights: Rights::Everything, ..Server::default() });
    assert_eq!(scene.set_secret::<Mosquitto>(), Ok(Outcome::Changed));
    assert_eq!(server.lock().unwrap().password, "new");
}

#[test]
fn a_change_whose_answer_is_lost_is_found() {
    for change in [Change::Silent, Change::Breaks] {
        let (scene, _server) = scene(Server { change, ..Server::default() });
        assert_eq!(scene.admin(ROOT).set_secret::<Mosquitto>(), Ok(Outcome::Changed));
    }
}

#[test]
fn an_error_is_a_cause_and_no_password() {
    let table = [
        ("Empty password is not allowed", Cause::Rejected, Effect::Unchanged),
        ("Client not found", Cause::MalformedSecret, Effect::Unchanged),
        ("Internal error", Cause::Internal, Effect::Unknown),
        ("canary", Cause::Internal, Effect::Unknown),
    ];
    for (error, cause, effect) in table {
        let (scene, _server) = scene(Server { change: Change::Fails(error), ..Server::default() });
        let mut scene = scene.pending([("username", "app"), ("password", "canary")]).admin(ROOT);
        let failure = scene.set_secret::<Mosquitto>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (cause, effect), "{error}");
        assert!(!failure.message().contains("canary"), "{failure}");
    }
}

#[test]
fn a_client_that_is_not_there_is_not_created() {
    let (scene, server) = scene(Server::default());
    let ghost = |password| [("username", "ghost"), ("password", password)];
    let mut scene = scene.pending(ghost("new")).current(ghost("now")).admin(ROOT);
    let failure = scene.set_secret::<Mosquitto>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged));
    assert_eq!(server.lock().unwrap().commands, ["getClient"]);
}

#[test]
fn a_disabled_client_is_left_alone() {
    let (scene, server) = scene(Server { disabled: true, ..Server::default() });
    let failure = scene.admin(ROOT).set_secret::<Mosquitto>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unauthorized, Effect::Unchanged));
    assert!(failure.message().contains("disabled"), "{failure}");
    assert_eq!(server.lock().unwrap().commands, ["getClient"]);
}

#[test]
fn a_client_that_is_bound_to_an_id_uses_it_and_keeps_its_session() {
    let bound = || Server { client_id: Some("a \"b\\"), rights: Rights::Everything, ..Server::default() };
    let with_id = |id, password| [("username", "app"), ("password", password), ("client_id", id)];
    let (own, server) = scene(bound());
    let own = own.pending(with_id("a \"b\\", "new")).current(with_id("a \"b\\", "now"));
    let mut with_admin = own.admin(ROOT);
    assert_eq!(with_admin.set_secret::<Mosquitto>(), Ok(Outcome::Changed));
    assert_eq!(with_admin.test_secret::<Mosquitto>(), Ok(()));
    let server = server.lock().unwrap();
    // The user itself has the right and does not use it: it would leave a subscription behind.
    assert_eq!(server.commands, ["getClient", "setClientPassword"]);
    for (user, id, clean) in &server.logins {
        assert_eq!((id == "a \"b\\", *clean), (user == "app", user == "root"));
    }
    for wrong in [with_id("other", "now"), with_id("b", "now")] {
        let (scene, server) = scene(bound());
        let mut scene = scene.pending([wrong[0], ("password", "new"), wrong[2]]).current(wrong).admin(ROOT);
        let failure = scene.set_secret::<Mosquitto>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged));
        assert!(failure.message().contains("`client_id`"), "{failure}");
        assert_eq!(server.lock().unwrap().password, "now");
    }
    let (scene, server) = scene(bound());
    assert_eq!(scene.admin(ROOT).set_secret::<Mosquitto>().unwrap_err().cause(), Cause::MalformedSecret);
    assert_eq!(server.lock().unwrap().password, "now");
}

#[test]
fn what_mqtt_cannot_carry_is_not_sent() {
    for (field, value) in [("username", "a\0b"), ("username", "a\u{7f}"), ("password", "a\0b"), ("client_id", "\n")] {
        let (scene, server) = scene(Server::default());
        let mut fields = [("username", "app"), ("password", "new"), ("client_id", "x")];
        fields.iter_mut().find(|(name, _)| *name == field).unwrap().1 = value;
        let failure = scene.pending(fields).test_secret::<Mosquitto>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged));
        assert!(failure.message().contains(field), "{failure}");
        assert!(server.lock().unwrap().logins.is_empty());
    }
}

#[test]
fn a_server_that_is_down_is_unreachable_and_unchanged() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut scene = Scene::new().pending(PENDING).endpoint("mosquitto", address);
    let failure = scene.test_secret::<Mosquitto>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unchanged));
}
