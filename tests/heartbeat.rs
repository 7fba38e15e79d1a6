//! What a heartbeat asks of Secrets Manager and of services, how fast, and when it ends. The real function runs in memory, under a clock
//! that only moves when everybody waits, with a guest that does what its settings say and a service that counts.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test is meant to panic, in its helpers too; `pub` is for the other files of this test"
)]

mod support;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use support::built;
use support::canary::Canary;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use windlass::capability::network::Network;
use windlass::config::{Config, Loopback};
use windlass::function::{Function, FunctionError, Invocation};
use windlass::journal::Journal;
use windlass::local::api::RotateSecret;
use windlass::local::backend::Backend;
use windlass::local::client::http_client;
use windlass::local::engine::{Engine, Happened, Pace};
use windlass::local::error::{Exception, ServiceError};
use windlass::local::exchange::Exchange;
use windlass::local::ids;
use windlass::local::invoker::Invoker;
use windlass::local::protocol::Operation;
use windlass::local::store::FunctionArn;
use windlass::plugin::code::compiler::Compiler;
use windlass::plugin::component_file::ComponentFile;
use windlass::plugin::load::Plugins;
use windlass::plugin::source::PluginSource;
use windlass::rotation::Rotator;
use windlass::secret::SecretValue;
use windlass::secrets::SecretsManager;

/// What is done to a request of the function before Secrets Manager answers it: nothing, or another answer.
type Before = Arc<dyn Fn(&Backend, Operation) -> (Duration, Option<Exchange>) + Send + Sync>;

/// A function, its account and its service, and everything that was said between them.
struct Scene {
    backend: Arc<Backend>,
    function: Function,
    lines: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<Vec<(Instant, Operation)>>>,
    /// Requests to Secrets Manager at the same time, at most.
    most_at_once: Arc<AtomicU32>,
    /// Requests to the service.
    requests: Arc<AtomicU32>,
    password: Canary,
}

