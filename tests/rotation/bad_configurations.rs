//! Configurations with which the function does not start: Lambda and the log are told the same.

use rstest::rstest;
use serde_json::{Value, json};
use windlass::event::Step;
use windlass::secret::SecretValue;

use crate::scene::assert_error;
use crate::support::account::{Account, Deployment};
use crate::support::canary::Canary;
use crate::support::port;
use crate::support::process::Program;

/// The error of the line with which a function says that it does not start.
fn logged(output: &str) -> Vec<Value> {
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines = lines.filter(|line| line["message"] == "the function does not start");
    lines.map(|line| json!([line["error_type"], line["error"]])).collect()
}

#[rstest]
#[case::unknown_key(Deployment::new("danger_everything = true"), &["windlass.toml is wrong", "line 1", "unknown field `danger_everything`", "expected one of", "`danger_loopback_endpoints`"])]
#[case::out_of_range(Deployment::new("[limits]\ncall_seconds = 0"), &["windlass.toml is wrong", "expected `call_seconds` from 1 to 890 s"])]
#[case::unknown_variable(Deployment::new("").variable("WINDLASS_PLUGIN", "x"), &["WINDLASS_PLUGIN is unknown", "WINDLASS_PLUGINS"])]
#[case::unknown_level(Deployment::new("").variable("WINDLASS_LOG", "loud"), &["`loud` is not a log level", "error, warn, info or debug"])]
#[case::no_authority(Deployment::new("[tls]\nca_files = [\"ca.pem\"]"), &["/ca.pem of `tls.ca_files` cannot be read", "No such file"])]
#[case::no_client_certificate(
    Deployment::new("[[secrets]]\nsecret = \"a\"\nclient_certificate = { certificate_file = \"app.pem\", key_file = \"app.key\" }"),
    &["/app.pem of `client_certificate.certificate_file` cannot be read"]
)]
fn lambda_and_the_log_are_told_the_same(#[case] deployment: Deployment, #[case] words: &[&str]) {
    let account = Account::new();
    let canary = Canary::new();
    let secret = account.secret("prod/app", &SecretValue::text(json!({ "password": canary.value() }).to_string()), &[]);
    let function = deployment.deploy(&account);
    let rotation = account.begin(&secret, &Value::Null);
    // Lambda starts the function anew for the next event, and so does this.
    for attempts in 1..=2 {
        let error = function.invoke(&rotation.event(Step::Create)).unwrap_err();
        assert_error(&error, "Windlass.Configuration", words);
        assert_eq!(logged(&function.output()), vec![json!([error.error_type, error.error_message]); attempts]);
    }
}

#[test]
fn a_function_that_does_not_start_ends_with_1_whether_lambda_listens_or_not() {
    for runtime_api in [None, Some(format!("127.0.0.1:{}", port::free()))] {
        let program = Program::bootstrap().env("WINDLASS_PLUGIN", "x");
        let told = runtime_api.is_none();
        let finished = runtime_api.into_iter().fold(program, |program, at| program.env("AWS_LAMBDA_RUNTIME_API", at)).run();
        let finished = finished.failed_with(1);
        assert_eq!(logged(&finished.stdout).len(), 1, "{finished:?}");
        assert_eq!(finished.stdout.contains("Lambda was not told"), !told, "{finished:?}");
    }
}
