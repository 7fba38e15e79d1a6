//! An AWS account on this machine: a Secrets Manager that rotates, and functions that are real `bootstrap` processes.
//!
//! Whatever a function writes or answers is searched for every secret that the account has held: see [`Function`]'s `Drop`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{mpsc as channel, oneshot};
use tokio::time::Instant;
use windlass::event::Step;
use windlass::local::api::Tag;
use windlass::local::backend::Backend;
use windlass::local::bootstrap_process::{BootstrapProcess, FunctionSettings, Output};
use windlass::local::engine::{Engine, Happened, Pace, Report};
use windlass::local::ids;
use windlass::local::invoker::{Invocation, InvocationError, Invoker};
use windlass::local::protocol::Operation;
use windlass::local::server::{Listen, Server};
use windlass::local::store::{CURRENT, FunctionArn, PENDING, PREVIOUS};
use windlass::secret::SecretValue;

use super::built;
use super::canary::{self, Canary};
use super::proxy::{Moment, Proxy};
use super::tap::Tap;

/// The function's timeout, unless the test says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A Secrets Manager with its scheduler. The scheduler asks the test to run each step.
pub struct Account {
    runtime: Handle,
    _stop: oneshot::Sender<()>,
    backend: Arc<Backend>,
    server: Server,
    _engine: Engine,
    asked: Mutex<channel::UnboundedReceiver<Asked>>,
    reports: Mutex<channel::UnboundedReceiver<Report>>,
    names: Mutex<Vec<String>>,
    secrets: Mutex<Vec<Canary>>,
}

/// An event of the scheduler, and whom to answer.
type Asked = (Value, oneshot::Sender<Invocation>);

/// A secret of the account.
#[derive(Debug, Clone)]
pub struct Secret {
    pub name: String,
    pub arn: String,
}

/// A rotation that was begun and whose steps the test runs in whatever order and number it likes.
pub struct Rotation {
    arn: String,
    version: String,
    token: String,
    /// While it is held, the scheduler believes that the first step still runs.
    _scheduler: oneshot::Sender<Invocation>,
}

impl Rotation {
    /// The event that Secrets Manager sends for a step.
    pub fn event(&self, step: Step) -> Value {
        json!({ "Step": step.name(), "SecretId": self.arn, "ClientRequestToken": self.version, "RotationToken": self.token })
    }

