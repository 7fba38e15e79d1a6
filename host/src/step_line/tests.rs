use insta::assert_snapshot;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::capability::endpoint::EndpointError;
use crate::config::Config;
use crate::event::EventError;
use crate::failure::{Cause, Effect};
use crate::plugin::call::{CallError, Stop};
use crate::secrets::{ErrorKind, SecretsError};
use crate::state::NotRotatable;
use crate::step_record::StepTimes;

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/redis/app-a1B2c3";

fn event() -> RotationEvent {
    let event = json!({ "Step": "setSecret", "SecretId": ARN, "ClientRequestToken": "0f4f8d1a-9f7c-4b52-9a3e-7a0c1d2e3f40" });
    RotationEvent::parse(event.to_string().as_bytes()).unwrap()
}

fn record() -> StepRecord {
    let micros = Duration::from_micros;
    StepRecord {
        plugin: Some(PluginUsed {
            name: "redis".to_owned(),
            version: "0.1.0".to_owned(),
            digest: "sha256:faa37df1".to_owned(),
            trusted_by: "signature of release".to_owned(),
        }),
        control: None,
        refused_logins: Some(1),
        code_from: Some(CodeFrom::Envelope),
        attempts: 2,
        times: StepTimes {
            whole: micros(31_234),
            host: micros(20_111),
            secrets_manager: micros(18_000),
            loading: micros(480),
            plugin: micros(11_123),
            service: micros(10_001),
        },
    }
}

fn unreachable() -> StepError {
    let message = "redis.example.com:6379 does not answer (connect)".to_owned();
    let why = CallError::Failure { cause: Cause::Unreachable, effect: Effect::Unchanged, message };
    StepError::Plugin { plugin: "redis".to_owned(), why }
}

fn names(hashed: bool) -> SecretNames {
    let mut config = Config::with_plugins("plugins".into());
    let text = if hashed { "[log]\nsecret = \"hash\"" } else { "" };
    config.read_text(text, "windlass.toml".as_ref()).unwrap();
    SecretNames::configured(&config)
}

fn line_of(event: Option<&RotationEvent>, outcome: &Result<StepOutcome, StepError>, record: &StepRecord, hashed: bool) -> String {
    let context = Context {
        at: SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_671_669_123_456),
        function: "windlass",
        request_id: "8f5f4c2e-6a3b-4d0e-9d6f-1c2b3a4d5e6f",
        trace_id: Some("1-5759e988-bd862e3fe1be46a994272793"),
        names: &names(hashed),
    };
    serde_json::to_string(&StepLine::new(context, event, outcome, record)).unwrap()
}

