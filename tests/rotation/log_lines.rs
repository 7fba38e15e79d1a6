//! What an invocation leaves in the log: one line with what came of it, which is at the same time what CloudWatch takes metrics from;
//! and nothing of the event.

use rstest::rstest;
use serde_json::{Map, Value, json};
use windlass::event::Step;

use crate::scene::{Scene, Set};
use crate::support::account::{Deployment, Function};
use crate::support::built;
use crate::support::front::Front;
use crate::support::port;

/// The metrics of a step.
const OF_STEP: [&str; 6] =
    ["StepsDone", "StepsFailed", "StepDuration", "SecretsManagerDuration", "PluginDuration", "ServiceDuration"];

/// Everything that the function has written, line by line. Whatever it writes is a line of JSON.
#[track_caller]
fn lines(function: &Function) -> Vec<Map<String, Value>> {
    let output = function.output();
    assert!(output.is_empty() || output.ends_with('\n'));
    let lines = output.lines().map(|line| match serde_json::from_str(line) {
        Ok(Value::Object(line)) => line,
        other => panic!("{other:?}: {line}"),
    });
    lines.inspect(time_and_level).collect()
}

/// The lines that invocations have left, checked.
#[track_caller]
pub fn metric_lines(function: &Function) -> Vec<Value> {
    let lines = lines(function).into_iter().filter(|line| line.contains_key("_aws"));
    lines.inspect(is_as_documented).map(Value::Object).inspect(embeds_metrics).collect()
}

/// The guide's samples, with which saved queries and dashboard are tested.
fn samples() -> impl Iterator<Item = Map<String, Value>> {
    let samples = include_str!("../../host/deploy/samples/log.jsonl").lines();
    samples.map(|sample| serde_json::from_str(sample).unwrap())
}

/// Some sample has each key of the line. That no sample has others is shown in `host/src/log_samples.rs`.
#[track_caller]
fn is_as_documented(line: &Map<String, Value>) {
    let alike: Vec<_> = samples().filter(|sample| sample["message"] == line["message"]).collect();
    for key in line.keys() {
        assert!(alike.iter().any(|sample| sample.contains_key(key)), "no sample of `{}` has `{key}`", line["message"]);
    }
}

#[track_caller]
fn time_and_level(line: &Map<String, Value>) {
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(timestamp.len() == "2026-11-26T05:41:09.123456Z".len() && timestamp.ends_with('Z'), "{timestamp}");
    assert!(["DEBUG", "INFO", "WARN", "ERROR"].contains(&line["level"].as_str().unwrap()));
    assert!(line["message"].is_string());
}

