//! One account, one secret, one service, and everything that is said between them and the function, watched.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::task_local;
use windlass::event::Step;
use windlass::local::api::Tag;
use windlass::local::backend::{Backend, Begun};
use windlass::local::exchange::{Blow, Exchange};
use windlass::local::fault::{Fault, Outsider, Place, Trouble};
use windlass::local::ids;
use windlass::local::protocol::Operation;
use windlass::local::store::{CURRENT, FunctionArn, PENDING, PREVIOUS};
use windlass::secret::SecretValue;

use crate::invariant::{Invariant, Violation};
use crate::service::{Kind, Request, Service, USER};

/// Where the service is. Nothing listens there: it is reached in memory.
pub const SERVICE: (&str, u16) = ("127.0.0.1", 7777);

/// One invocation of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invocation {
    pub number: u32,
    pub step: Step,
}

task_local! {
    /// The invocation that this task works for.
    pub static INVOCATION: Invocation;
}

/// Everything that a schedule is about.
pub struct World {
    pub backend: Arc<Backend>,
    pub arn: String,
    pub token: String,
    /// The passwords of the versions that there are before the rotation. Nobody else makes a password here.
    before: [String; 2],
    service: Mutex<Service>,
    /// Whether reads may be stale, so that the gate need not see what is.
    stale: bool,
    seen: Mutex<Seen>,
}

/// What was seen so far.
#[derive(Default)]
struct Seen {
    invocations: BTreeMap<u32, Known>,
    /// How often each place occurred.
    places: Vec<(Place, u32)>,
    states: BTreeSet<u64>,
    violations: Vec<Violation>,
    /// The password that is stored under the token, which nobody can read any more once the secret is deleted.
    stored: Option<String>,
    /// Logins that were refused, by invocation.
    refused: BTreeMap<u32, u32>,
}

/// What is known of an invocation.
#[derive(Debug, Default, Clone)]
struct Known {
    /// Who had AWSCURRENT when the gate looked.
    holder: Option<String>,
    /// Whether the service accepted the pending credential in this invocation.
    tested: bool,
    /// Whether nothing may reach the service, for what the gate has to see.
    must_refuse: bool,
    /// Whether there is nothing left to do.
    finished: bool,
}

impl World {
    /// A service of this kind, a secret that opens it, an older version that no longer does, and a rotation that has begun.
    pub fn new(kind: Kind, faults: &[Fault]) -> (Arc<Self>, Begun) {
        let (backend, begun) = Backend::new(FunctionArn::default());
        let password = |name: &str| format!("{name}-{}", ids::uuid().unwrap());
        let (older, current) = (password("older"), password("current"));
        let value = |password: &str| {
            let (host, port) = SERVICE;
            json!({ "username": USER, "password": password, "host": host, "port": port, "tls": false }).to_string()
        };
        let plugin = Tag { key: "windlass:plugin".to_owned(), value: "model".to_owned() };
        let arn = backend.create("app", &SecretValue::text(value(&older)), vec![plugin]).unwrap();
        let token = ids::uuid().unwrap();
        let world = Arc::new(Self {
            backend,
            arn,
            token,
            service: Mutex::new(Service::new(kind, &current)),
            before: [older, current.clone()],
            stale: faults.iter().any(|fault| matches!(fault.trouble, Trouble::Stale(_))),
            seen: Mutex::default(),
        });
        let put = json!({ "SecretId": world.arn, "ClientRequestToken": ids::uuid().unwrap(), "SecretString": value(&current) });
        world.ask(Operation::PutSecretValue, &put).unwrap();
        faults.iter().for_each(|fault| world.backend.faults().arm(fault.clone()));
        (world, begun)
    }

    /// Asks Secrets Manager past all faults, unseen.
    pub fn ask(&self, operation: Operation, request: &Value) -> Option<Value> {
        self.backend.call(operation, request.to_string().as_bytes()).ok()
    }

    /// What the function asks Secrets Manager.
    pub async fn exchange(self: Arc<Self>, operation: Operation, body: Vec<u8>) -> Exchange {
        let request: Value = serde_json::from_slice(&body).unwrap();
        self.occurs(Place::Call(operation));
        self.judge(operation, &request);
        let exchange = self.backend.exchange(operation, &body).await;
        if let (Operation::DescribeSecret, Exchange::Answered(Ok(description))) = (operation, &exchange) {
            let stages = description["VersionIdsToStages"].as_object();
            let holder = stages.and_then(|stages| stages.iter().find(|(_, labels)| labels.to_string().contains(CURRENT)));
            let holder = holder.map(|(version, _)| version.clone());
            self.of_invocation(|known| known.holder = known.holder.take().or(holder));
        }
        self.look();
        exchange
    }

