//! A private rabbitmq-server with its management interface: loopback, free ports, plain and TLS, its own node and port mapper.

use std::path::Path;
use std::sync::OnceLock;

use super::http::{Request, Response};
use super::pki::{Kind, Pki};
use super::process::{Process, Program};
use super::{built, http, port};

/// The name of the user who may do everything.
pub const ADMIN: &str = "admin";
/// That user's password.
pub const ADMIN_PASSWORD: &str = "admin-of-a-test-server";

/// Debian's /usr/sbin/rabbitmq-server changes the user and drops the environment; the script below it does neither.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A running server. Dropping it kills it.
pub struct RabbitMq {
    process: Process,
    /// Erlang's port mapper. The node would otherwise start one that outlives it and is shared by all nodes of the machine.
    _port_mapper: Process,
    _folder: tempfile::TempDir,
    pub http_port: u16,
    pub https_port: u16,
    pub pki: Pki,
}

/// What the management interface says about a login.
#[derive(Debug, PartialEq, Eq)]
pub enum Login {
    /// Accepted.
    Accepted,
    /// No such user, or the wrong password.
    Refused,
    /// The right password of a user without a management tag.
    NoManagementUser,
}

impl RabbitMq {
    /// The one server of this test binary, started at its first use (about 4 s). Tests keep to users of their own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RabbitMq> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of one's own.
    pub fn start() -> Self {
        let pki = Pki::new();
        loop {
            let folder = built::server_folder();
            let (http_port, https_port) = (port::free(), port::free());
            let (port_mapper, process) = launch(folder.path(), &pki, http_port, https_port);
            // The listener for TLS comes last, but until the broker says that it is complete, requests may end in a status 500.
            let ready = || {
                process.stdout().contains("completed with")
                    && whoami(ADMIN, ADMIN_PASSWORD).send(http_port).is_ok_and(|response| response.status == 200)
                    && http::connect(https_port).is_ok()
            };
            match process.try_until_ready(ready) {
                Ok(()) => return Self { process, _port_mapper: port_mapper, _folder: folder, http_port, https_port, pki },
                Err(_) if process.stdout().contains("eaddrinuse") || process.stdout().contains("already_in_use") => {}
                Err(why) => panic!("rabbitmq-server {why}.\n{process:?}\n{port_mapper:?}"),
            }
        }
    }

    /// Creates or replaces a user. Tags as in the management interface: `administrator`, `management`, comma-separated, or none.
    #[track_caller]
    pub fn put_user(&self, user: &str, password: &str, tags: &str) {
        let body = serde_json::json!({ "password": password, "tags": tags }).to_string();
        let response = self.as_admin("PUT", &format!("/api/users/{user}"), body.as_bytes());
        assert!(matches!(response.status, 201 | 204), "{response:?}");
    }

    /// A user as the server knows it.
    #[track_caller]
    pub fn user(&self, user: &str) -> serde_json::Value {
        let response = self.as_admin("GET", &format!("/api/users/{user}"), b"");
        assert_eq!(response.status, 200, "{response:?}");
        serde_json::from_str(&response.body).unwrap()
    }

    /// Any request as the admin.
    pub fn as_admin(&self, method: &str, path: &str, body: &[u8]) -> Response {
        let login = Some((ADMIN, ADMIN_PASSWORD));
        let headers = [("Content-Type", "application/json")];
        Request { method, path, login, headers: &headers, body }.send(self.http_port).unwrap()
    }

    /// Tries a login.
    pub fn login(&self, user: &str, password: &str) -> Login {
        judge(&whoami(user, password).send(self.http_port).unwrap())
    }

    /// Tries a login over TLS.
    pub fn login_over_tls(&self, user: &str, password: &str) -> Login {
        judge(&whoami(user, password).send_over_tls(self.https_port, &self.pki).unwrap())
    }

    /// Kills the server: clients find nobody listening.
    pub fn kill(&self) {
        self.process.kill();
    }
}

/// The `reason` tells the two kinds of 401 apart.
fn judge(response: &Response) -> Login {
    match response.status {
        200 => Login::Accepted,
        401 if response.body.contains("Not management user") => Login::NoManagementUser,
        401 => Login::Refused,
        _ => panic!("unexpected answer to a login: {response:?}"),
    }
}

fn whoami<'a>(user: &'a str, password: &'a str) -> Request<'a> {
    Request { method: "GET", path: "/api/whoami", login: Some((user, password)), headers: &[], body: b"" }
}

fn launch(folder: &Path, pki: &Pki, http_port: u16, https_port: u16) -> (Process, Process) {
    let files = pki.server(Kind::Good);
    let (amqp_port, distribution_port, mapper_port) = (port::free(), port::free(), port::free());
    let file = |name: &str| folder.join(name);
    for name in ["home", "mnesia", "log"] {
        std::fs::create_dir(file(name)).unwrap();
    }
    std::fs::write(file("enabled_plugins"), "[rabbitmq_management].\n").unwrap();
    let configuration = format!(
        "listeners.tcp.1 = 127.0.0.1:{amqp_port}\n\
         management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {http_port}\n\
         management.ssl.ip = 127.0.0.1\nmanagement.ssl.port = {https_port}\nmanagement.ssl.cacertfile = {}\n\
         management.ssl.certfile = {}\nmanagement.ssl.keyfile = {}\n\
         management_agent.disable_metrics_collector = true\nloopback_users = none\n\
         default_user = {ADMIN}\ndefault_pass = {ADMIN_PASSWORD}\n\
         log.console = true\nlog.console.level = warning\nlog.file = false\n",
        pki.ca_file().display(),
        files.certificate.display(),
        files.key.display(),
    );
    std::fs::write(file("rabbitmq.conf"), configuration).unwrap();
    let mapper = Program::installed("epmd").args(["-port", &mapper_port.to_string(), "-address", "127.0.0.1"]).start();
    // The node starts a port mapper of its own if it comes first.
    mapper.until_ready(|| http::connect(mapper_port).is_ok());
    let server = Program::at(SERVER)
        .folder(folder)
        .env("HOME", file("home"))
        .env("RABBITMQ_NODENAME", format!("windlass{amqp_port}@localhost"))
        .env("RABBITMQ_MNESIA_BASE", file("mnesia"))
        .env("RABBITMQ_LOG_BASE", file("log"))
        .env("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf"))
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced.config"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins"))
        .env("RABBITMQ_DIST_PORT", distribution_port.to_string())
        .env("ERL_EPMD_PORT", mapper_port.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none");
    (mapper, server.start())
}