impl Scene {
    /// With these secrets, rotated by this function, and these rules.
    async fn new(
        names: &[&str],
        rules: &str,
        before: impl Fn(&Backend, Operation) -> (Duration, Option<Exchange>) + Send + Sync + 'static,
    ) -> Self {
        let password = Canary::new();
        let (backend, begun) = Backend::new(FunctionArn::default());
        let (sender, mut reports) = mpsc::unbounded_channel();
        let done = Invoker::in_process(|_, _| async { Ok(Value::Null) });
        let engine = Engine::start(Arc::clone(&backend), begun, done, Pace::default(), sender);
        for name in names {
            let value = json!({ "username": "app", "host": "127.0.0.1", "port": 7777, "tls": false, "password": password.value() });
            let arn = backend.create(name, &SecretValue::text(value.to_string()), Vec::new()).unwrap();
            // Turns rotation on and rotates nothing.
            backend.rotate(&RotateSecret { rotate_immediately: Some(false), ..rotation(&arn) }).unwrap();
            while reports.recv().await.unwrap().happened != Happened::Succeeded {}
        }
        drop(engine);

        let mut config = Config::with_plugins(PathBuf::new());
        config.read_text(rules, "windlass.toml".as_ref()).unwrap();
        config.loopback = Loopback::Local;
        let requests = Arc::new(AtomicU32::new(0));
        let heard = Arc::clone(&requests);
        let network = Network::new(&config).unwrap().in_memory(move |_| {
            let (mut ours, theirs) = tokio::io::duplex(4096);
            heard.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let _request = ours.read(&mut [0; 4096]).await;
                let _gone = ours.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            });
            theirs
        });
        let asked: Arc<Mutex<Vec<(Instant, Operation)>>> = Arc::default();
        let (now, most_at_once) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let before: Before = Arc::new(before);
        let (served, heard, most) = (Arc::clone(&backend), Arc::clone(&asked), Arc::clone(&most_at_once));
        let secrets = SecretsManager::in_process(http_client(move |operation, body| {
            let (backend, before, now, most) = (Arc::clone(&served), Arc::clone(&before), Arc::clone(&now), Arc::clone(&most));
            heard.lock().unwrap().push((Instant::now(), operation));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let (pause, answer) = before(&backend, operation);
                sleep(pause).await;
                now.fetch_sub(1, Ordering::SeqCst);
                match answer {
                    Some(answer) => answer,
                    None => backend.exchange(operation, &body).await,
                }
            }
        }));
        let source = PluginSource::only(ComponentFile::read(&built::guest("hostile")).unwrap(), None);
        let rotator = Rotator::new(config.clone(), source, secrets, Plugins::new(Compiler::InProcess).unwrap(), network);
        let lines: Arc<Mutex<Vec<Value>>> = Arc::default();
        let written = Arc::clone(&lines);
        let journal = Journal::of(move |line| written.lock().unwrap().push(serde_json::from_slice(line).unwrap()));
        let function = Function::new(rotator, &config, journal);
        Self { backend, function, lines, asked, most_at_once, requests, password }
    }

    async fn beat_within(&self, time: Duration) -> Result<(), FunctionError> {
        let invocation = Invocation {
            request_id: "8f5f4c2e-6a3b-4d0e-9d6f-1c2b3a4d5e6f".to_owned(),
            trace_id: None,
            function_arn: format!("{}:live", FunctionArn::DEFAULT),
            deadline: Instant::now() + time,
        };
        let result = self.function.invoke(br#"{"windlass":"heartbeat"}"#, &invocation).await;
        self.password.assert_absent("the log", format!("{:?}", self.lines.lock().unwrap()).as_bytes());
        result
    }

    async fn beat(&self) -> Result<(), FunctionError> {
        self.beat_within(Duration::from_secs(60)).await
    }

    /// Each secret's name and what its line says, in the order of names.
    fn verdicts(&self) -> Vec<(String, String)> {
        let lines = self.lines.lock().unwrap();
        let verdicts = lines.iter().filter(|line| line["message"] == "heartbeat").map(|line| {
            let name = line["secret"].as_str().unwrap().rsplit(':').next().unwrap();
            let name = name.rsplit_once('-').filter(|(_, suffix)| suffix.len() == 6).map_or(name, |(name, _)| name);
            (name.to_owned(), line["heartbeat"].as_str().unwrap().to_owned())
        });
        let mut verdicts: Vec<_> = verdicts.collect();
        verdicts.sort();
        verdicts
    }

    /// The last line.
    fn end(&self) -> Value {
        self.lines.lock().unwrap().last().unwrap().clone()
    }

    /// When this operation was asked for, since the first time.
    fn times(&self, operation: Operation) -> Vec<u128> {
        let asked = self.asked.lock().unwrap();
        let times: Vec<_> = asked.iter().filter(|(_, asked)| *asked == operation).map(|(at, _)| *at).collect();
        times.iter().map(|at| at.duration_since(times[0]).as_millis()).collect()
    }

    /// Labels, values and dates of a secret.
    fn state(&self, name: &str) -> Value {
        let ask = |operation| self.backend.call(operation, json!({ "SecretId": name }).to_string().as_bytes()).unwrap();
        // In this order, because reading the value is what the date of the last access is about.
        let value = ask(Operation::GetSecretValue);
        json!([value, ask(Operation::DescribeSecret), ask(Operation::ListSecretVersionIds)])
    }
}

fn rotation(arn: &str) -> RotateSecret {
    RotateSecret {
        secret_id: Some(arn.to_owned()),
        client_request_token: Some(ids::uuid().unwrap()),
        rotation_lambda_arn: Some(FunctionArn::DEFAULT.to_owned()),
        ..RotateSecret::default()
    }
}

/// Secrets Manager as it is.
fn plainly(_: &Backend, _: Operation) -> (Duration, Option<Exchange>) {
    (Duration::ZERO, None)
}

fn rule(pattern: &str, settings: &str) -> String {
    format!("[[secrets]]\nsecret = \"{pattern}\"\nheartbeat = true\nsettings = {{ {settings} }}\n")
}

fn paused(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(test);
}

fn count(ok: u32, drift: u32, unreachable: u32, unclear: u32, skipped: u32) -> Value {
    json!({ "ok": ok, "drift": drift, "unreachable": unreachable, "unclear": unclear, "skipped": skipped })
}

