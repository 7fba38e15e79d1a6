//! What follows from a plugin's failure, cell by cell: what Lambda reports, what the host repeats, and that nothing is lost. The real
//! rotation runs with a guest that fails as its settings say, in memory and under a clock that only moves when everybody waits.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test is meant to panic, in its helpers too; `pub` is for the other files of this test"
)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use support::built;
use support::canary::Canary;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use windlass::capability::network::Network;
use windlass::config::{Config, Loopback};
use windlass::error::{Blame, Retry, StepError};
use windlass::event::{RotationEvent, Step};
use windlass::failure::table::{Consequence, consequence};
use windlass::failure::{Cause, Effect};
use windlass::local::backend::Backend;
use windlass::local::client::http_client;
use windlass::local::ids;
use windlass::local::protocol::Operation;
use windlass::local::store::{CURRENT, FunctionArn, PENDING};
use windlass::plugin::code::compiler::Compiler;
use windlass::plugin::component_file::ComponentFile;
use windlass::plugin::load::Plugins;
use windlass::plugin::source::PluginSource;
use windlass::rotation::Rotator;
use windlass::secret::SecretValue;
use windlass::secrets::SecretsManager;
use windlass::step_record::{Control, StepOutcome, StepReport};

/// What the service answers to each request: a status, after a pause.
type Service = fn(u32) -> (u16, Duration);

const AT_ONCE: Duration = Duration::ZERO;

/// A secret whose rotation has begun, served by the guest `hostile` with these settings.
struct Scene {
    backend: Arc<Backend>,
    rotator: Rotator,
    arn: String,
    token: String,
    requests: Arc<AtomicU32>,
    canary: Canary,
}

impl Scene {
    fn new(guest: &str, settings: &str, more: &str, service: Service) -> Self {
        let (backend, _begun) = Backend::new(FunctionArn::default());
        let canary = Canary::new();
        let value = json!({ "username": "app", "host": "127.0.0.1", "port": 7777, "tls": false, "password": canary.value() });
        let arn = backend.create("app", &SecretValue::text(value.to_string()), Vec::new()).unwrap();
        let token = ids::uuid().unwrap();
        let request = windlass::local::api::RotateSecret {
            secret_id: Some(arn.clone()),
            client_request_token: Some(token.clone()),
            rotation_lambda_arn: Some(FunctionArn::DEFAULT.to_owned()),
            ..Default::default()
        };
        backend.rotate(&request).unwrap();
        let mut config = Config::with_plugins(PathBuf::new());
        config
            .read_text(&format!("[[secrets]]\nsecret = \"*\"\nsettings = {{ {settings} }}\n{more}"), "windlass.toml".as_ref())
            .unwrap();
        config.loopback = Loopback::Local;
        let requests = Arc::new(AtomicU32::new(0));
        let heard = Arc::clone(&requests);
        let network = Network::new(&config).unwrap().in_memory(move |_| {
            let (mut ours, theirs) = tokio::io::duplex(4096);
            let nth = heard.fetch_add(1, Ordering::Relaxed) + 1;
            tokio::spawn(async move {
                let _request = ours.read(&mut [0; 4096]).await;
                let (status, pause) = service(nth);
                tokio::time::sleep(pause).await;
                let answer = format!("HTTP/1.1 {status} Answer\r\nContent-Length: 0\r\n\r\n");
                let _gone = ours.write_all(answer.as_bytes()).await;
            });
            theirs
        });
        let asked = Arc::clone(&backend);
        let secrets = SecretsManager::in_process(http_client(move |operation, body| {
            let backend = Arc::clone(&asked);
            async move { backend.exchange(operation, &body).await }
        }));
        let source = PluginSource::only(ComponentFile::read(&built::guest(guest)).unwrap(), None);
        let rotator = Rotator::new(config, source, secrets, Plugins::new(Compiler::InProcess).unwrap(), network);
        Self { backend, rotator, arn, token, requests, canary }
    }

    /// One that behaves so.
    fn behaving(behaviour: &str, more: &str) -> Self {
        Self::new("hostile", &format!("behaviour = \"{behaviour}\""), more, |_| (200, AT_ONCE))
    }

    fn event(&self, step: Step) -> RotationEvent {
        let event = json!({ "Step": step.name(), "SecretId": self.arn, "ClientRequestToken": self.token });
        RotationEvent::parse(event.to_string().as_bytes()).unwrap()
    }

    async fn run_within(&self, step: Step, time: Duration) -> Result<StepReport, StepError> {
        let event = json!({ "Step": step.name(), "SecretId": self.arn, "ClientRequestToken": self.token });
        let result = self.rotator.run(event.to_string().as_bytes(), Instant::now() + time).await;
        if let Err(error) = &result {
            self.canary.assert_absent("the error", format!("{error:?} {}", error.message()).as_bytes());
            Canary::of(self.password(PENDING)).assert_absent("the error", format!("{error:?} {}", error.message()).as_bytes());
        }
        result
    }

    async fn run(&self, step: Step) -> Result<StepReport, StepError> {
        self.run_within(step, Duration::from_secs(30)).await
    }

