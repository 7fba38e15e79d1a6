//! SIGKILL at random moments, 200 times: of `windlass local --state`, and of the `bootstrap` that it runs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::built;
use crate::support::http::Request;
use crate::support::process::{Process, Program};
use crate::support::redis::Redis;

/// Rounds of each kind.
const ROUNDS: u64 = 100;

/// The moments are the same in every run: another seed means other moments.
const SEED: u64 = 9;

/// Longer than a rotation takes, so that some kills come after its end.
const LATEST: u64 = 120;

/// Milliseconds from 0 to the latest, for a round: splitmix64.
fn moment(round: u64) -> Duration {
    let mut bits = (SEED + round).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Duration::from_millis((bits ^ (bits >> 31)) % LATEST)
}

/// Lets time pass. What it waits for is a moment of its own choice, nothing that could be asked for.
fn wait(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "a kill at a random moment is the point")]
    std::thread::sleep(time);
}

/// A running `windlass local` with a state file.
struct Local {
    process: Process,
    port: u16,
    function: String,
}

impl Local {
    fn start(folder: &Path, bootstrap: bool) -> Self {
        let mut program = Program::windlass().args(["local", "--json", "--pause", "10ms", "--state"]).arg(folder.join("state"));
        program = program.arg("--plugins").arg(folder.join("plugins")).arg("--config").arg(folder.join("windlass.toml"));
        if bootstrap {
            program = program.args(["--bootstrap", env!("CARGO_BIN_EXE_bootstrap")]);
        }
        let process = program.start();
        let ready: Value = serde_json::from_str(&process.line(|line| line.contains("Listening"))).unwrap();
        let (_, port) = ready["endpoint"].as_str().unwrap().rsplit_once(':').unwrap();
        Self { port: port.parse().unwrap(), function: ready["function"].as_str().unwrap().to_owned(), process }
    }

    /// Asks; nothing if there is no answer, because nobody is there any more.
    fn ask(&self, operation: &str, request: &Value) -> Option<Value> {
        let target = format!("secretsmanager.{operation}");
        let headers = [("X-Amz-Target", &*target), ("Content-Type", "application/x-amz-json-1.1")];
        let body = request.to_string();
        let request = Request { method: "POST", path: "/", login: None, headers: &headers, body: body.as_bytes() };
        let response = request.send(self.port).ok()?;
        (response.status == 200).then(|| serde_json::from_str(&response.body).unwrap())
    }

    /// The password under a label.
    fn password(&self, label: &str) -> Option<String> {
        let answer = self.ask("GetSecretValue", &json!({ "SecretId": "app", "VersionStage": label }))?;
        let value: Value = serde_json::from_str(answer["SecretString"].as_str()?).unwrap();
        Some(value["password"].as_str()?.to_owned())
    }

    fn stages(&self) -> Value {
        self.ask("DescribeSecret", &json!({ "SecretId": "app" })).unwrap()["VersionIdsToStages"].clone()
    }

    /// Waits until the rotation to this version is over.
    fn until_current(&self, version: &str) {
        self.process.until_ready(|| self.stages()[version] == json!(["AWSCURRENT"]));
    }

    fn rotate(&self, version: &str) {
        let request = json!({ "SecretId": "app", "ClientRequestToken": version, "RotationLambdaARN": self.function });
        self.ask("RotateSecret", &request);
    }

    /// The function's process.
    fn bootstrap(&self) -> Option<Pid> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.pid())).ok()?;
        let children = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok()).collect::<String>();
        let mut pids = children.split(' ').filter(|pid| !pid.is_empty());
        let pid = pids.find(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "bootstrap\n"))?;
        Pid::from_raw(pid.parse().unwrap())
    }
}

/// A folder with a plugin and a configuration, and the value of a secret that opens `redis`.
fn prepared(redis: &Redis, first: &str) -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("plugins")).unwrap();
    fs::copy(built::plugin("redis"), folder.path().join("plugins/redis.wasm")).unwrap();
    let config = format!("danger_loopback_endpoints = [\"127.0.0.1:{}\"]\n", redis.port);
    fs::write(folder.path().join("windlass.toml"), config).unwrap();
    redis.add_user("app", first);
    (
        folder,
        json!({ "engine": "redis", "username": "app", "password": first, "host": "127.0.0.1", "port": redis.port, "tls": false }),
    )
}

/// At every moment a labelled version opens the service.
#[track_caller]
fn one_works(local: &Local, redis: &Redis, round: u64) {
    let labelled = ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"].map(|label| local.password(label));
    assert!(labelled.iter().flatten().any(|password| redis.accepts("app", password)), "round {round}: no stored credential works");
}

fn version(round: u64) -> String {
    format!("00000000-0000-4000-8000-{round:012}")
}

#[test]
fn the_local_secrets_manager_killed_a_hundred_times_loses_nothing() {
    let redis = Redis::start();
    let (folder, value) = prepared(&redis, "the-first-password");
    let mut local = Local::start(folder.path(), false);
    let create = json!({ "Name": "app", "ClientRequestToken": version(0), "SecretString": value.to_string() });
    local.ask("CreateSecret", &create).unwrap();
    let mut interrupted = 0;
    for round in 1..=ROUNDS {
        let version = version(round);
        local.rotate(&version);
        wait(moment(round));
        local.process.kill();
        drop(local);
        local = Local::start(folder.path(), false);
        one_works(&local, &redis, round);
        // What was answered is kept: RotateSecret was, so the version has a label.
        let stages = local.stages()[&version].clone();
        assert!(stages.is_array(), "round {round}: the rotation is forgotten: {}", local.stages());
        interrupted += u32::from(stages != json!(["AWSCURRENT"]));
        local.until_current(&version);
        assert!(redis.accepts("app", &local.password("AWSCURRENT").unwrap()), "round {round}");
    }
    println!("seed {SEED}: {interrupted} of {ROUNDS} kills of `windlass local` interrupted a rotation");
    assert!(interrupted > 0, "every kill came too late");
}

#[test]
fn the_function_killed_a_hundred_times_loses_nothing() {
    let redis = Redis::start();
    let (folder, value) = prepared(&redis, "the-first-password");
    let local = Local::start(folder.path(), true);
    let create = json!({ "Name": "app", "ClientRequestToken": version(0), "SecretString": value.to_string() });
    local.ask("CreateSecret", &create).unwrap();
    // The first rotation starts the function, and compiles its plugin.
    local.rotate(&version(1));
    local.until_current(&version(1));
    let mut interrupted = 0;
    for round in 2..2 + ROUNDS {
        let version = version(round);
        local.rotate(&version);
        wait(moment(round));
        if let Some(pid) = local.bootstrap() {
            // It may have ended in this moment.
            let _gone = kill_process(pid, Signal::KILL);
        }
        one_works(&local, &redis, round);
        interrupted += u32::from(local.stages()[&version] != json!(["AWSCURRENT"]));
        local.until_current(&version);
        assert!(redis.accepts("app", &local.password("AWSCURRENT").unwrap()), "round {round}");
    }
    println!("seed {SEED}: {interrupted} of {ROUNDS} kills of `bootstrap` came before the end of a rotation");
    assert!(interrupted > 0, "every kill came too late");
}
