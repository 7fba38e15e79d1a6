//! `windlass rotate`: one rotation of a credential in a file, against its real service.
//!
//! The file's value plays AWSCURRENT, `FILE.pending` AWSPENDING and `FILE.previous` AWSPREVIOUS. The new value is on disk before the
//! service hears of it, so a run that was killed anywhere is finished by the next one.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::one_rotation::{OneRotation, OneRotationError};
use super::timeline::{self, StepJson};
use crate::candidate;
use crate::capability::endpoint;
use crate::capability::grant::Grant;
use crate::capability::host_calls::HostCalls;
use crate::config::{Config, ConfigError, SecretRule};
use crate::event::SecretArn;
use crate::local::backend::Backend;
use crate::local::credential_file::{CredentialFile, CredentialFileError};
use crate::local::error::ServiceError;
use crate::local::store::FunctionArn;
use crate::manifest::{Manifest, SecretShape};
use crate::plugin::component_file::{ComponentError, ComponentFile};
use crate::plugin::source::PluginSource;
use crate::secret::SecretValue;

/// Rotate the credential in a file against its real service.
///
/// The new credential is in FILE.pending before the service is changed and replaces FILE at the end; the old one stays in
/// FILE.previous. Killed anywhere and run again, it finishes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugin: a component that `windlass build` made. It is run as it is: what a configuration trusts is about a plugin folder.
    #[arg(long, value_name = "WASM")]
    plugin: PathBuf,
    /// The credential: what the secret in Secrets Manager would hold, usually a JSON object.
    #[arg(long, value_name = "FILE")]
    secret: PathBuf,
    /// A credential that may change this one, for services whose users cannot change their own.
    #[arg(long, value_name = "FILE")]
    admin: Option<PathBuf>,
    /// A windlass.toml: certificate authorities, limits, and the first rule whose `secret` covers FILE's name.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show each call of a host function that the plugin makes, with values replaced: on standard error.
    #[arg(long)]
    trace: bool,
    /// Print one JSON object and nothing else on standard output.
    #[arg(long)]
    json: bool,
}

/// Why a credential was not rotated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// The component cannot be used.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file cannot be rotated.
    #[error(transparent)]
    File(#[from] CredentialFileError),
    /// The local Secrets Manager refuses.
    #[error(transparent)]
    Local(#[from] ServiceError),
    /// The rotation failed before there was a new value.
    #[error(transparent)]
    NotBegun(OneRotationError),
    /// The rotation failed after a new value was stored.
    #[error(
        "{why}\nThe new value is in {}, and the service may know it already. Run the command again when the cause is mended: it goes \
         on with that value",
        pending.display()
    )]
    Unfinished {
        /// Where the new value is.
        pending: PathBuf,
        /// What failed.
        why: OneRotationError,
    },
    /// The configuration names an admin credential by a secret of AWS.
    #[error(
        "the rule for {} in {} names the admin credential `{admin}`, a secret that `windlass rotate` does not read. Name a file that \
         holds its value with --admin FILE",
        secret.display(), config.display()
    )]
    NoAdmin {
        /// The credential.
        secret: PathBuf,
        /// The configuration.
        config: PathBuf,
        /// What the rule says.
        admin: String,
    },
    /// The service does not take the new value, whoever offers it.
    #[error(
        "{why}\nThe new value is in {}, and another run offers the service the same one. Once you know that the service does not use \
         it, delete that file; then run the command again, which makes another value",
        pending.display()
    )]
    Rejected {
        /// Where the new value is.
        pending: PathBuf,
        /// What the service said.
        why: OneRotationError,
    },
    /// An earlier run's new value is for something else than the file now says.
    #[error(
        "{why}\nHere {} is AWSPENDING, made when the file said something else. Give the file its earlier fields back to finish that \
         rotation; or, once you know that the service does not use the new value, delete {}. Then run the command again",
        pending.display(), pending.display()
    )]
    Outdated {
        /// Where the new value is.
        pending: PathBuf,
        /// What differs.
        why: OneRotationError,
    },
    /// The result cannot be shown.
    #[error("the result cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    secret: String,
    plugin: String,
    version: String,
    digest: String,
    steps: Vec<StepJson>,
}

