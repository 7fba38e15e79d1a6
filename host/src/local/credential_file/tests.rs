use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::local::backend::{Backend, Begun};
use crate::local::error::Exception;
use crate::local::protocol::Operation;
use crate::local::store::FunctionArn;

struct Run {
    backend: Arc<Backend>,
    secret: String,
    version: String,
    _begun: Begun,
}

fn function() -> FunctionArn {
    FunctionArn::parse(FunctionArn::DEFAULT).unwrap()
}

/// Opens the file and begins (or continues) a rotation of it, which is killed after so many file operations.
fn begin(path: &Path, killed_after: Option<usize>) -> Run {
    // How many more file operations happen before the process is "killed".
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let steps = Arc::clone(&left);
    let take_one = move || steps.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    let before_step = move || take_one().map(drop).map_err(|_| io::Error::other("killed here"));
    let file = CredentialFile::open_with(path, Box::new(before_step)).unwrap();
    left.store(killed_after.unwrap_or(usize::MAX), Ordering::Relaxed);
    let (backend, begun, request) = Backend::with_credential_file(function(), file, Vec::new()).unwrap();
    backend.rotate(&request).unwrap();
    Run { backend, secret: request.secret_id.unwrap(), version: request.client_request_token.unwrap(), _begun: begun }
}

impl Run {
    fn call(&self, operation: &str, mut request: serde_json::Value) -> Result<serde_json::Value, Exception> {
        request["SecretId"] = self.secret.as_str().into();
        let operation = Operation::from_target(Some(&format!("secretsmanager.{operation}"))).unwrap();
        self.backend.call(operation, request.to_string().as_bytes()).map_err(|error| error.exception)
    }

    /// What a host does: creates the value unless it is there, changes the service, moves AWSCURRENT.
    fn finish(&self, fresh: &str, service: &mut Option<String>) -> Result<(), Exception> {
        let read = json!({"VersionId": self.version, "VersionStage": "AWSPENDING"});
        let value = match self.call("GetSecretValue", read.clone()) {
            Ok(answer) => answer["SecretString"].as_str().unwrap().to_owned(),
            Err(_) => {
                let put = json!({"ClientRequestToken": self.version, "SecretString": fresh, "VersionStages": ["AWSPENDING"]});
                self.call("PutSecretValue", put)?;
                fresh.to_owned()
            }
        };
        *service = Some(value);
        let labels = self.call("DescribeSecret", json!({}))?["VersionIdsToStages"].clone();
        let holder =
            labels.as_object().unwrap().iter().find(|(_, labels)| labels.as_array().unwrap().contains(&json!("AWSCURRENT")));
        let holder = holder.unwrap().0;
        let swap = json!({"VersionStage": "AWSCURRENT", "MoveToVersionId": self.version, "RemoveFromVersionId": holder});
        self.call("UpdateSecretVersionStage", swap).map(drop)
    }
}

fn content(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// At every moment, some file holds what the service accepts; and the run after a kill finishes with it.
#[test]
fn killed_at_any_step_and_run_again_it_finishes() {
    let mut killed = 0;
    for step in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credential");
        fs::write(&path, "first").unwrap();
        fs::write(beside(&path, ".previous"), "older").unwrap();
        let mut service = Some("first".to_owned());
        let done = begin(&path, Some(step)).finish("second", &mut service).is_ok();
        let accepted = service.clone().unwrap();
        let kept = ["", ".pending"].map(|suffix| fs::read_to_string(beside(&path, suffix)).unwrap_or_default());
        assert!(kept.contains(&accepted), "killed before step {step}: no file holds what the service accepts");
        assert_ne!(kept[0], "", "FILE is always there");

        if !done {
            killed += 1;
            begin(&path, None).finish("third", &mut service).unwrap();
        }
        assert_eq!(Some(content(&path)), service, "killed before step {step}");
        assert!(!beside(&path, ".pending").exists());
        assert_eq!(names(folder.path()), ["credential", "credential.previous"]);
        if done {
            break;
        }
        // The kill may have come after the rename: then the second run was another rotation.
        let expected = if content(&path) == "second" { "first" } else { ["first", "second"][usize::from(accepted == "second")] };
        assert_eq!(content(&beside(&path, ".previous")), expected, "killed before step {step}");
    }
    assert!(killed > 10, "only {killed} steps were cut off");
}

#[test]
fn the_pending_value_is_on_disk_before_it_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credential");
    fs::write(&path, "first\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let run = begin(&path, None);
    let put = json!({"ClientRequestToken": run.version, "SecretString": "second", "VersionStages": ["AWSPENDING"]});
    run.call("PutSecretValue", put).unwrap();
    let pending = beside(&path, ".pending");
    assert_eq!((content(&pending).as_str(), content(&path).as_str()), ("second", "first\n"));
    assert_eq!(fs::metadata(&pending).unwrap().mode() & 0o777, 0o640, "what replaces the file is as readable as the file");
}

