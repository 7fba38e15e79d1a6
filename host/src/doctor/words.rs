//! How a diagnosis is shown: words for people, an object for scripts.

use serde::Serialize;

use super::advice::{advice, command, utc};
use super::aws_command::AwsCommands;
use super::diagnosis::remedy;
use super::facts::{Facts, Probe, ValueFacts, VersionFacts};
use super::finding::{Finding, Urgency};
use crate::redact::legible;

/// A diagnosis, ready to be shown. Its JSON keeps its shape; texts may be worded better.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The secret's full ARN.
    pub secret: String,
    /// Whether nothing is wrong. Says nothing about the service unless it was asked.
    pub healthy: bool,
    /// Whether the service was asked.
    pub probed: bool,
    /// Whether rotation is on; nothing if it was never configured.
    pub rotation_enabled: Option<bool>,
    /// The rotation function.
    pub function: Option<String>,
    /// When the last rotation ended, in UTC.
    pub last_rotated: Option<String>,
    /// When the next one is due, in UTC.
    pub next_rotation: Option<String>,
    /// The plugin that serves the secret.
    pub plugin: Option<PluginReport>,
    /// The versions.
    pub versions: Vec<VersionReport>,
    /// What was found, the most urgent first.
    pub findings: Vec<FindingReport>,
    /// What was not looked at.
    pub not_checked: Vec<String>,
}

/// The plugin that serves a secret.
#[derive(Debug, Serialize)]
pub struct PluginReport {
    name: String,
    version: String,
    trusted_by: String,
    endpoints: Vec<String>,
}

/// A version.
#[derive(Debug, Serialize)]
pub struct VersionReport {
    id: String,
    labels: Vec<String>,
    created: Option<String>,
    /// Versions with the same letter hold the same value; nothing if the version has none or it cannot be read.
    value: Option<String>,
    /// Whether the version opens the service; nothing if that is not known.
    opens: Option<bool>,
    /// What is known of it, in words.
    state: &'static str,
}

/// A finding.
#[derive(Debug, Serialize)]
pub struct FindingReport {
    name: &'static str,
    urgency: Urgency,
    what: String,
    to_do: String,
    commands: Vec<String>,
    /// The command that `--apply` stands for.
    can_apply: Option<String>,
}

/// Puts a diagnosis into words. `endpoint` is part of the commands if the AWS CLI does not know it by itself.
pub fn report(facts: &Facts, findings: &[Finding], endpoint: Option<&str>) -> Report {
    let aws = AwsCommands::new(&facts.examined.arn, endpoint);
    let chosen = facts.plugin.chosen.as_ref();
    Report {
        secret: facts.examined.arn.to_string(),
        healthy: is_healthy(findings),
        probed: facts.probed,
        rotation_enabled: facts.examined.described.rotation_enabled,
        function: facts.examined.function.clone(),
        last_rotated: facts.examined.last_rotated.map(utc),
        next_rotation: facts.examined.next_rotation.map(utc),
        plugin: chosen.map(|chosen| PluginReport {
            name: chosen.name.clone(),
            version: chosen.version.clone(),
            trusted_by: chosen.trusted_by.clone(),
            endpoints: chosen.endpoints.clone(),
        }),
        versions: facts.versions.iter().map(version).collect(),
        findings: findings.iter().map(|finding| finding_report(facts, findings, finding, aws)).collect(),
        not_checked: not_checked(facts),
    }
}

/// Whether nothing needs anybody.
pub fn is_healthy(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.urgency() == Urgency::Notice)
}

fn version(of: &VersionFacts) -> VersionReport {
    let opens = match of.probe {
        Probe::Opens => Some(true),
        Probe::Refused => Some(false),
        Probe::NotAsked | Probe::Denied { .. } | Probe::Unclear { .. } | Probe::Withheld | Probe::Spared => None,
    };
    VersionReport {
        id: of.id.to_string(),
        labels: of.labels.clone(),
        created: of.created.map(utc),
        value: of.group().map(letter),
        opens,
        state: state(of),
    }
}

const fn state(of: &VersionFacts) -> &'static str {
    match (&of.value, &of.probe) {
        (ValueFacts::Absent, _) => "has no value",
        (ValueFacts::Unreadable { .. }, _) => "cannot be read",
        (ValueFacts::Stored { .. }, Probe::NotAsked) => "has a value",
        (ValueFacts::Stored { .. }, Probe::Opens) => "opens the service",
        (ValueFacts::Stored { .. }, Probe::Refused) => "refused by the service",
        (ValueFacts::Stored { .. }, Probe::Denied { .. }) => "not tried: policy",
        (ValueFacts::Stored { .. }, Probe::Unclear { .. }) => "no clear answer",
        (ValueFacts::Stored { .. }, Probe::Withheld) => "not tried: for somebody or somewhere else than AWSCURRENT",
        (ValueFacts::Stored { .. }, Probe::Spared) => "not tried: enough logins",
    }
}

