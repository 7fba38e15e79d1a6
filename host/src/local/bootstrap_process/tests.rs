use std::io::Read;
use std::time::Duration;

use super::*;

/// A function written in bash, because it needs no other program and so runs with an empty PATH. The event is a command.
const FUNCTION: &str = r#"#!/bin/bash
api=${AWS_LAMBDA_RUNTIME_API%:*} port=${AWS_LAMBDA_RUNTIME_API##*:} base=/2018-06-01/runtime
post() { # path body
    exec 3<>"/dev/tcp/$api/$port"
    printf 'POST %s%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' "$base" "$1" "${#2}" "$2" >&3
    while read -r _ <&3; do :; done
}
if [ -n "$FAIL_INIT" ]; then
    post /init/error '{"errorType":"ConfigError","errorMessage":"no configuration"}'
    exit 1
fi
while true; do
    exec 3<>"/dev/tcp/$api/$port" || exit 3
    printf 'GET %s/invocation/next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' "$base" >&3
    id= deadline= length=0
    while IFS=$': \r' read -r name value <&3 && [ -n "$name" ]; do
        case $name in
        lambda-runtime-aws-request-id) id=$value ;;
        lambda-runtime-deadline-ms) deadline=$value ;;
        content-length) length=$value ;;
        esac
    done
    [ -n "$id" ] || exit 4
    read -r -N "$length" event <&3
    case $event in
    '"environment"') post "/invocation/$id/response" "\"$(export -p | while read -r _ _ name; do printf '%s ' "${name%%=*}"; done)\"" ;;
    '"deadline"') post "/invocation/$id/response" "$deadline" ;;
    '"error"') post "/invocation/$id/error" '{"errorType":"Refused","errorMessage":"said no"}' ;;
    '"exit"') exit 7 ;;
    '"hang"') while true; do read -r -t 60 _ <&3; done ;;
    *) echo "got an event"; post "/invocation/$id/response" "$event" ;;
    esac
done
"#;

struct Function {
    process: BootstrapProcess,
    output: File,
    _folder: tempfile::TempDir,
}

async fn function(variables: &[(&str, &str)]) -> Function {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let executable = folder.path().join("bootstrap");
    std::fs::write(&executable, FUNCTION).unwrap();
    std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("output");
    let output = File::create(&path).unwrap();
    let settings = FunctionSettings {
        executable,
        function: FunctionArn::parse(FunctionArn::DEFAULT).unwrap(),
        endpoint: "http://127.0.0.1:1".to_owned(),
        plugins: Some(folder.path().to_owned()),
        config: None,
        variables: variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        output: Output::File(output),
    };
    let output = File::open(path).unwrap();
    Function { process: BootstrapProcess::new(settings).await.unwrap(), output, _folder: folder }
}

impl Function {
    async fn invoke(&self, event: &str) -> Invocation {
        self.process.invoke(event.as_bytes().to_vec(), Instant::now() + Duration::from_secs(20)).await
    }
}

#[tokio::test]
async fn events_and_answers_pass_through_one_process() {
    let mut function = function(&[]).await;
    assert_eq!(function.invoke(r#"{"Step":"createSecret"}"#).await.unwrap()["Step"], "createSecret");
    let id = function.process.id().unwrap();
    let error = function.invoke(r#""error""#).await.unwrap_err();
    assert_eq!((error.error_type.as_str(), error.error_message.as_str()), ("Refused", "said no"));
    assert_eq!(function.process.id(), Some(id), "an error does not end the process");
    let mut output = String::new();
    function.output.read_to_string(&mut output).unwrap();
    assert_eq!(output, "got an event\n");
}

#[tokio::test]
async fn the_deadline_is_told_in_milliseconds_since_1970() {
    let deadline = function(&[]).await.invoke(r#""deadline""#).await.unwrap().as_u64().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    assert!((now..now + 20_000).contains(&deadline));
}

#[tokio::test]
async fn the_function_gets_no_variable_of_this_process() {
    let environment = function(&[]).await.invoke(r#""environment""#).await.unwrap();
    let mut names: Vec<&str> = environment.as_str().unwrap().split_whitespace().collect();
    names.sort_unstable();
    // bash itself sets the last three.
    let names: Vec<&str> = names.into_iter().filter(|name| !["OLDPWD", "PWD", "SHLVL"].contains(name)).collect();
    insta::assert_snapshot!(names.join("\n"), @r"
    AWS_ACCESS_KEY_ID
    AWS_DEFAULT_REGION
    AWS_ENDPOINT_URL_SECRETS_MANAGER
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE
    AWS_LAMBDA_FUNCTION_NAME
    AWS_LAMBDA_FUNCTION_VERSION
    AWS_LAMBDA_INITIALIZATION_TYPE
    AWS_LAMBDA_LOG_GROUP_NAME
    AWS_LAMBDA_LOG_STREAM_NAME
    AWS_LAMBDA_RUNTIME_API
    AWS_REGION
    AWS_SECRET_ACCESS_KEY
    LAMBDA_TASK_ROOT
    TZ
    WINDLASS_PLUGINS
    _HANDLER
    ");
}

#[tokio::test]
async fn a_process_that_died_is_started_again() {
    let function = function(&[]).await;
    let error = function.invoke(r#""exit""#).await.unwrap_err();
    assert_eq!(error, InvocationError::new("Runtime.ExitError", "Runtime exited with error: exit status 7"));
    assert_eq!(function.invoke("1").await.unwrap(), 1);
}

#[tokio::test]
async fn a_process_killed_in_the_middle_of_an_event_is_an_error_of_that_event() {
    let function = function(&[]).await;
    function.invoke("1").await.unwrap();
    let killed = async {
        tokio::task::yield_now().await;
        function.process.kill();
    };
    let (answer, ()) = tokio::join!(function.invoke(r#""hang""#), killed);
    assert_eq!(answer.unwrap_err().error_type, "Runtime.ExitError");
    assert_eq!(function.invoke("2").await.unwrap(), 2);
}

#[tokio::test]
async fn a_process_that_exceeds_the_deadline_is_killed() {
    let function = function(&[]).await;
    function.invoke("1").await.unwrap();
    let id = function.process.id();
    let answer = function.process.invoke(br#""hang""#.to_vec(), Instant::now() + Duration::from_millis(50)).await;
    assert_eq!(answer.unwrap_err().error_type, "Sandbox.Timedout");
    assert_eq!(function.invoke("2").await.unwrap(), 2);
    assert_ne!(function.process.id(), id);
}

#[tokio::test]
async fn a_failed_start_is_reported_in_the_functions_words() {
    let error = function(&[("FAIL_INIT", "1")]).await.invoke("1").await.unwrap_err();
    assert_eq!(error, InvocationError::new("ConfigError", "no configuration"));
}

#[tokio::test]
async fn what_is_not_executable_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let settings = FunctionSettings {
        executable: folder.path().to_owned(),
        function: FunctionArn::parse(FunctionArn::DEFAULT).unwrap(),
        endpoint: String::new(),
        plugins: None,
        config: None,
        variables: Vec::new(),
        output: Output::StandardError,
    };
    assert!(matches!(BootstrapProcess::new(settings).await, Err(BootstrapError::NotExecutable { .. })));
}
