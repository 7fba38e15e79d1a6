//! Warm rotations of a real Redis, split into whose time it is; what a call costs; what loading costs; the price of the sandbox.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};
use windlass::event::Step;
use windlass::secret::SecretValue;

use crate::function::{deployment, memory, micros, steps};
use crate::plugins::{self, with_code};
use crate::report::Report;
use crate::support::account::{Account, Function, Secret};
use crate::support::canary::Canary;
use crate::support::redis::Redis;

const RUNS: usize = 100;

pub fn measure(report: &mut Report) {
    let redis = Redis::start_without_acl_file();
    let (account, password) = (Account::new(), Canary::new());
    redis.add_user("app", password.value());
    let value = |user: &str, password: &str| {
        let port = redis.port;
        json!({ "engine": "redis", "username": user, "password": password, "host": "localhost", "port": port, "tls": false })
    };
    let secret = account.secret("prod/app", &SecretValue::text(value("app", password.value()).to_string()), &[]);
    let installed = with_code([("redis".to_owned(), plugins::redis())]);
    let configuration = format!("danger_loopback_endpoints = [\"localhost:{}\"]\n{}", redis.port, installed.code());
    let function = deployment(&configuration, installed.files.clone()).deploy(&account);

    rotate(&account, &secret, &function);
    report.value("peak resident memory of one rotation (VmHWM)", "MiB", memory(&function, "VmHWM"), Some(16.0));
    let warm: Vec<Value> = (0..RUNS).flat_map(|_| rotate(&account, &secret, &function)).collect();
    for step in Step::ALL {
        let of = |figure: fn(&Value) -> f64| {
            let steps = warm.iter().filter(|line| line["span"]["step"] == step.name());
            steps.map(figure).collect::<Vec<_>>()
        };
        let name = step.name();
        report.row(format!("warm {name}: Windlass"), "us", of(own), None);
        report.row(format!("warm {name}: Secrets Manager (local)"), "us", of(|line| micros(line, "secrets_manager_us")), None);
        if step != Step::Create {
            report.row(
                format!("warm {name}: plugin"),
                "us",
                of(|line| micros(line, "plugin_us") - micros(line, "service_us")),
                None,
            );
            report.row(format!("warm {name}: service"), "us", of(|line| micros(line, "service_us")), None);
        }
    }
    price(report, &redis, &account, &secret, &warm);
    call(report);
    loading(report);
}

/// What Windlass itself took, in microseconds.
fn own(line: &Value) -> f64 {
    micros(line, "host_us") - micros(line, "secrets_manager_us")
}

fn rotate(account: &std::sync::Arc<Account>, secret: &Secret, function: &Function) -> Vec<Value> {
    let before = function.output_length();
    let done = account.rotate(secret, function, &Value::Null);
    assert!(done.len() == 4 && done.iter().all(|(_, outcome)| outcome.is_ok()), "{done:?}\n{}", function.output());
    steps(function, before)
}

/// The same login by a program without a sandbox: connect, AUTH and ACL WHOAMI, as the plugin does.
fn price(report: &mut Report, redis: &Redis, account: &std::sync::Arc<Account>, secret: &Secret, warm: &[Value]) {
    let password = account.password(secret, "AWSCURRENT").unwrap();
    let native = (0..RUNS * 3).map(|_| {
        let begin = Instant::now();
        let mut stream = TcpStream::connect(("localhost", redis.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let command = format!("*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n${}\r\n{password}\r\n", password.len());
        stream.write_all(command.as_bytes()).unwrap();
        let mut answer = [0; 64];
        let read = stream.read(&mut answer).unwrap();
        assert_eq!(&answer[..read], b"+OK\r\n");
        stream.write_all(b"*2\r\n$3\r\nACL\r\n$6\r\nWHOAMI\r\n").unwrap();
        let read = stream.read(&mut answer).unwrap();
        assert_eq!(&answer[..read], b"$3\r\napp\r\n");
        drop(stream);
        begin.elapsed().as_secs_f64() * 1e6
    });
    report.row("one login at Redis: native Rust, no plugin", "us", native.collect::<Vec<_>>(), None);
    let finish = warm.iter().filter(|line| line["span"]["step"] == "finishSecret");
    report.row(
        "one login at Redis: plugin in the sandbox",
        "us",
        finish.map(|line| micros(line, "plugin_us")).collect::<Vec<_>>(),
        None,
    );
}

/// A call of a plugin that does nothing: store, instance, call, drop, and the host's preparations for them.
fn call(report: &mut Report) {
    let installed = with_code([("nothing".to_owned(), plugins::nothing())]);
    let function_account = Account::new();
    let function = deployment(&installed.code(), installed.files.clone()).deploy(&function_account);
    let value = json!({ "username": "app", "password": "old", "host": "nowhere.example" }).to_string();
    let tags = [("windlass:plugin", "nothing")];
    let secret = function_account.secret("prod/nothing", &SecretValue::text(value), &tags);
    let rotation = function_account.begin(&secret, &Value::Null);
    function.succeed(&rotation.event(Step::Create));
    function.succeed(&rotation.event(Step::Set));
    let before = function.output_length();
    for _ in 0..RUNS * 3 {
        function.succeed(&rotation.event(Step::Set));
    }
    let calls = steps(&function, before);
    report.row(
        "a plugin's call, Rust or WAT: store, instance, call, drop",
        "us",
        calls.iter().map(|line| micros(line, "plugin_us")),
        Some(50.0),
    );
}

/// Loading the plugin for Redis for the first time in a process: from its envelope, and by compiling it.
fn loading(report: &mut Report) {
    let first = |code: bool| {
        let account = Account::new();
        let value = json!({ "engine": "redis", "username": "app", "password": "old", "host": "redis.example" }).to_string();
        let secret = account.secret("prod/app", &SecretValue::text(value), &[]);
        let rotation = account.begin(&secret, &Value::Null);
        let mut installed = with_code([("redis".to_owned(), plugins::redis())]);
        if !code {
            installed.files.truncate(1);
        }
        let function = deployment(&installed.code(), installed.files.clone()).deploy(&account);
        function.succeed(&rotation.event(Step::Create));
        let step = steps(&function, 0).remove(0);
        assert_eq!(step["code_from"], if code { "envelope" } else { "compiler" });
        micros(&step, "loading_us") / 1e3
    };
    report.row("load the plugin for Redis from its envelope", "ms", (0..30).map(|_| first(true)), Some(0.5));
    report.row("load the plugin for Redis by compiling it", "ms", (0..30).map(|_| first(false)), Some(120.0));
}
