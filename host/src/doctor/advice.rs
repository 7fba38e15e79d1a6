//! What a finding means and what to do about it, in words and commands.

use std::time::{Duration, SystemTime};

use super::aws_command::{AwsCommand, AwsCommands, FUNCTION_ARN};
use super::finding::{Finding, Remedy};
use crate::event::VersionId;
use crate::timestamp;

/// A finding for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What is the matter.
    pub what: String,
    /// What to do, before the commands.
    pub to_do: String,
    /// The commands, in order.
    pub commands: Vec<AwsCommand>,
}

/// The command that does what a remedy does.
pub fn command(remedy: &Remedy, aws: AwsCommands<'_>) -> AwsCommand {
    match remedy {
        Remedy::RemovePending { from } => aws.remove_pending(from),
        Remedy::MoveCurrent { from, to } => aws.move_current(from, to),
    }
}

/// What a finding means for this secret.
pub fn advice(finding: &Finding, aws: AwsCommands<'_>) -> Advice {
    let say = |what: String, to_do: &str, commands: Vec<AwsCommand>| Advice { what, to_do: to_do.to_owned(), commands };
    // A command that is not to be run yet is not printed.
    let remove = |pending: &VersionId, current_opens: Option<bool>| match current_opens {
        Some(false) => vec![],
        Some(true) | None => vec![aws.remove_pending(pending), aws.rotate()],
    };
    match finding {
        Finding::OnlyPendingOpens { current, pending } => say(
            format!(
                "The service refuses AWSCURRENT ({current}) and accepts AWSPENDING ({pending}). A rotation ended between setSecret and \
                 finishSecret, so clients that read AWSCURRENT cannot log in."
            ),
            "Make the version that works AWSCURRENT. Or mend what stopped the rotation and start it again: it goes on with this version.",
            vec![aws.move_current(current, pending)],
        ),
        Finding::OnlyAbandonedOpens { current, version } => say(
            format!(
                "The service refuses AWSCURRENT ({current}) and accepts version {version}, which has no label. A rotation was abandoned \
                 after setSecret, for example because somebody stored a new value meanwhile. Secrets Manager deletes versions without \
                 a label sooner or later, and this one is the only credential that works."
            ),
            "Make it AWSCURRENT now.",
            vec![aws.move_current(current, version)],
        ),
        Finding::OnlyOtherOpens { current, version, labels } => say(
            format!(
                "The service refuses AWSCURRENT ({current}) and accepts version {version} ({}). Somebody put the service or the \
                 secret back.",
                labels.join(", ")
            ),
            "Make the version that works AWSCURRENT; then rotate, so that the two agree on something new.",
            vec![aws.move_current(current, version), aws.rotate()],
        ),
        Finding::Drift { refused, unknown } => say(
            format!(
                "No stored version opens the service: {refused} refused{}. Somebody changed the credential in the service without \
                 storing it here, or the user is locked or gone.",
                if *unknown == 0 { String::new() } else { format!(", {unknown} more without a clear answer or not tried") }
            ),
            "Find the credential or set one in the service, as its administrator. Then store it here as a whole new value, by a file: \
             copy the value of AWSCURRENT and correct it. Rotate when `windlass doctor --probe` finds that it works. A plugin that can \
             use an admin credential repairs this by itself, if the operator's rule binds one (`admin`).",
            vec![aws.put_value()],
        ),
        Finding::NoCurrentValue => say(
            "No version has AWSCURRENT and a value, so there is nothing to rotate from.".to_owned(),
            "Store the credential that the service accepts now. That also ends a rotation that waits for it.",
            vec![aws.put_value()],
        ),
        Finding::MarkedForDeletion => say(
            "The secret is marked for deletion. Nobody can read its values, and no rotation runs.".to_owned(),
            "If it is still in use, bring it back.",
            vec![aws.restore()],
        ),
        Finding::EndpointDenied { why } => say(
            format!("The plugin may not connect where the secret leads it: {}", sentence(why)),
            "Correct `endpoints` in the operator's windlass.toml, or host and port in the secret, whichever is wrong. `windlass config \
             check FILE --explain SECRET` says what holds and where it comes from.",
            vec![],
        ),
        Finding::IdentityDiffers { pending, fields, current_opens } => say(
            format!(
                "AWSPENDING ({pending}) differs from AWSCURRENT in {fields}, which no rotation changes. It was made before the secret \
                 was edited, or somebody else wrote it. Every step refuses it{}.",
                known(*current_opens)
            ),
            settled(*current_opens),
            remove(pending, *current_opens),
        ),
        Finding::NotCreatedByFunction { pending, current_opens } => say(
            format!(
                "AWSPENDING ({pending}) was made by another function than the one that rotates the secret now, so Secrets Manager \
                 refuses to go on. This is how it is after a change of the rotation function in the middle of a rotation{}.",
                known(*current_opens)
            ),
            settled(*current_opens),
            remove(pending, *current_opens),
        ),
        Finding::ValuelessPending { pending } => say(
            format!(
                "AWSPENDING ({pending}) has no value: createSecret never succeeded. Secrets Manager refuses to start another rotation \
                 until this one ends, and repeats it by itself in the rotation window."
            ),
            "Mend what createSecret reports in the function's log; the rotation then goes on by itself. To begin anew, take the label \
             away. Nothing is lost: there is no value.",
            remove(pending, None),
        ),
        Finding::StuckPending { pending, age, current_opens, pending_opens } => say(
            format!(
                "AWSPENDING ({pending}{}) is left over from a rotation that did not end. Secrets Manager refuses to start another one \
                 and repeats this one by itself in the rotation window{}. If its event RotationFailed in CloudTrail says that the \
                 version was not created by the function, it never ends by itself.",
                age.map(|age| format!(", {} old", duration(age))).unwrap_or_default(),
                both(*current_opens, *pending_opens)
            ),
            settled(*current_opens),
            remove(pending, *current_opens),
        ),
        Finding::Unreadable { version, labels, why } => say(
            format!(
                "Version {version} ({}) cannot be read: {}",
                if labels.is_empty() { "no label".to_owned() } else { labels.join(", ") },
                sentence(why)
            ),
            "Allow whoever runs this secretsmanager:GetSecretValue on the secret and kms:Decrypt on its key. If the function has the \
             same trouble, its log says so.",
            vec![],
        ),
        Finding::MissingTag { why } => say(
            format!("Nothing says which plugin serves the secret: {}", sentence(why)),
            "Tag the secret with the plugin's name, or write a rule for it in windlass.toml.",
            vec![aws.tag_plugin()],
        ),
        Finding::UnknownPlugin { why } => say(
            format!("The plugin that serves the secret is not there: {}", sentence(why)),
            "Install it in the function's `plugins` folder, or correct the tag or the rule that names it.",
            vec![aws.tag_plugin()],
        ),
        Finding::InvalidTag { why } => say(
            sentence(why),
            "Correct the tag. A misspelt restriction must not be a missing one, so every step refuses it.",
            vec![],
        ),
        Finding::UnusablePlugin { why } => say(
            format!("The plugin that serves the secret may not run: {}", sentence(why)),
            "Do what the message says; `windlass inspect` shows what a component is.",
            vec![],
        ),
        Finding::MalformedSecret { why } => say(
            format!("The value of AWSCURRENT does not fit its plugin: {}", sentence(why)),
            "Correct the value: store a whole new one, by a file. Every reader gets the new one at once: first change readers that expect another form.",
            vec![aws.put_value()],
        ),
        Finding::OwnedByAnotherService { owner } => {
            say(format!("`{owner}` owns the secret and rotates it."), "Nothing here: rotate it where it is managed.", vec![])
        }
        Finding::Replica { primary } => say(
            format!(
                "The secret is a replica. It is rotated in its primary region{}.",
                primary.as_ref().map(|region| format!(", {region}")).unwrap_or_default()
            ),
            "Ask there: `windlass doctor` with the ARN of the primary secret and AWS_REGION set to its region.",
            vec![],
        ),
        Finding::RotationDisabled => say(
            "Rotation is turned off, so nothing changes the credential and every step is refused.".to_owned(),
            "Turn it on, which also starts a rotation. If another rotation had begun, deal with its AWSPENDING first.",
            vec![aws.rotate()],
        ),
        Finding::RotationNotConfigured => say(
            "Rotation was never configured, so nothing changes the credential.".to_owned(),
            &format!("Configure it, which also starts a rotation. Replace {FUNCTION_ARN} by the ARN of the Windlass function."),
            vec![aws.configure(None)],
        ),
        Finding::Overdue { due } => say(
            format!("The next rotation was due by {} and has not succeeded.", utc(*due)),
            "Look for RotationFailed in CloudTrail and for `step failed` in the function's log. When that is mended, rotate.",
            vec![aws.rotate()],
        ),
        Finding::OtherFunction { has, meant, pending: None } => say(
            format!("The secret is rotated by {has}, not by {meant}."),
            "Change the function. The first command only has it test the credential in use; the second one rotates. \
             host/deploy/MIGRATION.md says what to look at before.",
            vec![aws.change_function(meant), aws.rotate()],
        ),
        Finding::OtherFunction { has, meant, pending: Some(pending) } => say(
            format!(
                "The secret is rotated by {has}, not by {meant}, and AWSPENDING ({pending}) is of a rotation that has not ended. No \
                 function goes on with what another one began."
            ),
            "First let that rotation end, or end it as is said here about AWSPENDING, but without rotating again. Then run this again.",
            vec![],
        ),
        Finding::MasterIgnored => say(
            "The secret names an admin secret in its field `masterarn`, as those of AWS's multi-user templates do. Windlass takes no \
             admin credential from a secret, so a rotation gives the new password to the user that is in use."
                .to_owned(),
            "If two users shall take turns as before, write a rule for the secret in windlass.toml with `alternating_users = true` and \
             `admin` naming that secret. Until then do not rotate.",
            vec![],
        ),
        Finding::ProbeUnclear { version, why } => say(
            format!("Version {version}: the service gave no clear answer: {}", sentence(why)),
            "Run this where the function's network can be reached, or look at the function's log: what is unreachable from here may be \
             reachable from there.",
            vec![],
        ),
        Finding::RotationUnderway { pending, age, current_opens, pending_opens } => say(
            format!(
                "AWSPENDING ({pending}) is {} old: a rotation is at work, or has just failed and is going to be repeated{}.",
                duration(*age),
                both(*current_opens, *pending_opens)
            ),
            "Look for `step failed` in the function's log, which says what to do; or wait and ask again. If you know that no rotation \
             runs, --stuck-after 0 takes it for stuck.",
            vec![],
        ),
        Finding::AbandonedVersion { version } => say(
            format!(
                "Version {version} has a value, no label, and was never AWSCURRENT as far as its age tells: it may be what an abandoned \
                 rotation left. If setSecret had run, the service accepts this one and not AWSCURRENT."
            ),
            "Ask the service: run this again with --probe.",
            vec![],
        ),
        Finding::UnknownError => say(
            "The error is none that this command explains, or it is about a version that is not AWSPENDING any more.".to_owned(),
            "Errors of Windlass's own begin with `Windlass.` and say what to do.",
            vec![],
        ),
    }
}

