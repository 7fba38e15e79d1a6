//! A PostgreSQL server, the earlier function, and a running `windlass local` in which a secret goes over from the one to the other.

use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::guide;
use crate::postgresql::PostgreSql;
use crate::support::built;
use crate::support::canary::Canary;
use crate::support::http::Request;
use crate::support::port;
use crate::support::process::{Finished, Process, Program};

/// The secret that goes over, as the guide calls it.
pub(crate) const SECRET: &str = "prod/orders/app";

/// The function that rotated the secret before, as the guide calls it.
pub(crate) const EARLIER: &str = "arn:aws:lambda:eu-west-1:123456789012:function:orders-rotation";

/// The Windlass function, as the guide calls it.
pub(crate) const WINDLASS: &str = "arn:aws:lambda:eu-west-1:123456789012:function:windlass";

/// The secret that the guide makes beside one without fields.
pub(crate) const BESIDE: &str = "prod/orders/login";

/// What a scene has beside the usual.
#[derive(Default)]
pub(crate) struct Setting<'a> {
    /// Options of `windlass local`.
    pub(crate) local: &'a [&'a str],
    /// The earlier function's environment.
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// What windlass.toml says of the secret.
    pub(crate) rule: &'a str,
}

pub(crate) struct Scene {
    pub(crate) server: PostgreSql,
    local: Process,
    /// Where the Secrets Manager listens.
    port: u16,
    folder: tempfile::TempDir,
    /// The secret that is looked at and changed.
    secret: Cell<&'static str>,
    /// What `windlass doctor` has said last.
    said: RefCell<String>,
    /// What nothing but get-secret-value may print.
    canaries: RefCell<Vec<Canary>>,
    /// The version that had AWSPENDING last, as somebody has set it who follows the guide.
    pending: RefCell<String>,
    _earlier: Process,
}

impl Scene {
    pub(crate) fn start(setting: &Setting<'_>) -> Self {
        let plugins = built::plugin("postgresql");
        let server = PostgreSql::start();
        let folder = tempfile::tempdir().unwrap();
        symlink(plugins.parent().unwrap(), folder.path().join("plugins")).unwrap();
        let ca_file = server.ca_file().display().to_string();
        let rule = setting.rule;
        let config = format!("[tls]\nca_files = [\"{ca_file}\"]\n\n[[secrets]]\nsecret = \"{SECRET}\"\n{rule}\n");
        fs::write(folder.path().join("windlass.toml"), config).unwrap();
        // Each has to know the other, so the port of one is chosen here.
        let port = port::free();
        let earlier = earlier(port, &server, setting.environment);
        let lambda = earlier.line(|line| line.parse::<u16>().is_ok());
        let local = Program::windlass()
            .args(["local", "--json", "--plugins", "plugins", "--config", "windlass.toml", "--attempts", "1"])
            .args(["--listen", &format!("127.0.0.1:{port}"), "--function-arn", WINDLASS])
            .args(["--other-function", &format!("{EARLIER}=http://127.0.0.1:{lambda}")])
            .args(setting.local)
            .folder(folder.path())
            .start();
        local.line(|line| line.contains("Listening"));
        Self {
            server,
            local,
            port,
            folder,
            secret: Cell::new(SECRET),
            said: RefCell::default(),
            canaries: RefCell::default(),
            pending: RefCell::default(),
            _earlier: earlier,
        }
    }

    /// From here on another secret is meant.
    pub(crate) fn turns_to(&self, secret: &'static str) {
        self.secret.set(secret);
        self.pending.take();
    }

    /// The windlass.toml of whoever follows the guide; the function's is the same at first.
    pub(crate) fn configuration(&self) -> String {
        fs::read_to_string(self.folder.path().join("windlass.toml")).unwrap()
    }

    /// Writes that file anew.
    pub(crate) fn configures(&self, text: &str) {
        fs::write(self.folder.path().join("windlass.toml"), text).unwrap();
    }

    /// Calls Secrets Manager past the guide, to prepare something or to see what came of it. The AWS CLI would take its time each time.
    pub(crate) fn try_call(&self, operation: &str, mut request: Value) -> Result<Value, String> {
        // Those that need one are told apart by it; the others take no notice.
        let digits = Canary::new().value()[4..].to_owned();
        let (first, second, last) = (&digits[..8], &digits[8..12], &digits[12..24]);
        request["ClientRequestToken"] = format!("{first}-{second}-4000-8000-{last}").into();
        let target = format!("secretsmanager.{operation}");
        let headers = [("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", target.as_str())];
        let body = request.to_string();
        let request = Request { method: "POST", path: "/", login: None, headers: &headers, body: body.as_bytes() };
        let response = request.send(self.port).unwrap();
        if response.status == 200 { Ok(serde_json::from_str(&response.body).unwrap()) } else { Err(response.body) }
    }

