//! `windlass local`, driven by the real AWS command line, with the rotation in process and in the real Lambda function.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test is meant to panic, in its helpers too")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};
use support::aws_cli::AwsCli;
use support::built;
use support::canary::Canary;
use support::process::{Finished, Process, Program};
use support::rabbitmq::{Login, RabbitMq};
use support::redis::Redis;

/// Where the steps run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    InProcess,
    InBootstrap,
}

/// A running `windlass local`, its client, and the values that nothing but get-secret-value may print.
struct Local {
    process: Process,
    aws: AwsCli,
    function: String,
    canaries: Vec<Canary>,
    _folder: tempfile::TempDir,
}

impl Local {
    /// A rotation function that may reach these ports of this machine.
    fn start(runs: Runs, ports: &[u16]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("windlass.toml");
        let endpoints: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        fs::write(&config, format!("danger_loopback_endpoints = {endpoints:?}\n")).unwrap();
        let mut program = command().args(["--json", "--config"]).arg(&config);
        if runs == Runs::InBootstrap {
            program = program.args(["--bootstrap", env!("CARGO_BIN_EXE_bootstrap")]);
        }
        let process = program.start();
        let ready: Value = serde_json::from_str(&process.line(|line| line.contains("Listening"))).unwrap();
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        Self { aws: AwsCli::new(text("endpoint")), function: text("function"), process, canaries: Vec::new(), _folder: folder }
    }

    /// Runs a command of the AWS CLI whose output must hold no secret.
    #[track_caller]
    fn aws(&self, arguments: &[&str]) -> Value {
        let finished = self.quiet(self.aws.run(arguments)).succeeded();
        if finished.stdout.trim().is_empty() { Value::Null } else { finished.json() }
    }

    /// As [`Local::aws`]: the CLI says this exception. Its exit code is 255, in version 2 it is 254.
    ///
    /// Source: <https://docs.aws.amazon.com/cli/v1/userguide/cli-usage-returncodes.html>
    #[track_caller]
    fn aws_refuses(&self, exception: &str, arguments: &[&str]) {
        let finished = self.quiet(self.aws.run(arguments)).failed_with(255);
        assert!(finished.stderr.contains(&format!("({exception})")), "{finished:?}");
    }

    #[track_caller]
    fn quiet(&self, finished: Finished) -> Finished {
        self.canaries.iter().fold(finished, Finished::without)
    }

    /// Stores a credential and names its plugin, as an operator does.
    #[track_caller]
    fn create(&mut self, name: &str, plugin: &str, user: &str, password: &Canary, port: (&str, u16)) {
        self.canaries.push(password.clone());
        let value = json!({ "username": user, "password": password.value(), "host": "127.0.0.1", port.0: port.1, "tls": false });
        let created = self.aws(&["create-secret", "--name", name, "--secret-string", &value.to_string()]);
        assert_eq!(created["Name"], name);
        self.aws(&["tag-resource", "--secret-id", name, "--tags", &format!("Key=windlass:plugin,Value={plugin}")]);
    }

    /// Begins a rotation and returns its version.
    #[track_caller]
    fn rotate(&self, name: &str) -> String {
        let rules = ["--rotation-rules", "AutomaticallyAfterDays=7"];
        let begin = ["rotate-secret", "--secret-id", name, "--rotation-lambda-arn", &self.function];
        let begun = self.aws(&[begin.as_slice(), &rules].concat());
        begun["VersionId"].as_str().unwrap().to_owned()
    }

    fn describe(&self, name: &str) -> Value {
        self.aws(&["describe-secret", "--secret-id", name])
    }