#[test]
fn a_put_that_cannot_be_written_is_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credential");
    fs::write(&path, "first").unwrap();
    let run = begin(&path, Some(0));
    let put = json!({"ClientRequestToken": run.version, "SecretString": "second", "VersionStages": ["AWSPENDING"]});
    assert_eq!(run.call("PutSecretValue", put), Err(Exception::InternalService));
    assert!(run.call("GetSecretValue", json!({"VersionId": run.version})).is_err(), "it has not happened");
}

#[test]
fn an_abandoned_rotation_leaves_no_pending_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credential");
    fs::write(&path, "first").unwrap();
    let run = begin(&path, None);
    let put = json!({"ClientRequestToken": run.version, "SecretString": "second", "VersionStages": ["AWSPENDING"]});
    run.call("PutSecretValue", put).unwrap();
    run.call("PutSecretValue", json!({"ClientRequestToken": "f".repeat(32), "SecretString": "by hand"})).unwrap();
    assert_eq!(content(&path), "by hand");
    assert_eq!(names(folder.path()), ["credential", "credential.lock", "credential.previous"]);
}

#[test]
fn a_file_that_somebody_else_changed_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credential");
    fs::write(&path, "first").unwrap();
    let run = begin(&path, None);
    fs::write(&path, "edited").unwrap();
    assert_eq!(run.finish("second", &mut None), Err(Exception::InternalService));
    assert_eq!((content(&path).as_str(), content(&beside(&path, ".pending")).as_str()), ("edited", "second"));
}

#[test]
fn the_version_stays_the_same_until_the_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credential");
    fs::write(&path, "first").unwrap();
    let token = || CredentialFile::open(&path).unwrap().token().to_owned();
    let before = token();
    assert_eq!(before, token());
    assert_eq!(before.len(), 36);
    begin(&path, None).finish("second", &mut None).unwrap();
    assert_ne!(before, token());
}

#[test]
fn a_pending_file_equal_to_the_credential_is_tidied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credential");
    fs::write(&path, "first").unwrap();
    fs::write(beside(&path, ".pending"), "first").unwrap();
    assert!(CredentialFile::open(&path).unwrap().values().2.is_none());
    assert_eq!(names(folder.path()), ["credential"]);
}

#[test]
fn a_link_is_followed_and_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("real/credential");
    fs::create_dir(folder.path().join("real")).unwrap();
    fs::write(&target, "first").unwrap();
    let link = folder.path().join("link");
    symlink(&target, &link).unwrap();
    begin(&link, None).finish("second", &mut None).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!((content(&link).as_str(), content(&beside(&target, ".previous")).as_str()), ("second", "first"));
}

#[test]
fn two_runs_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credential");
    fs::write(&path, "first").unwrap();
    let first = CredentialFile::open(&path).unwrap();
    let error = CredentialFile::open(&path).err().unwrap().to_string();
    assert!(error.contains(&format!("is being rotated by process {}", std::process::id())), "{error}");
    drop(first);
    assert!(CredentialFile::open(&path).is_ok());
}

#[test]
fn bytes_that_are_not_text_are_binary() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credential");
    fs::write(&path, [0xff, 0x00]).unwrap();
    assert!(matches!(CredentialFile::open(&path).unwrap().values().0, SecretValue::Binary(_)));
}

#[rstest]
#[case::missing(|_: &Path| {}, "there is no credential file")]
#[case::dangling(|path: &Path| symlink("nowhere", path).unwrap(), "there is no credential file")]
#[case::folder(|path: &Path| fs::create_dir(path).unwrap(), "is not a regular file")]
#[case::empty(|path: &Path| fs::write(path, "").unwrap(), "is empty")]
#[case::large(|path: &Path| fs::write(path, vec![b'x'; 65_537]).unwrap(), "has 65537 bytes")]
#[case::pending_link(
    |path: &Path| { fs::write(path, "x").unwrap(); symlink("/etc/passwd", beside(path, ".pending")).unwrap(); },
    ".pending is a symbolic link"
)]
#[case::empty_pending(
    |path: &Path| { fs::write(path, "x").unwrap(); fs::write(beside(path, ".pending"), "").unwrap(); },
    ".pending is empty"
)]
fn refuses_before_anything_is_changed(#[case] prepare: fn(&Path), #[case] part: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credential");
    prepare(&path);
    let before = names(folder.path());
    let error = CredentialFile::open(&path).err().unwrap().to_string();
    assert!(error.contains(part), "{error}");
    assert_eq!(names(folder.path()), before);
}
