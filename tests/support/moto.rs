//! S3 on loopback: moto's, which `tests/run` installs.

use std::path::Path;

use super::aws_cli::AwsCli;
use super::built;
use super::http::Request;
use super::port;
use super::process::{Process, Program};

/// A server of moto with one bucket that keeps versions.
pub struct Moto {
    pub port: u16,
    _process: Process,
}

impl Moto {
    /// The bucket.
    pub const BUCKET: &str = "acme-plugins";

    pub fn start() -> Self {
        let port = port::free();
        let server = Program::at(built::target_folder().join("aws-cli/bin/moto_server")).args(["-H", "127.0.0.1", "-p"]);
        let process = server.arg(port.to_string()).start();
        let alive = Request { method: "GET", path: "/moto-api/", login: None, headers: &[], body: b"" };
        process.until_ready(|| alive.send(port).is_ok());
        let moto = Self { port, _process: process };
        let here = ["--region", "us-east-1", "--bucket", Self::BUCKET];
        moto.cli().run(["create-bucket"].iter().chain(&here)).succeeded();
        let versioned = ["put-bucket-versioning", "--versioning-configuration", "Status=Enabled"];
        moto.cli().run(versioned.iter().chain(&here)).succeeded();
        moto
    }

    /// Where it answers.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Puts an object, as an operator does. Its version's id.
    pub fn put(&self, key: &str, content: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let put = ["put-object", "--region", "us-east-1", "--bucket", Self::BUCKET, "--key", key, "--body", path(file.path())];
        self.cli().json(put)["VersionId"].as_str().unwrap().to_owned()
    }

    fn cli(&self) -> AwsCli {
        AwsCli::of("s3api", self.endpoint())
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
