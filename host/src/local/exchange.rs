//! One request to Secrets Manager and what becomes of it, with the faults that were armed for it.

use serde_json::Value;
use tokio::sync::{broadcast, mpsc};
use tokio::time::sleep;

use super::api::{self, DeleteSecret, GetSecretValue, OfSecret, PutSecretValue, UpdateSecretVersionStage};
use super::backend::Backend;
use super::error::{Exception, ServiceError};
use super::fault::{Outsider, Place, Trouble};
use super::ids;
use super::protocol::Operation;
use super::store::{CURRENT, PENDING, PREVIOUS, Store};

/// What becomes of a request.
pub enum Exchange {
    /// It is answered.
    Answered(Result<Value, ServiceError>),
    /// It is answered with status 503 by something that is not Secrets Manager.
    Unavailable,
    /// The connection breaks, and nobody says whether the request had an effect.
    Lost,
}

/// What a fault does to the function that rotates a secret. Whoever invokes the function carries it out.
#[derive(Debug, Clone)]
pub struct Interference {
    /// Which invocation: that of the secret with this ARN; all if there is none.
    pub secret: Option<String>,
    /// What is done to it.
    pub what: Blow,
    #[expect(dead_code, reason = "held for its drop, which says that it is done")]
    done: mpsc::Sender<()>,
}

/// What is done to an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// The function's process dies.
    Kill,
    /// The same event is delivered a second time, while the first is not answered.
    Duplicate,
}

impl Interference {
    /// Whether an invocation for the secret with this ARN is meant.
    pub fn concerns(&self, arn: &str) -> bool {
        self.secret.as_deref().is_none_or(|secret| secret == arn)
    }
}

impl Backend {
    /// Carries out a request that came over a network, with the faults that were armed for its operation.
    pub async fn exchange(&self, operation: Operation, body: &[u8]) -> Exchange {
        let secret = secret_of(body);
        let (mut stale, mut lost, mut killed) = (false, false, false);
        for trouble in self.faults().at(Place::Call(operation)) {
            match trouble {
                Trouble::Throttle => {
                    return Exchange::Answered(Err(ServiceError::new(Exception::Throttling, "Rate exceeded")));
                }
                Trouble::Error => {
                    let error = ServiceError::new(Exception::InternalService, "An error occurred on the server side.");
                    return Exchange::Answered(Err(error));
                }
                Trouble::Unavailable => return Exchange::Unavailable,
                Trouble::LostRequest => return Exchange::Lost,
                Trouble::LostAnswer => lost = true,
                Trouble::Latency(time) | Trouble::Late(time) => sleep(time).await,
                Trouble::Stale(_) => stale = true,
                Trouble::Kill => {
                    self.interfere(Blow::Kill, secret.as_deref()).await;
                    return Exchange::Lost;
                }
                Trouble::KillAfter => killed = true,
                Trouble::Duplicate => self.interfere(Blow::Duplicate, secret.as_deref()).await,
                Trouble::Outsider(outsider) => self.outsider(outsider, secret.as_deref()),
            }
        }
        let answer = if stale { self.call_stale(operation, body) } else { self.call(operation, body) };
        if killed {
            self.interfere(Blow::Kill, secret.as_deref()).await;
        }
        if lost || killed { Exchange::Lost } else { Exchange::Answered(answer) }
    }

    /// Does something to the invocation that rotates the secret with this ARN, and waits until that is done. Nothing happens if there
    /// is no such invocation.
    pub async fn interfere(&self, what: Blow, secret: Option<&str>) {
        let (done, mut all_done) = mpsc::channel(1);
        // Without an invocation nobody listens, and what was sent comes back: it has to be dropped before the wait.
        drop(self.interferences.send(Interference { secret: secret.map(str::to_owned), what, done }));
        // Ends when the last copy of `done` is dropped.
        let _nothing_is_sent = all_done.recv().await;
    }

