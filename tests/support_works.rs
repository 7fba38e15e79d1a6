//! The tests' own instruments do what they say: servers tell right logins from wrong ones, the proxy acts where it is told, nothing
//! outlives a test, and the search for leaked secrets finds them.
#![allow(clippy::unwrap_used, reason = "a failing test is meant to panic, in its helpers too")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use base64::Engine;
use rstest::rstest;
use support::canary::Canary;
use support::http::{connect, connect_over_tls};
use support::pki::{Kind, Pki};
use support::process::Program;
use support::proxy::{Moment, Proxy, Turns};
use support::rabbitmq::{Login, RabbitMq};
use support::redis::Redis;

#[test]
fn redis_tells_a_right_login_from_a_wrong_one_plain_and_over_tls() {
    let redis = Redis::start();
    redis.add_user("app", "old-password");
    for accepts in [Redis::accepts, Redis::accepts_over_tls] {
        assert!(accepts(&redis, "app", "old-password"));
        assert!(!accepts(&redis, "app", "new-password"));
    }
    redis.command(&["ACL", "SAVE"]);
    assert!(redis.acl_file().unwrap().contains("user app on"));
}

#[test]
fn redis_without_acl_file_refuses_to_save() {
    let redis = Redis::start_without_acl_file();
    let refused = redis.try_command(support::redis::ADMIN, support::redis::ADMIN_PASSWORD, &["ACL", "SAVE"]);
    assert!(refused.unwrap_err().contains("not configured to use an ACL file"));
}

#[rstest]
#[case::expired(Kind::Expired, "certificate expired")]
#[case::wrong_name(Kind::WrongName, "not valid for name")]
fn wrong_certificates_are_wrong_in_the_way_they_say(#[case] kind: Kind, #[case] reason: &str) {
    let redis = Redis::start_with_certificate(kind);
    let refused = connect_over_tls(redis.tls_port, &redis.pki).unwrap().write_all(b"PING\r\n").unwrap_err();
    assert!(refused.to_string().contains(reason), "{refused}");
}

#[test]
fn another_authority_is_unknown() {
    let redis = Redis::start();
    let refused = connect_over_tls(redis.tls_port, &Pki::new()).unwrap().write_all(b"PING\r\n").unwrap_err();
    assert!(refused.to_string().contains("UnknownIssuer") || refused.to_string().contains("BadSignature"), "{refused}");
}

#[test]
fn rabbitmq_tells_a_right_login_from_a_wrong_one_plain_and_over_tls() {
    let rabbitmq = RabbitMq::shared();
    rabbitmq.put_user("works", "old-password", "management");
    for login in [RabbitMq::login, RabbitMq::login_over_tls] {
        assert_eq!(login(rabbitmq, "works", "old-password"), Login::Accepted);
        assert_eq!(login(rabbitmq, "works", "new-password"), Login::Refused);
    }
    rabbitmq.put_user("untagged", "password", "");
    assert_eq!(rabbitmq.login("untagged", "password"), Login::NoManagementUser);
    assert_eq!(rabbitmq.user("works")["tags"], serde_json::json!(["management"]));
}

/// Answers every 4 bytes with the number of the request, 4 bytes too, and counts what has reached it.
fn counting_service() -> (u16, mpsc::Receiver<[u8; 4]>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (reached, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4];
            while stream.read_exact(&mut request).is_ok() {
                if reached.send(request).is_err() || stream.write_all(b"done").is_err() {
                    break;
                }
            }
        }
    });
    (port, requests)
}

/// Sends a request; whether the reply came.
fn ask(port: u16, requests: &[&[u8; 4]]) -> Vec<bool> {
    let mut stream = connect(port).unwrap();
    let mut reply = [0; 4];
    requests.iter().map(|request| stream.write_all(*request).is_ok() && stream.read_exact(&mut reply).is_ok()).collect()
}

#[rstest]
#[case::nothing(None, [true, true, true], &["req1", "req2", "req3"])]
#[case::first_request(Some(Moment::BeforeRequest(1)), [false, false, false], &[])]
#[case::second_request(Some(Moment::BeforeRequest(2)), [true, false, false], &["req1"])]
#[case::second_reply(Some(Moment::BeforeReply(2)), [true, false, false], &["req1", "req2"])]
#[case::later_than_the_last(Some(Moment::BeforeRequest(4)), [true, true, true], &["req1", "req2", "req3"])]
fn the_proxy_cuts_where_it_is_told(#[case] moment: Option<Moment>, #[case] replied: [bool; 3], #[case] reached: &[&str]) {
    let (service, requests) = counting_service();
    let proxy = Proxy::before(service);
    if let Some(moment) = moment {
        proxy.cut_at(moment);
    }
    assert_eq!(ask(proxy.port(), &[b"req1", b"req2", b"req3"]), replied);
    assert_eq!(requests.try_iter().map(|request| String::from_utf8(request.to_vec()).unwrap()).collect::<Vec<_>>(), reached);
    assert_eq!(proxy.fired(), replied != [true; 3]);
}

