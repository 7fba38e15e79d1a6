//! What a rotation costs, measured on the function as it is deployed: `tests/run --bench [JSON]`. `WINDLASS_BENCHMARK_PARTS=start,many`
//! measures these parts only.
//!
//! Nothing is asserted about speed: a table is printed, and JSON is written for whoever compares. The function is the one of the
//! profile `lambda`, the service a real Redis, Secrets Manager the local one of this repository in this process. What they take is
//! measured apart and never part of "our own".
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark that fails is meant to panic; it prints a table and reads where to write another"
)]

mod support;

#[path = "hostile/component.rs"]
#[expect(dead_code, reason = "the hostile corpus uses all of it")]
mod component;
#[path = "benchmark/function.rs"]
mod function;
#[path = "benchmark/languages.rs"]
mod languages;
#[path = "benchmark/many.rs"]
mod many;
#[path = "benchmark/plugins.rs"]
mod plugins;
#[path = "benchmark/report.rs"]
mod report;
#[path = "benchmark/rotation.rs"]
mod rotation;
#[path = "benchmark/sizes.rs"]
mod sizes;
#[path = "benchmark/start.rs"]
mod start;

use report::Report;

type Part = fn(&mut Report);

#[test]
#[ignore = "takes minutes and needs a build of the profile `lambda`: tests/run --bench"]
fn benchmark() {
    let parts: [(&str, Part); 5] = [
        ("sizes", sizes::measure),
        ("start", start::measure),
        ("rotation", rotation::measure),
        ("languages", languages::measure),
        ("many", many::measure),
    ];
    let only = std::env::var("WINDLASS_BENCHMARK_PARTS").ok();
    let mut report = Report::new();
    for (name, measure) in parts {
        if only.as_deref().is_none_or(|only| only.split(',').any(|part| part == name)) {
            measure(&mut report);
        }
    }
    report.finish();
}