    /// What is done to invocations from now on.
    pub fn interferences(&self) -> broadcast::Receiver<Interference> {
        self.interferences.subscribe()
    }

    /// Lets somebody else do something to a secret. What Secrets Manager refuses does not happen.
    pub fn outsider(&self, what: Outsider, secret: Option<&str>) {
        if what == Outsider::SwapPlugin {
            return self.swap_plugins();
        }
        let Some(secret) = secret else { return };
        let _refused = self.change(|store, now| act(store, what, secret, now));
    }
}

fn act(store: &mut Store, what: Outsider, secret: &str, now: std::time::SystemTime) -> Result<(), ServiceError> {
    let secret_id = Some(secret.to_owned());
    let holder = |store: &Store, label: &str| store.with_arn(secret).and_then(|found| found.holder(label)).map(str::to_owned);
    match what {
        Outsider::StoreCurrent => {
            let read = GetSecretValue { secret_id: secret_id.clone(), ..GetSecretValue::default() };
            let current = store.get_secret_value(&read, now)?;
            let (secret_string, secret_binary) = api::members(&current.value);
            let client_request_token = Some(ids::uuid()?);
            let request =
                PutSecretValue { secret_id, client_request_token, secret_string, secret_binary, ..PutSecretValue::default() };
            store.put_secret_value(&request, now).map(drop)
        }
        Outsider::MoveCurrent => {
            let (Some(from), Some(to)) = (holder(store, CURRENT), holder(store, PREVIOUS)) else { return Ok(()) };
            let request = UpdateSecretVersionStage {
                secret_id,
                version_stage: Some(CURRENT.to_owned()),
                remove_from_version_id: Some(from),
                move_to_version_id: Some(to),
            };
            store.update_secret_version_stage(&request, now).map(drop)
        }
        Outsider::TakePending => {
            let Some(from) = holder(store, PENDING) else { return Ok(()) };
            let request = UpdateSecretVersionStage {
                secret_id,
                version_stage: Some(PENDING.to_owned()),
                remove_from_version_id: Some(from),
                move_to_version_id: None,
            };
            store.update_secret_version_stage(&request, now).map(drop)
        }
        Outsider::SwapPlugin => Ok(()),
        Outsider::Cancel => store.cancel_rotate_secret(&OfSecret { secret_id }, now).map(drop),
        Outsider::Delete => {
            let request = DeleteSecret { secret_id, recovery_window_in_days: Some(7), ..DeleteSecret::default() };
            store.delete_secret(&request, now).map(drop)
        }
    }
}