/// The rules of the embedded metric format, with the bounds that its schema had first; they have become wider since.
///
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
#[track_caller]
fn embeds_metrics(line: &Value) {
    let keys = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let named =
        |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    assert!(line.to_string().len() < 256 << 10);
    let metadata = &line["_aws"];
    assert_eq!(keys(metadata), ["CloudWatchMetrics", "Timestamp"]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let age = now - u128::from(metadata["Timestamp"].as_u64().expect("milliseconds since 1970"));
    assert!(age < 10 * 60 * 1000, "{age} ms old");
    let directives = metadata["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty());
    for directive in directives {
        assert_eq!(keys(directive), ["Dimensions", "Metrics", "Namespace"]);
        assert_eq!(directive["Namespace"], "Windlass");
        let sets = directive["Dimensions"].as_array().unwrap();
        assert!(!sets.is_empty());
        for set in sets.iter().map(|set| set.as_array().unwrap()) {
            assert!(set.len() <= 9);
            for dimension in set.iter().map(|dimension| dimension.as_str().unwrap()) {
                let value = line[dimension].as_str().unwrap_or_else(|| panic!("{dimension} is no text in {line}"));
                assert!(named(dimension, 255) && named(value, 255), "{dimension}: {value}");
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            assert_eq!(keys(metric), ["Name", "Unit"]);
            let name = metric["Name"].as_str().unwrap();
            assert!(named(name, 255) && ["Count", "Milliseconds"].contains(&metric["Unit"].as_str().unwrap()));
            let value = line[name].as_f64().unwrap_or_else(|| panic!("{name} is no number in {line}"));
            assert!(value.is_finite() && (0.0..1e9).contains(&value), "{name}: {value}");
        }
    }
}

/// The dimensions of each directive, and the names of its metrics.
fn directives(line: &Value) -> Vec<(Value, Vec<&str>)> {
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap().iter();
    directives
        .map(|directive| {
            let metrics = directive["Metrics"].as_array().unwrap().iter();
            (directive["Dimensions"].clone(), metrics.map(|metric| metric["Name"].as_str().unwrap()).collect())
        })
        .collect()
}

#[test]
fn every_step_that_is_done_leaves_one_line_with_its_metrics() {
    let scene = Set::default().redis();
    let rotation = scene.begin();
    for step in Step::ALL {
        scene.function.succeed(&rotation.event(step));
    }
    let steps = metric_lines(&scene.function);
    let told: Vec<_> = steps.iter().map(|line| json!([line["message"], line["Step"], line["outcome"], line["level"]])).collect();
    assert_eq!(
        json!(told),
        json!([
            ["step done", "createSecret", "created", "INFO"],
            ["step done", "setSecret", "changed", "INFO"],
            ["step done", "testSecret", "accepted", "INFO"],
            ["step done", "finishSecret", "promoted", "INFO"],
        ])
    );
    for line in &steps {
        assert_eq!(directives(line), [(json!([["FunctionName", "Step"]]), OF_STEP.to_vec())]);
        assert_eq!(json!([line["StepsDone"], line["StepsFailed"], line["attempts"]]), json!([1, 0, 1]));
        assert_eq!(
            json!([line["step"], line["secret"], line["version"]]),
            json!([line["Step"], scene.secret.arn, rotation.version()])
        );
        assert_eq!(json!([line["plugin"], line["FunctionName"]]), json!(["redis", "windlass"]));
        assert_eq!(line["request_id"].as_str().unwrap().len(), 36);
        assert_eq!(line["trace_id"], "1-00000000-000000000000000000000000");
        let whole = line["duration_us"].as_u64().unwrap();
        // Each is rounded to whole microseconds.
        assert!(whole.abs_diff(line["host_us"].as_u64().unwrap() + line["plugin_us"].as_u64().unwrap()) <= 1, "{line}");
        assert_eq!(line["StepDuration"].as_f64().unwrap(), whole as f64 / 1000.0);
        assert!(line["SecretsManagerDuration"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(steps[2]["negative_control"], "refused");
    assert!(steps[1]["ServiceDuration"].as_f64().unwrap() > 0.0 && steps[0]["PluginDuration"] == 0.0);
}

#[test]
fn a_step_that_failed_says_why_and_is_counted_by_its_type() {
    let closed = port::free();
    let scene = Set { members: json!({ "port": closed }), ..Set::default() }.redis();
    let rotation = scene.begin_before(Step::Set);
    let error = scene.function.invoke(&rotation.event(Step::Set)).unwrap_err();
    let steps = metric_lines(&scene.function);
    let [_, failed] = &steps[..] else { panic!("{} lines", steps.len()) };
    assert_eq!(
        directives(failed),
        [(json!([["FunctionName", "Step"]]), OF_STEP.to_vec()), (json!([["FunctionName", "ErrorType"]]), vec!["Failures"])]
    );
    assert_eq!(json!([failed["StepsDone"], failed["StepsFailed"], failed["Failures"]]), json!([0, 1, 1]));
    let told = ["level", "message", "error_type", "ErrorType", "cause", "effect", "blame", "retry"].map(|key| &failed[key]);
    assert_eq!(
        json!(told),
        json!([
            "ERROR",
            "step failed",
            "Windlass.Unreachable",
            "Windlass.Unreachable",
            "unreachable",
            "unchanged",
            "operator",
            "helps"
        ])
    );
    assert_eq!(failed["error"], error.error_message);
    // Said once: lambda_runtime would repeat the errors that it answers.
    assert_eq!(lines(&scene.function).iter().filter(|line| line["level"] == "ERROR").count(), 1);
}

#[test]
fn what_a_plugin_says_can_be_found_by_the_request_and_the_step() {
    let scene = Set::default().redis();
    let hostile = "[[secrets]]\nsecret = \"*\"\nplugin = \"hostile\"\nsettings = { behaviour = \"says-its-secret\" }\n";
    let plugins = vec![("hostile.wasm".to_owned(), std::fs::read(built::guest("hostile")).unwrap())];
    let deployment = Deployment::new(format!("{}{hostile}", scene.configuration())).plugins(plugins);
    let scene = scene.with_function(deployment);
    let rotation = scene.begin_before(Step::Set);
    scene.function.invoke(&rotation.event(Step::Set)).unwrap_err();
    let of_step = metric_lines(&scene.function).remove(1);
    let said: Vec<_> = lines(&scene.function).into_iter().filter(|line| line.get("target") == Some(&json!("plugin"))).collect();
    assert!(!said.is_empty());
    let keys = |of: &Map<String, Value>| of.keys().cloned().collect::<Vec<_>>();
    let sample = samples().find(|sample| sample.get("target") == Some(&json!("plugin"))).unwrap();
    for line in said {
        assert_eq!(keys(&line), keys(&sample));
        assert_eq!(keys(line["span"].as_object().unwrap()), keys(sample["span"].as_object().unwrap()));
        assert_eq!(line["plugin"], "hostile");
        for key in ["request_id", "trace_id", "step", "secret", "version"] {
            assert_eq!(line["span"][key], of_step[key], "{key}");
        }
    }
}

#[test]
fn an_event_that_is_none_is_a_failure_and_no_step() {
    let scene = Set::default().redis();
    scene.function.invoke(&json!({ "Step": "rotateSecret" })).unwrap_err();
    let steps = metric_lines(&scene.function);
    assert_eq!(directives(&steps[0]), [(json!([["FunctionName", "ErrorType"]]), vec!["Failures"])]);
    assert_eq!(steps[0]["ErrorType"], "Windlass.InvalidEvent");
}

#[test]
fn attempts_count_what_had_to_be_tried_again() {
    const THROTTLED: &str = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
    let scene = Set::default().redis();
    let front = Front::before(scene.account.port(), 3, 400, THROTTLED);
    let deployment = Deployment::new(scene.configuration()).secrets_manager(front.port());
    let scene = scene.with_function(deployment);
    let rotation = scene.begin();
    for step in [Step::Create, Step::Set] {
        scene.function.succeed(&rotation.event(step));
    }
    let attempts: Vec<_> = metric_lines(&scene.function).iter().map(|line| line["attempts"].clone()).collect();
    assert_eq!(json!(attempts), json!([4, 1]));
}

#[test]
fn a_secret_that_is_named_by_its_digest_is_named_by_nothing_else() {
    const DENIED: &str =
        r#"{"__type":"AccessDeniedException","Message":"User: x may not secretsmanager:DescribeSecret on resource: prod/app"}"#;
    let scene = Set::default().redis();
    let configuration = format!("{}[log]\nsecret = \"hash\"\n", scene.configuration());
    let scene = scene.with_function(Deployment::new(configuration.clone()));
    let rotation = scene.begin_before(Step::Set);
    scene.function.succeed(&rotation.event(Step::Set));
    let front = Front::before(scene.account.port(), u32::MAX, 400, DENIED);
    let denied = Deployment::new(configuration).secrets_manager(front.port()).deploy(&scene.account);
    let error = denied.invoke(&rotation.event(Step::Test)).unwrap_err();
    assert!(error.error_message.contains("on resource: prod/app"), "{error}");
    let digest = format!("sha256:{}", &crate::whole::sha256(&scene.secret.arn)[..16]);
    for function in [&scene.function, &denied] {
        let output = function.output();
        assert!(!output.contains("prod/app"), "{output}");
        assert!(metric_lines(function).iter().all(|line| line["secret"] == *digest));
    }
    assert!(metric_lines(&denied)[0]["error"].as_str().unwrap().contains(&format!("on resource: {digest}")));
}

/// The messages of a whole rotation and of an event that is none, without what differs from one to the other.
fn said(scene: &Scene, deployment: Deployment) -> Vec<Value> {
    let function = deployment.deploy(&scene.account);
    let rotation = scene.begin();
    for step in Step::ALL {
        function.succeed(&rotation.event(step));
    }
    function.invoke(&json!({ "Step": "createSecret", "SecretId": "canary-of-an-event", "ClientRequestToken": 1 })).unwrap_err();
    let lines = lines(&function);
    assert!(!function.output().contains("canary-of-an-event"));
    for line in &lines {
        assert_eq!(scene.account.leaked(Value::Object(line.clone()).to_string().as_bytes()), None);
        let ours = line
            .get("target")
            .is_none_or(|target| target.as_str().is_some_and(|target| target == "plugin" || target.starts_with("windlass")));
        assert!(ours || ["WARN", "ERROR"].contains(&line["level"].as_str().unwrap()), "{line:?}");
        // Whatever is said during a step can be found by its request.
        let in_request = line.contains_key("_aws") || line.get("span").is_none_or(|span| span["request_id"].is_string());
        assert!(in_request, "{line:?}");
    }
    lines.into_iter().map(|line| json!([line["level"], line["message"]])).collect()
}

#[rstest]
#[case::rust_log("RUST_LOG", "trace")]
#[case::the_level_of_lambda("AWS_LAMBDA_LOG_LEVEL", "TRACE")]
fn no_variable_makes_anybody_log_an_event(#[case] variable: &str, #[case] value: &str) {
    let scene = Set::default().redis();
    let plain = said(&scene, Deployment::new(scene.configuration()));
    let talkative =
        said(&scene, Deployment::new(scene.configuration()).variable(variable, value).variable("WINDLASS_LOG", "debug"));
    assert_eq!(talkative, plain);
}

#[test]
fn the_line_of_a_step_is_written_at_every_level() {
    let scene = Set::default().redis();
    let scene = {
        let deployment = Deployment::new(scene.configuration()).variable("WINDLASS_LOG", "error");
        scene.with_function(deployment)
    };
    scene.function.succeed(&scene.begin().event(Step::Create));
    assert_eq!(metric_lines(&scene.function).len(), 1);
    assert_eq!(lines(&scene.function).len(), 1);
}