/// The counts of a line, which are those of its metrics.
#[track_caller]
fn counts(line: &Value) -> Value {
    assert_eq!(line["message"], "heartbeat done", "{line}");
    let counted = ["ok", "drift", "unreachable", "unclear", "skipped"].map(|verdict| {
        let (first, rest) = verdict.split_at(1);
        assert_eq!(line[verdict], line[format!("Heartbeat{}{rest}", first.to_uppercase())]);
        (verdict.to_owned(), line[verdict].clone())
    });
    Value::Object(counted.into_iter().collect())
}

#[test]
fn each_secret_is_read_and_asked_about_once_and_nothing_is_changed() {
    paused(async {
        let rules = rule("prod/*", "behaviour = \"requests\"") + &rule("named", "behaviour = \"requests\"");
        let scene = Scene::new(&["prod/a", "prod/b", "test/a", "named"], &rules, plainly).await;
        let names = ["prod/a", "prod/b", "test/a", "named"];
        let before = names.map(|name| scene.state(name));
        scene.beat().await.unwrap();
        let tested = ["named", "prod/a", "prod/b"].map(|name| (name.to_owned(), "ok".to_owned()));
        assert_eq!(scene.verdicts(), tested);
        assert_eq!(counts(&scene.end()), count(3, 0, 0, 0, 0));
        assert_eq!(names.map(|name| scene.state(name)), before);
        // One login each, and no negative control.
        assert_eq!(scene.requests.load(Ordering::Relaxed), 3);
        let mut asked: Vec<_> = scene.asked.lock().unwrap().iter().map(|(_, operation)| operation.name()).collect();
        asked.sort_unstable();
        let expected = [vec!["DescribeSecret"; 3], vec!["GetSecretValue"; 3], vec!["ListSecrets"]].concat();
        assert_eq!(asked, expected);
        assert!(scene.asked.lock().unwrap().iter().all(|(_, operation)| operation.reads()));
    });
}

#[rstest]
#[case::unauthorized("unauthorized", "drift", "Windlass.Unauthorized")]
#[case::unreachable("unreachable", "unreachable", "Windlass.Unreachable")]
#[case::rejected("rejected", "unclear", "Windlass.Rejected")]
#[case::rate_limited("rate-limited", "unclear", "Windlass.RateLimited")]
#[case::not_yet_effective("not-yet-effective", "unclear", "Windlass.NotYetEffective")]
#[case::malformed("malformed-secret", "unclear", "Windlass.MalformedSecret")]
#[case::internal("internal", "unclear", "Windlass.PluginInternal")]
fn one_bad_secret_is_told_by_its_cause_and_does_not_stop_the_others(
    #[case] cause: &str,
    #[case] verdict: &str,
    #[case] error_type: &str,
) {
    paused(async {
        let rules = rule("bad", &format!("behaviour = \"fails\", cause = \"{cause}\"")) + &rule("prod/*", "");
        let scene = Scene::new(&["bad", "prod/a"], &rules, plainly).await;
        scene.beat().await.unwrap();
        assert_eq!(scene.verdicts(), [("bad".to_owned(), verdict.to_owned()), ("prod/a".to_owned(), "ok".to_owned())]);
        let lines = scene.lines.lock().unwrap();
        let bad = lines.iter().find(|line| line["heartbeat"] == verdict).unwrap();
        assert_eq!(json!([bad["error_type"], bad["cause"]]), json!([error_type, cause]));
        assert!(bad["error"].as_str().unwrap().contains("this guest fails, and would tell [redacted]"), "{bad}");
        // Nobody waits for a service that asks for patience.
        assert_eq!(bad["attempts"], 1);
    });
}

#[test]
fn what_is_missing_or_fails_elsewhere_is_unclear() {
    paused(async {
        let rules = rule("nobody", "") + &rule("bad", "behaviour = \"panics\"") + &rule("prod/*", "");
        let scene = Scene::new(&["bad", "prod/a"], &rules, plainly).await;
        scene.beat().await.unwrap();
        let expected = [("bad", "unclear"), ("nobody", "unclear"), ("prod/a", "ok")];
        assert_eq!(scene.verdicts(), expected.map(|(name, verdict)| (name.to_owned(), verdict.to_owned())));
        let lines = scene.lines.lock().unwrap();
        let types: Vec<_> = lines.iter().filter_map(|line| line["error_type"].as_str()).collect();
        assert!(types.contains(&"Windlass.SecretNotFound") && types.contains(&"Windlass.PluginStopped"), "{types:?}");
    });
}