/// The `SecretId` of a request, whatever its operation.
fn secret_of(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<OfSecret>(body).ok()?.secret_id
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::local::store::FunctionArn;

    const V0: &str = "00000000-0000-4000-8000-000000000000";
    const V1: &str = "11111111-1111-4111-8111-111111111111";

    /// A secret whose AWSCURRENT is V1 and whose AWSPREVIOUS is V0, and this fault.
    fn backend(fault: &str) -> (Arc<Backend>, String) {
        let (backend, _begun) = Backend::new(FunctionArn::default());
        let create = json!({ "Name": "s", "ClientRequestToken": V0, "SecretString": "old" });
        let created = backend.call(Operation::CreateSecret, create.to_string().as_bytes()).unwrap();
        let arn = created["ARN"].as_str().unwrap().to_owned();
        let put = json!({ "SecretId": arn, "ClientRequestToken": V1, "SecretString": "new" });
        backend.call(Operation::PutSecretValue, put.to_string().as_bytes()).unwrap();
        backend.faults().arm(fault.parse().unwrap());
        (backend, arn)
    }

    async fn read(backend: &Backend, arn: &str) -> Exchange {
        backend.exchange(Operation::GetSecretValue, json!({ "SecretId": arn }).to_string().as_bytes()).await
    }

    async fn value(backend: &Backend, arn: &str) -> Value {
        match read(backend, arn).await {
            Exchange::Answered(answer) => answer.unwrap()["SecretString"].clone(),
            Exchange::Unavailable | Exchange::Lost => panic!("no answer"),
        }
    }

    fn stages(backend: &Backend, arn: &str) -> Value {
        let described = backend.call(Operation::DescribeSecret, json!({ "SecretId": arn }).to_string().as_bytes());
        described.unwrap()["VersionIdsToStages"].clone()
    }

    #[rstest]
    #[case::throttled("GetSecretValue:throttle", "ThrottlingException: Rate exceeded")]
    #[case::failed("GetSecretValue:error", "InternalServiceError: An error occurred on the server side.")]
    #[tokio::test]
    async fn a_call_fails_once_and_then_succeeds(#[case] fault: &str, #[case] expected: &str) {
        let (backend, arn) = backend(fault);
        assert!(matches!(read(&backend, &arn).await, Exchange::Answered(Err(error)) if error.to_string() == expected));
        assert_eq!(value(&backend, &arn).await, "new");
    }

    #[tokio::test]
    async fn a_lost_answer_has_an_effect_and_a_lost_request_has_none() {
        for (fault, expected) in
            [("lost-request", json!({ V0: ["AWSPREVIOUS"], V1: ["AWSCURRENT"] })), ("lost-answer", json!({ V1: ["AWSCURRENT"] }))]
        {
            let (backend, arn) = backend(&format!("UpdateSecretVersionStage:{fault}"));
            let take = json!({ "SecretId": arn, "VersionStage": "AWSPREVIOUS", "RemoveFromVersionId": V0 });
            let exchange = backend.exchange(Operation::UpdateSecretVersionStage, take.to_string().as_bytes()).await;
            assert!(matches!(exchange, Exchange::Lost));
            assert_eq!(stages(&backend, &arn), expected, "{fault}");
        }
    }

    #[tokio::test]
    async fn a_stale_read_does_not_see_the_last_change() {
        let (backend, arn) = backend("GetSecretValue:stale=1");
        assert_eq!(value(&backend, &arn).await, "old");
        assert_eq!(value(&backend, &arn).await, "new");
    }

    #[tokio::test(start_paused = true)]
    async fn latency_comes_before_the_answer() {
        let (backend, arn) = backend("GetSecretValue:latency=3s");
        let began = tokio::time::Instant::now();
        assert_eq!(value(&backend, &arn).await, "new");
        assert_eq!(began.elapsed(), Duration::from_secs(3));
    }

    #[rstest]
    #[case::move_current("move-current", json!({ V0: ["AWSCURRENT"], V1: ["AWSPREVIOUS"] }))]
    #[case::nothing_pending("take-pending", json!({ V0: ["AWSPREVIOUS"], V1: ["AWSCURRENT"] }))]
    #[tokio::test]
    async fn an_outsider_moves_labels(#[case] outsider: &str, #[case] expected: Value) {
        let (backend, arn) = backend(&format!("GetSecretValue:{outsider}"));
        value(&backend, &arn).await;
        assert_eq!(stages(&backend, &arn), expected);
    }

    #[tokio::test]
    async fn an_outsider_stores_the_current_value_as_a_new_version() {
        let (backend, arn) = backend("GetSecretValue:store-current");
        assert_eq!(value(&backend, &arn).await, "new");
        let stages = stages(&backend, &arn);
        assert_eq!(stages[V1], json!(["AWSPREVIOUS"]));
        assert_eq!(stages.as_object().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn an_outsider_deletes_the_secret() {
        let (backend, arn) = backend("GetSecretValue:delete");
        assert!(
            matches!(read(&backend, &arn).await, Exchange::Answered(Err(error)) if error.message.contains("marked for deletion"))
        );
    }

    #[tokio::test]
    async fn a_blow_without_an_invocation_hits_nobody() {
        let (backend, arn) = backend("GetSecretValue:duplicate");
        assert_eq!(value(&backend, &arn).await, "new");
    }
}