    #[track_caller]
    pub(crate) fn call(&self, operation: &str, request: Value) -> Value {
        self.try_call(operation, request).unwrap_or_else(|refusal| panic!("{operation}: {refusal}"))
    }

    pub(crate) fn described(&self) -> Value {
        self.call("DescribeSecret", json!({ "SecretId": self.secret.get() }))
    }

    /// Makes the role `app`, and the secret whose value `of` makes of the role's password.
    pub(crate) fn create(&self, of: impl FnOnce(&Self, &str) -> String) {
        let password = Canary::new();
        self.server.as_superuser(&format!("CREATE ROLE app LOGIN PASSWORD '{}'", password.value()));
        self.call("CreateSecret", json!({ "Name": SECRET, "SecretString": of(self, password.value()) }));
        self.canaries.borrow_mut().push(password);
    }

    /// Gives the role another password, as somebody does who does not know of the secret.
    pub(crate) fn changes_behind_its_back(&self, password: &str) {
        self.server.as_superuser(&format!("ALTER ROLE app PASSWORD '{password}'"));
    }

    /// The value as AWS's templates for one user have it.
    pub(crate) fn usual(&self, password: &str) -> String {
        let port = self.server.port();
        json!({ "engine": "postgres", "username": "app", "password": password, "host": "localhost", "port": port }).to_string()
    }

    /// Has the earlier function rotate; ends with this event. Returns the version.
    #[track_caller]
    pub(crate) fn rotates_earlier(&self, ends_with: &str) -> String {
        self.ends(&self.begins_earlier(true), ends_with)
    }

    /// Has the earlier function only test the credential in use, as when it was configured.
    #[track_caller]
    pub(crate) fn tests_earlier(&self) {
        self.ends(&self.begins_earlier(false), "TestRotationSucceeded");
    }

    fn begins_earlier(&self, at_once: bool) -> Value {
        let rules = json!({ "AutomaticallyAfterDays": 30 });
        let rotate = json!({ "SecretId": self.secret.get(), "RotationLambdaARN": EARLIER, "RotationRules": rules, "RotateImmediately": at_once });
        self.call("RotateSecret", rotate)
    }

    /// Waits for the event with which the rotation ends that an answer of rotate-secret has begun. Returns its version.
    #[track_caller]
    pub(crate) fn ends(&self, begun: &Value, with: &str) -> String {
        let version = begun["VersionId"].as_str().unwrap().to_owned();
        let last = ["RotationSucceeded", "RotationFailed", "RotationAbandoned", "TestRotationSucceeded", "TestRotationFailed"];
        let line =
            self.local.line(|line| line.contains(&version) && last.iter().any(|event| line.contains(&format!("\"{event}\""))));
        assert!(line.contains(&format!("\"event\":\"{with}\"")), "{:?}", self.local);
        // What it has stored is nobody's business either.
        for label in ["AWSCURRENT", "AWSPENDING"] {
            self.try_value(label);
        }
        version
    }

    /// Waits until the rotation that makes this version, and had failed, has succeeded.
    #[track_caller]
    pub(crate) fn succeeds(&self, version: &str) {
        self.local.line(|line| line.contains(version) && line.contains("\"RotationSucceeded\""));
    }

    /// Runs a block of the guide's commands in a shell, with the variables that the guide has people set.
    #[track_caller]
    pub(crate) fn follow(&self, block: &str) -> Finished {
        let finished = self.attempt(block);
        assert!(matches!(finished.status.code(), Some(0 | 4)), "{finished:?}");
        finished
    }

    /// As [`Scene::follow`], and it may fail.
    #[track_caller]
    pub(crate) fn attempt(&self, block: &str) -> Finished {
        self.shell(&guide::block(block))
    }

    /// Makes the version with this label AWSCURRENT.
    #[track_caller]
    pub(crate) fn promotes(&self, label: &str) {
        self.pending.replace(self.holder(label));
        self.follow("promote-pending");
    }

    /// Runs the command for this operation that `windlass doctor` has said last, as somebody does who pastes it. `value` is what
    /// stands in the file that such a command may name.
    #[track_caller]
    pub(crate) fn follows_the_doctor(&self, operation: &str, value: Option<&str>) {
        let wanted = format!("aws secretsmanager {operation} ");
        let said = self.said.borrow().clone();
        let command = said.lines().find(|line| line.trim_start().starts_with(&wanted));
        let command = command.unwrap_or_else(|| panic!("no command for {operation}: {said}"));
        if let Some(value) = value {
            fs::write(self.folder.path().join("secret.json"), value).unwrap();
        }
        self.shell(command).succeeded();
    }