#[test]
fn the_proxy_counts_across_connections_and_cuts_once() {
    let (service, _requests) = counting_service();
    let proxy = Proxy::before(service);
    proxy.cut_at(Moment::BeforeReply(2));
    assert_eq!(ask(proxy.port(), &[b"req1"]), [true]);
    assert_eq!(ask(proxy.port(), &[b"req2"]), [false]);
    assert_eq!(ask(proxy.port(), &[b"req3"]), [true]);
    assert_eq!(proxy.turns(), Turns { requests: 3, replies: 3 });
}

#[test]
fn the_proxy_kills_before_a_byte_of_the_reply_moves_on() {
    let (service, requests) = counting_service();
    let proxy = Proxy::before(service);
    // A client that would say so if it ever got a reply.
    let script = "exec 3<>/dev/tcp/127.0.0.1/$0; printf req1 >&3; read -r -n 4 reply <&3; echo \"$reply\"; read -r";
    let client = Program::installed("bash").args(["-c", script, &proxy.port().to_string()]);
    let started = Arc::new(std::sync::Mutex::new(None::<support::process::Killer>));
    let (ready, killed) = (Arc::clone(&started), Arc::new(AtomicBool::new(false)));
    let was_killed = Arc::clone(&killed);
    let mut killer = started.lock().unwrap();
    proxy.at(Moment::BeforeReply(1), move || {
        ready.lock().unwrap().as_ref().unwrap().kill();
        was_killed.store(true, Ordering::SeqCst);
    });
    let process = client.start();
    *killer = Some(process.killer());
    drop(killer);
    let finished = process.finish();
    assert_eq!(requests.recv_timeout(Duration::from_secs(5)).unwrap(), *b"req1");
    assert_eq!(finished.stdout, "");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&finished.status), Some(9), "{finished:?}");
}

#[test]
fn a_process_takes_what_it_started_with_it() {
    let process = Program::installed("bash").args(["-c", "sleep 600 & echo $!; wait"]).start();
    let child = process.line(|line| !line.is_empty()).parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    let child = rustix::process::pidfd_open(child, rustix::process::PidfdFlags::empty()).unwrap();
    let ends_within = |seconds| {
        let mut waiting = [rustix::event::PollFd::new(&child, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut waiting, Some(&rustix::time::Timespec { tv_sec: seconds, tv_nsec: 0 })).unwrap() == 1
    };
    assert!(!ends_within(0));
    drop(process);
    // Killed, but the kernel may still be taking it down.
    assert!(ends_within(10));
}

#[test]
fn a_program_gets_its_input_and_its_own_environment_only() {
    let finished =
        Program::installed("bash").args(["-c", "cat; env | cut -d= -f1 | sort | tr '\\n' ' '"]).input("text\n").run().succeeded();
    assert_eq!(finished.stdout, "text\nLANG PATH PWD SHLVL _ ");
}

#[rstest]
#[case::plain(Canary::new())]
#[case::awkward(Canary::awkward())]
fn a_leaked_secret_is_found_in_every_form(#[case] canary: Canary) {
    let raw = canary.value();
    let json = serde_json::to_string(raw).unwrap();
    let basic = |user: &str| base64::prelude::BASE64_STANDARD.encode(format!("{user}:{raw}"));
    let leaks = [
        raw.to_owned(),
        format!("{{\"password\":{json}}}"),
        serde_json::json!({ "message": json }).to_string(),
        format!("{raw:?}"),
        format!("{:?}", raw.as_bytes()),
        basic("a"),
        basic("ab"),
        basic("abc"),
        raw.bytes().map(|byte| format!("{byte:02X}")).collect(),
        raw.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        raw.bytes()
            .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect(),
        raw.chars().take(12).collect(),
    ];
    for leak in leaks {
        let output = format!("before {leak} after");
        assert!(canary.find(output.as_bytes()).is_some(), "not found: {output}");
    }
    assert_eq!(canary.find(b"nothing here"), None);
    assert_eq!(canary.find(Canary::new().value().as_bytes()), None);
}

#[test]
fn the_aws_command_line_is_installed_and_stays_on_this_machine() {
    // Port 9 (discard) has no listener: the answer shows the endpoint that was used.
    let finished = support::aws_cli::AwsCli::new("http://127.0.0.1:9").run(["list-secrets"]);
    assert!(finished.stderr.contains("Could not connect to the endpoint URL: \"http://127.0.0.1:9/\""), "{finished:?}");
}
