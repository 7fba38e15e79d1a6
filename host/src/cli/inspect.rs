//! `windlass inspect`: what a plugin is, asks for and may do, read from its bytes without running it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::ability::Ability;
use crate::cli::{CommandResult, sign};
use crate::local::credential_file::CredentialFile;
use crate::manifest::{EndpointTemplate, Manifest, TlsExpectation};
use crate::plugin::component_file::ComponentFile;
use crate::plugin::producers::Producers;
use crate::redact::legible;

mod with_secret;

use with_secret::WithSecret;

/// Say what a plugin is, asks for and may do, without running it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The component, a `.wasm` file.
    file: PathBuf,
    /// A secret, as `windlass rotate --secret` takes it: say where the plugin could connect with it, and what it lacks. Nothing
    /// else of it is printed, and nothing is connected to.
    #[arg(long, value_name = "FILE")]
    secret: Option<PathBuf>,
    /// Print JSON instead of words.
    #[arg(long)]
    json: bool,
}

/// Reads the component and describes it.
///
/// # Errors
///
/// The file is no plugin ([`crate::plugin::component_file::ComponentError`]), the secret cannot be read
/// ([`crate::local::credential_file::CredentialFileError`]), or standard output cannot be written.
pub fn run(args: &Args, out: &mut impl Write) -> CommandResult {
    let component = ComponentFile::read(&args.file)?;
    let secret = args.secret.as_deref().map(CredentialFile::read_only).transpose()?;
    let with_secret = secret.map(|secret| WithSecret::of(component.manifest(), &secret));
    if args.json {
        let signed_by = sign::signed_by(&args.file, &component);
        let facts = Facts { signed_by, with_secret, ..facts(&component) };
        writeln!(out, "{}", legible::json(&serde_json::to_string_pretty(&facts)?))?;
    } else {
        out.write_all(words(&component).as_bytes())?;
        writeln!(out, "\nSignature\n  {}", sign::seen(&args.file, &component))?;
        if let (Some(path), Some(with_secret)) = (&args.secret, with_secret) {
            writeln!(out, "\nWith the secret in {}", legible::line(&path.display().to_string()))?;
            for line in with_secret.words() {
                writeln!(out, "  {line}")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Facts<'a> {
    name: &'a str,
    version: &'a str,
    description: &'a str,
    digest: String,
    size: usize,
    contract: &'a str,
    toolchain: Producers,
    overlap: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_secret_seconds: Option<u32>,
    required: &'a [String],
    generated: &'a [String],
    identity: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alternating: Option<&'a str>,
    defaults: &'a BTreeMap<String, String>,
    #[serde(rename = "match")]
    matches: &'a BTreeMap<String, String>,
    endpoints: BTreeMap<&'a str, EndpointFacts>,
    settings: &'a BTreeMap<String, String>,
    plain_text: PlainText,
    imports: &'a [String],
    exports: &'a [String],
    /// The key whose signature of these bytes lies beside the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with_secret: Option<WithSecret>,
}

/// The versions of the secret that the code can read as they are, by step.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct PlainText {
    set_secret: &'static [&'static str],
    test_secret: &'static [&'static str],
}

impl PlainText {
    fn of(component: &ComponentFile) -> Self {
        if Ability::Secret.held_by(component) {
            Self { set_secret: &["pending", "current", "previous", "admin"], test_secret: &["pending"] }
        } else {
            Self { set_secret: &[], test_secret: &[] }
        }
    }

    fn words(&self) -> Vec<&'static str> {
        if self.set_secret.is_empty() {
            return vec!["cannot read any version"];
        }
        vec![
            "set-secret: pending, current, and previous if it is for the same identity; admin only if the operator binds one",
            "test-secret: pending",
        ]
    }
}

#[derive(Debug, Serialize)]
struct EndpointFacts {
    address: String,
    tls: &'static str,
    /// Whether it is out of reach until the operator lists it.
    needs_grant: bool,
}

fn facts(component: &ComponentFile) -> Facts<'_> {
    let manifest = component.manifest();
    let endpoints = manifest.endpoints.iter().map(|(name, endpoint)| {
        let tls = match endpoint.tls {
            TlsExpectation::Required => "required",
            TlsExpectation::Optional => "optional",
            TlsExpectation::StartTls => "start-tls",
        };
        (name.as_str(), EndpointFacts { address: endpoint.address.to_string(), tls, needs_grant: needs_grant(endpoint) })
    });
    Facts {
        name: manifest.name.as_str(),
        version: &manifest.version,
        description: &manifest.description,
        digest: component.digest().to_string(),
        size: component.wasm().len(),
        contract: component.contract(),
        toolchain: component.producers(),
        overlap: manifest.overlap,
        set_secret_seconds: manifest.budget.set_secret_seconds,
        required: &manifest.secret.required,
        generated: &manifest.secret.generated,
        identity: manifest.identity_fields(&generated_fields(manifest)).into_iter().collect(),
        alternating: manifest.secret.alternating.as_deref(),
        defaults: &manifest.secret.defaults,
        matches: &manifest.secret.matches,
        endpoints: endpoints.collect(),
        settings: &manifest.settings,
        plain_text: PlainText::of(component),
        imports: component.imports(),
        exports: component.exports(),
        signed_by: None,
        with_secret: None,
    }
}

