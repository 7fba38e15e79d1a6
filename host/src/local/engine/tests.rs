use std::sync::Mutex;

use rstest::rstest;
use serde_json::Value;

use super::*;
use crate::event::RotationEvent;
use crate::local::protocol::Operation;
use crate::local::store::FunctionArn;

const V0: &str = "00000000-0000-4000-8000-000000000000";
const V1: &str = "11111111-1111-4111-8111-111111111111";
const V2: &str = "22222222-2222-4222-8222-222222222222";

fn pace(attempts: u32) -> Pace {
    let pause = Duration::from_millis(1);
    Pace { attempts, pause, longest_pause: pause, timeout: Duration::from_secs(20) }
}

fn call(backend: &Backend, operation: &str, mut request: Value) -> Result<Value, ServiceError> {
    if request.get("SecretId").is_none() && request.get("Name").is_none() {
        request["SecretId"] = "s".into();
    }
    let operation = Operation::from_target(Some(&format!("secretsmanager.{operation}"))).unwrap();
    backend.call(operation, request.to_string().as_bytes())
}

/// A backend with a secret `s`, and an engine that invokes `step` with the number of the invocation, from 0.
fn engine(
    pace: Pace,
    step: impl Fn(&Backend, usize, &RotationEvent) -> Result<(), ServiceError> + Send + Sync + 'static,
) -> (Arc<Backend>, Engine, mpsc::UnboundedReceiver<Report>) {
    let (backend, begun) = Backend::new(FunctionArn::parse(FunctionArn::DEFAULT).unwrap());
    call(&backend, "CreateSecret", json!({"Name": "s", "ClientRequestToken": V0, "SecretString": "old"})).unwrap();
    let (sender, reports) = mpsc::unbounded_channel();
    let (ours, count, step) = (Arc::clone(&backend), Arc::new(Mutex::new(0)), Arc::new(step));
    let invoker = Invoker::in_process(move |event, _deadline| {
        let number = std::mem::replace(&mut *count.lock().unwrap(), 0);
        *count.lock().unwrap() = number + 1;
        let (backend, step) = (Arc::clone(&ours), Arc::clone(&step));
        async move {
            let event = RotationEvent::parse(&event).unwrap();
            let answer = step(&backend, number, &event);
            answer.map(|()| Value::Null).map_err(|error| InvocationError::new(error.exception.name(), error.message))
        }
    });
    let engine = Engine::start(Arc::clone(&backend), begun, invoker, pace, sender);
    (backend, engine, reports)
}

/// What a rotation function does that has no service.
fn rotating(backend: &Backend, event: &RotationEvent) -> Result<(), ServiceError> {
    let (id, version) = (event.secret.as_str(), event.version.as_str());
    match event.step {
        Step::Create => {
            let token = event.rotation_token.as_ref().unwrap().expose();
            let put = json!({
                "SecretId": id, "ClientRequestToken": version, "SecretString": "new", "VersionStages": ["AWSPENDING"], "RotationToken": token
            });
            call(backend, "PutSecretValue", put).map(drop)
        }
        Step::Set => Ok(()),
        Step::Test => call(backend, "GetSecretValue", json!({"VersionId": version, "VersionStage": "AWSPENDING"})).map(drop),
        Step::Finish => {
            let holder = call(backend, "GetSecretValue", json!({}))?["VersionId"].clone();
            let swap = json!({"VersionStage": "AWSCURRENT", "MoveToVersionId": version, "RemoveFromVersionId": holder});
            call(backend, "UpdateSecretVersionStage", swap).map(drop)
        }
    }
}

fn rotate(backend: &Backend, token: &str, immediately: bool) -> Result<Value, ServiceError> {
    let request = json!({"ClientRequestToken": token, "RotationLambdaARN": FunctionArn::DEFAULT, "RotateImmediately": immediately});
    call(backend, "RotateSecret", request)
}

fn labels(backend: &Backend) -> Value {
    call(backend, "DescribeSecret", json!({})).unwrap()["VersionIdsToStages"].clone()
}