#[test]
fn a_step_that_is_done() {
    assert_snapshot!(line_of(Some(&event()), &Ok(StepOutcome::Changed), &record(), false), @r#"{"timestamp":"2026-11-26T05:41:09.123456Z","level":"INFO","message":"step done","request_id":"8f5f4c2e-6a3b-4d0e-9d6f-1c2b3a4d5e6f","trace_id":"1-5759e988-bd862e3fe1be46a994272793","step":"setSecret","secret":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/redis/app-a1B2c3","version":"0f4f8d1a-9f7c-4b52-9a3e-7a0c1d2e3f40","plugin":"redis","plugin_version":"0.1.0","digest":"sha256:faa37df1","trusted_by":"signature of release","code_from":"envelope","outcome":"changed","refused_logins":1,"attempts":2,"duration_us":31234,"host_us":20111,"secrets_manager_us":18000,"loading_us":480,"plugin_us":11123,"service_us":10001,"_aws":{"Timestamp":1795671669123,"CloudWatchMetrics":[{"Namespace":"Windlass","Dimensions":[["FunctionName","Step"]],"Metrics":[{"Name":"StepsDone","Unit":"Count"},{"Name":"StepsFailed","Unit":"Count"},{"Name":"StepDuration","Unit":"Milliseconds"},{"Name":"SecretsManagerDuration","Unit":"Milliseconds"},{"Name":"PluginDuration","Unit":"Milliseconds"},{"Name":"ServiceDuration","Unit":"Milliseconds"}]}]},"FunctionName":"windlass","Step":"setSecret","StepsDone":1,"StepsFailed":0,"StepDuration":31.234,"SecretsManagerDuration":18.0,"PluginDuration":11.123,"ServiceDuration":10.001}"#);
}

#[test]
fn a_step_that_failed_at_its_service() {
    assert_snapshot!(line_of(Some(&event()), &Err(unreachable()), &record(), false), @r#"{"timestamp":"2026-11-26T05:41:09.123456Z","level":"ERROR","message":"step failed","request_id":"8f5f4c2e-6a3b-4d0e-9d6f-1c2b3a4d5e6f","trace_id":"1-5759e988-bd862e3fe1be46a994272793","step":"setSecret","secret":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/redis/app-a1B2c3","version":"0f4f8d1a-9f7c-4b52-9a3e-7a0c1d2e3f40","plugin":"redis","plugin_version":"0.1.0","digest":"sha256:faa37df1","trusted_by":"signature of release","code_from":"envelope","error_type":"Windlass.Unreachable","cause":"unreachable","effect":"unchanged","blame":"operator","retry":"helps","error":"plugin `redis`: unreachable (unchanged): redis.example.com:6379 does not answer (connect). To do: check the network path from the function to the service: security groups, routes, DNS, TLS","refused_logins":1,"attempts":2,"duration_us":31234,"host_us":20111,"secrets_manager_us":18000,"loading_us":480,"plugin_us":11123,"service_us":10001,"_aws":{"Timestamp":1795671669123,"CloudWatchMetrics":[{"Namespace":"Windlass","Dimensions":[["FunctionName","Step"]],"Metrics":[{"Name":"StepsDone","Unit":"Count"},{"Name":"StepsFailed","Unit":"Count"},{"Name":"StepDuration","Unit":"Milliseconds"},{"Name":"SecretsManagerDuration","Unit":"Milliseconds"},{"Name":"PluginDuration","Unit":"Milliseconds"},{"Name":"ServiceDuration","Unit":"Milliseconds"}]},{"Namespace":"Windlass","Dimensions":[["FunctionName","ErrorType"]],"Metrics":[{"Name":"Failures","Unit":"Count"}]}]},"FunctionName":"windlass","Step":"setSecret","ErrorType":"Windlass.Unreachable","StepsDone":0,"StepsFailed":1,"StepDuration":31.234,"SecretsManagerDuration":18.0,"PluginDuration":11.123,"ServiceDuration":10.001,"Failures":1}"#);
}

#[test]
fn an_event_that_names_no_step_is_a_failure_of_none() {
    let error = Err(EventError::MissingKey { key: "Step" }.into());
    let record = StepRecord { attempts: 1, ..StepRecord::default() };
    assert_snapshot!(line_of(None, &error, &record, false), @r#"{"timestamp":"2026-11-26T05:41:09.123456Z","level":"ERROR","message":"step failed","request_id":"8f5f4c2e-6a3b-4d0e-9d6f-1c2b3a4d5e6f","trace_id":"1-5759e988-bd862e3fe1be46a994272793","error_type":"Windlass.InvalidEvent","blame":"operator","retry":"after-change","error":"the event has no key `Step`. Invoke the function through `aws secretsmanager rotate-secret`; a test event needs Step, SecretId and ClientRequestToken","attempts":1,"duration_us":0,"host_us":0,"secrets_manager_us":0,"loading_us":0,"plugin_us":0,"service_us":0,"_aws":{"Timestamp":1795671669123,"CloudWatchMetrics":[{"Namespace":"Windlass","Dimensions":[["FunctionName","ErrorType"]],"Metrics":[{"Name":"Failures","Unit":"Count"}]}]},"FunctionName":"windlass","ErrorType":"Windlass.InvalidEvent","Failures":1}"#);
}

#[test]
fn a_secret_is_named_by_a_digest_where_the_operator_wants_that() {
    let message =
        format!("User: x is not authorized to perform: secretsmanager:PutSecretValue on resource: {ARN} of prod/redis/app");
    let code = Some("AccessDeniedException".to_owned());
    let error = SecretsError { operation: "PutSecretValue", kind: ErrorKind::Denied, code, message };
    let rejected = StepError::Rejected {
        plugin: "redis".to_owned(),
        cause: Cause::Rejected,
        effect: Effect::Unchanged,
        message: "too short".to_owned(),
        secret: event().secret,
        version: event().version,
    };
    for error in [error.into(), rejected] {
        let error = Err(error);
        let line: Value = serde_json::from_str(&line_of(Some(&event()), &error, &record(), true)).unwrap();
        assert_eq!(line["secret"], "sha256:21f5de52ab24839a");
        assert!(!line.to_string().contains("prod/redis/app"), "{line}");
        assert!(line["error"].as_str().unwrap().contains("sha256:21f5de52ab24839a"), "{line}");
        assert!(line_of(Some(&event()), &error, &record(), false).contains("prod/redis/app"));
    }
}

#[test]
fn a_long_message_is_cut() {
    let message = "\u{1}é".repeat(1 << 20);
    let why = CallError::Failure { cause: Cause::Internal, effect: Effect::Unknown, message };
    let text = line_of(Some(&event()), &Err(StepError::Plugin { plugin: "redis".to_owned(), why }), &record(), false);
    assert!(text.len() < 256 << 10, "{} bytes", text.len());
    let line: Value = serde_json::from_str(&text).unwrap();
    assert!(line["error"].as_str().unwrap().ends_with(" bytes more]"));
}

/// What the plugin reported is told wherever it is what the step failed for, and nowhere else.
#[rstest]
#[case::plugin(unreachable(), json!(["unreachable", "unchanged"]))]
#[case::out_of_time(
    StepError::OutOfTime { error: Box::new(unreachable()), took: Duration::ZERO, account: Default::default() },
    json!(["unreachable", "unchanged"])
)]
#[case::control(
    StepError::ControlInconclusive {
        plugin: "redis".to_owned(),
        why: CallError::Failure { cause: Cause::RateLimited, effect: Effect::Unknown, message: String::new() }
    },
    json!(["rate-limited", "unknown"])
)]
#[case::stopped(StepError::Plugin { plugin: "redis".to_owned(), why: Stop::StackOverflow.into() }, json!([null, null]))]
#[case::host(StepError::Endpoint(EndpointError::MissingField { endpoint: "a".to_owned(), field: "b".to_owned() }), json!([null, null]))]
#[case::gate(NotRotatable::Replica.into(), json!([null, null]))]
fn cause_and_effect_are_the_plugins(#[case] error: StepError, #[case] expected: Value) {
    let line: Value = serde_json::from_str(&line_of(Some(&event()), &Err(error), &record(), false)).unwrap();
    assert_eq!(json!([line["cause"], line["effect"]]), expected);
}
