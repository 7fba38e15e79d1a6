//! The rows that need addresses and names which no test may have on the machine itself: tried in a network of their own.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::corpus::rows;
use crate::forbidden::Forbidden;
use crate::resolver::Resolver;
use crate::row::{Place, Seen, Whereabouts};
use crate::stage::{Neighbours, Stage};
use crate::support::namespace;

/// The test below.
const TEST: &str = "network::forbidden_addresses_that_exist_hear_nothing";

/// How a line begins that tells the outside what became of a row.
const TOLD: &str = "row: ";

/// Allowed addresses: at the first one somebody listens, at the second one nobody.
const ALLOWED: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 9, 8, 7), Ipv4Addr::new(10, 9, 8, 9)];

const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// What became of the rows that were tried in a namespace, by their names.
///
/// # Errors
///
/// Why this machine has no namespaces for a test.
pub fn seen() -> &'static Result<BTreeMap<String, Seen>, String> {
    static SEEN: OnceLock<Result<BTreeMap<String, Seen>, String>> = OnceLock::new();
    SEEN.get_or_init(|| {
        let finished = namespace::run(TEST)?.succeeded();
        let told = finished.stdout.lines().filter_map(|line| line.strip_prefix(TOLD));
        Ok(told.map(|line| read(&serde_json::from_str(line).unwrap())).collect())
    })
}

/// Says, in a way that the test harness does not swallow, that something was not tried.
pub fn not_run(what: &str, why: &str) {
    let notice = format!("\nNOT RUN: {what}: this machine gives a test no network of its own ({why})\n");
    std::io::stderr().write_all(notice.as_bytes()).unwrap();
}

#[test]
fn forbidden_addresses_that_exist_hear_nothing() {
    if namespace::is_inside() {
        return inside();
    }
    match seen() {
        Ok(seen) => {
            let wanted = rows().into_iter().filter(|row| row.place != Place::Here).map(|row| row.name.to_owned());
            assert_eq!(seen.keys().cloned().collect::<Vec<_>>(), sorted(wanted));
            for (name, seen) in seen {
                assert!(seen.faults.is_empty(), "{name}: {seen:?}");
            }
        }
        Err(why) => not_run("listeners on metadata addresses, names that change their address", why),
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// In the namespace.
fn inside() {
    let forbidden = Forbidden::on_loopback();
    let port = forbidden.port;
    let allowed = TcpListener::bind((ALLOWED[0], port)).unwrap();
    allowed.set_nonblocking(true).unwrap();
    let resolver = Resolver::start([
        ("metadata.test", vec![vec![METADATA]]),
        // Good when it is asked first, forbidden from then on.
        ("rebinding.test", vec![vec![ALLOWED[0]], vec![METADATA]]),
        // What may be dialled does not answer, and what would answer may not be dialled.
        ("mixed.test", vec![vec![METADATA, Ipv4Addr::LOCALHOST, ALLOWED[1]]]),
    ]);
    let mut metadata: Vec<IpAddr> = vec![METADATA.into()];
    let v6: IpAddr = "fd00:ec2::254".parse().unwrap();
    metadata.extend(TcpListener::bind((v6, 0)).is_ok().then_some(v6));
    let stage = Stage::new(forbidden, Neighbours::default()).watching(80, &metadata).watching(port, &metadata);
    for row in rows().into_iter().filter(|row| row.place != Place::Here) {
        let mut seen = stage.show(&row);
        let (asked, reached) = if row.name == "dials_a_rebinding_name" { (2, 1) } else { (1, 0) };
        if let (Place::Namespace, Whereabouts::Forbidden(host)) = (row.place, row.whereabouts)
            && resolver.asked(host) != asked
        {
            seen.faults.push(format!("{host} was resolved {} times", resolver.asked(host)));
        }
        if std::iter::from_fn(|| allowed.accept().ok()).count() != reached {
            seen.faults.push("the allowed address was not contacted as often as it has to be".to_owned());
        }
        println!("{TOLD}{}", written(row.name, &seen));
    }
}

fn written(name: &str, seen: &Seen) -> Value {
    let Seen { end, message, milliseconds, overrun, faults } = seen;
    json!({ "name": name, "end": end, "message": message, "milliseconds": milliseconds, "overrun": overrun, "faults": faults })
}

fn read(told: &Value) -> (String, Seen) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let seen = Seen {
        end: text(&told["end"]),
        message: text(&told["message"]),
        milliseconds: told["milliseconds"].as_u64().unwrap(),
        overrun: told["overrun"].as_i64(),
        faults: told["faults"].as_array().unwrap().iter().map(text).collect(),
    };
    (text(&told["name"]), seen)
}
