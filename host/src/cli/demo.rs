//! `windlass demo`: a complete rotation on this machine, without an AWS account.
//!
//! Nothing is simulated except AWS and the broker's other half: a real component, built from `plugins/rabbitmq`, changes a password
//! in a service with its own user store, over a real connection, in the sandbox of the Lambda.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant};

use self::broker::Broker;
use super::build::{self, BuildError};
use super::one_rotation::{OneRotation, OneRotationError};
use super::progress;
use super::timeline::{self, StepJson};
use crate::config::Config;
use crate::event::SecretArn;
use crate::local::api::{RotateSecret, Tag};
use crate::local::backend::Backend;
use crate::local::error::ServiceError;
use crate::local::ids;
use crate::local::store::FunctionArn;
use crate::password::{PasswordError, PasswordOptions, PasswordPolicy};
use crate::plugin::component_file::{ComponentError, ComponentFile};
use crate::plugin::source::PluginSource;
use crate::secret::{SecretText, SecretValue};
use crate::secrets::{SecretsError, SecretsManager};

mod broker;

/// Rotate a password on this machine: embedded Secrets Manager, embedded service, real plugin, no AWS account.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object and nothing else on standard output.
    #[arg(long)]
    json: bool,
    /// Do not install a missing wasm toolchain; say what to run instead.
    #[arg(long)]
    no_install: bool,
    /// Use this component instead of building plugins/rabbitmq.
    #[arg(long, value_name = "WASM")]
    plugin: Option<PathBuf>,
}

