//! `windlass diff`: what a swap of one plugin for another changes, before it is done.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::CommandResult;
use crate::cli::difference::{Change, How, Part, difference};
use crate::plugin::component_file::ComponentFile;
use crate::redact::legible;

/// What the process ends with when the new plugin asks for more.
const ASKS_FOR_MORE: u8 = 3;

/// Say what a swap of one plugin for another changes, without running either.
///
/// Ends with 0 if the new plugin asks for nothing that the old one did not: no other place to connect to, no other ability, no
/// further field, no weaker promise. Ends with 3 if it does, with 1 if one of the files is no plugin.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugin that is in use, a `.wasm` file.
    old: PathBuf,
    /// The plugin that is to take its place, a `.wasm` file.
    new: PathBuf,
    /// Print JSON instead of words.
    #[arg(long)]
    json: bool,
}

/// Reads both components and compares them.
///
/// # Errors
///
/// A file is no plugin ([`crate::plugin::component_file::ComponentError`]), or standard output cannot be written.
pub fn run(args: &Args, out: &mut impl Write) -> CommandResult {
    let (old, new) = (ComponentFile::read(&args.old)?, ComponentFile::read(&args.new)?);
    let changes = difference(&old, &new);
    if args.json {
        writeln!(out, "{}", legible::json(&serde_json::to_string_pretty(&facts(&old, &new, &changes))?))?;
    } else {
        out.write_all(words(&old, &new, &changes).as_bytes())?;
    }
    Ok(if asks_for_more(&changes) { ExitCode::from(ASKS_FOR_MORE) } else { ExitCode::SUCCESS })
}

fn asks_for_more(changes: &[Change]) -> bool {
    changes.iter().any(|change| !change.more.is_empty())
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Facts<'a> {
    old: Plugin<'a>,
    new: Plugin<'a>,
    asks_for_more: bool,
    changes: &'a [Change],
}

#[derive(Debug, Serialize)]
struct Plugin<'a> {
    name: &'a str,
    version: &'a str,
    digest: String,
}

fn facts<'a>(old: &'a ComponentFile, new: &'a ComponentFile, changes: &'a [Change]) -> Facts<'a> {
    let plugin = |component: &'a ComponentFile| Plugin {
        name: component.manifest().name.as_str(),
        version: &component.manifest().version,
        digest: component.digest().to_string(),
    };
    Facts { old: plugin(old), new: plugin(new), asks_for_more: asks_for_more(changes), changes }
}

/// The differences for people.
fn words(old: &ComponentFile, new: &ComponentFile, changes: &[Change]) -> String {
    let plugin = |component: &ComponentFile| format!("{} {}", component.manifest().name, component.manifest().version);
    let mut text = format!("{} -> {}\n", plugin(old), plugin(new));
    if changes.is_empty() {
        text.push_str("\nThe two are the same, byte for byte.\n");
        return text;
    }
    let (more, others): (Vec<_>, Vec<_>) = changes.iter().partition(|change| !change.more.is_empty());
    text.push_str(if more.is_empty() { "\nThe new one asks for nothing more.\n" } else { "\nThe new one asks for more\n" });
    for change in more {
        text.push_str(&format!("  {}\n", line(change)));
        change.more.iter().for_each(|reason| text.push_str(&format!("      {reason}\n")));
    }
    if !others.is_empty() {
        text.push_str("\nWhat else changed\n");
        others.iter().for_each(|change| text.push_str(&format!("  {}\n", line(change))));
    }
    text
}

/// A change as one line.
fn line(change: &Change) -> String {
    let name = if change.name.is_empty() { String::new() } else { format!(" `{}`", change.name) };
    let (before, after) = (change.before.as_deref(), change.after.as_deref());
    let what = match (change.change, before, after) {
        (How::Added, _, None) => "new".to_owned(),
        (How::Added, _, Some(after)) => format!("new, {after}"),
        (How::Removed, None, _) => "gone".to_owned(),
        (How::Removed, Some(before), _) => format!("gone, was {before}"),
        (How::Changed, before, after) => format!("{}, was {}", after.unwrap_or_default(), before.unwrap_or_default()),
    };
    legible::line(&format!("{}{name}: {what}", label(change.part)))
}

