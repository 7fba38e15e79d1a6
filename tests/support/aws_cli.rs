//! The real AWS command line, pointed at a Secrets Manager on this machine.

use serde_json::Value;

use super::built;
use super::process::{Finished, Program};

/// The AWS CLI with an endpoint, dummy credentials, and nothing of the developer's own configuration.
pub struct AwsCli {
    service: &'static str,
    endpoint: String,
    home: tempfile::TempDir,
}

impl AwsCli {
    /// For the Secrets Manager at this URL, such as `http://127.0.0.1:4566`.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self::of("secretsmanager", endpoint)
    }

    /// For another service.
    pub fn of(service: &'static str, endpoint: impl Into<String>) -> Self {
        Self { service, endpoint: endpoint.into(), home: tempfile::tempdir().unwrap() }
    }

    /// Runs `aws`, its service and these arguments.
    pub fn run<T: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = T>) -> Finished {
        let home = self.home.path();
        // `tests/run` puts it there. Not `bin/aws`, which holds an absolute path and breaks when the target folder moves.
        Program::at(built::target_folder().join("aws-cli/bin/python"))
            .args(["-m", "awscli"])
            .args(["--endpoint-url", &self.endpoint, "--output", "json", self.service])
            .args(arguments)
            .folder(home)
            .env("HOME", home)
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "not-a-key")
            .env("AWS_DEFAULT_REGION", "eu-central-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_MAX_ATTEMPTS", "1")
            .run()
    }

    /// As [`AwsCli::run`], asserting success; the answer as JSON, null if there is none.
    #[track_caller]
    pub fn json<T: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = T>) -> Value {
        let finished = self.run(arguments).succeeded();
        if finished.stdout.trim().is_empty() { Value::Null } else { finished.json() }
    }
}