/// What has to be known before a pending version loses its label.
const fn settled(current_opens: Option<bool>) -> &'static str {
    match current_opens {
        Some(true) => "Take its label away and rotate again.",
        Some(false) => {
            "AWSCURRENT does not work, so this version's value may still be needed: do not take its label away before something else \
             works. What to do first stands above."
        }
        None => {
            "Make sure that AWSCURRENT works (--probe asks the service): without its label this version is deleted sooner or later, and \
             if setSecret had run, its value is the only one that works. Then take the label away and rotate again."
        }
    }
}

fn known(current_opens: Option<bool>) -> &'static str {
    match current_opens {
        Some(true) => ". AWSCURRENT opens the service",
        Some(false) => ". The service refuses AWSCURRENT",
        None => "",
    }
}

fn both(current: Option<bool>, pending: Option<bool>) -> &'static str {
    match (current, pending) {
        (Some(true), Some(true)) => ". The service accepts both versions",
        (Some(true), Some(false)) => ". The service accepts AWSCURRENT and refuses this one: setSecret has not run",
        (Some(false), Some(true)) => ". The service accepts this one and refuses AWSCURRENT: setSecret has run",
        (Some(false), Some(false)) => ". The service refuses both versions",
        (current, None) => known(current),
        (None, Some(true)) => ". The service accepts this one",
        (None, Some(false)) => ". The service refuses this one",
    }
}

/// A message that ends with one full stop and begins as it did.
fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end().trim_end_matches('.'))
}

/// A length of time, in its largest unit.
fn duration(of: Duration) -> String {
    let seconds = of.as_secs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A time in UTC, to the minute, as in ISO 8601.
pub fn utc(at: SystemTime) -> String {
    let minutes = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 60;
    let (year, month, day) = timestamp::date(minutes / 1_440);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}Z", minutes / 60 % 24, minutes % 60)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "1970-01-01T00:00Z")]
    #[case(951_782_400 + 86_399, "2000-02-29T23:59Z")]
    #[case(1_767_225_600, "2026-01-01T00:00Z")]
    #[case(4_107_542_400, "2100-03-01T00:00Z")]
    fn a_time_is_a_date_of_the_gregorian_calendar(#[case] seconds: u64, #[case] expected: &str) {
        assert_eq!(utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), expected);
    }

    #[rstest]
    #[case(0, "0 seconds")]
    #[case(60, "1 minute")]
    #[case(172_799, "47 hours")]
    #[case(172_800, "2 days")]
    fn a_length_of_time_has_one_unit(#[case] seconds: u64, #[case] expected: &str) {
        assert_eq!(duration(Duration::from_secs(seconds)), expected);
    }
}
