//! `windlass local`, driven by boto3, and compared with moto where moto is right.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test is meant to panic, in its helpers too; `pub` is for the other files of this test"
)]

mod support;

use std::path::Path;

use serde_json::Value;
use support::built;
use support::canary::Canary;
use support::http::Request;
use support::port;
use support::process::{Finished, Process, Program};
use support::redis::Redis;

/// The interpreter that `tests/run` has put boto3 and moto beside.
fn python(script: &str) -> Program {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/boto3").join(script);
    Program::at(built::target_folder().join("aws-cli/bin/python"))
        .arg(script)
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("AWS_DEFAULT_REGION", "us-east-1")
}

fn local() -> (Process, String, String) {
    let plugins = built::plugin("redis");
    let process = Program::windlass().args(["local", "--json", "--plugins"]).arg(plugins.parent().unwrap()).start();
    let ready: Value = serde_json::from_str(&process.line(|line| line.contains("Listening"))).unwrap();
    let text = |name: &str| ready[name].as_str().unwrap().to_owned();
    let (endpoint, function) = (text("endpoint"), text("function"));
    (process, endpoint, function)
}

#[test]
fn boto3_lives_through_the_whole_life_of_a_secret() {
    let (redis, password) = (Redis::start(), Canary::new());
    redis.add_user("app", password.value());
    let (process, endpoint, function) = local();
    let script = python("life_cycle.py").env("AWS_ENDPOINT_URL", &endpoint);
    let finished = script.arg(&function).arg(redis.port.to_string()).arg(password.value()).run().succeeded();
    assert_eq!(finished.stdout.trim(), "the whole life was lived");
    process.terminate();
    let _clean: Finished = process.finish().succeeded().without(&password);
}

#[test]
fn plain_calls_differ_from_moto_only_where_moto_differs_from_aws() {
    let port = port::free();
    let moto =
        Program::at(built::target_folder().join("aws-cli/bin/moto_server")).args(["-H", "127.0.0.1", "-p"]).arg(port.to_string());
    let moto = moto.start();
    let alive = Request { method: "GET", path: "/moto-api/", login: None, headers: &[], body: b"" };
    moto.until_ready(|| alive.send(port).is_ok());
    let (_process, endpoint, _) = local();
    let finished = python("compare_with_moto.py").arg(&endpoint).arg(format!("http://127.0.0.1:{port}")).run().succeeded();
    println!("{}", finished.stdout.trim());
}
