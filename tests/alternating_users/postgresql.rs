//! A private PostgreSQL server: the one of the plugin's conformance cases.

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::built;
use crate::support::process::Program;

pub(crate) struct PostgreSql {
    server: Child,
    facts: serde_json::Value,
    _folder: tempfile::TempDir,
}

impl PostgreSql {
    pub(crate) fn start() -> Self {
        let folder = built::server_folder();
        // The server runs as another user, who has to reach its own folder.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
        let service = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/postgresql/conformance/service");
        // It stops when its standard input ends: with this process, whatever ends that.
        let mut server = Command::new(service)
            .arg("start")
            .env("FOLDER", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { server, facts: serde_json::from_str(&line).expect("the server did not start"), _folder: folder }
    }

    pub(crate) fn port(&self) -> u64 {
        self.facts["port"].as_u64().unwrap()
    }

    fn fact(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap()
    }

    pub(crate) fn ca_file(&self) -> &Path {
        Path::new(self.fact("ca_file"))
    }

    /// A role that may make and change others, and its password.
    pub(crate) fn rotator(&self) -> (&str, &str) {
        (self.fact("rotator_username"), self.fact("rotator_password"))
    }

    /// What the server answers to statements of this role; nothing if it does not let the role in.
    pub(crate) fn try_sql(&self, role: &str, password: &str, statements: &str) -> Option<String> {
        let connection = [
            ("PGHOST", "localhost"),
            ("PGHOSTADDR", "127.0.0.1"),
            ("PGPORT", &self.port().to_string()),
            ("PGUSER", role),
            ("PGPASSWORD", password),
            ("PGDATABASE", "postgres"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", self.fact("ca_file")),
        ];
        let psql = Program::installed("psql").args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", statements]);
        let done = connection.into_iter().fold(psql, |psql, (name, value)| psql.env(name, value)).run();
        match done.status.code() {
            Some(0) => Some(done.stdout.trim_end().to_owned()),
            _ if done.stderr.contains("password authentication failed") => None,
            _ => panic!("psql: {}", done.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn sql(&self, role: &str, password: &str, statements: &str) -> String {
        self.try_sql(role, password, statements).unwrap_or_else(|| panic!("{role} is not let in"))
    }

    #[track_caller]
    pub(crate) fn as_superuser(&self, statements: &str) -> String {
        self.sql("postgres", self.fact("superuser_password"), statements)
    }
}

impl Drop for PostgreSql {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}