/// The fields of a JSON object that a rotation gives new values if neither operator nor tags name others.
pub(crate) fn generated_fields(manifest: &Manifest) -> Vec<String> {
    let named = &manifest.secret.generated;
    if named.is_empty() { vec!["password".to_owned()] } else { named.clone() }
}

/// A host that the secret does not name was chosen by the plugin's author, so the operator has to agree to it.
fn needs_grant(endpoint: &EndpointTemplate) -> bool {
    endpoint.address.host.field().is_none()
}

/// The description for people.
fn words(component: &ComponentFile) -> String {
    let manifest = component.manifest();
    let mut text = format!("{} {}\n", manifest.name, manifest.version);
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    if !manifest.description.is_empty() {
        line(&format!("  {}", legible::line(&manifest.description)));
    }
    line(&format!("  {} bytes, {}", component.wasm().len(), component.digest()));
    line(&format!("  contract {}, made with {}", legible::line(component.contract()), made_with(&component.producers())));
    line("\nThe secret");
    secret(manifest).iter().for_each(|fact| line(&format!("  {fact}")));
    line("\nWhere it wants to connect (an operator's configuration can narrow this)");
    if manifest.endpoints.is_empty() {
        line("  nowhere");
    }
    for (name, endpoint) in &manifest.endpoints {
        line(&format!("  {}", legible::line(&format!("`{name}`: {}, {}", endpoint.address, encryption(endpoint)))));
        if needs_grant(endpoint) {
            line(&format!("      {NEEDS_GRANT}"));
        }
    }
    if !manifest.settings.is_empty() {
        line("\nSettings and their defaults");
        manifest.settings.iter().for_each(|(name, value)| line(&format!("  {} = {}", legible::line(name), legible::line(value))));
    }
    line("\nWhich versions of the secret its code can read in plain text");
    PlainText::of(component).words().iter().for_each(|fact| line(&format!("  {fact}")));
    line("\nWhat its code can ask the host for");
    meanings(component.imports()).iter().for_each(|meaning| line(&format!("  {meaning}")));
    line("\nWhat it provides");
    component.exports().iter().for_each(|export| line(&format!("  {}", legible::line(export))));
    text
}

/// What stands beside an endpoint for which [`needs_grant`] holds.
const NEEDS_GRANT: &str =
    "the manifest names this host, not the secret: out of reach until a rule of the operator lists it in `endpoints`";

/// Languages and tools, if the component says any.
fn made_with(producers: &Producers) -> String {
    let entries: Vec<&str> = producers.kinds().into_iter().flat_map(|(_, entries)| entries).map(String::as_str).collect();
    if entries.is_empty() { "tools that it does not name".to_owned() } else { legible::line(&entries.join(", ")) }
}

/// Whether a connection to an endpoint is encrypted. Quotes the manifest.
pub(crate) fn encryption(endpoint: &EndpointTemplate) -> String {
    match endpoint.tls {
        TlsExpectation::Required => "always encrypted".to_owned(),
        TlsExpectation::Optional => format!("encrypted, unless the secret says `\"{}\": false`", endpoint.tls_field),
        TlsExpectation::StartTls => {
            "begins in plain text; the plugin has to start TLS itself, the host cannot force it (STARTTLS)".to_owned()
        }
    }
}