    /// A scene in which createSecret is done.
    async fn created(self) -> Self {
        self.run(Step::Create).await.unwrap();
        self
    }

    fn ask(&self, operation: Operation, mut request: Value) -> Value {
        request["SecretId"] = self.arn.as_str().into();
        self.backend.call(operation, request.to_string().as_bytes()).unwrap()
    }

    fn password(&self, label: &str) -> String {
        let value = self.ask(Operation::GetSecretValue, json!({ "VersionStage": label }));
        let value: Value = serde_json::from_str(value["SecretString"].as_str().unwrap()).unwrap();
        value["password"].as_str().unwrap().to_owned()
    }

    fn state(&self) -> (Value, String, String) {
        let stages = self.ask(Operation::DescribeSecret, json!({}))["VersionIdsToStages"].clone();
        (stages, self.password(CURRENT), self.password(PENDING))
    }
}

fn paused<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(test)
}

#[test]
fn each_cause_and_effect_ends_as_the_table_says_in_setting_and_in_testing() {
    for cause in Cause::ALL {
        for effect in Effect::ALL {
            let settings = format!("behaviour = \"fails\", cause = \"{cause}\", effect = \"{effect}\"");
            paused(async {
                let scene =
                    Scene::new("hostile", &settings, "limits = { refused_logins = 64 }", |_| (200, AT_ONCE)).created().await;
                for step in [Step::Set, Step::Test] {
                    cell(&scene, step, cause, effect).await;
                }
            });
        }
    }
}

async fn cell(scene: &Scene, step: Step, cause: Cause, effect: Effect) {
    let what = format!("{step}: {cause} ({effect})");
    let Consequence { error_type, repeated, retry, blame, advice, .. } = consequence(cause, effect);
    let (before, began) = (scene.state(), Instant::now());
    let error = scene.run(step).await.unwrap_err();
    assert_eq!((error.error_type(), error.retry(), error.blame()), (error_type, retry, blame), "{what}");
    let message = error.message();
    for part in [&*format!("{cause} ({effect})"), "this guest fails, and would tell [redacted]", "To do: "] {
        assert!(message.contains(part), "{what}: {message}");
    }
    if cause == Cause::Rejected {
        let remove = format!(
            "aws secretsmanager update-secret-version-stage --secret-id {} --version-stage AWSPENDING --remove-from-version-id {}",
            scene.arn, scene.token
        );
        if effect == Effect::Unchanged {
            assert!(message.contains(&remove) && message.contains("aws secretsmanager rotate-secret"), "{message}");
        } else {
            // AWSPENDING may be all that opens the service.
            assert!(!message.contains("--remove-from-version-id") && message.contains("leave AWSPENDING where it is"), "{message}");
            assert!(message.contains(&format!("windlass doctor {} --probe", scene.arn)), "{message}");
        }
    } else {
        assert!(message.contains(advice), "{what}: {message}");
    }
    // Pauses are the only thing that takes time here: without a repeat there is none.
    let repeats = began.elapsed() > Duration::from_secs(20);
    assert_eq!(repeats, repeated, "{what} took {:?}", began.elapsed());
    assert!(before == scene.state(), "{what}: labels or values changed");
}

#[test]
fn a_service_that_refuses_too_many_logins_is_left_alone() {
    paused(async {
        let scene = Scene::new("hostile", "behaviour = \"requests-again-and-again\"", "limits = { refused_logins = 4 }", |_| {
            (401, AT_ONCE)
        });
        let scene = scene.created().await;
        let error = scene.run(Step::Set).await.unwrap_err();
        assert_eq!((error.error_type(), error.retry()), ("Windlass.TooManyRefusedLogins", Retry::AfterChange));
        let message = error.message();
        assert!(message.contains("the service refused 4 logins in this step"), "{message}");
        assert!(message.contains("denied (unchanged): the service has refused 4 logins"), "{message}");
        assert_eq!(scene.requests.load(Ordering::Relaxed), 4);
    });
}

#[test]
fn repeats_within_a_step_end_at_the_limit_of_refused_logins() {
    paused(async {
        let settings = "behaviour = \"fails\", cause = \"not-yet-effective\", effect = \"changed\"";
        let scene = Scene::new("hostile", settings, "limits = { refused_logins = 3 }", |_| (200, AT_ONCE)).created().await;
        let began = Instant::now();
        let error = scene.run(Step::Set).await.unwrap_err();
        assert_eq!((error.error_type(), error.retry()), ("Windlass.TooManyRefusedLogins", Retry::Helps));
        assert!(error.message().contains("the service refused 3 logins"), "{}", error.message());
        // The pauses before the second and the third call.
        assert_eq!(began.elapsed(), Duration::from_millis(250 + 500));
    });
}