#[test]
fn a_rotation_that_begins_meanwhile_is_no_drift() {
    paused(async {
        let rules = rule("prod/a", "behaviour = \"fails\", cause = \"unauthorized\"");
        let began = AtomicU32::new(0);
        let scene = Scene::new(&["prod/a"], &rules, move |backend, operation| {
            // After the gate was passed, and before the service is asked.
            if operation == Operation::GetSecretValue && began.fetch_add(1, Ordering::Relaxed) == 0 {
                backend.rotate(&rotation("prod/a")).unwrap();
            }
            plainly(backend, operation)
        });
        let scene = scene.await;
        scene.beat().await.unwrap();
        assert_eq!(scene.verdicts(), [("prod/a".to_owned(), "skipped".to_owned())]);
        assert_eq!(scene.lines.lock().unwrap()[0]["reason"], "rotation under way");
        assert_eq!(counts(&scene.end()), count(0, 0, 0, 0, 1));
    });
}

#[test]
fn no_more_secrets_are_tested_at_once_than_the_operator_says() {
    paused(async {
        let names: Vec<_> = (0..20).map(|nth| format!("prod/{nth}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let rules = format!("[heartbeat]\nat_once = 3\nper_second = 100\n{}", rule("prod/*", ""));
        let slowly = |_: &Backend, _| (Duration::from_millis(700), None);
        let scene = Scene::new(&names, &rules, slowly).await;
        scene.beat().await.unwrap();
        assert_eq!(counts(&scene.end()), count(20, 0, 0, 0, 0));
        assert_eq!(scene.most_at_once.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn no_more_secrets_are_begun_per_second_than_the_operator_says() {
    paused(async {
        let names = ["prod/a", "prod/b", "prod/c", "prod/d"];
        let rules = format!("[heartbeat]\nat_once = 16\nper_second = 2\n{}", rule("prod/*", ""));
        let scene = Scene::new(&names, &rules, plainly).await;
        scene.beat().await.unwrap();
        let gaps: Vec<_> = scene.times(Operation::DescribeSecret).windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.len() == 3 && gaps.iter().all(|gap| (500..510).contains(gap)), "{gaps:?}");
    });
}

#[test]
fn what_is_not_begun_in_time_is_skipped_and_the_function_answers_in_time_whatever_hangs() {
    paused(async {
        let names = ["prod/0", "prod/1", "prod/2", "prod/3", "prod/4", "prod/5", "prod/6", "prod/7"];
        let rules = format!("[heartbeat]\nat_once = 16\nper_second = 1\n{}", rule("prod/*", ""));
        let silent = |_: &Backend, operation| {
            let silent = operation == Operation::GetSecretValue;
            (if silent { Duration::from_secs(3600) } else { Duration::ZERO }, None)
        };
        let scene = Scene::new(&names, &rules, silent).await;
        let began = Instant::now();
        scene.beat_within(Duration::from_secs(6)).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
        // 6 s less the reserve of 0.5 s and the 2 s that a test needs: begun after 0, 1, 2 and 3 s.
        assert_eq!(counts(&scene.end()), count(0, 0, 0, 4, 4));
        let lines = scene.lines.lock().unwrap();
        assert!(lines.iter().filter(|line| line["heartbeat"] == "skipped").all(|line| line["reason"] == "out of time"));
        let late = lines.iter().filter(|line| line["heartbeat"] == "unclear");
        assert!(late.into_iter().all(|line| line["error_type"] == "Windlass.SecretsManagerUnreachable"));
    });
}

#[test]
fn a_function_without_time_skips_everything() {
    paused(async {
        let scene = Scene::new(&["prod/a"], &rule("prod/a", ""), plainly).await;
        scene.beat_within(Duration::from_millis(900)).await.unwrap();
        assert_eq!(counts(&scene.end()), count(0, 0, 0, 0, 1));
        assert_eq!(scene.requests.load(Ordering::Relaxed), 0);
    });
}

fn denying_lists(_: &Backend, operation: Operation) -> (Duration, Option<Exchange>) {
    let denied = || Exchange::Answered(Err(ServiceError::new(Exception::AccessDenied, "User: x is not authorized")));
    (Duration::ZERO, (operation == Operation::ListSecrets).then(denied))
}

#[test]
fn a_heartbeat_that_may_not_list_and_has_nothing_else_to_do_fails() {
    paused(async {
        let scene = Scene::new(&["prod/a"], &rule("prod/*", ""), denying_lists).await;
        let error = scene.beat().await.unwrap_err();
        assert_eq!(error.error_type, "Windlass.HeartbeatDenied");
        assert!(error.message.contains("secretsmanager:ListSecrets on `*`"), "{}", error.message);
        let lines = scene.lines.lock().unwrap();
        assert_eq!(lines.len(), 1);
        let told = ["message", "ErrorType", "Failures", "error"].map(|key| lines[0][key].clone());
        assert_eq!(json!(told), json!(["heartbeat failed", "Windlass.HeartbeatDenied", 1, error.message]));
    });
}

#[test]
fn a_heartbeat_that_may_not_list_tests_what_is_named_in_full() {
    paused(async {
        let rules = rule("prod/*", "") + &rule("named", "");
        let scene = Scene::new(&["prod/a", "named"], &rules, denying_lists).await;
        scene.beat().await.unwrap();
        assert_eq!(scene.verdicts(), [("named".to_owned(), "ok".to_owned())]);
        // What could not be found is counted, too, so that an alarm can see it.
        assert_eq!(counts(&scene.end()), count(1, 0, 0, 1, 0));
        assert_eq!(scene.lines.lock().unwrap()[0]["error_type"], "Windlass.HeartbeatDenied");
    });
}

#[test]
fn a_heartbeat_without_a_rule_for_it_fails_instead_of_testing_nothing_for_ever() {
    paused(async {
        let scene = Scene::new(&["prod/a"], "[[secrets]]\nsecret = \"prod/*\"\n", plainly).await;
        assert_eq!(scene.beat().await.unwrap_err().error_type, "Windlass.HeartbeatSelectsNothing");
        assert!(scene.asked.lock().unwrap().is_empty());
    });
}

#[test]
fn every_page_of_a_list_is_read_and_names_are_filtered_by_secrets_manager() {
    paused(async {
        let (backend, _begun) = Backend::new(FunctionArn::default());
        for nth in 0..205 {
            backend.create(&format!("prod/{nth}"), &SecretValue::text("a"), Vec::new()).unwrap();
        }
        for nth in 0..3 {
            backend.create(&format!("test/{nth}"), &SecretValue::text("a"), Vec::new()).unwrap();
        }
        let asked = Arc::new(AtomicU32::new(0));
        let (served, counted) = (Arc::clone(&backend), Arc::clone(&asked));
        let secrets = SecretsManager::in_process(http_client(move |operation, body| {
            let backend = Arc::clone(&served);
            counted.fetch_add(1, Ordering::Relaxed);
            async move { backend.exchange(operation, &body).await }
        }));
        let many: Vec<_> = (0..12).map(|nth| format!("none-{nth}/")).chain(["test/".to_owned()]).collect();
        for (prefixes, found, pages) in [(vec![], 208, 3), (vec!["prod/".to_owned()], 205, 3), (many, 3, 2)] {
            asked.store(0, Ordering::Relaxed);
            let listed = secrets.list(&prefixes, Instant::now() + Duration::from_secs(60)).await.unwrap();
            assert_eq!((listed.len(), asked.load(Ordering::Relaxed)), (found, pages));
            assert!(listed.iter().all(|of| of.function.is_none() && !of.rotation_enabled));
        }
    });
}

#[test]
fn a_secret_without_a_current_value_is_unclear() {
    paused(async {
        let scene = Scene::new(&[], &rule("empty", ""), plainly).await;
        let made = json!({ "Name": "empty", "ClientRequestToken": ids::uuid().unwrap() });
        scene.backend.call(Operation::CreateSecret, made.to_string().as_bytes()).unwrap();
        scene.beat().await.unwrap();
        let line = scene.lines.lock().unwrap()[0].clone();
        assert_eq!(json!([line["heartbeat"], line["error_type"]]), json!(["unclear", "Windlass.NoCurrentValue"]));
    });
}