/// The names of what happened, up to the end of the rotation.
async fn until_the_end(reports: &mut mpsc::UnboundedReceiver<Report>) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let happened = reports.recv().await.unwrap().happened;
        names.push(match &happened {
            Happened::Started { attempt } => format!("started {attempt}"),
            Happened::StepSucceeded { step, .. } => step.to_string(),
            Happened::StepFailed { step, error, .. } => format!("{step} {}", error.error_type),
            Happened::Succeeded => "succeeded".to_owned(),
            Happened::Failed { next: Some(_), .. } => "again".to_owned(),
            Happened::Failed { next: None, .. } => "failed".to_owned(),
            Happened::Abandoned { .. } => "abandoned".to_owned(),
        });
        if happened.is_last() {
            return names;
        }
    }
}

fn no() -> ServiceError {
    ServiceError::invalid_request("no")
}

#[tokio::test]
async fn four_invocations_in_order_rotate() {
    let (backend, _engine, mut reports) = engine(pace(1), |backend, _, event| rotating(backend, event));
    rotate(&backend, V1, true).unwrap();
    let expected = ["started 1", "createSecret", "setSecret", "testSecret", "finishSecret", "succeeded"];
    assert_eq!(until_the_end(&mut reports).await, expected);
    assert_eq!(labels(&backend), json!({V1: ["AWSCURRENT"], V0: ["AWSPREVIOUS"]}));
}

#[tokio::test]
async fn a_test_is_one_invocation() {
    let (backend, _engine, mut reports) = engine(pace(1), |backend, _, event| rotating(backend, event));
    rotate(&backend, V1, false).unwrap();
    assert_eq!(until_the_end(&mut reports).await, ["started 1", "testSecret", "succeeded"]);
    assert_eq!(labels(&backend), json!({V0: ["AWSCURRENT"]}));
}

#[rstest]
#[case::create(0)]
#[case::set(1)]
#[case::test(2)]
#[case::finish(3)]
#[tokio::test]
async fn a_failure_stops_the_attempt_and_the_next_begins_at_create_secret(#[case] failing: usize) {
    let (backend, _engine, mut reports) =
        engine(pace(2), move |backend, number, event| if number == failing { Err(no()) } else { rotating(backend, event) });
    rotate(&backend, V1, true).unwrap();
    let happened = until_the_end(&mut reports).await;
    let steps = ["createSecret", "setSecret", "testSecret", "finishSecret"];
    let failed = format!("{} InvalidRequestException", steps[failing]);
    let first = [&["started 1"], &steps[..failing], &[failed.as_str(), "again"]].concat();
    assert_eq!(happened, [&first[..], &["started 2"], &steps, &["succeeded"]].concat());
    assert_eq!(labels(&backend), json!({V1: ["AWSCURRENT"], V0: ["AWSPREVIOUS"]}));
}

#[tokio::test]
async fn attempts_are_bounded_and_rotate_secret_starts_them_again() {
    let (backend, _engine, mut reports) =
        engine(pace(2), |backend, number, event| if number < 2 { Err(no()) } else { rotating(backend, event) });
    rotate(&backend, V1, true).unwrap();
    let failed = "createSecret InvalidRequestException";
    assert_eq!(until_the_end(&mut reports).await, ["started 1", failed, "again", "started 2", failed, "failed"]);
    assert_eq!(labels(&backend), json!({V0: ["AWSCURRENT"], V1: ["AWSPENDING"]}));
    let refused = rotate(&backend, V2, true).unwrap_err();
    assert_eq!(refused.message, "A previous rotation isn't complete. That rotation will be reattempted.");
    assert_eq!(until_the_end(&mut reports).await.last().unwrap(), "succeeded");
    assert_eq!(labels(&backend), json!({V1: ["AWSCURRENT"], V0: ["AWSPREVIOUS"]}));
}

#[tokio::test]
async fn rotate_secret_ends_the_pause() {
    let hour = Duration::from_secs(3600);
    let slow = Pace { attempts: 2, pause: hour, longest_pause: hour, ..pace(2) };
    let (backend, _engine, mut reports) =
        engine(slow, |backend, number, event| if number == 0 { Err(no()) } else { rotating(backend, event) });
    rotate(&backend, V1, true).unwrap();
    while !matches!(reports.recv().await.unwrap().happened, Happened::Failed { next: Some(_), .. }) {}
    assert!(rotate(&backend, V2, true).is_err());
    assert_eq!(until_the_end(&mut reports).await.last().unwrap(), "succeeded");
}

