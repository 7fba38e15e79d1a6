//! A network of a test's own, in which addresses exist that no test may use on the machine itself, and a resolver that the test is.
//!
//! A test starts itself again in new network and mount namespaces, <https://man7.org/linux/man-pages/man7/namespaces.7.html>. They
//! end with the process, and nothing of them is seen outside.

use super::built;
use super::process::{Finished, Program};

/// Tells the test that it has been started inside.
const INSIDE: &str = "WINDLASS_TEST_INSIDE";

/// What the new namespaces have said when they are set up.
const READY: &str = "the namespaces are set up";

/// Gives the network its addresses, puts the test's files over those of the resolver, and becomes the test.
const SET_UP: &str = r#"
set -e
folder=$1 ready=$2; shift 2
ip link set lo up
for address in 10.9.8.7/24 169.254.169.254/32; do ip address add "$address" dev lo; done
ip address add fd00:ec2::254/128 dev lo nodad 2>/dev/null || true
for file in hosts resolv.conf nsswitch.conf; do mount --bind "$folder/$file" "/etc/$file"; done
echo "$ready"
exec "$@"
"#;

/// Whether this process was started by [`run`].
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the test of this name, in its test binary, once more in namespaces of its own. There, only loopback exists; it has the
/// addresses 10.9.8.0/24, 169.254.169.254 and, where the machine has IPv6, fd00:ec2::254. Names are asked of 127.0.0.1, port 53.
///
/// # Errors
///
/// Why this machine has no such namespaces. Containers often may not make any.
pub fn run(test: &str) -> Result<Finished, String> {
    let folder = built::server_folder();
    let files = [
        ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
        ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n"),
        ("nsswitch.conf", "hosts: files dns\n"),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut why = String::new();
    // As root, or as somebody who becomes root of a user namespace.
    for user in [&[][..], &["--user", "--map-root-user"]] {
        let finished = Program::installed("unshare")
            .args(user)
            .args(["--mount", "--net", "/bin/sh", "-c", SET_UP, "sh"])
            .arg(folder.path())
            .arg(READY)
            .arg(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(INSIDE, "1")
            .run();
        if finished.stdout.lines().any(|line| line == READY) {
            return Ok(finished);
        }
        why = finished.stderr.trim().to_owned();
    }
    Err(why)
}
