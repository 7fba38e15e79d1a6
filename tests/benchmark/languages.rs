//! Plugins in Python and JavaScript, if `tests/guests/languages/build` has built them: what their load and their call cost.
//!
//! Their service does not answer: what is measured is the way there.

use serde_json::{Value, json};
use wasm_encoder::Encode;
use windlass::event::Step;
use windlass::manifest::SECTION;
use windlass::secret::SecretValue;

use crate::function::{deployment, memory, micros, steps};
use crate::plugins::with_code;
use crate::report::Report;
use crate::support::account::Account;
use crate::support::{built, port};

const RUNS: usize = 50;

pub fn measure(report: &mut Report) {
    for name in ["python", "quickjs", "starlingmonkey"] {
        let path = built::target_folder().join(format!("guests/languages/{name}.wasm"));
        let Ok(mut component) = std::fs::read(path) else {
            report.row(format!("{name}: NOT BUILT, run tests/guests/languages/build"), "ms", [], None);
            continue;
        };
        let manifest =
            format!("name = \"{name}\"\nversion = \"1\"\n[endpoints.api]\naddress = \"{{host}}:{{port}}\"\ntls = \"optional\"\n");
        component.push(0);
        wasm_encoder::CustomSection { name: SECTION.into(), data: manifest.as_bytes().into() }.encode(&mut component);
        one(report, name, component);
    }
}

fn one(report: &mut Report, name: &str, component: Vec<u8>) {
    report.value(format!("{name}: size of the component"), "MB", component.len() as f64 / 1e6, None);
    let installed = with_code([(name.to_owned(), component)]);
    let (account, port) = (Account::new(), port::free());
    let configuration = format!("danger_loopback_endpoints = [\"localhost:{port}\"]\n{}", installed.code());
    let value = json!({ "username": "app", "password": "old", "host": "localhost", "port": port, "tls": false }).to_string();
    let secret = account.secret("prod/app", &SecretValue::text(value), &[("windlass:plugin", name)]);
    let rotation = account.begin(&secret, &Value::Null);
    let loads: Vec<f64> = (0..5)
        .map(|_| {
            let function = deployment(&configuration, installed.files.clone()).deploy(&account);
            assert!(function.invoke(&rotation.event(Step::Create)).is_ok(), "{}", function.output());
            let failed = function.invoke(&rotation.event(Step::Set)).unwrap_err();
            assert_eq!(failed.error_type, "Windlass.Unreachable");
            let lines = steps(&function, 0);
            lines.iter().filter(|line| line["code_from"] == "envelope").map(|line| micros(line, "loading_us") / 1e3).sum()
        })
        .collect();
    report.row(format!("{name}: load from its envelope"), "ms", loads, None);
    let function = deployment(&configuration, installed.files).deploy(&account);
    let calls: Vec<Value> = (0..RUNS)
        .flat_map(|_| {
            let before = function.output_length();
            function.invoke(&rotation.event(Step::Set)).unwrap_err();
            steps(&function, before)
        })
        .collect();
    let warm = calls.iter().skip(1).map(|line| (micros(line, "plugin_us") - micros(line, "service_us")) / 1e3);
    report.row(format!("{name}: a call, without the service"), "ms", warm, None);
    report.value(format!("{name}: peak resident memory (VmHWM)"), "MiB", memory(&function, "VmHWM"), None);
}
