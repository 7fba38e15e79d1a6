use std::net::Ipv4Addr;

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_secretsmanager::types::{RotationRulesType, Tag};
use aws_sdk_secretsmanager::{Client, Config};
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::*;
use crate::capability::address::{AddressPolicy, Forbidden};
use crate::capability::endpoint::{Endpoint, Tls};
use crate::capability::grant::Reach;
use crate::local::backend::Begun;
use crate::local::store::FunctionArn;

async fn start() -> (Server, Begun) {
    let (backend, begun) = Backend::new(FunctionArn::parse(FunctionArn::DEFAULT).unwrap());
    let listen = Listen::loopback((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    (Server::start(listen, backend).await.unwrap(), begun)
}

fn client(server: &Server) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .endpoint_url(server.endpoint())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// Sends bytes and returns the answer as text.
async fn raw(server: &Server, request: &str) -> String {
    let mut stream = TcpSocket::new_v4().unwrap().connect(server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn post(host: &str, target: &str, body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Amz-Target: {target}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn the_sdk_creates_reads_tags_and_lists() {
    let (server, _begun) = start().await;
    let client = client(&server);
    let tag = Tag::builder().key("windlass:plugin").value("redis").build();
    let created = client.create_secret().name("prod/app").secret_string("{\"a\":1}").tags(tag).send().await.unwrap();
    let arn = created.arn().unwrap();
    assert_eq!(client.get_secret_value().secret_id(arn).send().await.unwrap().secret_string(), Some("{\"a\":1}"));
    client.put_secret_value().secret_id(arn).secret_binary(Blob::new([0, 255])).send().await.unwrap();
    let read = client.get_secret_value().secret_id("prod/app").send().await.unwrap();
    assert_eq!((read.secret_binary().unwrap().as_ref(), read.secret_string()), (&[0, 255][..], None));
    let described = client.describe_secret().secret_id(arn).send().await.unwrap();
    assert_eq!(described.tags()[0].value(), Some("redis"));
    assert_eq!(described.version_ids_to_stages().unwrap().len(), 2);
    assert!(described.last_accessed_date().is_some() && described.rotation_enabled().is_none());
    let versions = client.list_secret_version_ids().secret_id(arn).send().await.unwrap();
    assert_eq!(versions.versions().len(), 2);
    assert_eq!(client.list_secrets().send().await.unwrap().secret_list()[0].name(), Some("prod/app"));
    let password = client.get_random_password().password_length(20).exclude_punctuation(true).send().await.unwrap();
    assert_eq!(password.random_password().unwrap().len(), 20);
}

#[tokio::test]
async fn the_sdk_recognises_the_errors() {
    let (server, _begun) = start().await;
    let client = client(&server);
    let missing = client.get_secret_value().secret_id("missing").send().await.unwrap_err();
    assert_eq!(missing.raw_response().unwrap().status().as_u16(), 400);
    assert!(missing.raw_response().unwrap().headers().get("x-amzn-requestid").is_some());
    assert!(matches!(missing.into_service_error(), GetSecretValueError::ResourceNotFoundException(_)));
    client.create_secret().name("s").secret_string("x").send().await.unwrap();
    let denied =
        client.rotate_secret().secret_id("s").rotation_lambda_arn("arn:aws:lambda:us-east-1:1:function:other").send().await;
    let denied = denied.unwrap_err().into_service_error();
    assert_eq!(denied.code(), Some("AccessDeniedException"));
    assert!(denied.message().unwrap().starts_with("Secrets Manager cannot invoke the specified Lambda function."));
}

#[tokio::test]
async fn rotate_secret_is_answered_before_anything_is_rotated() {
    let (server, _begun) = start().await;
    let client = client(&server);
    client.create_secret().name("s").secret_string("x").send().await.unwrap();
    let rules = RotationRulesType::builder().automatically_after_days(30).build();
    let rotation = client.rotate_secret().secret_id("s").rotation_lambda_arn(FunctionArn::DEFAULT).rotation_rules(rules);
    let version = rotation.send().await.unwrap().version_id().unwrap().to_owned();
    let described = client.describe_secret().secret_id("s").send().await.unwrap();
    assert_eq!(described.version_ids_to_stages().unwrap()[&version], ["AWSPENDING"]);
    assert!(described.next_rotation_date().is_some());
    let in_progress = client.rotate_secret().secret_id("s").send().await.unwrap_err().into_service_error();
    assert_eq!(in_progress.message(), Some("A previous rotation isn't complete. That rotation will be reattempted."));
}

/// Exceptions of the service have `Message`; those in front of it have `message`.
#[rstest]
#[case::not_found("secretsmanager.DescribeSecret", r#"{"SecretId":"s"}"#, r#"{"Message":"Secrets Manager can't find"#)]
#[case::validation("secretsmanager.DescribeSecret", r#"{"SecretId":"no no"}"#, r#""message":"Invalid name."#)]
#[case::unknown("secretsmanager.CreateDatabase", "{}", "does not have the operation CreateDatabase")]
#[case::other_service("DynamoDB_20120810.ListTables", "{}", "does not name an operation of Secrets Manager")]
#[case::not_json("secretsmanager.DescribeSecret", "SecretId=s", "is not what the operation takes, at line 1, column 1")]
#[tokio::test]
async fn errors_look_like_those_of_aws(#[case] target: &str, #[case] body: &str, #[case] part: &str) {
    let (server, _begun) = start().await;
    let answer = raw(&server, &post("127.0.0.1", target, body)).await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("x-amzn-errortype: ") && answer.contains("\"__type\":"), "{answer}");
    assert!(answer.contains(part), "{answer}");
}

#[rstest]
#[case::address("127.0.0.1:4566", true)]
#[case::bare("127.0.0.1", true)]
#[case::v6("[::1]:4566", true)]
#[case::name("LocalHost:4566", true)]
#[case::page("evil.example", false)]
#[case::page_with_port("evil.example:4566", false)]
#[case::prefix("localhost.evil.example", false)]
#[case::other_machine("192.0.2.1", false)]
#[case::empty("", false)]
#[tokio::test]
async fn a_web_page_cannot_use_it_through_a_name_of_its_own(#[case] host: &str, #[case] accepted: bool) {
    let (server, _begun) = start().await;
    let answer = raw(&server, &post(host, "secretsmanager.ListSecrets", "{}")).await;
    assert_eq!(answer.contains("SecretList"), accepted, "{answer}");
}

#[tokio::test]
async fn an_endless_body_is_refused() {
    let (server, _begun) = start().await;
    let answer = raw(&server, &post("127.0.0.1", "secretsmanager.ListSecrets", &"x".repeat(MAX_BODY + 1))).await;
    assert!(answer.contains("longer than 524,288 bytes"), "{answer}");
}

#[tokio::test]
async fn a_port_in_use_is_said_to_be() {
    let (server, _begun) = start().await;
    let (backend, _other) = Backend::new(FunctionArn::parse(FunctionArn::DEFAULT).unwrap());
    let error = Server::start(Listen::loopback(server.address()).unwrap(), backend).await.err().unwrap().to_string();
    assert_eq!(error, format!("{} is in use by another process. Choose another port; port 0 takes a free one", server.address()));
}

#[test]
fn other_machines_are_kept_out_unless_asked_for_by_name() {
    assert!(Listen::loopback((Ipv4Addr::UNSPECIFIED, 0).into()).is_err());
    assert!(Listen::loopback((Ipv4Addr::new(127, 9, 9, 9), 0).into()).is_ok());
}

#[rstest]
#[case::loopback("127.0.0.1:0", &["127.0.0.1", "127.0.0.2", "::1", "0.0.0.0"])]
#[case::loopback_v6("[::1]:0", &["127.0.0.1", "::1", "::"])]
#[case::anywhere("0.0.0.0:0", &["127.0.0.1", "::1", "0.0.0.0"])]
#[tokio::test]
async fn no_plugin_of_this_process_reaches_the_server(#[case] listen: &str, #[case] addresses: &[&str]) {
    let (backend, _begun) = Backend::new(FunctionArn::default());
    let server = Server::start(Listen::danger_anywhere(listen.parse().unwrap()), backend).await.unwrap();
    let mut config = crate::config::Config::with_plugins("plugins".into());
    server.out_of_reach(&mut config);
    let policy = AddressPolicy::new(&config).unwrap();
    let endpoint =
        |port| Endpoint { name: "e".to_owned(), host: "localhost".to_owned(), port, tls: Tls::Plain, reach: Reach::Anywhere };
    let port = server.address().port();
    for address in addresses {
        let judged = policy.judge(&endpoint(port), (address.parse::<IpAddr>().unwrap(), port).into());
        assert_eq!(judged, Err(Forbidden::RuntimeApi), "{address}");
    }
    let neighbour = port.checked_add(1).unwrap_or(1024);
    assert_eq!(policy.judge(&endpoint(neighbour), (Ipv4Addr::LOCALHOST, neighbour).into()), Ok(()), "another service here");
}