    /// Asks again and again, as an operator does, until the version is current; returns the description.
    #[track_caller]
    fn until_current(&self, name: &str, version: &str) -> Value {
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let described = self.describe(name);
            let labels = described["VersionIdsToStages"][version].as_array();
            if labels.is_some_and(|labels| labels.contains(&json!("AWSCURRENT"))) {
                return described;
            }
            assert!(Instant::now() < patience, "{version} does not become current: {described}\n{:?}", self.process);
        }
    }

    /// The value with this label. Its password is a canary from here on.
    #[track_caller]
    fn value(&mut self, name: &str, label: &str) -> Value {
        let answer = self.aws.json(["get-secret-value", "--secret-id", name, "--version-stage", label]);
        let value: Value = serde_json::from_str(answer["SecretString"].as_str().unwrap()).unwrap();
        self.canaries.push(Canary::of(value["password"].as_str().unwrap()));
        value
    }

    /// The events about a secret, from a `RotationStarted` to what it ended with.
    fn events(&self, name: &str) -> Vec<Value> {
        let about = format!(":secret:{name}-");
        let events = self.process.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
        events.into_iter().filter(|event| event["secret"].as_str().is_some_and(|arn| arn.contains(&about))).collect()
    }

    /// The processes that it has started and that run now.
    fn children(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.pid())).unwrap();
        let children = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap());
        let pids: Vec<_> = children.flat_map(|pids| pids.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
        let function = |pid: &String| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "bootstrap\n");
        pids.into_iter().filter(function).collect()
    }

    /// Ends it with SIGTERM, as service managers do. It has printed no secret and leaves nothing running.
    fn stop(self) {
        let children = self.children();
        self.process.terminate();
        let finished = self.process.finish().succeeded();
        self.canaries.iter().fold(finished, Finished::without);
        children.iter().for_each(|pid| ends(pid));
    }
}

/// Waits for the end of a process that is not ours; fails the test if it goes on.
fn ends(pid: &str) {
    Program::installed("tail")
        .args(["-s", "0.05", "-f", "/dev/null", "--pid", pid])
        .timeout(Duration::from_secs(20))
        .run()
        .succeeded();
}

fn command() -> Program {
    built::plugin("redis");
    built::plugin("rabbitmq");
    Program::windlass().arg("local").arg("--plugins").arg(built::target_folder().join("plugins"))
}

#[rstest]
#[case::in_process(Runs::InProcess)]
#[case::in_the_lambda_function(Runs::InBootstrap)]
fn a_secret_is_rotated_by_the_aws_cli(#[case] runs: Runs) {
    let (rabbitmq, redis) = (RabbitMq::shared(), Redis::start());
    let mut local = Local::start(runs, &[rabbitmq.http_port, redis.port]);
    let user = format!("cli-{runs:?}");
    let (old, wrong) = (Canary::new(), Canary::new());
    rabbitmq.put_user(&user, old.value(), "administrator");
    redis.add_user("app", "another-password");
    local.create("app/broker", "rabbitmq", &user, &old, ("management_port", rabbitmq.http_port));
    local.create("app/cache", "redis", "app", &wrong, ("port", redis.port));

    // A neighbour that fails for good: its password is wrong.
    let locked_out = Canary::new();
    local.create("app/locked-out", "redis", "app", &locked_out, ("port", redis.port));
    let before = local.describe("app/locked-out")["VersionIdsToStages"].clone();
    let failing = local.rotate("app/locked-out");

    // Another whose cause is mended: the same version succeeds at the next attempt, which nobody has to ask for.
    let mended = local.rotate("app/cache");
    local.process.line(|line| line.contains("RotationFailed") && line.contains(":secret:app/cache-"));
    redis.add_user("app", wrong.value());
    local.until_current("app/cache", &mended);
    let new = local.value("app/cache", "AWSCURRENT");
    assert!(redis.accepts("app", new["password"].as_str().unwrap()));

    let version = local.rotate("app/broker");
    let described = local.until_current("app/broker", &version);
    assert_eq!(described["RotationEnabled"], true);
    assert_eq!(described["RotationLambdaARN"], local.function);
    assert_eq!(described["RotationRules"]["AutomaticallyAfterDays"], 7);
    assert!(described["LastRotatedDate"].is_number() && described["NextRotationDate"].is_number(), "{described}");
    assert_eq!(described["VersionIdsToStages"].as_object().unwrap().len(), 2);

    let new = local.value("app/broker", "AWSCURRENT");
    let (previous, new) = (local.value("app/broker", "AWSPREVIOUS"), new["password"].as_str().unwrap());
    assert_eq!(previous["password"], old.value());
    assert_eq!(rabbitmq.login(&user, new), Login::Accepted);
    assert_eq!(rabbitmq.login(&user, old.value()), Login::Refused);
    local.process.line(|line| line.contains("RotationSucceeded") && line.contains(":secret:app/broker-"));
    let steps = local.events("app/broker");
    let steps: Vec<_> = steps.iter().map(|event| (event["event"].as_str().unwrap(), event["step"].as_str())).collect();
    let done = |step| ("StepSucceeded", Some(step));
    assert_eq!(
        steps,
        [
            ("RotationStarted", None),
            done("createSecret"),
            done("setSecret"),
            done("testSecret"),
            done("finishSecret"),
            ("RotationSucceeded", None)
        ]
    );

    local.process.line(|line| line.contains("RotationFailed") && line.contains(":secret:app/locked-out-"));
    let after = local.describe("app/locked-out")["VersionIdsToStages"].clone();
    let current = before.as_object().unwrap().keys().next().unwrap();
    assert_eq!(after, json!({ current: ["AWSCURRENT"], &failing: ["AWSPENDING"] }));
    let events = local.events("app/locked-out");
    let failed = events.iter().find(|event| event["event"] == "StepFailed").unwrap();
    assert_eq!((&failed["step"], &failed["errorType"]), (&json!("setSecret"), &json!("Windlass.Unauthorized")), "{failed}");
    assert_eq!(local.value("app/locked-out", "AWSCURRENT")["password"], locked_out.value());
    local.value("app/locked-out", "AWSPENDING");

    assert_eq!(local.children().len(), usize::from(runs == Runs::InBootstrap));
    local.stop();
}

