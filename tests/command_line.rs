//! `windlass demo`, `build`, `inspect`, `diff`, `config`, `keygen` and `sign`, and what holds for every command.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test is meant to panic, in its helpers too")]

mod support;

#[path = "command_line/signing.rs"]
mod signing;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};
use support::built;
use support::canary::Canary;
use support::process::{Finished, Program};

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn demo() -> Program {
    Program::windlass().arg("demo").arg("--plugin").arg(built::plugin("rabbitmq"))
}

/// With what cargo and rustup need to find their own folders.
#[expect(clippy::disallowed_methods, reason = "the developer's Rust is where these variables say")]
fn with_rust(program: Program) -> Program {
    ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"]
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
        .fold(program, |program, (name, value)| program.env(name, value))
        .env("CARGO_TARGET_DIR", built::target_folder())
        .timeout(std::time::Duration::from_secs(300))
}

/// The four commands of `plugins/README.md`, but for the plugin's native tests, which would compile the SDK once more.
#[rstest]
#[case::http("http")]
#[case::tcp("tcp")]
fn a_new_plugin_builds_and_is_proved_as_it_is(#[case] protocol: &str) {
    let place = tempfile::tempdir().unwrap();
    let name = format!("new-{protocol}");
    Program::windlass().args(["new", &name, "--protocol", protocol, "--dir"]).arg(place.path()).run().succeeded();
    let folder = place.path().join(&name);
    let built = with_rust(Program::windlass()).args(["build", "--json"]).arg(&folder).run().succeeded().json();
    // It shares what is compiled with the plugins of this repository, and must not stay among them.
    let component = place.path().join("new.wasm");
    fs::copy(built["path"].as_str().unwrap(), &component).unwrap();
    fs::remove_file(built["path"].as_str().unwrap()).unwrap();
    let test = Program::windlass().arg("test").arg(component).arg("--case").arg(folder.join("conformance/case.toml"));
    let report = test
        .arg("--json")
        .env("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin")
        .timeout(std::time::Duration::from_secs(300))
        .run()
        .succeeded()
        .json();
    let verdicts = report["checks"].as_array().unwrap().iter().map(|check| check["verdict"].as_str().unwrap());
    assert!(verdicts.clone().count() >= 22 && verdicts.clone().all(|verdict| verdict == "passed"), "{report}");
}

/// A trap without a panic has no words of its own, and without names only numbers to say where.
#[test]
fn a_trap_says_through_which_functions_it_came_if_the_component_has_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let build = with_rust(Program::windlass()).args(["build", "--names", "--json"]).arg(root().join("tests/guests/mutant"));
    let built = build.run().succeeded().json();
    // It shares what is compiled with the plugins of this repository, and must not stay among them.
    let named = folder.path().join("named.wasm");
    fs::copy(built["path"].as_str().unwrap(), &named).unwrap();
    fs::remove_file(built["path"].as_str().unwrap()).unwrap();
    traps_in(&folder, &named, "in guest_mutant::trap < ");
    traps_in(&folder, &built::guest("mutant"), "in function ");
}

/// Both commands that run a plugin say that it trapped here.
#[track_caller]
fn traps_in(folder: &tempfile::TempDir, component: &Path, place: &str) {
    let [case, secret, config] = ["case.toml", "secret.json", "windlass.toml"].map(|name| folder.path().join(name));
    let programs = format!("\"{}/", root().join("tests/conformance").display());
    let right = fs::read_to_string(root().join("tests/conformance/right.toml")).unwrap().replace("\"./", &programs);
    fs::write(&case, format!("{right}\n[settings]\nmutant = \"traps\"\n")).unwrap();
    let test = Program::windlass().arg("test").arg(component).args(["--only", "set-then-test", "--json", "--case"]).arg(&case);
    let report = test.run().json();
    let flaw = &report["checks"][0]["flaws"][0];
    let seen = flaw["seen"].as_str().unwrap();
    assert!(
        seen.contains("the plugin trapped: wasm trap: wasm `unreachable` instruction executed, ") && seen.contains(place),
        "{seen}"
    );
    assert!(flaw["change"].as_str().unwrap().contains("`windlass build --names`"), "{flaw}");

    let value = json!({"username": "app", "password": "old", "owner": "nobody", "host": "localhost", "port": 1, "tls": false});
    fs::write(&secret, value.to_string()).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&config, "[[secrets]]\nsecret = \"*\"\nsettings = { mutant = \"traps\" }\n").unwrap();
    let rotate = Program::windlass().arg("rotate").arg("--plugin").arg(component).arg("--secret").arg(&secret);
    let finished = rotate.arg("--config").arg(&config).run();
    assert!(finished.stderr.contains("the plugin trapped: ") && finished.stderr.contains(place), "{finished:?}");
}