const ADMIN: &str = "windlass-rotate-admin";

/// Rotates once and prints what happens.
///
/// # Errors
///
/// [`RotateError`] says what failed, and where the new value is.
pub async fn run(args: Args, out: &mut impl Write) -> Result<(), RotateError> {
    let mut nobody = io::sink();
    let people: &mut dyn Write = if args.json { &mut nobody } else { &mut *out };
    let component = ComponentFile::read(&args.plugin)?;
    let mut config = Config::with_plugins(PathBuf::new());
    if let Some(path) = &args.config {
        config.read_file(path)?;
    }
    let manifest = component.manifest().clone();
    let digest = component.digest().to_string();
    let file = CredentialFile::open(&args.secret)?;
    let admin = args.admin.as_deref().map(CredentialFile::read_only).transpose()?;
    let (current, ..) = file.values();

    // Symbolic links are followed, so the neighbours are those of what FILE points to.
    let path = file.path().to_owned();
    let beside = |suffix: &str| {
        let mut path = path.clone().into_os_string();
        path.push(suffix);
        PathBuf::from(path)
    };
    let (backend, begun, request) = Backend::with_credential_file(FunctionArn::default(), file, Vec::new())?;
    let arn = request.secret_id.as_deref().and_then(|arn| SecretArn::parse(arn).ok());
    let arn = arn.expect("the store answers with a full ARN");
    let covering = config.rule(&arn, &BTreeMap::new()).cloned();
    let covered = args.config.as_deref().map(|path| covered(covering.as_ref(), &config, path, arn.name())).unwrap_or_default();
    let mut rule = covering.unwrap_or_default();
    if let Some(value) = admin {
        backend.create(ADMIN, &value, Vec::new())?;
        rule.admin = Some(ADMIN.to_owned());
        // Whoever names the two files says that the one may change the other where that one is.
        rule.endpoints = rule.endpoints.or_else(|| addresses(&manifest, &current));
    } else if let (Some(admin), Some(config)) = (rule.admin.take(), args.config) {
        return Err(RotateError::NoAdmin { secret: args.secret, config, admin });
    }
    config.rules.insert(0, SecretRule { secret: Some((&arn).into()), tags: BTreeMap::new(), plugin: None, ..rule });

    let shown = args.secret.display().to_string();
    writeln!(people, "Rotating {shown} with plugin {} {}{covered}.\n", manifest.name, manifest.version)?;
    let failed = |why| failed(why, &beside(".pending"));
    let host_calls = Arc::new(HostCalls::default());
    let traced = |step: &str| {
        for call in host_calls.take().iter().filter(|_| args.trace) {
            super::progress(&format!("  {step:<13} {call}"));
        }
    };
    let source = PluginSource::only(component, Some(&args.plugin));
    let mut rotation = OneRotation::start(backend, begun, config, source, &host_calls).await.map_err(failed)?;
    let rotated = rotation.rotate(&request, |report| {
        traced(report.step.name());
        drop(writeln!(people, "{}", timeline::line(report)));
    });
    let rotated = rotated.await;
    // What the step did that failed.
    traced("");
    let steps = rotated.map_err(failed)?;
    writeln!(people, "\n  {shown} holds the new credential, {} the old one.", beside(".previous").display())?;
    if args.json {
        let report = Report {
            secret: shown.clone(),
            plugin: manifest.name.to_string(),
            version: manifest.version,
            digest,
            steps: steps.iter().map(StepJson::from).collect(),
        };
        writeln!(out, "{}", serde_json::to_string_pretty(&report).map_err(io::Error::from)?)?;
    }
    Ok(())
}

/// Which rule of a configuration counts, as the end of a line. A rule that was written for the credential and does not cover its file's
/// name is not to be passed over in silence.
fn covered(rule: Option<&SecretRule>, config: &Config, path: &Path, name: &str) -> String {
    match rule {
        Some(rule) => format!(", by {rule} of {}", path.display()),
        None if config.rules.is_empty() => String::new(),
        None => format!(", by no rule of {}: none covers `{name}`", path.display()),
    }
}