    /// The version that is made.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl Account {
    pub fn new() -> Arc<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (handle, handles) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            handle.send(runtime.handle().clone()).unwrap();
            // Ends when the account is dropped.
            let _account_dropped = runtime.block_on(stopped);
        });
        let runtime = handles.recv().unwrap();
        let (ask, asked) = channel::unbounded_channel::<Asked>();
        let (report, reports) = channel::unbounded_channel();
        let (backend, server, engine) = runtime.block_on(async {
            let (backend, begun) = Backend::new(FunctionArn::default());
            let server = Server::start(Listen::loopback(([127, 0, 0, 1], 0).into()).unwrap(), Arc::clone(&backend)).await.unwrap();
            let invoker = Invoker::in_process(move |event, _| {
                let ask = ask.clone();
                async move {
                    let (answer, answered) = oneshot::channel();
                    ask.send((serde_json::from_slice(&event).unwrap(), answer)).unwrap();
                    answered.await.unwrap_or_else(|_| Err(InvocationError::new("Test", "the test runs the steps itself")))
                }
            });
            let pace = Pace { attempts: 1, timeout: TIMEOUT * 10, ..Pace::default() };
            let engine = Engine::start(Arc::clone(&backend), begun, invoker, pace, report);
            (backend, server, engine)
        });
        Arc::new(Self {
            runtime,
            _stop: stop,
            backend,
            server,
            _engine: engine,
            asked: Mutex::new(asked),
            reports: Mutex::new(reports),
            names: Mutex::default(),
            secrets: Mutex::default(),
        })
    }

    /// The port of Secrets Manager.
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// Any operation of Secrets Manager.
    #[track_caller]
    pub fn call(&self, operation: Operation, body: &Value) -> Value {
        self.backend.call(operation, body.to_string().as_bytes()).unwrap()
    }

    /// Creates a secret. Its passwords must not be seen in any output.
    pub fn secret(&self, name: &str, value: &SecretValue, tags: &[(&str, &str)]) -> Secret {
        let tags = tags.iter().map(|(key, value)| Tag { key: (*key).to_owned(), value: (*value).to_owned() }).collect();
        let arn = self.backend.create(name, value, tags).unwrap();
        self.names.lock().unwrap().push(name.to_owned());
        Secret { name: name.to_owned(), arn }
    }

    /// A secret without a value.
    pub fn empty_secret(&self, name: &str) -> Secret {
        let token = ids::uuid().unwrap();
        let made = self.call(Operation::CreateSecret, &json!({ "Name": name, "ClientRequestToken": token }));
        Secret { name: name.to_owned(), arn: made["ARN"].as_str().unwrap().to_owned() }
    }

    /// This must not be seen in any output either.
    pub fn never(&self, text: &str) {
        self.secrets.lock().unwrap().push(Canary::of(text));
    }

    /// Begins a rotation whose steps the test runs itself. `more` are members of RotateSecret.
    pub fn begin(&self, secret: &Secret, more: &Value) -> Rotation {
        self.rotate_secret(secret, more);
        let (event, scheduler) = self.runtime.block_on(self.asked.lock().unwrap().recv()).unwrap();
        let text = |key: &str| event[key].as_str().unwrap().to_owned();
        self.never(&text("RotationToken"));
        Rotation { arn: text("SecretId"), version: text("ClientRequestToken"), token: text("RotationToken"), _scheduler: scheduler }
    }

    /// Rotates as Secrets Manager does, with `function`. The steps that were invoked, with their outcomes.
    pub fn rotate(&self, secret: &Secret, function: &Function, more: &Value) -> Vec<(String, Invocation)> {
        self.rotate_secret(secret, more);
        let mut steps = Vec::new();
        loop {
            let (asked, reports) = (&mut *self.asked.lock().unwrap(), &mut *self.reports.lock().unwrap());
            let next = self.runtime.block_on(async {
                tokio::select! {
                    Some(asked) = asked.recv() => Ok(asked),
                    Some(report) = reports.recv() => Err(report.happened),
                }
            });
            match next {
                Ok((event, answer)) => {
                    self.never(event["RotationToken"].as_str().unwrap());
                    let invocation = function.invoke(&event);
                    steps.push((event["Step"].as_str().unwrap().to_owned(), invocation.clone()));
                    answer.send(invocation).unwrap();
                }
                Err(Happened::Abandoned { why }) => panic!("{why}"),
                Err(happened) if happened.is_last() => return steps,
                Err(_) => {}
            }
        }
    }

    fn rotate_secret(&self, secret: &Secret, more: &Value) {
        let mut request = json!({
            "SecretId": secret.arn,
            "ClientRequestToken": ids::uuid().unwrap(),
            "RotationLambdaARN": FunctionArn::DEFAULT,
        });
        request.as_object_mut().unwrap().extend(more.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
        self.call(Operation::RotateSecret, &request);
    }

    /// The value under a label: its text, or its bytes in hexadecimal.
    pub fn value(&self, secret: &Secret, label: &str) -> Option<String> {
        let found = self.backend.apply(|store, _| Ok(store.named(&secret.name).and_then(|secret| secret.labelled(label)).cloned()));
        found.unwrap().map(|value| match &*value {
            SecretValue::Text(text) => text.expose().to_owned(),
            SecretValue::Binary(bytes) => bytes.expose().iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// The field `password` under a label.
    pub fn password(&self, secret: &Secret, label: &str) -> Option<String> {
        let value: Value = serde_json::from_str(&self.value(secret, label)?).ok()?;
        value["password"].as_str().map(str::to_owned)
    }

    /// The version that a label is attached to.
    pub fn holder(&self, secret: &Secret, label: &str) -> Option<String> {
        let found = self.backend.apply(|store, _| Ok(store.named(&secret.name).and_then(|s| s.holder(label)).map(str::to_owned)));
        found.unwrap()
    }

    /// How many versions there are, with and without labels.
    pub fn versions(&self, secret: &Secret) -> usize {
        let listed = self.call(Operation::ListSecretVersionIds, &json!({ "SecretId": secret.arn, "IncludeDeprecated": true }));
        listed["Versions"].as_array().unwrap().len()
    }

    /// Labels and values: equal before and after whatever must change nothing.
    pub fn state(&self, secret: &Secret) -> Vec<(&'static str, Option<String>, Option<String>)> {
        [CURRENT, PENDING, PREVIOUS].map(|label| (label, self.holder(secret, label), self.value(secret, label))).into()
    }

    /// What of all that must not be seen `output` holds: the form, and where. Does not repeat it.
    pub fn leaked(&self, output: &[u8]) -> Option<String> {
        let known = self.secrets.lock().unwrap();
        canary::find_any(&known, output).map(|(_, form, at)| format!("the canary secret, {form}, at byte {at} of {}", output.len()))
    }

    /// Remembers the passwords of the secret that an event is about: no output may hold them from now on.
    fn learn(&self, event: &Value) {
        let arn = event["SecretId"].as_str().unwrap_or_default();
        let about = |name: &&String| arn.split_once(":secret:").is_some_and(|(_, id)| id.starts_with(name.as_str()));
        for name in self.names.lock().unwrap().iter().filter(about) {
            let secret = Secret { name: name.clone(), arn: String::new() };
            for label in [CURRENT, PENDING, PREVIOUS] {
                if let Some(password) = self.password(&secret, label).filter(|password| password.len() >= 12) {
                    let mut known = self.secrets.lock().unwrap();
                    if known.iter().all(|canary| canary.value() != password) {
                        known.push(Canary::of(password));
                    }
                }
            }
        }
    }
}

/// How a function is deployed.
pub struct Deployment {
    /// The port of Secrets Manager, if not the account's own.
    pub secrets_manager: Option<u16>,
    /// Text of windlass.toml.
    pub configuration: String,
    /// Files of the plugin folder: name and content.
    pub plugins: Vec<(String, Vec<u8>)>,
    /// Another build of the function.
    pub executable: Option<PathBuf>,
    /// Another plugin folder, as a layer brings one.
    pub layer: Option<PathBuf>,
    /// An unpacked zip of `windlass package`, whose configuration and plugins are deployed instead of those above.
    pub package: Option<PathBuf>,
    /// Without `windlass-compile` beside `bootstrap`.
    pub no_compiler: bool,
    /// More environment variables.
    pub variables: Vec<(String, String)>,
    /// What the function takes for the Runtime API, if somebody is to listen in.
    pub runtime_api: Option<Arc<Tap>>,
}

impl Deployment {
    /// With this windlass.toml and the plugins for Redis and RabbitMQ.
    pub fn new(configuration: impl Into<String>) -> Self {
        let plugins = ["redis", "rabbitmq"].map(|name| (format!("{name}.wasm"), std::fs::read(built::plugin(name)).unwrap()));
        Self {
            secrets_manager: None,
            configuration: configuration.into(),
            plugins: plugins.into(),
            executable: None,
            layer: None,
            package: None,
            no_compiler: false,
            variables: Vec::new(),
            runtime_api: None,
        }
    }

    /// Which reaches Secrets Manager at this port.
    pub fn secrets_manager(self, port: u16) -> Self {
        Self { secrets_manager: Some(port), ..self }
    }

    /// With these plugins instead.
    pub fn plugins(self, plugins: Vec<(String, Vec<u8>)>) -> Self {
        Self { plugins, ..self }
    }

    /// With this environment variable too.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn deploy(self, account: &Arc<Account>) -> Function {
        let folder = built::server_folder();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("windlass.toml"), self.configuration).unwrap();
        std::fs::create_dir(file("plugins")).unwrap();
        for (name, content) in self.plugins {
            std::fs::write(folder.path().join("plugins").join(name), content).unwrap();
        }
        let output = file("output");
        let mut executable = self.executable.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_bootstrap")));
        if self.no_compiler {
            std::fs::hard_link(&executable, file("bootstrap")).unwrap();
            executable = file("bootstrap");
        }
        if let Some(package) = &self.package {
            std::fs::hard_link(&executable, package.join("bootstrap")).unwrap();
            executable = package.join("bootstrap");
        }
        let packaged = self.package.is_some();
        let mut variables = vec![("WINDLASS_LOG".into(), "debug".into())];
        variables.extend(self.runtime_api.iter().map(|tap| ("AWS_LAMBDA_RUNTIME_API".into(), tap.address().to_string().into())));
        let layered = self.layer.map(|layer| std::env::join_paths([file("plugins"), layer]).unwrap());
        variables.extend(layered.map(|folders| ("WINDLASS_PLUGINS".into(), folders)));
        variables.extend(self.variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        let settings = FunctionSettings {
            executable,
            function: FunctionArn::default(),
            endpoint: format!("http://127.0.0.1:{}", self.secrets_manager.unwrap_or_else(|| account.port())),
            plugins: (!packaged).then(|| file("plugins")),
            config: (!packaged).then(|| file("windlass.toml")),
            variables,
            output: Output::File(File::create(&output).unwrap()),
        };
        let process = account.runtime.block_on(BootstrapProcess::new(settings)).unwrap();
        if let Some(tap) = self.runtime_api {
            tap.forward_to(process.runtime_api());
        }
        Function {
            account: Arc::clone(account),
            process: Arc::new(process),
            output,
            answers: Mutex::default(),
            gone: Mutex::default(),
            folder,
        }
    }
}

/// A deployed function: one process at a time, a new one after it was killed.
///
/// Dropping it searches everything that it has ever written and answered for every secret that the account has held.
pub struct Function {
    account: Arc<Account>,
    process: Arc<BootstrapProcess>,
    output: PathBuf,
    answers: Mutex<String>,
    gone: Mutex<Option<mpsc::Sender<()>>>,
    folder: tempfile::TempDir,
}

impl Function {
    pub fn invoke(&self, event: &Value) -> Invocation {
        self.invoke_within(event, TIMEOUT)
    }

    /// With a function timeout of the test's choosing.
    pub fn invoke_within(&self, event: &Value, timeout: Duration) -> Invocation {
        let bytes = event.to_string().into_bytes();
        let answer = self.account.runtime.block_on(self.process.invoke(bytes, Instant::now() + timeout));
        // Tells the proxy that a process it has killed is gone.
        drop(self.gone.lock().unwrap().take());
        self.account.learn(event);
        self.answers.lock().unwrap().push_str(&format!("{answer:?}\n"));
        answer
    }

    /// The same, asserting success.
    #[track_caller]
    pub fn succeed(&self, event: &Value) {
        if let Err(error) = self.invoke(event) {
            panic!("{} failed: {error}\n{}", event["Step"], self.output());
        }
    }

    /// Arms the proxy to kill the process at this moment of its next invocation. Not a byte moves until the process is gone.
    pub fn kill_at(&self, proxy: &Proxy, moment: Moment) {
        let (sender, gone) = mpsc::channel();
        *self.gone.lock().unwrap() = Some(sender);
        let process = Arc::clone(&self.process);
        proxy.at(moment, move || {
            process.kill();
            // Ends with an error once `invoke` has seen the end of the process and dropped the sender.
            gone.recv_timeout(TIMEOUT).unwrap_err();
        });
    }

    /// Puts another file in the place of a plugin.
    pub fn replace_plugin(&self, name: &str, content: &[u8]) {
        std::fs::write(self.folder.path().join("plugins").join(name), content).unwrap();
    }

    /// Makes a folder where a file of the plugin folder is looked for.
    pub fn make_plugin_folder(&self, name: &str) {
        std::fs::create_dir(self.folder.path().join("plugins").join(name)).unwrap();
    }

    /// Everything it has written so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap()).into_owned()
    }

    /// What it has written since it had written this many bytes.
    pub fn output_since(&self, bytes: u64) -> Vec<u8> {
        let mut output = File::open(&self.output).unwrap();
        output.seek(SeekFrom::Start(bytes)).unwrap();
        let mut written = Vec::new();
        output.read_to_end(&mut written).unwrap();
        written
    }

    /// How many bytes it has written so far.
    pub fn output_length(&self) -> u64 {
        std::fs::metadata(&self.output).unwrap().len()
    }

    /// Everything it has answered so far, as text.
    pub fn answers(&self) -> String {
        self.answers.lock().unwrap().clone()
    }

    /// The process that serves events now.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.process.kill();
        if std::thread::panicking() {
            return;
        }
        for (what, text) in [("output", std::fs::read(&self.output).unwrap()), ("answers", self.answers().into_bytes())] {
            if let Some(leak) = self.account.leaked(&text) {
                panic!("the function's {what} holds {leak}");
            }
        }
    }
}