#[rstest]
#[case::python("python", "plugin.py", ".windlass/sdk/python/build")]
#[case::js("js", "plugin.js", ".windlass/sdk/js/build")]
fn a_new_plugin_in_another_language_brings_its_sdk(#[case] language: &str, #[case] source: &str, #[case] script: &str) {
    let place = tempfile::tempdir().unwrap();
    Program::windlass().args(["new", "acme", "--lang", language, "--dir"]).arg(place.path()).run().succeeded();
    let folder = place.path().join("acme");
    assert!(fs::read_to_string(folder.join(source)).unwrap().contains("Acme"));
    let mode = fs::metadata(folder.join(script)).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "{mode:o}");
    assert!(folder.join(".windlass/wit/world.wit").is_file());
}

#[test]
fn the_demo_in_json_is_one_object_of_this_shape() {
    let finished = demo().arg("--json").run().succeeded();
    assert_eq!(finished.stderr, "");
    let mut report = finished.json();
    let labels: Vec<_> = ["labels_before", "labels_after"].map(|name| report[name].take()).into();
    let (first, second) = match labels[1].as_object().unwrap().iter().collect::<Vec<_>>()[..] {
        [(a, stages), (b, _)] if stages == &json!(["AWSPREVIOUS"]) => (a, b),
        [(a, _), (b, _)] => (b, a),
        _ => panic!("{labels:?}"),
    };
    assert_eq!(labels[0], json!({ first: ["AWSCURRENT"] }));
    assert_eq!(labels[1], json!({ first: ["AWSPREVIOUS"], second: ["AWSCURRENT"] }));
    for step in report["steps"].as_array_mut().unwrap() {
        assert!(step["host_us"].take().is_u64() && step["plugin_us"].take().is_u64(), "{finished:?}");
    }
    let digest = report["plugin"]["digest"].take();
    assert_eq!(digest, inspected("rabbitmq")["digest"]);
    let step = |step, outcome| json!({ "step": step, "outcome": outcome, "host_us": null, "plugin_us": null });
    let mut tested = step("testSecret", "accepted");
    tested["negative_control"] = "refused".into();
    assert_eq!(
        report,
        json!({
            "plugin": { "name": "rabbitmq", "version": "0.1.0", "digest": null },
            "steps": [
                step("createSecret", "created"),
                step("setSecret", "changed"),
                tested,
                step("finishSecret", "promoted"),
            ],
            "labels_before": null,
            "labels_after": null,
            "old_credential": "refused",
            "new_credential": "accepted",
        })
    );
}

#[test]
fn the_demo_tells_people_what_happens() {
    let finished = demo().run().succeeded();
    assert_eq!(finished.stderr, "");
    // What differs from run to run.
    let told = finished.stdout.split_inclusive([' ', ',', '\n']).map(|word| {
        let (bare, end) = word.split_at(word.trim_end_matches([' ', ',', '\n']).len());
        let measured = bare.contains('.') && bare.parse::<f64>().is_ok();
        let id = bare.len() == 8 && bare.chars().all(|c| c.is_ascii_hexdigit());
        let bare = match bare {
            _ if measured => "[n]",
            _ if id => "[id]",
            _ if bare.starts_with("sha256:") => "[digest]",
            _ if bare.starts_with("http://127.0.0.1:") => "[url]",
            bare if bare.parse::<u32>().is_ok() => "[n]",
            bare => bare,
        };
        format!("{bare}{end}")
    });
    let told = told.collect::<String>();
    let lines: Vec<_> = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    One rotation on this machine, without an AWS account.

    plugin rabbitmq 0.1.0, [n] KiB, [digest]
    service a broker's user interface on [url], user `app`
    secret demo/broker: AWSCURRENT = [id]

    createSecret created host [n] ms plugin [n] ms a new value is stored as AWSPENDING
    setSecret changed host [n] ms plugin [n] ms the service accepts the new credential
    testSecret accepted host [n] ms plugin [n] ms the new credential logs in, a corrupted copy does not
    finishSecret promoted host [n] ms plugin [n] ms tested once more; AWSCURRENT moved to the new value

    secret demo/broker: AWSCURRENT = [id], AWSPREVIOUS = [id]
    proof old credential refused, new credential accepted by the service
    ");
}