/// A, B, …, Z, A1, …
fn letter(group: usize) -> String {
    let (round, letter) = (group / 26, u8::try_from(group % 26).unwrap_or_default());
    let letter = char::from(b'A' + letter);
    if round == 0 { letter.to_string() } else { format!("{letter}{round}") }
}

fn finding_report(facts: &Facts, all: &[Finding], finding: &Finding, aws: AwsCommands<'_>) -> FindingReport {
    let mut advice = advice(finding, aws);
    let changes_function = |of: &Finding| matches!(of, Finding::OtherFunction { .. });
    if all.iter().any(changes_function) && !changes_function(finding) {
        // It would begin with the function that the secret is to leave.
        advice.commands.retain(|command| *command != aws.rotate());
    }
    FindingReport {
        name: finding.name(),
        urgency: finding.urgency(),
        what: advice.what,
        to_do: advice.to_do,
        commands: advice.commands.iter().map(ToString::to_string).collect(),
        can_apply: remedy(facts, finding).map(|remedy| command(&remedy, aws).to_string()),
    }
}

fn not_checked(facts: &Facts) -> Vec<String> {
    let mut not = Vec::new();
    if !facts.plugin.looked {
        not.push("which plugin serves the secret, and where it may connect (name the folder with --plugins)".to_owned());
    } else if facts.plugin.chosen.is_none() && facts.plugin.problem.is_none() {
        not.push("which plugin serves the secret: that depends on the value of AWSCURRENT".to_owned());
    }
    if !facts.probed {
        not.push("which version opens the service (--probe asks it)".to_owned());
    }
    if facts.unread > 0 {
        not.push(format!("{} older versions without a label", facts.unread));
    }
    not.push("the function: its role, network and log, and the events in CloudTrail".to_owned());
    not
}

impl Report {
    /// The report for people.
    pub fn words(&self) -> String {
        let mut text = format!("{}\n\n", legible::line(&self.secret));
        let rotation = match (self.rotation_enabled, &self.function) {
            (None, _) => "never configured".to_owned(),
            (Some(false), _) => "off".to_owned(),
            (Some(true), Some(function)) => format!("on, by {function}"),
            (Some(true), None) => "on".to_owned(),
        };
        let or_never = |at: &Option<String>| at.clone().unwrap_or_else(|| "never".to_owned());
        let mut line = |label: &str, value: &str| text.push_str(&format!("  {label:<10}  {}\n", legible::line(value)));
        line("rotation", &rotation);
        line("last, next", &format!("{}, {}", or_never(&self.last_rotated), or_never(&self.next_rotation)));
        if let Some(plugin) = &self.plugin {
            line("plugin", &format!("{} {}, trusted by {}", plugin.name, plugin.version, plugin.trusted_by));
            if !plugin.endpoints.is_empty() {
                line("service", &plugin.endpoints.join(", "));
            }
        }
        text.push_str("\nVersions (the same letter means the same value)\n");
        let width = self.versions.iter().map(|version| version.labels().chars().count()).max().unwrap_or_default();
        for version in &self.versions {
            text.push_str(&version.words(width));
        }
        if self.findings.is_empty() {
            text.push_str("\nNothing is wrong.\n");
        }
        for (place, finding) in self.findings.iter().enumerate() {
            text.push_str(&finding.words(place + 1));
        }
        text.push_str("\nNot checked\n");
        self.not_checked.iter().for_each(|what| text.push_str(&format!("  {}\n", legible::line(what))));
        text
    }
}

impl VersionReport {
    fn labels(&self) -> String {
        if self.labels.is_empty() { "no label".to_owned() } else { legible::line(&self.labels.join(", ")) }
    }

    /// A line in which the labels take up this many characters.
    fn words(&self, width: usize) -> String {
        let value = self.value.as_deref().unwrap_or("-");
        let created = self.created.as_deref().unwrap_or("-");
        format!("  {:<36}  {value:<2}  {created:<17}  {:<width$}  {}\n", self.id, self.labels(), self.state)
    }
}

impl FindingReport {
    fn words(&self, number: usize) -> String {
        let urgency = match self.urgency {
            Urgency::Urgent => "URGENT",
            Urgency::Problem => "problem",
            Urgency::Notice => "notice",
        };
        let mut text = format!("\n{number}. {urgency}: {}\n", self.name);
        text.push_str(&wrapped(&self.what));
        text.push_str(&wrapped(&format!("To do: {}", self.to_do)));
        for command in &self.commands {
            text.push_str(&format!("\n      {}\n", legible::line(command)));
        }
        text
    }
}

/// The text in lines of at most a hundred characters, indented. Words are not cut.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 100;
    let mut lines = String::new();
    let mut length = 0;
    for word in legible::line(text).split(' ') {
        let width = word.chars().count();
        if length == 0 || length + 1 + width > WIDTH {
            lines.push_str(if lines.is_empty() { "   " } else { "\n   " });
            length = 2;
        }
        lines.push(' ');
        lines.push_str(word);
        length += 1 + width;
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests;