/// Why the demo did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The plugin cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The component cannot be used.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The component is for something else than the embedded service.
    #[error(
        "plugin `{plugin}` is for another service than the demo's, which is a broker at {{host}}:{{{PORT_FIELD}}}. Rotate a real \
         credential with `windlass rotate` instead"
    )]
    OtherService {
        /// The plugin.
        plugin: String,
    },
    /// The embedded service or its client failed.
    #[error("the embedded service cannot be used: {0}")]
    Service(#[from] io::Error),
    /// The embedded service answered what it never should.
    #[error("the embedded service cannot be used: {0}")]
    Http(#[from] hyper::Error),
    /// No first password can be made.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The local Secrets Manager refuses.
    #[error(transparent)]
    Local(#[from] ServiceError),
    /// The local Secrets Manager does not answer.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The rotation failed.
    #[error(transparent)]
    Rotation(#[from] OneRotationError),
    /// The rotation succeeded and the service disagrees: a defect of Windlass.
    #[error("the rotation succeeded, but the old credential is {old} and the new one is {new}. Please report this")]
    Proof {
        /// What became of the old credential.
        old: &'static str,
        /// What became of the new one.
        new: &'static str,
    },
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    plugin: PluginJson,
    steps: Vec<StepJson>,
    labels_before: Labels,
    labels_after: Labels,
    old_credential: &'static str,
    new_credential: &'static str,
}

#[derive(Serialize)]
struct PluginJson {
    name: String,
    version: String,
    digest: String,
}

/// Staging labels by version id.
type Labels = BTreeMap<String, Vec<String>>;

const SECRET: &str = "demo/broker";
const USER: &str = "app";
const PORT_FIELD: &str = "management_port";

/// Runs the demo and prints what happens.
///
/// # Errors
///
/// [`DemoError`] says which part failed and what to do.
pub async fn run(args: Args, out: &mut impl Write) -> Result<(), DemoError> {
    let mut nobody = io::sink();
    let people: &mut dyn Write = if args.json { &mut nobody } else { &mut *out };
    writeln!(people, "One rotation on this machine, without an AWS account.\n")?;
    let component = match &args.plugin {
        Some(wasm) => ComponentFile::read(wasm)?,
        None => build::shipped("rabbitmq", !args.no_install, &mut progress)?.component,
    };
    let manifest = component.manifest();
    if !manifest.endpoint_fields().any(|field| field == PORT_FIELD) {
        return Err(DemoError::OtherService { plugin: manifest.name.to_string() });
    }
    let (name, version, digest) = (manifest.name.to_string(), manifest.version.clone(), component.digest().to_string());
    writeln!(people, "  plugin   {name} {version}, {} KiB, {digest}", component.wasm().len() / 1024)?;

    let old = PasswordPolicy::new(&PasswordOptions::default())?.generate()?;
    // The first password reaches the embedded service and the embedded Secrets Manager, as an operator would set it up.
    let broker = Broker::start(USER, old.expose()).await?;
    let port = broker.port();
    writeln!(people, "  service  a broker's user interface on http://127.0.0.1:{port}, user `{USER}`")?;

    let (backend, begun) = Backend::new(FunctionArn::default());
    let created = create(&backend, &name, port, &old)?;
    let (config, source) = (Config::with_plugins(PathBuf::new()), PluginSource::only(component, None));
    let mut rotation = OneRotation::start(backend, begun, config, source, &Arc::default()).await?;
    let secrets = rotation.secrets().clone();
    let labels_before = labels(&secrets, &created).await?;
    writeln!(people, "  secret   {SECRET}: {}\n", shown(&labels_before))?;

    let request = RotateSecret {
        secret_id: Some(created.as_str().to_owned()),
        client_request_token: Some(ids::uuid()?),
        rotation_lambda_arn: Some(FunctionArn::DEFAULT.to_owned()),
        ..RotateSecret::default()
    };
    let steps = rotation.rotate(&request, |report| drop(writeln!(people, "{}", timeline::line(report)))).await?;

    let labels_after = labels(&secrets, &created).await?;
    let new = secrets.current(created.as_str(), Instant::now() + Duration::from_secs(5)).await?;
    let new = new.as_ref().and_then(|version| password(&version.value));
    let old_credential = login(port, Some(&old)).await?;
    let new_credential = login(port, new.as_ref()).await?;
    writeln!(people, "\n  secret   {SECRET}: {}", shown(&labels_after))?;
    writeln!(people, "  proof    old credential {old_credential}, new credential {new_credential} by the service")?;
    if (old_credential, new_credential) != ("refused", "accepted") {
        return Err(DemoError::Proof { old: old_credential, new: new_credential });
    }
    if args.json {
        let report = Report {
            plugin: PluginJson { name, version, digest },
            steps: steps.iter().map(StepJson::from).collect(),
            labels_before,
            labels_after,
            old_credential,
            new_credential,
        };
        writeln!(out, "{}", serde_json::to_string_pretty(&report).map_err(io::Error::from)?)?;
    }
    Ok(())
}

/// Stores the first value, as `aws secretsmanager create-secret` would.
fn create(backend: &Backend, plugin: &str, port: u16, password: &SecretText) -> Result<SecretArn, ServiceError> {
    let value = serde_json::json!({
        "username": USER, "password": password.expose(), "host": "127.0.0.1", PORT_FIELD: port, "tls": false
    });
    let tag = Tag { key: "windlass:plugin".to_owned(), value: plugin.to_owned() };
    let arn = backend.create(SECRET, &SecretValue::text(value.to_string()), vec![tag])?;
    Ok(SecretArn::parse(&arn).expect("the store makes full ARNs"))
}

async fn labels(secrets: &SecretsManager, arn: &SecretArn) -> Result<Labels, SecretsError> {
    let described = secrets.describe(arn, Instant::now() + Duration::from_secs(5)).await?;
    Ok(described.labels.into_iter().map(|(version, labels)| (version.to_string(), labels)).collect())
}

fn shown(labels: &Labels) -> String {
    let version =
        |(version, labels): (&String, &Vec<String>)| format!("{} = {}", labels.join("+"), version.get(..8).unwrap_or(version));
    let mut versions: Vec<_> = labels.iter().map(version).collect();
    // The ids are random; AWSCURRENT is named first.
    versions.sort();
    versions.join(", ")
}

fn password(value: &SecretValue) -> Option<SecretText> {
    crate::candidate::field(&crate::manifest::SecretShape::default(), value, "password")
}

/// Asks the service itself, past plugin and host, whether it takes a password.
#[expect(clippy::disallowed_methods, reason = "the proof goes past the host on purpose, to a port that this process opened")]
async fn login(port: u16, password: Option<&SecretText>) -> Result<&'static str, DemoError> {
    let Some(password) = password else { return Ok("missing") };
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    // The proof uses the credential, so it has to see it.
    let credential = BASE64_STANDARD.encode(format!("{USER}:{}", password.expose()));
    let request = Request::get("/api/whoami")
        .header(HOST, "127.0.0.1")
        .header(AUTHORIZATION, format!("Basic {credential}"))
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let status = sender.send_request(request).await?.status();
    connection.abort();
    Ok(match status {
        StatusCode::OK => "accepted",
        StatusCode::UNAUTHORIZED => "refused",
        _ => "answered in an unexpected way",
    })
}