/// The command as a newcomer gives it, in a checkout: it builds what it needs.
#[test]
fn the_demo_builds_the_plugin_it_needs() {
    let finished =
        with_rust(Program::windlass()).args(["demo", "--json", "--no-install"]).folder(root().join("host")).run().succeeded();
    assert!(finished.stderr.starts_with("building the plugin `rabbitmq` for wasm32-"), "{finished:?}");
    assert_eq!(finished.json()["plugin"]["digest"], inspected("rabbitmq")["digest"]);
}

#[test]
fn the_demo_outside_a_checkout_says_where_it_works() {
    let finished = Program::windlass().arg("demo").run().failed_with(1);
    insta::assert_snapshot!(finished.stderr, @"error: there is no folder plugins/rabbitmq here or above. Run this in a checkout of Windlass, or name a component with --plugin WASM");
}

/// Each failing command says in `error: …` what this file is not.
#[rstest]
#[case::missing(None, "cannot be read")]
#[case::empty(Some(&b""[..]), "")]
#[case::text(Some(&b"not a component"[..]), "")]
#[case::core_module(Some(&b"\0asm\x01\0\0\0"[..]), "core WebAssembly module")]
#[case::empty_component(Some(&b"\0asm\x0d\0\x01\0"[..]), "")]
fn a_wrong_plugin_is_refused_by_every_command_alike(#[case] content: Option<&[u8]>, #[case] says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.wasm");
    if let Some(content) = content {
        fs::write(&file, content).unwrap();
    }
    let refused = |program: Program| {
        let finished = program.arg(&file).run().failed_with(1);
        assert!(finished.stderr.starts_with("error: ") && finished.stderr.contains(says), "{finished:?}");
        finished
    };
    let demo = refused(Program::windlass().args(["demo", "--json", "--plugin"]));
    assert_eq!(demo.stdout, "");
    let inspect = refused(Program::windlass().arg("inspect"));
    let new = refused(Program::windlass().args(["diff", "--json"]).arg(built::plugin("redis")));
    let old = Program::windlass().arg("diff").arg(&file).arg(built::plugin("redis")).run().failed_with(1);
    for other in [inspect, new, old] {
        assert_eq!((&other.stdout, &other.stderr), (&demo.stdout, &demo.stderr));
    }
}

/// Another plugin than the demo's service is for is refused: its manifest leads to whatever else listens on this machine.
#[test]
fn a_plugin_for_another_service_is_no_demo() {
    let finished = Program::windlass().args(["demo", "--json", "--plugin"]).arg(built::plugin("redis")).run().failed_with(1);
    assert_eq!(finished.stdout, "");
    assert!(finished.stderr.starts_with("error: plugin `redis` is for another service"), "{finished:?}");
}

/// What `inspect --json` says.
fn inspected(plugin: &str) -> Value {
    Program::windlass().args(["inspect", "--json"]).arg(built::plugin(plugin)).run().succeeded().json()
}

/// Without what every build changes: digest, size and tools.
fn steady(finished: &Finished, plugin: &str) -> String {
    assert_eq!(finished.stderr, "");
    let facts = inspected(plugin);
    let text = finished.stdout.replace(facts["digest"].as_str().unwrap(), "[digest]");
    let text = text.replace(&facts["size"].to_string(), "[size]");
    between(&between(&text, ", made with ", "\n", "[tools]"), "\"toolchain\": {", "  },", "[tools]")
}

/// The text with other words between two marks, if the first is there.
fn between(text: &str, first: &str, second: &str, other: &str) -> String {
    text.split_once(first).map_or_else(
        || text.to_owned(),
        |(before, rest)| format!("{before}{first}{other}{second}{}", rest.split_once(second).unwrap().1),
    )
}

