//! A running `windlass local`, a redis-server, and the AWS CLI to bring secrets into the states that the doctor explains.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::aws_cli::AwsCli;
use crate::support::built;
use crate::support::canary::Canary;
use crate::support::process::{Finished, Process, Program};
use crate::support::redis::Redis;

pub(crate) struct Scene {
    process: Process,
    endpoint: String,
    folder: tempfile::TempDir,
    pub(crate) aws: AwsCli,
    pub(crate) function: String,
    pub(crate) redis: Redis,
    /// What nothing but get-secret-value may print.
    pub(crate) canaries: Vec<Canary>,
}

/// Somebody who must not be asked.
pub(crate) fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

impl Scene {
    /// With this configuration.
    pub(crate) fn start(configuration: &str) -> Self {
        built::plugin("redis");
        built::plugin("rabbitmq");
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("windlass.toml");
        fs::write(&config, configuration).unwrap();
        let process =
            Program::windlass().args(["local", "--json", "--config"]).arg(&config).arg("--plugins").arg(plugins()).start();
        let ready: Value = serde_json::from_str(&process.line(|line| line.contains("Listening"))).unwrap();
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        let endpoint = text("endpoint");
        let (aws, function) = (AwsCli::new(&endpoint), text("function"));
        Self { process, endpoint, folder, aws, function, redis: Redis::start(), canaries: Vec::new() }
    }

    /// `windlass doctor` as an operator runs it who has the function's plugins and configuration.
    pub(crate) fn command(&self, secret: &str, arguments: &[&str]) -> Program {
        self.bare(secret, arguments).arg("--config").arg(self.config()).arg("--plugins").arg(plugins())
    }