#[test]
fn repeats_within_a_step_are_counted_as_attempts() {
    paused(async {
        let settings = "behaviour = \"fails\", cause = \"not-yet-effective\", effect = \"changed\"";
        let scene = Scene::new("hostile", settings, "limits = { refused_logins = 3 }", |_| (200, AT_ONCE)).created().await;
        let (outcome, record) = scene.rotator.step(&scene.event(Step::Set), Instant::now() + Duration::from_secs(30)).await;
        assert_eq!(outcome.unwrap_err().reported(), Some((Cause::NotYetEffective, Effect::Changed)));
        assert_eq!((record.attempts, record.refused_logins), (3, Some(3)));
        // So is a request that has to be sent again.
        let another = Scene::behaving("accepts-everything", "").created().await;
        another.backend.faults().arm("GetSecretValue:unavailable".parse().unwrap());
        let (outcome, record) = another.rotator.step(&another.event(Step::Set), Instant::now() + Duration::from_secs(30)).await;
        assert!(outcome.is_ok() && record.attempts == 2, "{record:?}");
    });
}

#[test]
fn the_negative_control_is_left_out_where_the_operator_says_so_and_only_there() {
    paused(async {
        let careful = Scene::behaving("accepts-everything", "").created().await;
        let error = careful.run(Step::Test).await.unwrap_err();
        assert_eq!((error.error_type(), error.blame()), ("Windlass.TestProvesNothing", Blame::Plugin));
        let careless = Scene::behaving("accepts-everything", "insecure_skip_negative_control = true").created().await;
        let report = careless.run(Step::Test).await.unwrap();
        assert_eq!((report.outcome, report.control), (StepOutcome::Accepted, Some(Control::Skipped)));
    });
}

#[test]
fn a_change_is_not_begun_with_less_time_than_the_plugin_needs() {
    paused(async {
        // Its manifest says `set_secret_seconds = 5`.
        let scene = Scene::new("model", "", "", |_| (200, AT_ONCE)).created().await;
        let error = scene.run_within(Step::Set, Duration::from_secs(4)).await.unwrap_err();
        assert_eq!(error.error_type(), "Windlass.TooLittleTime");
        let message = error.message();
        assert!(message.contains("needs up to 5 s") && message.contains("would get only 3500 ms"), "{message}");
        assert_eq!(scene.requests.load(Ordering::Relaxed), 0);
        // With more time, and in a test, the service is asked. It does not speak the model's protocol.
        for (step, time) in [(Step::Set, 6), (Step::Test, 4)] {
            let error = scene.run_within(step, Duration::from_secs(time)).await.unwrap_err();
            assert_eq!(error.error_type(), "Windlass.PluginInternal");
        }
        assert_eq!(scene.requests.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn a_change_is_not_begun_that_the_limit_of_a_call_would_cut_off() {
    paused(async {
        let scene = Scene::new("model", "", "limits = { call_seconds = 2 }", |_| (200, AT_ONCE)).created().await;
        let error = scene.run(Step::Set).await.unwrap_err();
        assert_eq!(error.error_type(), "Windlass.TooLittleTime");
        assert!(error.message().contains("would get only 2000 ms") && error.message().contains("limits.call_seconds"), "{error}");
        assert_eq!(scene.requests.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_plugin_that_panics_after_refused_logins_is_reported_as_one_that_panics() {
    paused(async {
        let scene = Scene::new("hostile", "behaviour = \"requests-twice-and-panics\"", "limits = { refused_logins = 2 }", |_| {
            (401, AT_ONCE)
        });
        let error = scene.created().await.run(Step::Set).await.unwrap_err();
        assert_eq!(error.error_type(), "Windlass.PluginStopped");
        assert!(error.message().contains("panicked at"), "{error}");
    });
}

#[test]
fn a_negative_control_that_meets_the_limit_says_so() {
    paused(async {
        // The pending credential is accepted at once; the corrupted one is refused again and again.
        let service: Service = |nth| (if nth == 1 { 200 } else { 401 }, AT_ONCE);
        let settings = "behaviour = \"requests-until-accepted\"";
        let scene = Scene::new("hostile", settings, "limits = { refused_logins = 3 }", service).created().await;
        let error = scene.run(Step::Test).await.unwrap_err();
        assert_eq!(error.error_type(), "Windlass.TooManyRefusedLogins");
        assert_eq!(scene.requests.load(Ordering::Relaxed), 4);
    });
}

#[test]
fn a_step_that_runs_out_of_time_says_what_it_was_waiting_for() {
    paused(async {
        let scene =
            Scene::new("hostile", "behaviour = \"requests\"", "limits = { call_seconds = 5 }", |_| (200, Duration::from_secs(600)));
        let scene = scene.created().await;
        let error = scene.run(Step::Set).await.unwrap_err();
        assert_eq!((error.error_type(), error.retry()), ("Windlass.PluginDeadline", Retry::Helps));
        let message = error.message();
        assert!(message.contains("set-secret 5.0 s"), "{message}");
        assert!(message.contains("[of these: waiting for 127.0.0.1:7777 5.0 s"), "{message}");

        scene.backend.faults().arm("DescribeSecret#*:latency=100s".parse().unwrap());
        let error = scene.run(Step::Set).await.unwrap_err();
        assert_eq!(error.error_type(), "Windlass.SecretsManagerUnreachable");
        let message = error.message();
        assert!(message.contains("The step took") && message.contains("DescribeSecret 29.5 s"), "{message}");
    });
}