fn secret(manifest: &Manifest) -> Vec<String> {
    let listed = |names: &[&str]| names.iter().map(|name| format!("`{}`", legible::line(name))).collect::<Vec<_>>().join(", ");
    let pairs = |pairs: &BTreeMap<String, String>| {
        pairs
            .iter()
            .map(|(name, value)| format!("`{}` = `{}`", legible::line(name), legible::line(value)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let owned = |names: &[String]| listed(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let shape = &manifest.secret;
    let mut facts = Vec::new();
    if !shape.required.is_empty() {
        facts.push(format!("must have {}", owned(&shape.required)));
    }
    if !shape.defaults.is_empty() {
        facts.push(format!("may leave out {}", pairs(&shape.defaults)));
    }
    let generated =
        if shape.generated.is_empty() { "`password`, or the whole of a plain string".to_owned() } else { owned(&shape.generated) };
    facts.push(format!("gets a new value for {generated}"));
    let identity = manifest.identity_fields(&generated_fields(manifest)).into_iter().collect::<Vec<_>>();
    if !identity.is_empty() {
        facts.push(format!("says who and where by {}", listed(&identity)));
    }
    if let Some(field) = &shape.alternating {
        facts.push(format!("has two users of `{}` take turns if the operator wants that", legible::line(field)));
    }
    if !shape.matches.is_empty() {
        facts.push(format!("is recognised without a tag by {}", pairs(&shape.matches)));
    }
    facts.push(if manifest.overlap {
        "old and new credential are valid together".to_owned()
    } else {
        "the old credential stops working when the new one starts".to_owned()
    });
    if let Some(seconds) = manifest.budget.set_secret_seconds {
        facts.push(format!("changing the credential takes at most {seconds} s; it is not begun when less time is left"));
    }
    facts
}

/// What each group of imports lets the plugin do.
fn meanings(imports: &[String]) -> Vec<String> {
    let mut meanings = Vec::new();
    let mut inert = Vec::new();
    for import in imports {
        if !import.starts_with("windlass:rotation/") {
            inert.push(import.as_str());
        } else if let Some(ability) = Ability::of(import) {
            meanings.push(format!("{} ({import})", ability.meaning()));
        }
    }
    if !inert.is_empty() {
        let given = |ability| inert.iter().any(|import| Ability::of(import) == Some(ability));
        let contents =
            [(Ability::Clocks, "clocks"), (Ability::Random, "random bytes"), (Ability::Log, "output that goes to the log")];
        let contents: Vec<&str> = contents.into_iter().filter(|(ability, _)| given(*ability)).map(|(_, content)| content).collect();
        let contents = if contents.is_empty() { String::new() } else { format!("{}; ", contents.join(", ")) };
        meanings.push(format!(
            "use the basics of WASI through {} interface(s): {contents}no files, environment, arguments or sockets",
            inert.len()
        ));
    }
    if meanings.is_empty() {
        meanings.push("nothing".to_owned());
    }
    meanings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::component_file::tests::plugin;

    #[test]
    fn says_what_a_plugin_is_and_asks_for() {
        let manifest = include_str!("../../../plugins/redis/plugin.toml");
        let component = ComponentFile::parse(plugin(manifest)).unwrap();
        let digest = component.digest().to_string();
        let text = words(&component).replace(&digest, "[digest]");
        insta::assert_snapshot!(text, @r#"
        redis 0.1.0
          Password of an ACL user of Redis 6 or later, or Valkey
          599 bytes, [digest]
          contract 0.1.0, made with tools that it does not name

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
          cannot read any version

        What its code can ask the host for
          write lines to the operator's log, with handed-out values replaced (windlass:rotation/log@0.1.0)

        What it provides
          windlass:rotation/rotator@0.1.0
        "#);
    }

    #[test]
    fn a_plugin_cannot_steer_the_terminal_of_its_judge() {
        let manifest = "name = \"a\"\nversion = \"1\"\ndescription = \"\\u001b[2Jsafe\\u202e\"";
        let text = words(&ComponentFile::parse(plugin(manifest)).unwrap());
        assert!(text.contains("\u{fffd}[2Jsafe\u{fffd}") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn an_endpoint_says_what_the_host_cannot_promise() {
        let manifest = "name = \"a\"\nversion = \"1\"\n[endpoints.mail]\naddress = \"{host}:25\"\ntls = \"start-tls\"\n\
                        [endpoints.vendor]\naddress = \"api.example.com:443\"";
        let component = ComponentFile::parse(plugin(manifest)).unwrap();
        let text = words(&component);
        let (_, endpoints) = text.split_once("can narrow this)\n").unwrap();
        let (endpoints, _) = endpoints.split_once("\n\n").unwrap();
        insta::assert_snapshot!(endpoints, @r"
        `mail`: {host}:25, begins in plain text; the plugin has to start TLS itself, the host cannot force it (STARTTLS)
        `vendor`: api.example.com:443, always encrypted
            the manifest names this host, not the secret: out of reach until a rule of the operator lists it in `endpoints`
        ");
        let facts = facts(&component);
        assert_eq!([facts.endpoints["mail"].needs_grant, facts.endpoints["vendor"].needs_grant], [false, true]);
    }

    #[test]
    fn wasi_imports_are_summed_up_as_what_they_are() {
        let meant = |imports: &[&str]| meanings(&imports.iter().map(|import| (*import).to_owned()).collect::<Vec<_>>()).join("\n");
        insta::assert_snapshot!(meant(&["windlass:rotation/http@0.1.0", "wasi:cli/stdout@0.2.6", "wasi:clocks/wall-clock@0.2.6"]), @r"
        send HTTP requests to its endpoints; the host dials and encrypts (windlass:rotation/http@0.1.0)
        use the basics of WASI through 2 interface(s): clocks, output that goes to the log; no files, environment, arguments or sockets
        ");
        insta::assert_snapshot!(meant(&["wasi:cli/exit@0.2.6"]), @"use the basics of WASI through 1 interface(s): no files, environment, arguments or sockets");
        assert_eq!(meant(&[]), "nothing");
    }
}