    /// I2, I3 and I5: what the function may ask at all.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever operations there will be: the function must not ask for them")]
    fn judge(&self, operation: Operation, request: &Value) {
        let token = request["ClientRequestToken"].as_str();
        match operation {
            Operation::DescribeSecret | Operation::GetSecretValue => {}
            Operation::PutSecretValue => {
                if token != Some(&*self.token) {
                    self.violated(Invariant::I2, "PutSecretValue under another token than the rotation's".to_owned());
                }
                if request["VersionStages"] != json!([PENDING]) {
                    self.violated(Invariant::I2, format!("PutSecretValue with the labels {}", request["VersionStages"]));
                }
                if request["RotationToken"].is_null() {
                    self.violated(Invariant::I2, "PutSecretValue without the RotationToken".to_owned());
                }
                let user = request["SecretString"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
                if user.is_none_or(|value| value["username"] != USER || value["host"] != SERVICE.0) {
                    self.violated(Invariant::I6, "the pending value is for somebody or somewhere else".to_owned());
                }
            }
            Operation::UpdateSecretVersionStage if request["VersionStage"] == CURRENT => {
                let invocation = INVOCATION.try_with(|invocation| *invocation).ok();
                let known =
                    invocation.and_then(|it| self.seen.lock().unwrap().invocations.get(&it.number).cloned()).unwrap_or_default();
                if invocation.is_none_or(|invocation| invocation.step != Step::Finish) {
                    self.violated(Invariant::I3, "AWSCURRENT is moved outside finishSecret".to_owned());
                }
                if request["MoveToVersionId"] != *self.token {
                    self.violated(Invariant::I3, "AWSCURRENT is moved to another version than the rotation's".to_owned());
                }
                if request["RemoveFromVersionId"].as_str() != known.holder.as_deref() || known.holder.is_none() {
                    self.violated(
                        Invariant::I3,
                        "AWSCURRENT is not moved by compare-and-swap from the holder that the step read".to_owned(),
                    );
                }
                if !known.tested {
                    self.violated(Invariant::I3, "AWSCURRENT is moved without a passing test in the same step".to_owned());
                }
            }
            _ => {
                self.violated(Invariant::I5, format!("the function calls {} with {:?}", operation.name(), request["VersionStage"]))
            }
        }
    }

    /// Connects to the service.
    pub fn connect(self: &Arc<Self>, address: SocketAddr) -> DuplexStream {
        let (host, port) = SERVICE;
        if address != SocketAddr::new(host.parse().unwrap(), port) {
            self.violated(Invariant::I10, format!("a connection to {address}"));
        }
        let mut refused = None;
        self.of_invocation(|known| {
            if known.must_refuse || known.finished {
                refused = Some(if known.finished { Invariant::I11 } else { Invariant::I8 });
            }
        });
        if let Some(invariant) = refused {
            self.violated(invariant, "the service is contacted though the gate had to end the step".to_owned());
        }
        let (ours, theirs) = tokio::io::duplex(4096);
        let invocation = INVOCATION.try_with(|invocation| *invocation).ok();
        tokio::spawn(Arc::clone(self).serve(ours, invocation));
        theirs
    }

    /// Answers a client until it goes away or a fault breaks the connection.
    async fn serve(self: Arc<Self>, stream: DuplexStream, invocation: Option<Invocation>) {
        let mut stream = BufReader::new(stream);
        let mut authenticated = false;
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
            let Some(request) = Request::parse(&line) else { return };
            self.occurs(Place::Service);
            let (mut lost, mut killed) = (false, false);
            for trouble in self.backend.faults().at(Place::Service) {
                match trouble {
                    Trouble::LostRequest => return,
                    Trouble::LostAnswer => lost = true,
                    Trouble::Latency(time) => tokio::time::sleep(time).await,
                    Trouble::Late(time) => {
                        let world = Arc::clone(&self);
                        tokio::spawn(async move {
                            tokio::time::sleep(time).await;
                            world.apply(&request, authenticated, invocation);
                        });
                        return;
                    }
                    Trouble::Kill => {
                        self.backend.interfere(Blow::Kill, Some(&self.arn)).await;
                        return;
                    }
                    Trouble::KillAfter => killed = true,
                    Trouble::Duplicate => self.backend.interfere(Blow::Duplicate, Some(&self.arn)).await,
                    Trouble::Outsider(outsider) => self.backend.outsider(outsider, Some(&self.arn)),
                    Trouble::Error | Trouble::Throttle | Trouble::Unavailable | Trouble::Stale(_) => {
                        unreachable!("not at a service")
                    }
                }
            }
            let accepted = self.apply(&request, authenticated, invocation);
            authenticated |= accepted && matches!(request, Request::Login { .. });
            if killed {
                self.backend.interfere(Blow::Kill, Some(&self.arn)).await;
            }
            if lost || killed || stream.get_mut().write_all(if accepted { b"OK\n" } else { b"NO\n" }).await.is_err() {
                return;
            }
        }
    }

