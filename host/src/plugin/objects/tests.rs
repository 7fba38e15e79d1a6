#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test is meant to panic, in its helpers too")]

use std::sync::{Arc, Mutex};

use aws_sdk_secretsmanager::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use rstest::rstest;

use super::*;
use crate::plugin::component_file::tests::plugin;

/// What the double answers: status, headers, body.
type Answered = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// What the double is asked: path with query, and `if-none-match`.
type Asked = (String, Option<String>);

/// S3, as far as a test says, and what it was asked.
#[derive(Debug, Clone, Default)]
struct Double {
    answers: Arc<Mutex<Vec<Answered>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl HttpConnector for Double {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let path = request.uri().split_once(".com").map_or("", |(_, path)| path).to_owned();
        self.asked.lock().unwrap().push((path, request.headers().get("if-none-match").map(str::to_owned)));
        let mut answers = self.answers.lock().unwrap();
        // The last one is repeated.
        let (status, headers, body) = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl Double {
    fn client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }
}

fn objects(answers: Vec<Answered>) -> (Objects, Double) {
    let double = Double::default();
    *double.answers.lock().unwrap() = answers;
    let objects = Objects::in_s3(vec!["s3://acme-plugins/windlass/".to_owned()], Aws::double(double.client()));
    (objects, double)
}

fn uri(key: &str) -> ObjectUri {
    format!("s3://acme-plugins/windlass/{key}").parse().unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn redis(version: &str) -> Vec<u8> {
    plugin(&format!("name = \"redis\"\nversion = \"{version}\""))
}

fn object(tag: &str, bytes: Vec<u8>) -> Answered {
    (200, vec![("etag", format!("\"{tag}\"")), ("last-modified", "Wed, 25 Nov 2026 10:00:00 GMT".to_owned())], bytes)
}

fn error(status: u16, code: &str) -> Answered {
    (status, Vec::new(), format!("<Error><Code>{code}</Code><Message>words of S3</Message></Error>").into_bytes())
}

#[tokio::test]
async fn an_object_that_has_not_changed_is_not_sent_again() {
    let answers = vec![object("one", redis("1")), (304, Vec::new(), Vec::new()), object("two", redis("2"))];
    let (objects, double) = objects(answers);
    let mut versions = Vec::new();
    for _ in 0..3 {
        let found = objects.component(&uri("redis.wasm"), soon()).await.unwrap();
        versions.push(found.component.manifest().version.clone());
        assert_eq!(found.changed, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_600_800)));
    }
    assert_eq!(versions, ["1", "1", "2"]);
    let asked: Vec<_> = double.asked.lock().unwrap().iter().map(|(_, known)| known.clone()).collect();
    assert_eq!(asked, [None, Some("\"one\"".to_owned()), Some("\"one\"".to_owned())]);
}

#[tokio::test]
async fn what_is_kept_is_that_of_its_key_and_version() {
    let (objects, double) = objects(vec![object("one", redis("1"))]);
    for key in ["redis.wasm", "other.wasm", "redis.wasm?versionId=abc"] {
        objects.component(&uri(key), soon()).await.unwrap();
    }
    let asked = double.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|(_, known)| known.is_none()), "{asked:?}");
    assert!(asked[2].0.contains("versionId=abc"), "{asked:?}");
}

#[tokio::test]
async fn what_is_not_allowed_is_not_asked_for() {
    let (objects, double) = objects(vec![object("one", redis("1"))]);
    for uri in ["s3://acme-plugins/redis.wasm", "s3://acme-plugins/windlass2/redis.wasm", "s3://acme-plugins2/windlass/redis.wasm"]
    {
        let error = objects.component(&uri.parse().unwrap(), soon()).await.unwrap_err();
        assert!(error.to_string().contains("Allowed: s3://acme-plugins/windlass/. Add its prefix"), "{error}");
    }
    let error = Objects::none().component(&uri("redis.wasm"), soon()).await.unwrap_err();
    assert!(error.to_string().contains("None of S3 is allowed"), "{error}");
    assert!(double.asked.lock().unwrap().is_empty());
}

#[rstest]
#[case::no_key(
    error(404, "NoSuchKey"),
    "there is no plugin at s3://acme-plugins/windlass/redis.wasm: the bucket has no such object"
)]
#[case::no_bucket(error(404, "NoSuchBucket"), "the bucket does not exist")]
#[case::no_version(error(404, "NoSuchVersion"), "the object has no such version")]
#[case::denied(error(403, "AccessDenied"), "(AccessDenied): it is not there, or the function's role lacks s3:GetObject")]
#[case::other_region(error(301, "PermanentRedirect"), "(PermanentRedirect)")]
#[case::no_plugin(object("one", b"hello".to_vec()), "the object s3://acme-plugins/windlass/redis.wasm cannot be used")]
#[case::out_of_order(error(503, "SlowDown"), "was not read")]
#[case::not_asked_for((304, Vec::new(), Vec::new()), "S3 did not send it")]
#[tokio::test(start_paused = true)]
async fn what_s3_says_is_told_apart(#[case] answer: Answered, #[case] words: &str) {
    let (objects, _double) = objects(vec![answer]);
    let error = objects.component(&uri("redis.wasm"), soon()).await.unwrap_err();
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test]
async fn an_object_larger_than_any_plugin_is_not_read_to_its_end() {
    let (objects, _double) = objects(vec![object("one", vec![0; 2_000])]);
    let read = objects.read(&uri("redis.wasm"), 1_000, None, soon()).await.unwrap();
    let Answer::Object { bytes, .. } = read else { panic!("{read:?}") };
    assert_eq!(bytes.len(), 1_001);
}

#[tokio::test]
async fn what_lies_beside_an_object_may_be_missing() {
    for (answer, expected) in [
        (error(404, "NoSuchKey"), None),
        (error(403, "AccessDenied"), None),
        (object("one", b"signature".to_vec()), Some(b"signature".to_vec())),
    ] {
        let (objects, double) = objects(vec![answer]);
        assert_eq!(objects.beside(&uri("redis.wasm"), ".sig", 1_024, soon()).await.unwrap(), expected);
        assert!(double.asked.lock().unwrap()[0].0.starts_with("/windlass/redis.wasm.sig"));
    }
}

#[tokio::test]
async fn a_mirror_is_a_folder_with_a_folder_for_each_bucket() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("acme-plugins/windlass")).unwrap();
    let file = folder.path().join("acme-plugins/windlass/redis.wasm");
    std::fs::write(&file, redis("1")).unwrap();
    let objects = Objects::in_mirror(vec!["s3://acme-plugins/windlass/".to_owned()], folder.path().to_owned());
    let version = async || objects.component(&uri("redis.wasm"), soon()).await.unwrap().component.manifest().version.clone();
    assert_eq!(version().await, "1");
    std::fs::write(&file, redis("2")).unwrap();
    assert_eq!(version().await, "2");
    for (key, words) in [("none.wasm", "the mirror has no such file"), ("redis.wasm?versionId=1", "a mirror has no versions")] {
        let error = objects.component(&uri(key), soon()).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}