const fn label(part: Part) -> &'static str {
    match part {
        Part::Name => "name",
        Part::Ability => "ability",
        Part::Endpoint => "endpoint",
        Part::Needed => "field that the secret must have",
        Part::Required => "field that must be there, be it by default",
        Part::Generated => "field that gets a new value",
        Part::Identity => "field that says who and where",
        Part::Alternating => "takes turns by the field",
        Part::Default => "default of the field",
        Part::Match => "is recognised without a tag by",
        Part::Budget => "time to set",
        Part::Overlap => "old and new credential",
        Part::Password => "option for new values",
        Part::Setting => "default of the setting",
        Part::Version => "version",
        Part::Description => "description",
        Part::Contract => "contract",
        Part::Import => "import",
        Part::Export => "export",
        Part::Toolchain => "made with",
        Part::Size => "bytes",
        Part::Digest => "digest",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::component_file::tests::plugin;

    fn component(manifest: &str) -> ComponentFile {
        ComponentFile::parse(plugin(manifest)).unwrap()
    }

    fn told(old: &ComponentFile, new: &ComponentFile) -> String {
        let text = words(old, new, &difference(old, new));
        text.replace(&old.digest().to_string(), "[old]").replace(&new.digest().to_string(), "[new]")
    }

    const OLD: &str = "name = \"acme\"\nversion = \"1.0.0\"\noverlap = true\n[secret]\nrequired = [\"user\", \"host\"]\n\
                       match = { engine = \"acme\", kind = \"app\" }\n[password]\nlength = 32\n[settings]\nmode = \"fast\"\n\
                       [endpoints.api]\naddress = \"{host}:443\"\n[endpoints.old]\naddress = \"{host}:80\"\ntls = \"optional\"";

    const NEW: &str = "name = \"acme\"\nversion = \"1.1.0\"\n[secret]\nrequired = [\"user\", \"host\", \"tenant\"]\n\
                       generated = [\"password\", \"token\"]\nmatch = { engine = \"acme\" }\n[password]\nlength = 16\n\
                       [settings]\nmode = \"slow\"\n[endpoints.api]\naddress = \"{host}:443\"\ntls = \"start-tls\"\n\
                       [endpoints.vendor]\naddress = \"stats.example.com:443\"";

    #[test]
    fn says_first_what_is_asked_for() {
        insta::assert_snapshot!(told(&component(OLD), &component(NEW)), @r#"
        acme 1.0.0 -> acme 1.1.0

        The new one asks for more
          endpoint `api`: {host}:443, begins in plain text; the plugin has to start TLS itself, the host cannot force it (STARTTLS), was {host}:443, always encrypted
              the connection is less sure to be encrypted
          endpoint `vendor`: new, stats.example.com:443, always encrypted
              the old one did not connect there
          field that the secret must have `tenant`: new
              a secret without it is refused
          field that gets a new value `token`: new
              a rotation replaces its value
          is recognised without a tag by: `engine` = `acme`, was `engine` = `acme`, `kind` = `app`
              it is used for secrets that the old one left alone
          old and new credential: valid one after the other, was valid together
              clients with the old credential fail from setSecret until they read the new one
          option for new values `length`: 16, was 32
              new values are easier to guess

        What else changed
          endpoint `old`: gone, was {host}:80, encrypted, unless the secret says `"tls": false`
          field that gets a new value `the whole of a plain string`: gone
          field that says who and where `kind`: gone, was kept from generation
          field that says who and where `tenant`: new, compared with the previous version
          field that says who and where `tls`: gone, was compared with the previous version and kept from generation
          default of the setting `mode`: slow, was fast
          version: 1.1.0, was 1.0.0
          bytes: 441, was 410
          digest: [new], was [old]
        "#);
    }

    #[test]
    fn says_that_nothing_more_is_asked_for() {
        let old = component("name = \"acme\"\nversion = \"1.0.0\"");
        let new = component("name = \"acme\"\nversion = \"1.0.1\"\ndescription = \"Users of Acme\"");
        insta::assert_snapshot!(told(&old, &new), @r"
        acme 1.0.0 -> acme 1.0.1

        The new one asks for nothing more.

        What else changed
          version: 1.0.1, was 1.0.0
          description: new, Users of Acme
          bytes: 203, was 173
          digest: [new], was [old]
        ");
        insta::assert_snapshot!(told(&old, &old), @r"
        acme 1.0.0 -> acme 1.0.0

        The two are the same, byte for byte.
        ");
    }

    #[test]
    fn scripts_get_every_difference_with_its_reasons() {
        let (old, new) = (component(OLD), component(NEW));
        let changes = difference(&old, &new);
        let facts = serde_json::to_value(facts(&old, &new, &changes)).unwrap();
        assert_eq!(facts["asks_for_more"], true);
        let endpoint = facts["changes"].as_array().unwrap().iter().find(|change| change["name"] == "vendor").unwrap();
        insta::assert_json_snapshot!(endpoint, @r#"
        {
          "after": "stats.example.com:443, always encrypted",
          "before": null,
          "change": "added",
          "more": [
            "the old one did not connect there"
          ],
          "name": "vendor",
          "part": "endpoint"
        }
        "#);
    }

    #[test]
    fn a_plugin_cannot_steer_the_terminal_of_its_judge() {
        let steering = "[settings]\n\"a\\u001b[2J\" = \"b\\nThe new one asks for nothing more.\\u202e\\u009b\"";
        let old = component("name = \"a\"\nversion = \"1\"");
        let new = component(&format!("name = \"a\"\nversion = \"1\"\n{steering}"));
        let text = told(&old, &new);
        assert!(text.contains("default of the setting `a\u{fffd}[2J`: new, b The new one asks"), "{text}");
        let changes = difference(&old, &new);
        let json = legible::json(&serde_json::to_string_pretty(&facts(&old, &new, &changes)).unwrap());
        for text in [&text, &json] {
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{text}");
        }
        let setting = serde_json::from_str::<serde_json::Value>(&json).unwrap()["changes"][0]["after"].take();
        assert_eq!(setting, "b\nThe new one asks for nothing more.\u{202e}\u{9b}", "scripts get what the author wrote");
    }
}
