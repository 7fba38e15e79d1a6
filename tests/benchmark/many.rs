//! A thousand secrets, each with a plugin of its own, in one process: does it get slower, does it grow?

use serde_json::{Value, json};
use windlass::secret::SecretValue;

use crate::function::{deployment, memory, micros, steps};
use crate::plugins::{self, with_code};
use crate::report::Report;
use crate::support::account::Account;
use crate::support::canary::Canary;
use crate::support::redis::Redis;

const SECRETS: usize = 1_000;

/// How many are compiled by the function itself, to see what its caches do: more than memory has room for.
const COMPILED: usize = 250;

pub fn measure(report: &mut Report) {
    let redis = Redis::start_without_acl_file();
    let account = Account::new();
    let installed = with_code((0..SECRETS).map(|number| (plugins::name(number), plugins::named(&plugins::name(number)))));
    let secrets: Vec<_> = (0..SECRETS)
        .map(|number| {
            let (name, password) = (plugins::name(number), Canary::new());
            redis.add_user(&name, password.value());
            let value = json!({
                "username": name, "password": password.value(), "host": "localhost", "port": redis.port, "tls": false,
            });
            account.secret(&format!("prod/{name}"), &SecretValue::text(value.to_string()), &[("windlass:plugin", &name)])
        })
        .collect();
    let loopback = format!("danger_loopback_endpoints = [\"localhost:{}\"]\n", redis.port);
    let function = deployment(&(loopback.clone() + &installed.code()), installed.files.clone()).deploy(&account);
    let mut times = Vec::new();
    for (number, secret) in secrets.iter().enumerate() {
        let before = function.output_length();
        let done = account.rotate(secret, &function, &Value::Null);
        assert!(done.len() == 4 && done.iter().all(|(_, outcome)| outcome.is_ok()), "{done:?}");
        let own = |line: &Value| {
            micros(line, "host_us") + micros(line, "plugin_us") - micros(line, "secrets_manager_us") - micros(line, "service_us")
        };
        times.push(steps(&function, before).iter().map(own).sum::<f64>() / 1e3);
        if [100, 250, 500, SECRETS].contains(&(number + 1)) {
            report.value(
                format!("distinct plugins in one process: resident memory after {}", number + 1),
                "MiB",
                memory(&function, "VmRSS"),
                None,
            );
        }
    }
    for (which, range) in [("first", 100..200), ("last", SECRETS - 100..SECRETS)] {
        let what = format!("distinct plugins in one process: a rotation without service and AWS, {which} hundred");
        report.row(what, "ms", times[range].iter().copied(), None);
    }
    drop(function);

    let plain: Vec<_> = installed.files.iter().filter(|(name, _)| name.ends_with(".wasm")).take(COMPILED).cloned().collect();
    let function = deployment(&loopback, plain).deploy(&account);
    let load = |number: usize| {
        let before = function.output_length();
        let done = account.rotate(&secrets[number], &function, &Value::Null);
        assert!(done.len() == 4 && done.iter().all(|(_, outcome)| outcome.is_ok()), "{done:?}");
        let lines = steps(&function, before);
        let loaded = lines.iter().find(|line| line["code_from"].is_string()).expect("it was not in memory any more").clone();
        (loaded["code_from"].as_str().unwrap().to_owned(), micros(&loaded, "loading_us") / 1e3)
    };
    for number in 0..COMPILED {
        assert_eq!(load(number).0, "compiler");
    }
    // What was compiled first has left memory by now.
    let again = (0..20).map(|number| {
        let (from, time) = load(number);
        assert_eq!(from, "scratch");
        time
    });
    report.row("load the plugin for Redis from the scratch space", "ms", again.collect::<Vec<_>>(), None);
}