#[tokio::test]
async fn another_current_value_ends_the_rotation_before_the_next_step() {
    let (backend, _engine, mut reports) = engine(pace(5), |backend, _, event| {
        if event.step == Step::Set {
            call(backend, "PutSecretValue", json!({"ClientRequestToken": V2, "SecretString": "by hand"}))?;
        }
        rotating(backend, event)
    });
    rotate(&backend, V1, true).unwrap();
    assert_eq!(until_the_end(&mut reports).await, ["started 1", "createSecret", "setSecret", "abandoned"]);
    assert_eq!(labels(&backend), json!({V2: ["AWSCURRENT"], V0: ["AWSPREVIOUS"]}));
}

#[tokio::test]
async fn a_finish_secret_that_moves_nothing_is_a_failure() {
    let (backend, _engine, mut reports) =
        engine(pace(1), |backend, _, event| if event.step == Step::Finish { Ok(()) } else { rotating(backend, event) });
    rotate(&backend, V1, true).unwrap();
    assert_eq!(until_the_end(&mut reports).await.last().unwrap(), "failed");
    assert_eq!(labels(&backend), json!({V0: ["AWSCURRENT"], V1: ["AWSPENDING"]}));
}

#[tokio::test]
async fn a_lost_answer_of_finish_secret_is_made_good_by_the_next_attempt() {
    let (backend, _engine, mut reports) = engine(pace(2), |backend, number, event| {
        let done = call(backend, "GetSecretValue", json!({}))?["VersionId"] == event.version.as_str();
        let answer = if done { Ok(()) } else { rotating(backend, event) };
        if number == 3 { Err(no()) } else { answer }
    });
    rotate(&backend, V1, true).unwrap();
    assert_eq!(until_the_end(&mut reports).await.last().unwrap(), "succeeded");
    assert_eq!(labels(&backend), json!({V1: ["AWSCURRENT"], V0: ["AWSPREVIOUS"]}));
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_a_failure() {
    let (backend, begun) = Backend::new(FunctionArn::parse(FunctionArn::DEFAULT).unwrap());
    call(&backend, "CreateSecret", json!({"Name": "s", "ClientRequestToken": V0, "SecretString": "old"})).unwrap();
    let (sender, mut reports) = mpsc::unbounded_channel();
    let pace = Pace { timeout: Duration::from_millis(5), ..pace(1) };
    let _engine = Engine::start(Arc::clone(&backend), begun, Invoker::in_process(|_, _| std::future::pending()), pace, sender);
    rotate(&backend, V1, true).unwrap();
    assert_eq!(until_the_end(&mut reports).await, ["started 1", "createSecret Sandbox.Timedout", "failed"]);
}

#[tokio::test]
async fn each_function_is_invoked_for_its_own_secret() {
    const OTHER: &str = "arn:aws:lambda:us-east-1:123456789012:function:other";
    let of = |name: &'static str| Invoker::in_process(move |_, _| async move { Err(InvocationError::new(name, "no")) });
    for (known, said) in [(true, "createSecret Other"), (false, "createSecret AccessDeniedException")] {
        let mut store = crate::local::store::Store::new(FunctionArn::default());
        store.also_invoke(FunctionArn::parse(OTHER).unwrap()).unwrap();
        let (backend, begun) = Backend::with_store(store);
        call(&backend, "CreateSecret", json!({"Name": "s", "ClientRequestToken": V0, "SecretString": "old"})).unwrap();
        let others = known.then(|| (OTHER.to_owned(), of("Other"))).into_iter().collect();
        let (sender, mut reports) = mpsc::unbounded_channel();
        let _engine = Engine::start(Arc::clone(&backend), begun, Invokers { usual: of("Usual"), others }, pace(1), sender);
        call(&backend, "RotateSecret", json!({"ClientRequestToken": V1, "RotationLambdaARN": OTHER})).unwrap();
        assert_eq!(until_the_end(&mut reports).await, ["started 1", said, "failed"]);
    }
}

#[test]
fn a_step_outlasts_the_calls_it_makes() {
    let pace = |seconds| Pace::for_calls(Duration::from_secs(seconds));
    assert_eq!(pace(25), Pace::default());
    assert_eq!(pace(1).timeout, Duration::from_secs(60));
    assert_eq!(pace(890).timeout, Duration::from_secs(1790));
}