#[test]
fn inspect_describes_redis() {
    let finished = Program::windlass().arg("inspect").arg(built::plugin("redis")).run().succeeded();
    insta::assert_snapshot!(steady(&finished, "redis"), @r#"
    redis 0.1.0
      Password of an ACL user of Redis 6 or later, or Valkey
      [size] bytes, [digest]
      contract 0.1.0, made with [tools]

    The secret
      must have `username`, `password`, `host`
      may leave out `port` = `6379`, `username` = `default`
      gets a new value for `password`
      says who and where by `host`, `port`, `tls`, `username`
      is recognised without a tag by `engine` = `redis`
      old and new credential are valid together

    Where it wants to connect (an operator's configuration can narrow this)
      `redis`: {host}:{port}, encrypted, unless the secret says `"tls": false`

    Which versions of the secret its code can read in plain text
      set-secret: pending, current, and previous if it is for the same identity; admin only if the operator binds one
      test-secret: pending

    What its code can ask the host for
      read the versions of this secret, each in the step that needs it, and its settings (windlass:rotation/secret@0.1.0)
      write lines to the operator's log, with handed-out values replaced (windlass:rotation/log@0.1.0)
      open byte streams to its endpoints; the host dials and encrypts (windlass:rotation/connection@0.1.0)

    What it provides
      windlass:rotation/rotator@0.1.0

    Signature
      not signed: there is no redis.wasm.sig beside it
    "#);
}

#[test]
fn inspect_describes_rabbitmq() {
    let finished = Program::windlass().arg("inspect").arg(built::plugin("rabbitmq")).run().succeeded();
    insta::assert_snapshot!(steady(&finished, "rabbitmq"), @r#"
    rabbitmq 0.1.0
      Password of a user of RabbitMQ, through the management plugin's HTTP API
      [size] bytes, [digest]
      contract 0.1.0, made with [tools]

    The secret
      must have `username`, `password`, `host`
      may leave out `management_port` = `15671`
      gets a new value for `password`
      says who and where by `host`, `management_port`, `tls`, `username`
      is recognised without a tag by `engine` = `rabbitmq`
      the old credential stops working when the new one starts

    Where it wants to connect (an operator's configuration can narrow this)
      `management`: {host}:{management_port}, encrypted, unless the secret says `"tls": false`

    Which versions of the secret its code can read in plain text
      set-secret: pending, current, and previous if it is for the same identity; admin only if the operator binds one
      test-secret: pending

    What its code can ask the host for
      read the versions of this secret, each in the step that needs it, and its settings (windlass:rotation/secret@0.1.0)
      send HTTP requests to its endpoints; the host dials and encrypts (windlass:rotation/http@0.1.0)
      write lines to the operator's log, with handed-out values replaced (windlass:rotation/log@0.1.0)

    What it provides
      windlass:rotation/rotator@0.1.0

    Signature
      not signed: there is no rabbitmq.wasm.sig beside it
    "#);
}

#[test]
fn inspect_describes_redis_in_json() {
    let finished = Program::windlass().args(["inspect", "--json"]).arg(built::plugin("redis")).run().succeeded();
    insta::assert_snapshot!(steady(&finished, "redis"), @r#"
    {
      "name": "redis",
      "version": "0.1.0",
      "description": "Password of an ACL user of Redis 6 or later, or Valkey",
      "digest": "[digest]",
      "size": [size],
      "contract": "0.1.0",
      "toolchain": {[tools]  },
      "overlap": true,
      "required": [
        "username",
        "password",
        "host"
      ],
      "generated": [
        "password"
      ],
      "identity": [
        "host",
        "port",
        "tls",
        "username"
      ],
      "defaults": {
        "port": "6379",
        "username": "default"
      },
      "match": {
        "engine": "redis"
      },
      "endpoints": {
        "redis": {
          "address": "{host}:{port}",
          "tls": "optional",
          "needs_grant": false
        }
      },
      "settings": {},
      "plain_text": {
        "set_secret": [
          "pending",
          "current",
          "previous",
          "admin"
        ],
        "test_secret": [
          "pending"
        ]
      },
      "imports": [
        "windlass:rotation/secret@0.1.0",
        "windlass:rotation/failures@0.1.0",
        "windlass:rotation/log@0.1.0",
        "windlass:rotation/connection@0.1.0"
      ],
      "exports": [
        "windlass:rotation/rotator@0.1.0"
      ]
    }
    "#);
}

#[test]
fn inspect_describes_rabbitmq_in_json() {
    let finished = Program::windlass().args(["inspect", "--json"]).arg(built::plugin("rabbitmq")).run().succeeded();
    insta::assert_snapshot!(steady(&finished, "rabbitmq"), @r#"
    {
      "name": "rabbitmq",
      "version": "0.1.0",
      "description": "Password of a user of RabbitMQ, through the management plugin's HTTP API",
      "digest": "[digest]",
      "size": [size],
      "contract": "0.1.0",
      "toolchain": {[tools]  },
      "overlap": false,
      "required": [
        "username",
        "password",
        "host"
      ],
      "generated": [
        "password"
      ],
      "identity": [
        "host",
        "management_port",
        "tls",
        "username"
      ],
      "defaults": {
        "management_port": "15671"
      },
      "match": {
        "engine": "rabbitmq"
      },
      "endpoints": {
        "management": {
          "address": "{host}:{management_port}",
          "tls": "optional",
          "needs_grant": false
        }
      },
      "settings": {},
      "plain_text": {
        "set_secret": [
          "pending",
          "current",
          "previous",
          "admin"
        ],
        "test_secret": [
          "pending"
        ]
      },
      "imports": [
        "windlass:rotation/secret@0.1.0",
        "windlass:rotation/failures@0.1.0",
        "windlass:rotation/http@0.1.0",
        "windlass:rotation/log@0.1.0"
      ],
      "exports": [
        "windlass:rotation/rotator@0.1.0"
      ]
    }
    "#);
}

#[test]
fn inspect_says_what_a_component_was_made_with() {
    let toolchain = &inspected("redis")["toolchain"];
    let entries = |kind: &str| toolchain[kind].as_array().unwrap().iter().map(|entry| entry.as_str().unwrap()).collect::<Vec<_>>();
    assert!(entries("processed_by").iter().any(|tool| tool.starts_with("wit-component ")), "{toolchain}");
    assert!(entries("language").len() <= 1, "{toolchain}");
}

/// A secret for Redis in a file. Neither value of its password may be seen.
fn secret_file(folder: &Path, rest: &str) -> (std::path::PathBuf, Canary) {
    let canary = Canary::new();
    let path = folder.join("secret.json");
    fs::write(&path, format!("{{\"password\": \"{}\", {rest}}}", canary.value())).unwrap();
    (path, canary)
}

#[test]
fn inspect_says_where_a_plugin_could_connect_with_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (path, canary) = secret_file(folder.path(), r#""host": "Redis.Example.com", "username": "app", "tls": false"#);
    let program = || Program::windlass().arg("inspect").arg(built::plugin("redis")).arg("--secret").arg(&path);
    let finished = program().run().succeeded().without(&canary);
    let (_, told) = finished.stdout.split_once("\nWith the secret in ").unwrap();
    assert_eq!(told, format!("{}\n  `redis`: redis.example.com:6379, in plain text\n", path.display()));
    let facts = program().arg("--json").run().succeeded().without(&canary).json();
    assert_eq!(
        facts["with_secret"],
        json!({
            "endpoints": { "redis": { "address": "redis.example.com:6379", "tls": "plain-text" } },
            "needs_grant": [],
            "refusals": [],
        })
    );
}

#[test]
fn inspect_says_what_a_secret_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let (path, canary) = secret_file(folder.path(), r#""port": "somewhere""#);
    let finished = Program::windlass().arg("inspect").arg(built::plugin("redis")).arg("--secret").arg(&path).run().succeeded();
    let finished = finished.without(&canary);
    let (_, told) = finished.stdout.split_once(".json\n").unwrap();
    insta::assert_snapshot!(told, @r"
    refused: the secret has no field `host`, which plugin `redis` requires. Add it to the secret's JSON object
    refused: the secret has no field `host`, which the address of the plugin's endpoint `redis` needs. Add it to the secret
    ");
}

#[test]
fn inspect_names_a_secret_that_is_not_there() {
    let program = Program::windlass().arg("inspect").arg(built::plugin("redis")).args(["--secret", "/nowhere/secret.json"]);
    let finished = program.run().failed_with(1);
    assert_eq!(finished.stdout, "");
    assert!(finished.stderr.starts_with("error: there is no credential file /nowhere/secret.json"), "{finished:?}");
}

/// The plugin for Redis with another manifest: the text between each pair of marks is replaced.
fn redis_with(folder: &Path, edits: &[(&str, &str)]) -> std::path::PathBuf {
    let text = fs::read_to_string(root().join("plugins/redis/plugin.toml")).unwrap();
    let edited = edits.iter().fold(text.clone(), |text, (from, to)| {
        assert!(text.contains(from), "{text}");
        text.replace(from, to)
    });
    let mut plugin = fs::read(built::plugin("redis")).unwrap();
    let section = |text: &str| {
        let mut bytes = Vec::new();
        let section = wasm_encoder::CustomSection { name: "windlass:manifest".into(), data: text.as_bytes().into() };
        wasm_encoder::ComponentSection::append_to_component(&section, &mut bytes);
        bytes
    };
    // `windlass build` puts the manifest at the end.
    let own = section(&text);
    assert!(plugin.ends_with(&own));
    plugin.truncate(plugin.len() - own.len());
    plugin.extend(section(&edited));
    let path = folder.join("redis.wasm");
    fs::write(&path, plugin).unwrap();
    path
}

fn diff(new: &Path) -> Program {
    Program::windlass().arg("diff").arg(built::plugin("redis")).arg(new)
}

#[test]
fn diff_says_what_a_swap_asks_for_and_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let new = redis_with(
        folder.path(),
        &[
            ("version = \"0.1.0\"", "version = \"0.2.0\""),
            ("\"host\"]", "\"host\", \"cluster\"]"),
            ("engine = \"redis\"", "engine = \"valkey\""),
            ("[endpoints.redis]", "[password]\nlength = 12\n\n[endpoints.redis]"),
            ("tls = \"optional\"", "tls = \"start-tls\"\n[endpoints.metrics]\naddress = \"metrics.example.com:443\""),
        ],
    );
    let finished = diff(&new).run().failed_with(3);
    assert_eq!(finished.stderr, "");
    let (told, facts) = finished.stdout.split_once("  bytes: ").unwrap();
    insta::assert_snapshot!(told, @r#"
    redis 0.1.0 -> redis 0.2.0

    The new one asks for more
      endpoint `metrics`: new, metrics.example.com:443, always encrypted
          the old one did not connect there
      endpoint `redis`: {host}:{port}, begins in plain text; the plugin has to start TLS itself, the host cannot force it (STARTTLS), was {host}:{port}, encrypted, unless the secret says `"tls": false`
          the connection is less sure to be encrypted
      field that the secret must have `cluster`: new
          a secret without it is refused
      is recognised without a tag by: `engine` = `valkey`, was `engine` = `redis`
          it is used for secrets that the old one left alone
      option for new values `length`: new, 12
          new values are easier to guess
          it counts before what the operator says for all secrets

    What else changed
      field that says who and where `cluster`: new, compared with the previous version
      field that says who and where `tls`: gone, was compared with the previous version and kept from generation
      version: 0.2.0, was 0.1.0
    "#);
    assert_eq!(facts.lines().count(), 2, "{facts}");
    let report = diff(&new).arg("--json").run().failed_with(3).json();
    assert_eq!((&report["asks_for_more"], &report["new"]["version"]), (&json!(true), &json!("0.2.0")));
    assert_eq!(report["old"]["digest"], inspected("redis")["digest"]);
    let asking = report["changes"].as_array().unwrap().iter().filter(|change| change["more"] != json!([]));
    let asking: Vec<_> = asking.map(|change| (change["part"].as_str().unwrap(), change["name"].as_str().unwrap())).collect();
    assert_eq!(
        asking,
        [("endpoint", "metrics"), ("endpoint", "redis"), ("needed", "cluster"), ("match", ""), ("password", "length")]
    );
}

#[test]
fn diff_ends_with_0_if_nothing_more_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let new = redis_with(folder.path(), &[("version = \"0.1.0\"", "version = \"0.1.1\"")]);
    let finished = diff(&new).run().succeeded();
    assert!(finished.stdout.contains("\nThe new one asks for nothing more.\n"), "{finished:?}");
    assert!(finished.stdout.contains("\n  version: 0.1.1, was 0.1.0\n"), "{finished:?}");
    assert_eq!(diff(&new).arg("--json").run().succeeded().json()["asks_for_more"], false);
    let same = diff(&built::plugin("redis")).run().succeeded();
    assert_eq!(same.stdout, "redis 0.1.0 -> redis 0.1.0\n\nThe two are the same, byte for byte.\n");
}

/// What another plugin can do shows, without a manifest that says so.
#[test]
fn diff_of_two_plugins_names_what_only_the_new_one_can_do() {
    let finished = diff(&built::plugin("rabbitmq")).run().failed_with(3);
    assert!(finished.stdout.contains("\n  ability `http`: new, send HTTP requests"), "{finished:?}");
    assert!(finished.stdout.contains("\n  ability `connection`: gone, was open byte streams"), "{finished:?}");
}

#[test]
fn build_says_in_json_what_it_built() {
    let build = with_rust(Program::windlass()).args(["build", "--json", "--no-install"]).arg(root().join("plugins/redis"));
    let report = build.run().succeeded().json();
    let built = inspected("redis");
    assert_eq!(
        report,
        json!({
            "name": "redis",
            "version": "0.1.0",
            "path": built::plugin("redis"),
            "size": built["size"],
            "digest": built["digest"],
        })
    );
}

/// `rustc` of a toolchain without a target for WebAssembly, and nothing else: no rustup, no apt-get, no sudo.
#[rstest]
#[case::refused_to_install(&["--no-install"])]
#[case::nothing_to_install_with(&[])]
fn without_a_toolchain_for_webassembly_build_says_what_to_run(#[case] arguments: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let rustc = folder.path().join("rustc");
    fs::write(&rustc, format!("#!/bin/sh\necho '{}'\n", folder.path().display())).unwrap();
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)).unwrap();
    let build = Program::windlass().arg("build").args(arguments).arg(root().join("plugins/redis")).env("PATH", folder.path());
    let finished = build.run().failed_with(1);
    assert_eq!(finished.stdout, "");
    assert!(finished.stderr.contains("apt-get install -y --no-install-recommends rustc-web rust-web-src"), "{finished:?}");
    assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
}

#[test]
fn without_rust_build_says_where_to_get_it() {
    let nothing = tempfile::tempdir().unwrap();
    let build = Program::windlass().arg("build").arg(root().join("plugins/redis")).env("PATH", nothing.path());
    let finished = build.run().failed_with(1);
    assert!(finished.stderr.contains("https://rustup.rs"), "{finished:?}");
}

#[rstest]
#[case::no_folder("nowhere", "nowhere cannot be read")]
#[case::no_plugin(
    "",
    "plugin.toml cannot be read. A plugin's folder holds plugin.toml, and Cargo.toml and src, plugin.py or plugin.js"
)]
fn a_folder_without_a_plugin_is_named(#[case] name: &str, #[case] says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let finished = Program::windlass().arg("build").arg(folder.path().join(name)).run().failed_with(1);
    assert!(finished.stderr.contains(says), "{finished:?}");
}

#[rstest]
#[case::all(&[])]
#[case::demo(&["demo"])]
#[case::rotate(&["rotate"])]
#[case::local(&["local"])]
#[case::build(&["build"])]
#[case::inspect(&["inspect"])]
#[case::diff(&["diff"])]
#[case::keygen(&["keygen"])]
#[case::sign(&["sign"])]
#[case::new(&["new"])]
#[case::test(&["test"])]
fn every_command_explains_itself(#[case] command: &[&str]) {
    let finished = Program::windlass().args(command).arg("--help").run().succeeded();
    assert_eq!(finished.stderr, "");
    assert!(finished.stdout.contains("Usage: windlass"), "{finished:?}");
    // Every option and argument has a sentence.
    let lines: Vec<_> = finished.stdout.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with('-')) {
        let explained = line.trim_start().split_once("  ").is_some_and(|(_, text)| !text.trim().is_empty());
        let below = lines.get(at + 1).is_some_and(|next| next.starts_with("          ") && !next.trim().is_empty());
        assert!(explained || below, "`{line}` has no explanation");
    }
}

#[test]
fn help_is_more_than_the_list_of_commands_says() {
    let help = |command: &str| Program::windlass().args([command, "--help"]).run().succeeded().stdout;
    assert!(help("rotate").contains("Killed anywhere and run again, it finishes"), "{}", help("rotate"));
    assert!(help("local").contains("Secrets live in memory"), "{}", help("local"));
    assert!(help("diff").contains("Ends with 3 if it does"), "{}", help("diff"));
    let all = Program::windlass().arg("--help").run().succeeded().stdout;
    assert!(!all.contains("Killed anywhere") && all.contains("Rotate the credential in a file"), "{all}");
}

#[test]
fn the_version_is_the_packages() {
    let finished = Program::windlass().arg("--version").run().succeeded();
    assert_eq!(finished.stdout, format!("windlass {}\n", env!("CARGO_PKG_VERSION")));
}

#[rstest]
#[case::nothing(&[])]
#[case::unknown_command(&["rotaet"])]
#[case::unknown_option(&["demo", "--jsno"])]
#[case::missing_option(&["rotate", "--plugin", "x.wasm"])]
#[case::one_of_two(&["diff", "x.wasm"])]
#[case::no_file_for_the_key(&["keygen"])]
#[case::nothing_to_sign(&["sign", "--key", "release.key"])]
#[case::no_key_to_sign_with(&["sign", "redis.wasm"])]
#[case::no_address(&["local", "--plugins", "/", "--listen", "here"])]
fn a_wrong_command_line_ends_with_2_and_says_nothing_on_standard_output(#[case] arguments: &[&str]) {
    let finished = Program::windlass().args(arguments).run().failed_with(2);
    assert_eq!(finished.stdout, "");
    let instruction = if arguments.is_empty() { "Usage: windlass" } else { "For more information, try '--help'." };
    assert!(finished.stderr.contains(instruction), "{finished:?}");
}

fn checked(text: &str, arguments: &[&str]) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("windlass.toml"), text).unwrap();
    Program::windlass().folder(folder.path()).args(["config", "check", "windlass.toml"]).args(arguments).run()
}