#[test]
fn the_lambda_function_reaches_loopback_only_where_the_configuration_says_so() {
    let redis = Redis::start();
    let mut local = Local::start(Runs::InBootstrap, &[1]);
    let password = Canary::new();
    redis.add_user("app", password.value());
    local.create("app", "redis", "app", &password, ("port", redis.port));
    local.rotate("app");
    let failed: Value = serde_json::from_str(&local.process.line(|line| line.contains("StepFailed"))).unwrap();
    let message = failed["errorMessage"].as_str().unwrap();
    assert!(message.contains("loopback") && message.contains(&format!("127.0.0.1:{}", redis.port)), "{failed}");
    assert!(redis.accepts("app", password.value()));
    local.stop();
}

#[test]
fn killed_the_command_leaves_no_function_behind() {
    let mut local = Local::start(Runs::InBootstrap, &[1]);
    local.create("app", "redis", "app", &Canary::new(), ("port", 1));
    local.rotate("app");
    local.process.line(|line| line.contains("StepFailed"));
    let children = local.children();
    assert_eq!(children.len(), 1);
    local.process.kill();
    ends(&children[0]);
}

#[test]
fn secrets_are_written_read_labelled_listed_and_deleted_by_the_aws_cli() {
    let mut local = Local::start(Runs::InProcess, &[]);
    let (first, second) = (Canary::new(), Canary::awkward());
    local.canaries.extend([first.clone(), second.clone()]);
    let first_id = local.aws(&["create-secret", "--name", "plain", "--description", "one", "--secret-string", first.value()]);
    let first_id = first_id["VersionId"].as_str().unwrap();
    local.aws_refuses("ResourceExistsException", &["create-secret", "--name", "plain", "--secret-string", "another"]);

    // Through a file, as those do who keep secrets out of the list of processes.
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), second.value()).unwrap();
    let url = format!("file://{}", file.path().display());
    let put = local.aws(&["put-secret-value", "--secret-id", "plain", "--secret-string", &url]);
    assert_eq!(put["VersionStages"], json!(["AWSCURRENT"]));
    let second_id = put["VersionId"].as_str().unwrap();
    let stages = |local: &Local| local.describe("plain")["VersionIdsToStages"].clone();
    assert_eq!(stages(&local), json!({ first_id: ["AWSPREVIOUS"], second_id: ["AWSCURRENT"] }));
    let value = |label| local.aws.json(["get-secret-value", "--secret-id", "plain", "--version-stage", label]);
    assert_eq!(value("AWSCURRENT")["SecretString"], second.value());
    assert_eq!(value("AWSPREVIOUS")["SecretString"], first.value());

    let label = ["update-secret-version-stage", "--secret-id", "plain", "--version-stage"];
    local.aws(&[label.as_slice(), &["keep", "--move-to-version-id", first_id]].concat());
    assert_eq!(value("keep")["VersionId"], first_id);
    let back = ["AWSCURRENT", "--move-to-version-id", first_id];
    local.aws_refuses("InvalidParameterException", &[label.as_slice(), &back].concat());
    local.aws(&[label.as_slice(), &back, &["--remove-from-version-id", second_id]].concat());
    assert_eq!(value("AWSCURRENT")["SecretString"], first.value());

    let random = ["get-random-password", "--password-length", "40", "--exclude-punctuation", "--exclude-characters", "0O1l"];
    let random = local.aws.json(random);
    let random = random["RandomPassword"].as_str().unwrap();
    assert!(random.len() == 40 && random.chars().all(|c| c.is_ascii_alphanumeric() && !"0O1l".contains(c)), "{random}");

    local.aws(&["create-secret", "--name", "other", "--secret-string", "another"]);
    let names = |listed: Value| listed["SecretList"].as_array().unwrap().iter().map(|s| s["Name"].clone()).collect::<Vec<_>>();
    let mut all = names(local.aws(&["list-secrets"]));
    all.sort_by_key(Value::to_string);
    assert_eq!(all, ["other", "plain"]);
    assert_eq!(names(local.aws(&["list-secrets", "--filters", "Key=name,Values=pla"])), ["plain"]);

    local.aws(&["delete-secret", "--secret-id", "plain", "--recovery-window-in-days", "7"]);
    local.aws_refuses("InvalidRequestException", &["get-secret-value", "--secret-id", "plain"]);
    local.aws(&["restore-secret", "--secret-id", "plain"]);
    assert_eq!(local.aws.json(["get-secret-value", "--secret-id", "plain"])["SecretString"], first.value());
    local.aws(&["delete-secret", "--secret-id", "other", "--force-delete-without-recovery"]);
    local.aws_refuses("ResourceNotFoundException", &["describe-secret", "--secret-id", "other"]);
    local.stop();
}

