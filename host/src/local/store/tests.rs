mod batch;
mod deletion;
mod deviations;
mod finding;
mod owner;
mod policy;
mod requests;
mod rotation;
mod values;

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::*;
use crate::local::error::Exception;
use crate::local::protocol::{Answer, Operation, operate};

const FUNCTION: &str = FunctionArn::DEFAULT;
const V0: &str = "00000000-0000-4000-8000-000000000000";
const V1: &str = "11111111-1111-4111-8111-111111111111";
const V2: &str = "22222222-2222-4222-8222-222222222222";

/// A store with a clock that stands still until it is moved.
struct World {
    store: Store,
    now: SystemTime,
}

impl World {
    fn new() -> Self {
        let store = Store::new(FunctionArn::parse(FUNCTION).unwrap());
        Self { store, now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) }
    }

    /// With a secret `s` whose AWSCURRENT is `V0`.
    fn with_secret() -> Self {
        let mut world = Self::new();
        world.ok("CreateSecret", json!({"Name": "s", "ClientRequestToken": V0, "SecretString": "old"}));
        world
    }

    fn call(&mut self, operation: &str, request: Value) -> Result<Answer, ServiceError> {
        let operation = Operation::from_target(Some(&format!("secretsmanager.{operation}"))).unwrap();
        self.store.expire(self.now);
        operate(&mut self.store, operation, request.to_string().as_bytes(), self.now)
    }

    fn ok(&mut self, operation: &str, request: Value) -> Value {
        match self.call(operation, request) {
            Ok(Answer::Done(body, _)) => body,
            Ok(Answer::RotationInProgress(_)) => panic!("a rotation is in progress"),
            Err(error) => panic!("{operation}: {error}"),
        }
    }

    fn refused(&mut self, operation: &str, request: Value) -> (Exception, String) {
        match self.call(operation, request) {
            Err(error) => (error.exception, error.message),
            Ok(Answer::Done(body, _)) => panic!("{operation} answered {body}"),
            Ok(Answer::RotationInProgress(_)) => panic!("a rotation is in progress"),
        }
    }

    fn labels(&mut self) -> Value {
        self.ok("DescribeSecret", json!({"SecretId": "s"}))["VersionIdsToStages"].clone()
    }

    fn get(&mut self, version: Option<&str>, stage: Option<&str>) -> Result<String, (Exception, String)> {
        let request = json!({"SecretId": "s", "VersionId": version, "VersionStage": stage});
        match self.call("GetSecretValue", request) {
            Ok(Answer::Done(body, _)) => Ok(body["SecretString"].as_str().unwrap().to_owned()),
            Ok(Answer::RotationInProgress(_)) => unreachable!("reading rotates nothing"),
            Err(error) => Err((error.exception, error.message)),
        }
    }

    fn rotate(&mut self, token: &str) -> Rotation {
        self.rotate_with(json!({"SecretId": "s", "ClientRequestToken": token, "RotationLambdaARN": FUNCTION})).unwrap()
    }

    fn rotate_with(&mut self, request: Value) -> Option<Rotation> {
        match self.call("RotateSecret", request).unwrap() {
            Answer::Done(_, work) => work,
            Answer::RotationInProgress(_) => panic!("a rotation is in progress"),
        }
    }

    fn put(&mut self, token: &str, value: &str, stages: Option<&[&str]>) -> Value {
        let mut request = json!({"SecretId": "s", "ClientRequestToken": token, "SecretString": value});
        if let Some(stages) = stages {
            request["VersionStages"] = json!(stages);
        }
        self.ok("PutSecretValue", request)
    }

    fn promote(&mut self, to: &str, from: &str) -> Result<Answer, ServiceError> {
        let request = json!({"SecretId": "s", "VersionStage": CURRENT, "MoveToVersionId": to, "RemoveFromVersionId": from});
        self.call("UpdateSecretVersionStage", request)
    }
}