/// Adds what the operator has to know about the new value, if there is one.
fn failed(why: OneRotationError, pending: &Path) -> RotateError {
    if !pending.exists() {
        return RotateError::NotBegun(why);
    }
    let pending = pending.to_owned();
    let error_type = if let OneRotationError::Step { error, .. } = &why { error.error_type.as_str() } else { "" };
    match error_type {
        "Windlass.IdentityDiffers" => RotateError::Outdated { pending, why },
        "Windlass.Rejected" => RotateError::Rejected { pending, why },
        _ => RotateError::Unfinished { pending, why },
    }
}

/// Where the credential's own fields say that its service is; nothing if they do not.
fn addresses(manifest: &Manifest, current: &SecretValue) -> Option<Vec<Grant>> {
    let none = SecretShape::default();
    // Host and port, to be compared with where the plugin may connect.
    let field = |name: &str| candidate::field(&none, current, name).map(|text| text.expose().to_owned());
    let endpoints = endpoint::endpoints(manifest, &field, None).ok()?;
    Some(endpoints.values().map(Grant::exactly).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Step;
    use crate::local::invoker::InvocationError;

    #[test]
    fn says_what_to_do_with_the_pending_file_if_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let pending = folder.path().join("FILE.pending");
        let said = |error_type| {
            let error = InvocationError::new(error_type, "because");
            let text = failed(OneRotationError::Step { step: Step::Set, error }, &pending).to_string();
            text.replace(pending.to_str().unwrap(), "/FILE.pending")
        };
        assert_eq!(said("Windlass.Rejected"), "setSecret failed with Windlass.Rejected: because");
        std::fs::write(&pending, "new").unwrap();
        insta::assert_snapshot!(said("Windlass.Rejected"), @r"
        setSecret failed with Windlass.Rejected: because
        The new value is in /FILE.pending, and another run offers the service the same one. Once you know that the service does not use it, delete that file; then run the command again, which makes another value
        ");
        insta::assert_snapshot!(said("Windlass.IdentityDiffers"), @r"
        setSecret failed with Windlass.IdentityDiffers: because
        Here /FILE.pending is AWSPENDING, made when the file said something else. Give the file its earlier fields back to finish that rotation; or, once you know that the service does not use the new value, delete /FILE.pending. Then run the command again
        ");
        insta::assert_snapshot!(said("Windlass.Unreachable"), @r"
        setSecret failed with Windlass.Unreachable: because
        The new value is in /FILE.pending, and the service may know it already. Run the command again when the cause is mended: it goes on with that value
        ");
    }

    #[test]
    fn says_which_rule_counts() {
        let rule = |text: &str| {
            let mut config = Config::with_plugins(PathBuf::new());
            config.read_text(text, Path::new("w.toml")).unwrap();
            let arn = SecretArn::parse("arn:aws:secretsmanager:us-east-1:123456789012:secret:app.json-a1B2c3").unwrap();
            covered(config.rule(&arn, &BTreeMap::new()), &config, Path::new("w.toml"), arn.name())
        };
        assert_eq!(rule("[[secrets]]\nsecret = 'app*'"), ", by the rule for `app*` at line 1 of w.toml");
        assert_eq!(rule("[[secrets]]\nsecret = 'prod/app*'"), ", by no rule of w.toml: none covers `app.json`");
        assert_eq!(rule("[limits]\ncall_seconds = 20"), "");
    }

    #[tokio::test]
    async fn an_admin_secret_of_the_configuration_has_to_be_named_as_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let manifest = include_str!("../../../plugins/redis/plugin.toml");
        let args = Args {
            plugin: file("redis.wasm", &crate::plugin::component_file::tests::plugin(manifest)),
            secret: file("app.json", br#"{"username": "app", "password": "p", "host": "127.0.0.1"}"#),
            admin: None,
            config: Some(file("windlass.toml", b"[[secrets]]\nsecret = \"*\"\nadmin = \"redis/admin\"\n")),
            trace: false,
            json: false,
        };
        let error = run(args, &mut io::sink()).await.unwrap_err();
        assert!(matches!(&error, RotateError::NoAdmin { admin, .. } if admin == "redis/admin"), "{error}");
        assert!(error.to_string().contains("--admin FILE"), "{error}");
    }
}