#[test]
fn a_right_configuration_is_said_to_be_right() {
    let finished = checked("[[secrets]]\nsecret = \"prod/*\"\n", &[]).succeeded();
    assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("windlass.toml is right: 1 rule for secrets\n", ""));
}

#[rstest]
#[case::key("[tls]\nca_file = \"a\"", &["line 2", "unknown field `ca_file`", "`ca_files`"])]
#[case::limit("[limits]\nmemory_mib = 9999", &["line 2", "memory_mib", "from 1 to 1024 MiB"])]
#[case::grant("[[secrets]]\nsecret = \"a\"\nendpoints = [\"a.example\"]", &["line 3", "it has no port", "host:port"])]
#[case::certificate("[tls]\nca_files = [\"missing.pem\"]", &["missing.pem", "cannot be read"])]
#[case::loopback("danger_loopback_endpoints = [\"localhost\"]", &["`danger_loopback_endpoints`", "matches nothing"])]
fn a_wrong_configuration_is_told_where_and_what(#[case] text: &str, #[case] words: &[&str]) {
    let finished = checked(text, &[]).failed_with(1);
    for words in words {
        assert!(finished.stderr.contains(words), "`{words}` is not in {finished:?}");
    }
}

#[test]
fn a_configuration_is_explained_for_one_secret() {
    let text =
        "[limits]\ncall_seconds = 20\n\n[[secrets]]\nsecret = \"prod/*\"\ntags = { team = \"a\" }\nadmin = \"redis/admin\"\n";
    let explained = |tag| checked(text, &["--explain", "prod/app", "--tag", tag]).succeeded().stdout;
    let covered = explained("team=a");
    assert!(covered.starts_with("prod/app is covered by the rule for `prod/*` at line 4 of windlass.toml.\n"), "{covered}");
    assert!(covered.contains("  redis/admin  (rule at line 4)\n") && covered.contains("  20 s  ([limits])\n"), "{covered}");
    let other = explained("team=b");
    assert!(other.starts_with("prod/app is covered by no rule of windlass.toml.\n") && !other.contains("redis/admin"), "{other}");
    let json = checked(text, &["--explain", "prod/app", "--tag", "team=a", "--json"]).succeeded().json();
    let admin = json.as_array().unwrap().iter().find(|of| of["key"] == "admin").unwrap();
    assert_eq!(admin, &json!({ "key": "admin", "value": "redis/admin", "origin": "rule at line 4" }));
    let tagged = explained("windlass:password_length=20");
    assert!(tagged.contains("  20  (the secret's tag)\n"), "{tagged}");
    checked(text, &["--explain", "no secret"]).failed_with(1);
    checked(text, &["--tag", "a=b"]).failed_with(2);
    let misspelt = checked(text, &["--explain", "prod/app", "--tag", "windlass:plugn=redis"]).failed_with(1);
    assert!(misspelt.stderr.contains("the secret's tag `windlass:plugn` is wrong: there is no such tag"), "{misspelt:?}");
}