    fn shell(&self, script: &str) -> Finished {
        let pending = self.holder("AWSPENDING");
        if !pending.is_empty() {
            self.pending.replace(pending);
        }
        let python = built::target_folder().join("aws-cli/bin/python");
        let windlass = env!("CARGO_BIN_EXE_windlass");
        let functions = format!("aws() {{ {} -m awscli \"$@\"; }}\nwindlass() {{ {windlass} \"$@\"; }}\n", python.display());
        // What the guide has people set, and what differs from there.
        let variables = guide::block("variables");
        let (secret, current, pending) = (self.secret.get(), self.holder("AWSCURRENT"), self.pending.borrow());
        let (host, port) = ("localhost", self.server.port());
        let differs = format!(
            "export SECRET={secret} CURRENT={current} PENDING={pending} OLD={SECRET} NEW={BESIDE} LOGIN=app SERVICE_HOST={host} SERVICE_PORT={port}\n"
        );
        let finished = Program::installed("sh")
            .args(["-c", &format!("{functions}{variables}{differs}{script}")])
            .folder(self.folder.path())
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", format!("http://127.0.0.1:{}", self.port))
            .env("AWS_DEFAULT_REGION", "eu-west-1")
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "not-a-key")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", self.folder.path())
            .run();
        self.canaries.borrow().iter().fold(finished, Finished::without)
    }

    /// The names of what `windlass doctor` finds in the guide's first look.
    #[track_caller]
    pub(crate) fn look(&self) -> Vec<String> {
        self.follow("labels");
        let said = self.follow("look").stdout;
        self.said.replace(said.clone());
        // Such as `1. URGENT: only-pending-opens`.
        let numbered = said.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
        numbered.filter_map(|line| line.split_once(": ")).map(|(_, name)| name.to_owned()).collect()
    }

    /// What `windlass doctor` has said last, in one line.
    pub(crate) fn said(&self) -> String {
        self.said.borrow().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn stages(&self) -> Value {
        self.described()["VersionIdsToStages"].clone()
    }

    /// The version with this label; empty if none has it.
    pub(crate) fn holder(&self, label: &str) -> String {
        let stages = self.stages();
        let mut versions = stages.as_object().unwrap().iter();
        versions
            .find(|(_, on)| on.as_array().unwrap().contains(&json!(label)))
            .map(|(version, _)| version.clone())
            .unwrap_or_default()
    }

    /// The labels of all versions, without saying which are which.
    pub(crate) fn labels(&self) -> Vec<String> {
        let stages = self.stages();
        let mut labels: Vec<_> = stages.as_object().unwrap().values().map(Value::to_string).collect();
        labels.sort();
        labels
    }

    fn try_value(&self, label: &str) -> Option<String> {
        let read = self.try_call("GetSecretValue", json!({ "SecretId": self.secret.get(), "VersionStage": label })).ok()?;
        let text = read["SecretString"].as_str().unwrap().to_owned();
        self.canaries.borrow_mut().push(Canary::of(password(&text)));
        Some(text)
    }

    /// The text with this label. Its password is a canary from here on.
    #[track_caller]
    pub(crate) fn value(&self, label: &str) -> String {
        self.try_value(label).unwrap_or_else(|| panic!("{label} has no value"))
    }

    /// Whether PostgreSQL lets the user of a value in.
    pub(crate) fn enters(&self, value: &str) -> bool {
        self.server.try_sql(&user(value), &password(value), "SELECT 1").is_some()
    }
}

/// The user of a value.
pub(crate) fn user(value: &str) -> String {
    field(value, "username").unwrap_or_else(|| "app".to_owned())
}

/// The password in a value; all of it, if it has no fields.
pub(crate) fn password(value: &str) -> String {
    field(value, "password").unwrap_or_else(|| value.to_owned())
}

fn field(value: &str, name: &str) -> Option<String> {
    let fields: Map<String, Value> = serde_json::from_str(value).ok()?;
    Some(fields[name].as_str().unwrap().to_owned())
}

fn earlier(secrets_manager: u16, server: &PostgreSql, environment: &[(&str, &str)]) -> Process {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/migration/earlier_function.py");
    let program = Program::at(built::target_folder().join("aws-cli/bin/python"))
        .arg(script)
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "not-a-key")
        .env("AWS_DEFAULT_REGION", "eu-west-1")
        .env("SECRETS_MANAGER_ENDPOINT", format!("http://127.0.0.1:{secrets_manager}"))
        .env("CA_FILE", server.ca_file())
        .env("PLAIN_USER", "app")
        .env("PLAIN_HOST", "localhost")
        .env("PLAIN_PORT", server.port().to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    environment.iter().fold(program, |program, (name, value)| program.env(name, value)).start()
}
