//! Two users that take turns, against a real PostgreSQL: the credential in use works until the rotation after the next, both act as the
//! same role, and nobody is changed but the user whose turn it is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test is meant to panic, in its helpers too")]

#[path = "alternating_users/postgresql.rs"]
mod postgresql;
mod support;

use std::fs;
use std::path::PathBuf;

use postgresql::PostgreSql;
use serde_json::{Value, json};
use support::built;
use support::canary::Canary;
use support::process::{Finished, Program};

/// A secret in a file, whose users take turns, and the server that knows them.
struct Scene {
    server: PostgreSql,
    folder: tempfile::TempDir,
}

impl Scene {
    /// The role `app` owns a table and has this password.
    fn new(password: &str) -> Self {
        let server = PostgreSql::start();
        server.as_superuser(&format!("CREATE ROLE app LOGIN PASSWORD '{password}'; CREATE SCHEMA AUTHORIZATION app"));
        server.sql("app", password, "CREATE TABLE app.orders (id int); INSERT INTO app.orders VALUES (1)");
        let scene = Self { server, folder: tempfile::tempdir().unwrap() };
        let (rotator, of_rotator) = scene.server.rotator();
        let secret = |user: &str, password: &str| json!({ "username": user, "password": password, "host": "localhost", "port": scene.server.port() });
        fs::write(scene.file("secret.json"), secret("app", password).to_string()).unwrap();
        fs::write(scene.file("admin.json"), secret(rotator, of_rotator).to_string()).unwrap();
        let ca_file = scene.server.ca_file().display();
        let rule = "secret = \"*\"\nadmin = \"admin\"\nalternating_users = true";
        fs::write(scene.file("windlass.toml"), format!("[tls]\nca_files = [\"{ca_file}\"]\n[[secrets]]\n{rule}\n")).unwrap();
        scene
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn rotate(&self, plugin: &str) -> Finished {
        let rotate = Program::windlass().args(["rotate", "--plugin"]).arg(built::plugin(plugin));
        let rotate = rotate.arg("--secret").arg(self.file("secret.json")).arg("--admin").arg(self.file("admin.json"));
        rotate.arg("--config").arg(self.file("windlass.toml")).run()
    }

    /// User and password in the secret's file.
    fn secret(&self) -> (String, Canary) {
        let secret: Value = serde_json::from_str(&fs::read_to_string(self.file("secret.json")).unwrap()).unwrap();
        (secret["username"].as_str().unwrap().to_owned(), Canary::of(secret["password"].as_str().unwrap()))
    }

    fn logs_in(&self, (user, password): &(String, Canary)) -> bool {
        self.server.try_sql(user, password.value(), "SELECT 1").is_some()
    }
}

#[test]
fn each_credential_works_until_its_user_has_the_next_turn() {
    let first = Canary::new();
    let scene = Scene::new(first.value());
    let mut credentials = vec![("app".to_owned(), first)];
    for user in ["app_clone", "app", "app_clone", "app"] {
        let finished = scene.rotate("postgresql").succeeded();
        let new = scene.secret();
        let old = credentials.last().unwrap();
        finished.without(&new.1).without(&old.1);
        assert_eq!(new.0, user);
        assert!(scene.logs_in(&new) && scene.logs_in(old), "{user}");
        if let [.., gone, _] = credentials.as_slice() {
            assert!(!scene.logs_in(gone), "the credential before the last one");
        }
        // Whoever of the two has made something, the other one may use it.
        let table = format!("app.of_turn_{}", credentials.len());
        scene.server.sql(user, new.1.value(), &format!("CREATE TABLE {table} (id int); INSERT INTO {table} TABLE app.orders"));
        assert_eq!(scene.server.sql(&old.0, old.1.value(), &format!("SELECT count(*) FROM {table}; DROP TABLE {table}")), "1");
        credentials.push(new);
    }
}

#[test]
fn what_the_second_user_has_lost_is_given_again() {
    let scene = Scene::new(Canary::new().value());
    scene.rotate("postgresql").succeeded();
    for lost in [
        "DROP ROLE app_clone",
        "REVOKE app FROM app_clone; ALTER ROLE app_clone RESET role",
        "ALTER ROLE app_clone PASSWORD 'drifted'",
    ] {
        // Back to the first user, so that the second one has its turn next.
        scene.rotate("postgresql").succeeded();
        scene.server.as_superuser(lost);
        scene.rotate("postgresql").succeeded();
        let (user, password) = scene.secret();
        assert_eq!(user, "app_clone", "{lost}");
        assert_eq!(scene.server.sql(&user, password.value(), "SELECT current_user, count(*) FROM app.orders"), "app|1", "{lost}");
    }
}

/// Else whoever may write the secret would be given a user with the rights of anybody they name.
#[test]
fn the_admin_does_nothing_for_a_user_whose_password_nobody_knows() {
    let scene = Scene::new(Canary::new().value());
    scene.server.as_superuser("CREATE ROLE master LOGIN CREATEDB PASSWORD 'somebody knows it'");
    let guess = Canary::new();
    let secret = json!({ "username": "master", "password": guess.value(), "host": "localhost", "port": scene.server.port() });
    fs::write(scene.file("secret.json"), secret.to_string()).unwrap();
    let finished = scene.rotate("postgresql").failed_with(1).without(&guess);
    assert!(finished.stderr.contains("Windlass.Unauthorized") && finished.stderr.contains("take turns"), "{}", finished.stderr);
    assert_eq!(scene.server.as_superuser("SELECT count(*) FROM pg_roles WHERE rolname = 'master_clone'"), "0");
}

#[test]
fn a_name_that_leaves_no_room_for_the_other_user_is_refused_before_anything_changes() {
    let scene = Scene::new(Canary::new().value());
    let (long, password) = ("x".repeat(60), Canary::new());
    scene.server.as_superuser(&format!("CREATE ROLE {long} LOGIN PASSWORD '{}'", password.value()));
    let secret = json!({ "username": long, "password": password.value(), "host": "localhost", "port": scene.server.port() });
    fs::write(scene.file("secret.json"), secret.to_string()).unwrap();
    let finished = scene.rotate("postgresql").failed_with(1).without(&password);
    assert!(finished.stderr.contains("longer than 63 bytes"), "{}", finished.stderr);
    assert!(scene.logs_in(&(long, password)));
}

#[test]
fn a_plugin_that_cannot_do_it_is_refused_by_name() {
    let scene = Scene::new(Canary::new().value());
    let finished = scene.rotate("redis").failed_with(1);
    insta::assert_snapshot!(finished.stderr, @"error: createSecret failed with Windlass.NoAlternatingUsers: `alternating_users` is set and the plugin `redis` cannot change another user than that of AWSCURRENT: its manifest has no `secret.alternating`. Use another plugin, or drop `alternating_users`");
    assert_eq!(scene.secret().0, "app");
}