#[test]
fn the_words_for_people_are_what_the_next_terminal_needs() {
    let process = command().start();
    process.line(|line| line.starts_with("# Ctrl-C"));
    let text = process.stdout();
    let endpoint = text.lines().next().unwrap().strip_prefix("export AWS_ENDPOINT_URL_SECRETS_MANAGER=").unwrap();
    assert_eq!(AwsCli::new(endpoint).json(["list-secrets"])["SecretList"], json!([]));
    insta::assert_snapshot!(text.replace(endpoint, "[endpoint]"), @r"
    export AWS_ENDPOINT_URL_SECRETS_MANAGER=[endpoint]
    export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1

    # then, for example (PLUGIN is the name of a plugin, without .wasm):
    #   aws secretsmanager create-secret --name my/app --secret-string file://secret.json \
    #       --tags Key=windlass:plugin,Value=PLUGIN
    #   aws secretsmanager rotate-secret --secret-id my/app --rotation-lambda-arn arn:aws:lambda:us-east-1:123456789012:function:windlass \
    #       --rotation-rules AutomaticallyAfterDays=30
    #   aws secretsmanager describe-secret --secret-id my/app
    # Ctrl-C ends it; the secrets are gone then.
    ");
    process.terminate();
    process.finish().succeeded();
}

#[track_caller]
fn does_not_start(program: Program, says: &[&str]) {
    let finished = program.run().failed_with(1);
    assert_eq!(finished.stdout, "");
    for words in says {
        assert!(finished.stderr.contains(words), "`{words}` is not in {finished:?}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    does_not_start(command().args(["--listen", &address]), &[&address, "is in use by another process", "port 0"]);
}

#[rstest]
#[case::not_loopback(&["--listen", "0.0.0.0:0"], &["0.0.0.0:0 is not a loopback address"])]
#[case::no_function_arn(&["--function-arn", "rotator"], &["--function-arn", "rotator"])]
#[case::no_bootstrap(&["--bootstrap", "/nowhere/bootstrap"], &["/nowhere/bootstrap is not an executable file"])]
#[case::no_configuration(&["--config", "/nowhere/windlass.toml"], &["/nowhere/windlass.toml cannot be read"])]
fn what_cannot_be_served_is_said(#[case] arguments: &[&str], #[case] says: &[&str]) {
    does_not_start(command().args(arguments), says);
}

/// The function reads its configuration itself; a mistake in it must not wait for the first rotation.
#[test]
fn a_wrong_configuration_of_the_function_is_said_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "danger = true\n").unwrap();
    let program = command().args(["--bootstrap", env!("CARGO_BIN_EXE_bootstrap"), "--config"]).arg(file.path());
    does_not_start(program, &["unknown field `danger`"]);
}

#[test]
fn plugins_that_are_no_folder_are_named() {
    does_not_start(
        Program::windlass().args(["local", "--plugins", "/nowhere"]),
        &["--plugins /nowhere is not a folder", "windlass build"],
    );
}