    /// The function's configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("windlass.toml")
    }

    /// `windlass doctor` without either.
    pub(crate) fn bare(&self, secret: &str, arguments: &[&str]) -> Program {
        self.environment(Program::windlass()).args(["doctor", secret]).args(arguments)
    }

    fn environment(&self, program: Program) -> Program {
        program
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.endpoint)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "not-a-key")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", self.folder.path())
    }

    /// The diagnosis, with every pending version taken for stuck. It ends with this code and shows no secret.
    #[track_caller]
    pub(crate) fn doctor(&self, secret: &str, arguments: &[&str], code: i32) -> Value {
        let finished = self.quiet(self.command(secret, arguments).args(["--json", "--stuck-after", "0"]).run().failed_with(code));
        if code == 1 { Value::Null } else { finished.json() }
    }

    /// `windlass doctor` with a terminal on which somebody types `answer`.
    #[track_caller]
    pub(crate) fn on_a_terminal(&self, secret: &str, arguments: &[&str], answer: &str) -> Finished {
        const TYPE: &str = "import os, pty, sys\n\
                            answer = (sys.argv[1] + '\\n').encode()\n\
                            asked = []\n\
                            def read(terminal):\n\
                            \x20   data = os.read(terminal, 1024)\n\
                            \x20   asked.append(data)\n\
                            \x20   if b'[y/N]' in b''.join(asked):\n\
                            \x20       asked.clear()\n\
                            \x20       os.write(terminal, answer)\n\
                            \x20   return data\n\
                            sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[2:], read)))\n";
        let program = Program::at(built::target_folder().join("aws-cli/bin/python")).args(["-c", TYPE, answer]);
        let program = self.environment(program).arg(env!("CARGO_BIN_EXE_windlass")).args(["doctor", secret]).args(arguments);
        let plugins = plugins();
        self.quiet(program.arg("--plugins").arg(plugins).args(["--stuck-after", "0"]).run().failed_with(4))
    }

    /// Runs a printed command, as somebody does who pastes it.
    #[track_caller]
    pub(crate) fn shell(&self, command: &str) {
        let python = built::target_folder().join("aws-cli/bin/python");
        let script = format!("aws() {{ {} -m awscli \"$@\"; }}\n{command}", python.display());
        self.quiet(self.environment(Program::installed("sh")).args(["-c", &script]).run().succeeded());
    }

    #[track_caller]
    pub(crate) fn quiet(&self, finished: Finished) -> Finished {
        self.canaries.iter().fold(finished, Finished::without)
    }

    /// Runs a command of the AWS CLI whose output must hold no secret.
    #[track_caller]
    pub(crate) fn aws(&self, arguments: &[&str]) -> Value {
        let finished = self.quiet(self.aws.run(arguments).succeeded());
        if finished.stdout.trim().is_empty() { Value::Null } else { finished.json() }
    }

    pub(crate) fn describe(&self, name: &str) -> Value {
        self.aws(&["describe-secret", "--secret-id", name])
    }

    /// A value for the user `app` of redis.
    pub(crate) fn value(&self, password: &Canary) -> String {
        let port = self.redis.port;
        json!({ "username": "app", "password": password.value(), "host": "127.0.0.1", "port": port, "tls": false }).to_string()
    }

    /// Stores a credential; without a plugin it gets no tag.
    #[track_caller]
    pub(crate) fn create(&mut self, name: &str, password: &Canary, plugin: &str) {
        self.canaries.push(password.clone());
        self.aws(&["create-secret", "--name", name, "--secret-string", &self.value(password)]);
        if !plugin.is_empty() {
            self.aws(&["tag-resource", "--secret-id", name, "--tags", &format!("Key=windlass:plugin,Value={plugin}")]);
        }
    }

    /// Begins a rotation and returns its version.
    #[track_caller]
    fn rotate(&self, name: &str) -> String {
        let rotate = ["rotate-secret", "--secret-id", name, "--rotation-lambda-arn", &self.function];
        let begun = self.aws(&[rotate.as_slice(), &["--rotation-rules", "AutomaticallyAfterDays=7"]].concat());
        begun["VersionId"].as_str().unwrap().to_owned()
    }

    /// A secret that has been rotated once.
    #[track_caller]
    pub(crate) fn rotated(&mut self, name: &str) {
        let password = Canary::new();
        self.redis.add_user("app", password.value());
        self.create(name, &password, "redis");
        let version = self.rotate(name);
        self.until(name, |described| described["VersionIdsToStages"][&version] == json!(["AWSCURRENT"]));
        self.event(name, "RotationSucceeded");
        self.password(name, "AWSCURRENT");
    }

    /// Begins a rotation that fails, and returns its version.
    #[track_caller]
    pub(crate) fn rotation_fails(&self, name: &str) -> String {
        let version = self.rotate(name);
        self.event(name, "RotationFailed");
        version
    }

    /// A rotation that was cancelled after setSecret: the service has the pending value. Returns its version.
    #[track_caller]
    pub(crate) fn between_set_and_finish(&mut self, name: &str) -> String {
        self.create(name, &Canary::new(), "redis");
        self.redis.add_user("app", "something-else-at-first");
        let version = self.rotation_fails(name);
        self.aws(&["cancel-rotate-secret", "--secret-id", name]);
        let pending = self.password(name, "AWSPENDING");
        self.redis.add_user("app", pending.value());
        version
    }

    /// Writes a pending version from outside, and returns it.
    #[track_caller]
    pub(crate) fn put_pending(&self, name: &str, value: &str) -> String {
        let put = ["put-secret-value", "--secret-id", name, "--version-stages", "AWSPENDING", "--secret-string", value];
        self.aws(&put)["VersionId"].as_str().unwrap().to_owned()
    }

    /// The password with this label, a canary from here on.
    #[track_caller]
    pub(crate) fn password(&mut self, name: &str, label: &str) -> Canary {
        let answer = self.aws.json(["get-secret-value", "--secret-id", name, "--version-stage", label]);
        let value: Value = serde_json::from_str(answer["SecretString"].as_str().unwrap()).unwrap();
        let canary = Canary::of(value["password"].as_str().unwrap());
        self.canaries.push(canary.clone());
        canary
    }

    /// Waits for an event about a secret.
    #[track_caller]
    pub(crate) fn event(&self, name: &str, event: &str) -> Value {
        let line = self.process.line(|line| line.contains(event) && line.contains(&format!(":secret:{name}-")));
        serde_json::from_str(&line).unwrap()
    }

    /// Asks again and again, as an operator does.
    #[track_caller]
    pub(crate) fn until(&self, name: &str, done: impl Fn(&Value) -> bool) {
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let described = self.describe(name);
            if done(&described) {
                return;
            }
            assert!(Instant::now() < patience, "it stays at {described}\n{:?}", self.process);
        }
    }
}

fn plugins() -> PathBuf {
    built::target_folder().join("plugins")
}
