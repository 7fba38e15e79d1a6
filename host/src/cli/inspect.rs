//! `windlass inspect`: what a plugin is, asks for and may do, read from its bytes without running it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::CommandResult;
use crate::manifest::{EndpointTemplate, Manifest, TlsExpectation};
use crate::plugin::component_file::ComponentFile;
use crate::redact::legible;

/// Say what a plugin is, asks for and may do, without running it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The component, a `.wasm` file.
    file: PathBuf,
    /// Print JSON instead of words.
    #[arg(long)]
    json: bool,
}

/// Reads the component and describes it.
///
/// # Errors
///
/// The file is no plugin ([`crate::plugin::component_file::ComponentError`]), or standard output cannot be written.
pub fn run(args: &Args, out: &mut impl Write) -> CommandResult {
    let component = ComponentFile::read(&args.file)?;
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &facts(&component))?;
        writeln!(out)?;
    } else {
        out.write_all(words(&component).as_bytes())?;
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
    overlap: bool,
    required: &'a [String],
    generated: &'a [String],
    identity: Vec<&'a str>,
    defaults: &'a BTreeMap<String, String>,
    #[serde(rename = "match")]
    matches: &'a BTreeMap<String, String>,
    endpoints: BTreeMap<&'a str, EndpointFacts>,
    settings: &'a BTreeMap<String, String>,
    imports: &'a [String],
    exports: &'a [String],
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
        overlap: manifest.overlap,
        required: &manifest.secret.required,
        generated: &manifest.secret.generated,
        identity: manifest.identity_fields(&manifest.secret.generated).into_iter().collect(),
        defaults: &manifest.secret.defaults,
        matches: &manifest.secret.matches,
        endpoints: endpoints.collect(),
        settings: &manifest.settings,
        imports: component.imports(),
        exports: component.exports(),
    }
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
    line("\nThe secret");
    secret(manifest).iter().for_each(|fact| line(&format!("  {fact}")));
    line("\nWhere it wants to connect (an operator's configuration can narrow this)");
    if manifest.endpoints.is_empty() {
        line("  nowhere");
    }
    for (name, endpoint) in &manifest.endpoints {
        let tls = match endpoint.tls {
            TlsExpectation::Required => "always encrypted".to_owned(),
            TlsExpectation::Optional => {
                format!("encrypted, unless the secret says `\"{}\": false`", legible::line(&endpoint.tls_field))
            }
            TlsExpectation::StartTls => {
                "begins in plain text; the plugin has to start TLS itself, the host cannot force it (STARTTLS)".to_owned()
            }
        };
        line(&format!("  `{}`: {}, {tls}", legible::line(name), legible::line(&endpoint.address.to_string())));
        if needs_grant(endpoint) {
            line(
                "      the manifest names this host, not the secret: out of reach until a rule of the operator lists it in `endpoints`",
            );
        }
    }
    if !manifest.settings.is_empty() {
        line("\nSettings and their defaults");
        manifest.settings.iter().for_each(|(name, value)| line(&format!("  {} = {}", legible::line(name), legible::line(value))));
    }
    line("\nWhat its code can ask the host for");
    meanings(component.imports()).iter().for_each(|meaning| line(&format!("  {meaning}")));
    line("\nWhat it provides");
    component.exports().iter().for_each(|export| line(&format!("  {}", legible::line(export))));
    text
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
    let identity = manifest.identity_fields(&shape.generated).into_iter().collect::<Vec<_>>();
    if !identity.is_empty() {
        facts.push(format!("says who and where by {}", listed(&identity)));
    }
    if !shape.matches.is_empty() {
        facts.push(format!("is recognised without a tag by {}", pairs(&shape.matches)));
    }
    facts.push(if manifest.overlap {
        "old and new credential are valid together".to_owned()
    } else {
        "the old credential stops working when the new one starts".to_owned()
    });
    facts
}

/// What each group of imports lets the plugin do.
fn meanings(imports: &[String]) -> Vec<String> {
    let mut meanings = Vec::new();
    let mut inert = Vec::new();
    for import in imports {
        let meaning = match import.split('@').next().unwrap_or(import) {
            "windlass:rotation/secret" => "read the versions of this secret, each in the step that needs it, and its settings",
            "windlass:rotation/connection" => "open byte streams to the endpoints above; the host dials and encrypts",
            "windlass:rotation/http" => "send HTTP requests to the endpoints above; the host dials and encrypts",
            "windlass:rotation/log" => "write lines to the operator's log, with handed-out values replaced",
            "windlass:rotation/random" => "get random bytes",
            "windlass:rotation/failures" => continue, // types only
            _ => {
                inert.push(import.as_str());
                continue;
            }
        };
        meanings.push(format!("{meaning} ({import})"));
    }
    if !inert.is_empty() {
        meanings.push(format!(
            "use the basics of WASI through {} interfaces: clocks and random bytes; no files, environment, arguments or sockets",
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
          623 bytes, [digest]

        The secret
          must have `username`, `password`, `host`
          may leave out `port` = `6379`, `username` = `default`
          gets a new value for `password`
          says who and where by `host`, `port`, `tls`, `username`
          is recognised without a tag by `engine` = `redis`
          old and new credential are valid together

        Where it wants to connect (an operator's configuration can narrow this)
          `redis`: {host}:{port}, encrypted, unless the secret says `"tls": false`

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
        let imports = ["windlass:rotation/http@0.1.0", "wasi:io/streams@0.2.6", "wasi:cli/exit@0.2.6"].map(str::to_owned);
        assert_eq!(
            meanings(&imports),
            [
                "send HTTP requests to the endpoints above; the host dials and encrypts (windlass:rotation/http@0.1.0)",
                "use the basics of WASI through 2 interfaces: clocks and random bytes; no files, environment, arguments or sockets",
            ]
        );
        assert_eq!(meanings(&[]), ["nothing"]);
    }
}
