//! `windlass rotate` against real servers: the file, its neighbours and the service agree at the end, wherever a run was killed; what
//! cannot be rotated is left alone, with a message that says what to do.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test is meant to panic, in its helpers too")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use rstest::rstest;
use serde_json::json;
use support::built;
use support::canary::Canary;
use support::pki::Pki;
use support::process::{Finished, Program};
use support::proxy::{Moment, Proxy};
use support::rabbitmq::{Login, RabbitMq};
use support::redis::Redis;

/// A credential in a file of a folder of its own, with a password that no output may show.
struct Credential {
    folder: tempfile::TempDir,
    old: Canary,
    /// The file's text around the password.
    around: (String, String),
    plugin: &'static str,
    /// Further arguments.
    arguments: Vec<String>,
}

impl Credential {
    /// With these members before and after the password, in JSON.
    fn new(plugin: &'static str, before: &str, after: &str) -> Self {
        let around = (format!("{{{before}, \"password\": \""), format!("\", {after}}}"));
        let credential = Self { folder: tempfile::tempdir().unwrap(), old: Canary::new(), around, plugin, arguments: Vec::new() };
        credential.write(&format!("{}{}{}", credential.around.0, credential.old.value(), credential.around.1));
        credential
    }

    fn redis(user: &str, port: u16) -> Self {
        Self::new("redis", &format!(r#""username": "{user}""#), &format!(r#""host": "127.0.0.1", "port": {port}, "tls": false"#))
    }

    fn rabbitmq(user: &str, port: u16) -> Self {
        let after = format!(r#""host": "127.0.0.1", "management_port": {port}, "tls": false"#);
        Self::new("rabbitmq", &format!(r#""username": "{user}""#), &after)
    }

    fn with(mut self, argument: &str, value: impl AsRef<Path>) -> Self {
        self.arguments.extend([argument.to_owned(), value.as_ref().to_str().unwrap().to_owned()]);
        self
    }

    /// With a configuration of this text.
    fn with_config(self, text: &str) -> Self {
        let file = self.folder.path().join("windlass.toml");
        fs::write(&file, text).unwrap();
        self.with("--config", file)
    }

    /// With an admin credential.
    fn with_admin(self, user: &str, password: &str) -> Self {
        let file = self.folder.path().join("admin.json");
        fs::write(&file, json!({ "username": user, "password": password }).to_string()).unwrap();
        self.with("--admin", file)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("credential.json")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("credential.json{suffix}"))
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn program(&self) -> Program {
        let program = Program::windlass().arg("rotate").arg("--plugin").arg(built::plugin(self.plugin));
        program.arg("--secret").arg(self.path()).args(&self.arguments)
    }

    /// Runs to the end. Neither the old password nor any that is in a file now was printed.
    fn run(&self) -> Finished {
        self.silent(self.program().run())
    }

    fn silent(&self, finished: Finished) -> Finished {
        let files = ["", ".pending", ".previous"].map(|suffix| self.beside(suffix));
        let passwords = files.iter().filter(|file| file.is_file()).filter_map(|file| self.password_in(file));
        passwords.chain([self.old.clone()]).fold(finished, |finished, password| finished.without(&password))
    }

    /// The password in a file that otherwise is byte for byte the one that was rotated.
    fn password_in(&self, file: &Path) -> Option<Canary> {
        let text = fs::read_to_string(file).unwrap();
        let password = text.strip_prefix(&self.around.0)?.strip_suffix(&self.around.1)?;
        Some(Canary::of(serde_json::from_str::<String>(&format!("\"{password}\"")).unwrap()))
    }

    fn new_password(&self) -> String {
        self.password_in(&self.path()).expect("everything but the password stays byte for byte").value().to_owned()
    }

    #[track_caller]
    fn is_untouched(&self) {
        assert_eq!(self.new_password(), self.old.value());
        assert!(!self.beside(".previous").exists(), "nothing was replaced, so there is no previous value");
    }

    /// The new value is in its place and nothing is under way.
    #[track_caller]
    fn is_rotated(&self) {
        assert_ne!(self.new_password(), self.old.value());
        let previous = self.password_in(&self.beside(".previous")).expect("the previous value is the whole old file");
        assert_eq!(previous.value(), self.old.value());
        let mut left: Vec<_> = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.retain(|name| name.to_str().unwrap().starts_with("credential.json"));
        left.sort();
        assert_eq!(left, ["credential.json", "credential.json.previous"]);
    }
}

fn trusting(pki: &Pki) -> String {
    format!("[tls]\nca_files = [{:?}]\n", pki.ca_file())
}

#[test]
fn a_redis_password_is_replaced_in_the_file_and_in_the_service() {
    let redis = Redis::start();
    let credential = Credential::new(
        "redis",
        "\n  \"unknown\" : [1.50, \"caf\\u00e9 \\/ é\"],\t\"username\":\"app\"",
        &format!("\"tls\":false,\r\n \"host\": \"127.0.0.1\", \"port\": {}\n", redis.port),
    );
    redis.add_user("app", credential.old.value());
    let finished = credential.run().succeeded();
    credential.is_rotated();
    assert!(redis.accepts("app", &credential.new_password()));
    for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
        assert_eq!(finished.stdout.matches(step).count(), 1, "{finished:?}");
    }
    assert_eq!(finished.stderr, "");
}

#[test]
fn a_redis_password_is_replaced_over_tls_with_the_operators_authority() {
    let redis = Redis::start();
    let after = format!(r#""host": "localhost", "port": "{}""#, redis.tls_port);
    let credential = Credential::new("redis", r#""username": "app""#, &after).with_config(&trusting(&redis.pki));
    redis.add_user("app", credential.old.value());
    credential.run().succeeded();
    credential.is_rotated();
    assert!(redis.accepts_over_tls("app", &credential.new_password()));
}

#[test]
fn an_overlapping_credential_survives_one_rotation_and_not_two() {
    let redis = Redis::start();
    let credential = Credential::redis("app", redis.port);
    redis.add_user("app", credential.old.value());
    credential.run().succeeded();
    assert!(redis.accepts("app", credential.old.value()));
    credential.run().succeeded();
    assert!(!redis.accepts("app", credential.old.value()));
    assert!(redis.accepts("app", &credential.new_password()));
}

#[test]
fn each_call_of_the_host_is_shown_without_values() {
    let redis = Redis::start();
    let mut credential = Credential::redis("app", redis.port);
    redis.add_user("app", credential.old.value());
    credential.arguments.push("--trace".to_owned());
    // `run` looks for every password in both outputs.
    let finished = credential.run().succeeded();
    let of = |step: &str| finished.stderr.lines().filter(|line| line.trim_start().starts_with(step)).collect::<Vec<_>>();
    let (set, create) = (of("setSecret"), of("createSecret"));
    assert!(create.is_empty() && set[0].contains("connection.open      redis -> open"), "{finished:?}");
    assert!(set.iter().any(|line| line.contains("connection.write     redis, ")), "{finished:?}");
    assert!(set.iter().any(|line| line.contains("connection.read      redis -> ")), "{finished:?}");

    // The path of a request names the user.
    let rabbitmq = RabbitMq::shared();
    let mut credential = Credential::rabbitmq("is-traced", rabbitmq.http_port);
    rabbitmq.put_user("is-traced", credential.old.value(), "administrator");
    credential.arguments.push("--trace".to_owned());
    let finished = credential.run().succeeded();
    assert!(finished.stderr.contains("http.send            management PUT /api/users/[redacted] -> 204, 0 bytes"), "{finished:?}");
}

#[test]
fn an_administrator_of_rabbitmq_rotates_itself() {
    let rabbitmq = RabbitMq::shared();
    let credential = Credential::rabbitmq("rotates-itself", rabbitmq.http_port);
    rabbitmq.put_user("rotates-itself", credential.old.value(), "administrator");
    credential.run().succeeded();
    credential.is_rotated();
    assert_eq!(rabbitmq.login("rotates-itself", credential.old.value()), Login::Refused);
    assert_eq!(rabbitmq.login("rotates-itself", &credential.new_password()), Login::Accepted);
}

#[test]
fn a_user_without_rights_is_rotated_by_the_admin_over_https() {
    let rabbitmq = RabbitMq::shared();
    let after = format!(r#""host": "localhost", "management_port": {}"#, rabbitmq.https_port);
    let credential = Credential::new("rabbitmq", r#""username": "by-admin""#, &after)
        .with_config(&trusting(&rabbitmq.pki))
        .with_admin(support::rabbitmq::ADMIN, support::rabbitmq::ADMIN_PASSWORD);
    rabbitmq.put_user("by-admin", credential.old.value(), "");
    let finished = credential.run().succeeded();
    finished.without(&Canary::of(support::rabbitmq::ADMIN_PASSWORD));
    credential.is_rotated();
    assert_eq!(rabbitmq.login_over_tls("by-admin", credential.old.value()), Login::Refused);
    assert_eq!(rabbitmq.login_over_tls("by-admin", &credential.new_password()), Login::NoManagementUser);
    assert_eq!(rabbitmq.login(support::rabbitmq::ADMIN, support::rabbitmq::ADMIN_PASSWORD), Login::Accepted);
}

#[test]
fn a_symbolic_link_stays_one() {
    let redis = Redis::start();
    let credential = Credential::redis("app", redis.port);
    redis.add_user("app", credential.old.value());
    let link = tempfile::tempdir().unwrap();
    let link = link.path().join("link.json");
    std::os::unix::fs::symlink(credential.path(), &link).unwrap();
    let rotate = Program::windlass().arg("rotate").arg("--plugin").arg(built::plugin("redis")).arg("--secret").arg(&link);
    let finished = credential.silent(rotate.run()).succeeded();
    assert!(link.is_symlink());
    credential.is_rotated();
    assert!(finished.stdout.contains(credential.beside(".previous").to_str().unwrap()), "{finished:?}");
}

#[test]
fn json_output_is_one_object_and_nothing_else() {
    let redis = Redis::start();
    let mut credential = Credential::redis("app", redis.port);
    credential.arguments.push("--json".to_owned());
    redis.add_user("app", credential.old.value());
    let finished = credential.run().succeeded();
    assert_eq!(finished.stderr, "");
    let mut report = finished.json();
    for step in report["steps"].as_array_mut().unwrap() {
        for time in ["host_us", "plugin_us"] {
            assert!(step[time].take().is_u64(), "{finished:?}");
        }
    }
    let digest = report["digest"].take();
    assert!(digest.as_str().unwrap().starts_with("sha256:"), "{digest}");
    let step = |step, outcome| json!({ "step": step, "outcome": outcome, "host_us": null, "plugin_us": null });
    let mut tested = step("testSecret", "accepted");
    tested["negative_control"] = "refused".into();
    let steps = [step("createSecret", "created"), step("setSecret", "changed"), tested, step("finishSecret", "promoted")];
    assert_eq!(
        report,
        json!({ "secret": credential.path(), "plugin": "redis", "version": "0.1.0", "digest": null, "steps": steps })
    );
}

/// Starts a run and kills it with SIGKILL at this moment of its conversation with the service. False if it ended before.
fn killed_at(proxy: &Proxy, moment: Moment, credential: &Credential) -> bool {
    let (send, receive) = mpsc::channel::<support::process::Killer>();
    proxy.at(moment, move || receive.recv().unwrap().kill());
    let process = credential.program().start();
    send.send(process.killer()).unwrap();
    let finished = credential.silent(process.finish());
    assert_eq!(finished.status.success(), !proxy.fired(), "{finished:?}");
    proxy.fired()
}

/// Kills runs at all moments, one run each, and finishes each with another run. `user` makes a user with a password; `works` says
/// whether a login does.
fn killed_anywhere(
    service: u16,
    credential: impl Fn(&str, u16) -> Credential,
    add: impl Fn(&str, &str),
    works: impl Fn(&str, &str) -> bool,
) -> (u32, u32) {
    let proxy = Proxy::before(service);
    let (mut before, mut after) = (0, 0);
    for turn in 1.. {
        let mut ended = 0;
        for moment in [Moment::BeforeRequest(turn), Moment::BeforeReply(turn)] {
            let user = format!("killed-{moment:?}").replace(['(', ')'], "-").to_lowercase();
            let credential = credential(&user, proxy.port());
            add(&user, credential.old.value());
            if !killed_at(&proxy, moment, &credential) {
                credential.is_rotated();
                ended += 1;
                continue;
            }
            credential.is_untouched();
            let pending = credential.password_in(&credential.beside(".pending")).expect("written before the service was touched");
            let changed = works(&user, pending.value());
            assert!(changed || works(&user, credential.old.value()), "{moment:?}: a credential on disk always logs in");
            if moment == Moment::BeforeRequest(1) {
                assert!(!changed, "the service has not heard of it");
            }
            *(if changed { &mut after } else { &mut before }) += 1;
            credential.run().succeeded();
            credential.is_rotated();
            assert_eq!(credential.new_password(), pending.value(), "{moment:?}: a pending value is used, never replaced");
            assert!(works(&user, pending.value()));
        }
        if ended == 2 {
            break;
        }
    }
    (before, after)
}

#[test]
fn killed_anywhere_a_redis_rotation_is_finished_with_the_same_value() {
    let redis = Redis::start();
    let add = |user: &str, password: &str| redis.add_user(user, password);
    let (before, after) = killed_anywhere(redis.port, Credential::redis, add, |user, password| redis.accepts(user, password));
    assert!(before >= 4 && after >= 4, "{before} kills before the change, {after} after it");
}

#[test]
fn killed_anywhere_a_rabbitmq_rotation_is_finished_with_the_same_value() {
    let rabbitmq = RabbitMq::shared();
    let add = |user: &str, password: &str| rabbitmq.put_user(user, password, "administrator");
    let works = |user: &str, password: &str| rabbitmq.login(user, password) == Login::Accepted;
    let (before, after) = killed_anywhere(rabbitmq.http_port, Credential::rabbitmq, add, works);
    assert!(before >= 4 && after >= 4, "{before} kills before the change, {after} after it");
}

/// A run that has to fail without a word on standard output that a script could take for a result.
#[track_caller]
fn refused(credential: &Credential, says: &[&str]) -> Finished {
    let finished = credential.run().failed_with(1);
    for words in says {
        assert!(finished.stderr.contains(words), "`{words}` is not in {finished:?}");
    }
    assert!(finished.stderr.starts_with("error: "), "{finished:?}");
    for (at, cause) in finished.stderr.match_indices("  because: ") {
        let cause = finished.stderr[at + cause.len()..].lines().next().unwrap();
        assert!(!finished.stderr[..at].contains(cause), "`{cause}` is repeated in {finished:?}");
    }
    assert_eq!(finished.stderr.contains(".pending"), credential.beside(".pending").exists(), "{finished:?}");
    finished
}

/// A credential of a service that is not asked.
fn unasked() -> Credential {
    Credential::redis("app", 1)
}

#[rstest]
#[case::empty("", &["credential.json is empty", "1 to 65,536 bytes"])]
#[case::no_json("hunter2-hunter2", &["not a JSON object", "`password`"])]
#[case::not_an_object("[\"hunter2-hunter2\"]", &["not a JSON object", "`password`"])]
#[case::missing_field(r#"{"username": "app", "password": "hunter2-hunter2", "port": 1}"#, &["no field `host`", "plugin `redis`", "Add it"])]
#[case::missing_password(r#"{"username": "app", "host": "127.0.0.1"}"#, &["`password`"])]
#[case::cut_off(r#"{"username": "app", "password": "hunter2-hunter2", "host": "12"#, &["JSON"])]
fn what_the_file_must_not_hold(#[case] text: &str, #[case] says: &[&str]) {
    let credential = unasked();
    credential.write(text);
    refused(&credential, says).without(&Canary::of("hunter2-hunter2"));
    assert_eq!(fs::read_to_string(credential.path()).unwrap(), text);
    assert!(!credential.beside(".pending").exists(), "nothing that could be pending was made");
}

#[test]
fn a_file_too_large_for_a_secret_is_refused() {
    let credential = unasked();
    credential.write(&"x".repeat(65_537));
    refused(&credential, &["65537 bytes", "65,536"]);
    assert_eq!(fs::metadata(credential.path()).unwrap().len(), 65_537);
}

#[test]
fn a_missing_file_is_refused() {
    let credential = unasked();
    fs::remove_file(credential.path()).unwrap();
    refused(&credential, &["there is no credential file", "credential.json", "write the credential that works now"]);
    assert_eq!(fs::read_dir(credential.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_is_refused() {
    let credential = unasked();
    fs::remove_file(credential.path()).unwrap();
    fs::create_dir(credential.path()).unwrap();
    refused(&credential, &["not a regular file"]);
}

#[test]
fn a_folder_that_takes_no_new_file_is_refused_before_anything_happens() {
    let redis = Redis::start();
    let credential = Credential::redis("app", redis.port);
    redis.add_user("app", credential.old.value());
    fs::set_permissions(credential.folder.path(), Permissions::from_mode(0o555)).unwrap();
    // Root without capabilities is bound by permissions like everybody else.
    let root = rustix::process::geteuid().is_root();
    let program = if root {
        Program::installed("setpriv").args(["--bounding-set=-all", "--inh-caps=-all"])
    } else {
        Program::installed("env")
    };
    let rotate = program.arg(env!("CARGO_BIN_EXE_windlass")).arg("rotate").arg("--plugin").arg(built::plugin("redis"));
    let finished = credential.silent(rotate.arg("--secret").arg(credential.path()).run()).failed_with(1);
    fs::set_permissions(credential.folder.path(), Permissions::from_mode(0o755)).unwrap();
    assert!(
        finished.stderr.contains("cannot be written") && finished.stderr.contains("new credential has to be stored there"),
        "{finished:?}"
    );
    credential.is_untouched();
    assert!(redis.accepts("app", credential.old.value()));
}

#[rstest]
#[case::missing("", "nothing.wasm", &["nothing.wasm", "cannot be read"])]
#[case::text("plain text", "text.wasm", &["no WebAssembly"])]
#[case::core_module("\0asm\x01\0\0\0", "core.wasm", &["core WebAssembly module", "windlass build"])]
fn what_is_no_plugin_is_refused(#[case] content: &str, #[case] name: &str, #[case] says: &[&str]) {
    let credential = unasked();
    let plugin = credential.folder.path().join(name);
    if !content.is_empty() {
        fs::write(&plugin, content).unwrap();
    }
    let rotate = Program::windlass().arg("rotate").arg("--plugin").arg(plugin).arg("--secret").arg(credential.path());
    let finished = credential.silent(rotate.run()).failed_with(1);
    for words in says {
        assert!(finished.stderr.contains(words), "`{words}` is not in {finished:?}");
    }
    credential.is_untouched();
    assert!(!credential.beside(".pending").exists());
}

#[rstest]
#[case::unknown_key("[limits]\ncall_second = 3\n", &["windlass.toml is wrong", "line 2", "unknown field `call_second`"])]
#[case::out_of_range("[limits]\ncall_seconds = 0\n", &["from 1 to 890 s"])]
#[case::missing_authority("[tls]\nca_files = [\"nowhere.pem\"]\n", &["nowhere.pem"])]
#[case::narrower("[[secrets]]\nsecret = \"credential.json\"\nendpoints = [\"elsewhere.example:6379\"]\n", &["127.0.0.1:1", "endpoints"])]
fn a_configuration_that_forbids_or_is_wrong_stops_before_anything_happens(#[case] text: &str, #[case] says: &[&str]) {
    let credential = unasked().with_config(text);
    refused(&credential, says);
    credential.is_untouched();
    assert!(!credential.beside(".pending").exists());
}

#[test]
fn a_missing_configuration_is_refused() {
    let credential = unasked().with("--config", "/nowhere/windlass.toml");
    refused(&credential, &["/nowhere/windlass.toml cannot be read"]);
    credential.is_untouched();
}

#[test]
fn a_missing_admin_file_is_refused() {
    let credential = unasked().with("--admin", "/nowhere/admin.json");
    refused(&credential, &["/nowhere/admin.json"]);
    credential.is_untouched();
}

#[test]
fn a_service_that_is_down_is_named() {
    let redis = Redis::start();
    let credential = Credential::redis("app", redis.port);
    redis.kill();
    refused(&credential, &[&format!("127.0.0.1:{}", redis.port), "credential.json.pending"]);
    credential.is_untouched();
}

#[test]
fn an_unknown_authority_is_named_and_the_password_stays_at_home() {
    let redis = Redis::start();
    let credential =
        Credential::new("redis", r#""username": "app""#, &format!(r#""host": "localhost", "port": {}"#, redis.tls_port));
    redis.add_user("app", credential.old.value());
    refused(&credential, &["certificate", "ca_files"]);
    credential.is_untouched();
    assert!(redis.accepts("app", credential.old.value()));
}

/// A run that the service refuses, and another one after `correct` has given the service's user the password of the file.
#[track_caller]
fn refused_until_corrected(credential: &Credential, correct: impl Fn(&str)) {
    refused(credential, &["setSecret", "unauthorized", "credential.json.pending"]);
    credential.is_untouched();
    let pending = credential.password_in(&credential.beside(".pending")).unwrap();
    correct(credential.old.value());
    credential.run().succeeded();
    credential.is_rotated();
    assert_eq!(credential.new_password(), pending.value());
}

#[test]
fn a_wrong_redis_password_changes_nothing_and_the_rotation_is_finished_when_it_is_corrected() {
    let redis = Redis::start();
    redis.add_user("app", "another-password");
    refused_until_corrected(&Credential::redis("app", redis.port), |password| redis.add_user("app", password));
}

#[test]
fn a_wrong_rabbitmq_password_changes_nothing_and_the_rotation_is_finished_when_it_is_corrected() {
    let rabbitmq = RabbitMq::shared();
    let correct = |password: &str| rabbitmq.put_user("corrected", password, "administrator");
    correct("another-password");
    refused_until_corrected(&Credential::rabbitmq("corrected", rabbitmq.http_port), correct);
}

#[test]
fn the_place_of_the_service_can_be_corrected_after_a_failure() {
    let redis = Redis::start();
    let mut credential = unasked();
    redis.add_user("app", credential.old.value());
    refused(&credential, &["127.0.0.1:1"]);
    credential.is_untouched();
    credential.around.1 = credential.around.1.replace("\"port\": 1,", &format!("\"port\": {},", redis.port));
    credential.write(&format!("{}{}{}", credential.around.0, credential.old.value(), credential.around.1));
    // The pending value says where it belongs too. Whether a service there has accepted it only the operator knows.
    refused(&credential, &["differ in `port`", "delete", "credential.json.pending"]);
    credential.is_untouched();
    fs::remove_file(credential.beside(".pending")).unwrap();
    credential.run().succeeded();
    credential.is_rotated();
    assert!(redis.accepts("app", &credential.new_password()));
}

#[test]
fn two_runs_at_once_do_not_rotate_the_same_file() {
    let redis = Redis::start();
    let proxy = Proxy::before(redis.port);
    let credential = Credential::redis("app", proxy.port());
    redis.add_user("app", credential.old.value());
    let (send, receive) = mpsc::channel();
    let second = credential.program();
    proxy.at(Moment::BeforeRequest(1), move || send.send(second.run()).unwrap());
    // Its connection is cut after that, so it fails; what counts is that the other did not start.
    credential.run().failed_with(1);
    let second = credential.silent(receive.recv().unwrap()).failed_with(1);
    assert!(second.stderr.contains("is being rotated by process "), "{second:?}");
    credential.run().succeeded();
    credential.is_rotated();
}