    /// The service does what it was asked. I1: it hears of no password that is not stored.
    fn apply(&self, request: &Request, authenticated: bool, invocation: Option<Invocation>) -> bool {
        if let Request::Change { password } = request
            && self.password_of_token().as_ref() != Some(password)
        {
            self.violated(Invariant::I1, "the service gets a password that is not the one stored under the token".to_owned());
        }
        let accepted = self.service.lock().unwrap().answer(request, authenticated);
        if let (Request::Login { password, .. }, Some(invocation)) = (request, invocation) {
            let pending = self.password_of_token().as_ref() == Some(password);
            let mut seen = self.seen.lock().unwrap();
            if !accepted {
                *seen.refused.entry(invocation.number).or_default() += 1;
            }
            seen.invocations.entry(invocation.number).or_default().tested |= accepted && pending;
        }
        self.look();
        accepted
    }

    /// A step is invoked: what the gate has to find is written down, past all faults.
    pub fn invoked(&self, invocation: Invocation) {
        let known = self.gate();
        self.seen.lock().unwrap().invocations.insert(invocation.number, known);
    }

    /// A step has ended by itself, with this error if it failed. I11: what is finished succeeds, unless Secrets Manager failed.
    pub fn answered(&self, invocation: Invocation, error: Option<&str>) {
        let finished = self.seen.lock().unwrap().invocations.get(&invocation.number).is_some_and(|known| known.finished);
        let excused = error.is_none_or(|error| error.starts_with("Windlass.SecretsManager"));
        if finished && self.gate().finished && !excused {
            self.violated(Invariant::I11, format!("{} failed though its version is AWSCURRENT", invocation.step));
        }
        self.look();
    }

    /// What a gate has to find now.
    fn gate(&self) -> Known {
        let store = self.backend.apply(|store, _| Ok(store.clone())).unwrap();
        let secret = store.with_arn(&self.arn);
        let described = self.ask(Operation::DescribeSecret, &json!({ "SecretId": self.arn })).unwrap_or_default();
        let on_token = |label| secret.is_some_and(|secret| secret.holder(label) == Some(&self.token));
        let disabled = described["RotationEnabled"] == json!(false) || !described["DeletedDate"].is_null();
        let (finished, pending) = (on_token(CURRENT) && !disabled, on_token(PENDING) && !disabled);
        Known { must_refuse: !finished && !pending && !self.stale, finished: finished && !self.stale, ..Known::default() }
    }

    /// I4: a labelled version opens the service, at this and every moment. When somebody else has ended the rotation and moved labels
    /// about, a version that has lost its label may be the one; it can be read by its id.
    pub fn look(&self) {
        let store = self.backend.apply(|store, _| Ok(store.clone())).unwrap();
        let Some(secret) = store.with_arn(&self.arn) else { return };
        let mut service = self.service.lock().unwrap();
        let labelled: Vec<bool> = [CURRENT, PENDING, PREVIOUS]
            .into_iter()
            .map(|label| secret.labelled(label).is_some_and(|value| service.accepts(&password(value))))
            .collect();
        let ended = ![CURRENT, PENDING].into_iter().any(|label| secret.holder(label) == Some(&self.token));
        let valid = service.valid().len();
        drop(service);
        let versions = self.before.iter().cloned().chain(self.password_of_token());
        let recoverable = ended && versions.into_iter().any(|password| self.accepts(&password));
        if !labelled.contains(&true) && !recoverable {
            self.violated(Invariant::I4, "no stored version opens the service".to_owned());
        }
        let mut state = DefaultHasher::new();
        let step = INVOCATION.try_with(|invocation| invocation.step.name()).ok();
        let holders = [CURRENT, PENDING, PREVIOUS].map(|label| secret.holder(label) == Some(&self.token));
        (labelled, holders, valid, ended, step, self.password_of_token().is_some()).hash(&mut state);
        self.seen.lock().unwrap().states.insert(state.finish());
    }

