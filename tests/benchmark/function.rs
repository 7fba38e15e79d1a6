//! The function as it is deployed, and what can be seen of it from outside.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::account::{Deployment, Function};
use crate::support::built;

/// A program of the profile `lambda`.
pub fn deployed(name: &str) -> PathBuf {
    let path = built::target_folder().join("lambda").join(name);
    assert!(path.is_file(), "{} is not built; `tests/run --bench` builds it", path.display());
    path
}

/// A deployment of that function with this configuration and these plugins.
pub fn deployment(configuration: &str, plugins: Vec<(String, Vec<u8>)>) -> Deployment {
    let deployment = Deployment { executable: Some(deployed("bootstrap")), ..Deployment::new(configuration) };
    deployment.plugins(plugins).variable("WINDLASS_LOG", "info")
}

/// The lines of the steps that the function has logged since it had written this many bytes.
pub fn steps(function: &Function, since: u64) -> Vec<Value> {
    let output = String::from_utf8(function.output_since(since)).unwrap();
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == "step done" || line["message"] == "step failed").collect()
}

/// A figure of a step's line, in microseconds.
pub fn micros(step: &Value, key: &str) -> f64 {
    step[key].as_u64().unwrap_or_else(|| panic!("no {key} in {step}")) as f64
}

/// A figure of the kernel about the function's process, in MiB: `VmHWM` is the most memory that it ever held, `VmRSS` what it holds.
pub fn memory(function: &Function, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", function.process_id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
