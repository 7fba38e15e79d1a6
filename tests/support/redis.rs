//! A private redis-server: loopback, free ports, plain and TLS, its own users.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use super::pki::{Kind, Pki};
use super::process::{Process, Program};
use super::{built, http, port};

/// The name of the user who may do everything.
pub const ADMIN: &str = "admin";
/// That user's password.
pub const ADMIN_PASSWORD: &str = "admin-of-a-test-server";

/// A running server. Dropping it kills it.
pub struct Redis {
    process: Process,
    folder: tempfile::TempDir,
    pub port: u16,
    pub tls_port: u16,
    pub pki: Pki,
}

impl Redis {
    /// A server whose users live in an ACL file, so that `ACL SAVE` works.
    pub fn start() -> Self {
        Self::start_with(true, Kind::Good)
    }

    /// A server without an ACL file: `ACL SAVE` is an error.
    pub fn start_without_acl_file() -> Self {
        Self::start_with(false, Kind::Good)
    }

    /// A server with a certificate of this kind on its TLS port.
    pub fn start_with_certificate(kind: Kind) -> Self {
        Self::start_with(true, kind)
    }

    fn start_with(acl_file: bool, certificate: Kind) -> Self {
        let folder = built::server_folder();
        let pki = Pki::new();
        let files = pki.server(certificate);
        let users = format!("user default off\nuser {ADMIN} on >{ADMIN_PASSWORD} ~* &* +@all\n");
        let users = if acl_file {
            std::fs::write(folder.path().join("users.acl"), users).unwrap();
            format!("aclfile {}\n", folder.path().join("users.acl").display())
        } else {
            users
        };
        loop {
            let (port, tls_port) = (port::free(), port::free());
            let configuration = format!(
                "bind 127.0.0.1\nport {port}\ntls-port {tls_port}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\n\
                 tls-auth-clients no\ndir {}\nsave \"\"\nappendonly no\ndaemonize no\nlogfile \"\"\n{users}",
                files.certificate.display(),
                files.key.display(),
                pki.ca_file().display(),
                folder.path().display(),
            );
            let file = folder.path().join("redis.conf");
            std::fs::write(&file, configuration).unwrap();
            let process = Program::installed("redis-server").arg(&file).start();
            match process.try_until_ready(|| accepts(http::connect(port), ADMIN, ADMIN_PASSWORD).unwrap_or(false)) {
                Ok(()) => return Self { process, folder, port, tls_port, pki },
                Err(_) if process.stdout().contains("Address already in use") => {}
                Err(why) => panic!("redis-server {why}.\n{process:?}"),
            }
        }
    }

    /// Runs a command as the admin. An error answer fails the test.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> String {
        self.try_command(ADMIN, ADMIN_PASSWORD, words).unwrap_or_else(|error| panic!("redis refused {words:?}: {error}"))
    }

    /// Logs in and runs a command. Arrays come as lines.
    pub fn try_command(&self, user: &str, password: &str, words: &[&str]) -> Result<String, String> {
        let mut stream = BufReader::new(http::connect(self.port).unwrap());
        exchange(&mut stream, &["AUTH", user, password]).unwrap()?;
        exchange(&mut stream, words).unwrap()
    }

    /// Creates a user with this password who may read and may change its own password.
    pub fn add_user(&self, user: &str, password: &str) {
        let password = format!(">{password}");
        self.command(&["ACL", "SETUSER", user, "on", "resetpass", &password, "~*", "+@read", "+@connection", "+acl"]);
    }

    /// Whether this login works, asked on a new connection.
    pub fn accepts(&self, user: &str, password: &str) -> bool {
        accepts(http::connect(self.port), user, password).unwrap()
    }

    /// As [`Redis::accepts`], over TLS.
    pub fn accepts_over_tls(&self, user: &str, password: &str) -> bool {
        accepts(http::connect_over_tls(self.tls_port, &self.pki), user, password).unwrap()
    }

    /// What `ACL SAVE` has written, or nothing without an ACL file.
    pub fn acl_file(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join("users.acl")).ok()
    }

    /// The server's configuration file.
    pub fn configuration_file(&self) -> PathBuf {
        self.folder.path().join("redis.conf")
    }

    /// Kills the server: clients find nobody listening.
    pub fn kill(&self) {
        self.process.kill();
    }
}

fn accepts(stream: std::io::Result<impl Read + Write>, user: &str, password: &str) -> std::io::Result<bool> {
    match exchange(&mut BufReader::new(stream?), &["AUTH", user, password])? {
        Ok(_) => Ok(true),
        Err(error) if error.starts_with("WRONGPASS") => Ok(false),
        Err(error) => Err(std::io::Error::other(error)),
    }
}

/// One command and its answer, <https://redis.io/docs/latest/develop/reference/protocol-spec/>. The inner error is the server's.
fn exchange<S: Read + Write>(stream: &mut BufReader<S>, words: &[&str]) -> std::io::Result<Result<String, String>> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.get_mut().write_all(request.as_bytes())?;
    answer(stream)
}

fn answer(stream: &mut impl BufRead) -> std::io::Result<Result<String, String>> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.strip_suffix("\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let length = || line.get(1..).and_then(|number| number.parse::<i64>().ok()).ok_or(std::io::ErrorKind::InvalidData);
    Ok(match line.as_bytes().first() {
        Some(b'+' | b':') => Ok(line[1..].to_owned()),
        Some(b'-') => Err(line[1..].to_owned()),
        Some(b'$') => {
            let mut text = vec![0; usize::try_from(length()? + 2).unwrap_or_default()];
            stream.read_exact(&mut text)?;
            Ok(String::from_utf8_lossy(text.strip_suffix(b"\r\n").unwrap_or_default()).into_owned())
        }
        Some(b'*') => {
            let items = (0..length()?).map(|_| answer(stream)).collect::<std::io::Result<Result<Vec<_>, _>>>()?;
            items.map(|items| items.join("\n"))
        }
        Some(_) | None => return Err(std::io::ErrorKind::InvalidData.into()),
    })
}