    /// The end of a rotation that succeeded: the version is AWSCURRENT and opens the service.
    pub fn finished(&self) {
        let store = self.backend.apply(|store, _| Ok(store.clone())).unwrap();
        let secret = store.with_arn(&self.arn);
        let current =
            secret.filter(|secret| secret.holder(CURRENT) == Some(&self.token)).and_then(|secret| secret.labelled(CURRENT));
        match current {
            None => self.violated(Invariant::I12, "the rotation succeeded and its version is not AWSCURRENT".to_owned()),
            Some(value) if !self.accepts(&password(value)) => {
                self.violated(Invariant::I4, "AWSCURRENT does not open the service after the rotation".to_owned());
            }
            Some(_) => {}
        }
    }

    /// I9: no value and no RotationToken in any of these texts.
    pub fn silent(&self, texts: &[u8], tokens: &BTreeSet<String>) {
        let list = json!({ "SecretId": self.arn, "IncludeDeprecated": true });
        let listed = self.ask(Operation::ListSecretVersionIds, &list).unwrap_or_default();
        let versions = listed["Versions"].as_array().cloned().unwrap_or_default();
        let passwords = versions.iter().filter_map(|version| self.password_of(version["VersionId"].as_str()?));
        for secret in passwords.chain(tokens.iter().cloned()) {
            if holds(texts, secret.as_bytes()) {
                self.violated(Invariant::I9, "a value or a RotationToken is in the log or in an error".to_owned());
            }
        }
    }

    pub fn accepts(&self, password: &str) -> bool {
        self.service.lock().unwrap().accepts(password)
    }

    pub fn password_of_token(&self) -> Option<String> {
        let stored = self.seen.lock().unwrap().stored.clone();
        // What is stored is never replaced, so it is read until it is there.
        let stored = stored.or_else(|| self.password_of(&self.token));
        self.seen.lock().unwrap().stored.clone_from(&stored);
        stored
    }

    fn password_of(&self, version: &str) -> Option<String> {
        let read = json!({ "SecretId": self.arn, "VersionId": version });
        let read = self.ask(Operation::GetSecretValue, &read)?;
        Some(password(&SecretValue::text(read["SecretString"].as_str()?)))
    }

    pub fn violated(&self, invariant: Invariant, what: String) {
        let step = INVOCATION.try_with(|invocation| invocation.step).ok();
        self.seen.lock().unwrap().violations.push(Violation { invariant, step, what });
    }

    pub fn violations(&self) -> Vec<Violation> {
        self.seen.lock().unwrap().violations.clone()
    }

    /// The places that occurred and how often.
    pub fn places(&self) -> Vec<(Place, u32)> {
        self.seen.lock().unwrap().places.clone()
    }

    /// Fingerprints of the states that were passed.
    pub fn states(&self) -> BTreeSet<u64> {
        self.seen.lock().unwrap().states.clone()
    }

    /// The most logins that the service refused in one invocation.
    pub fn most_refused(&self) -> u32 {
        self.seen.lock().unwrap().refused.values().copied().max().unwrap_or_default()
    }

    fn of_invocation(&self, act: impl FnOnce(&mut Known)) {
        if let Ok(invocation) = INVOCATION.try_with(|invocation| *invocation) {
            act(self.seen.lock().unwrap().invocations.entry(invocation.number).or_default());
        }
    }

    pub fn occurs(&self, place: Place) {
        let mut seen = self.seen.lock().unwrap();
        match seen.places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, count)) => *count += 1,
            None => seen.places.push((place, 1)),
        }
        drop(seen);
        self.look();
    }
}

/// Whether a fault is somebody else's act that ends the rotation, so that it need not succeed.
pub fn ends_rotation(fault: &Fault) -> bool {
    match fault.trouble {
        Trouble::Outsider(Outsider::StoreCurrent | Outsider::TakePending | Outsider::Cancel | Outsider::Delete) => true,
        Trouble::Outsider(Outsider::MoveCurrent | Outsider::SwapPlugin)
        | Trouble::Throttle
        | Trouble::Error
        | Trouble::Unavailable
        | Trouble::LostRequest
        | Trouble::LostAnswer
        | Trouble::Latency(_)
        | Trouble::Late(_)
        | Trouble::Stale(_)
        | Trouble::Kill
        | Trouble::KillAfter
        | Trouble::Duplicate => false,
    }
}

/// The time after which everything that was late has happened.
pub const AFTERWARDS: Duration = Duration::from_secs(600);

fn password(value: &SecretValue) -> String {
    let value: Value = serde_json::from_slice(value.expose_bytes()).unwrap();
    value["password"].as_str().unwrap().to_owned()
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
