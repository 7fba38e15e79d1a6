//! The start: from the process to its first poll, and to the answer of its first createSecret.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;
use windlass::event::Step;
use windlass::secret::SecretValue;

use crate::function::{deployed, deployment, micros, steps};
use crate::plugins::{Installed, beside_redis};
use crate::report::Report;
use crate::support::account::Account;

const RUNS: usize = 40;

pub fn measure(report: &mut Report) {
    let installed: Vec<_> = [1, 8, 64].into_iter().map(|count| (count, beside_redis(count))).collect();
    for (count, installed) in &installed {
        let polls = first_polls(installed);
        report.row(format!("process start to first poll, plugins installed: {count}"), "ms", polls, Some(8.0));
    }
    for (count, installed) in &installed {
        for (how, tagged) in [("named by tag", true), ("recognised by its fields", false)] {
            let cold: Vec<(f64, f64)> = (0..RUNS).map(|_| first_step(installed, tagged)).collect();
            let what = format!("process start to the answer of createSecret, plugins: {count}, {how}");
            report.row(format!("{what}: all"), "ms", cold.iter().map(|(all, _)| *all), None);
            report.row(format!("{what}: without Secrets Manager"), "ms", cold.iter().map(|(_, own)| *own), Some(15.0));
        }
    }
}

/// From the start of the process to its first request to the Runtime API, in ms.
fn first_polls(installed: &Installed) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in &installed.files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let poll = || {
        let api = TcpListener::bind("127.0.0.1:0").unwrap();
        let begin = Instant::now();
        let mut process = Command::new(deployed("bootstrap"))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.local_addr().unwrap().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "windlass")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("WINDLASS_PLUGINS", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut request = String::new();
        BufReader::new(api.accept().unwrap().0).read_line(&mut request).unwrap();
        let polled = begin.elapsed();
        assert!(request.starts_with("GET /2018-06-01/runtime/invocation/next"), "{request}");
        process.kill().unwrap();
        process.wait().unwrap();
        polled.as_secs_f64() * 1e3
    };
    poll();
    (0..RUNS).map(|_| poll()).collect()
}

/// From the start of the process to the answer of its first event, in ms: all of it, and without what Secrets Manager took.
fn first_step(installed: &Installed, tagged: bool) -> (f64, f64) {
    let account = Account::new();
    let value = json!({ "engine": "redis", "username": "app", "password": "old", "host": "redis.example" }).to_string();
    let tags: &[(&str, &str)] = if tagged { &[("windlass:plugin", "redis")] } else { &[] };
    let secret = account.secret("prod/app", &SecretValue::text(value), tags);
    let rotation = account.begin(&secret, &serde_json::Value::Null);
    let function = deployment(&installed.code(), installed.files.clone()).deploy(&account);
    let begin = Instant::now();
    function.succeed(&rotation.event(Step::Create));
    let all = begin.elapsed().as_secs_f64() * 1e3;
    let step = &steps(&function, 0)[0];
    assert_eq!(step["code_from"], "envelope");
    (all, all - micros(step, "secrets_manager_us") / 1e3)
}
