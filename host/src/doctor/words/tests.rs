use std::time::{Duration, SystemTime};

use super::*;
use crate::doctor::diagnose;
use crate::doctor::diagnosis::tests::{facts, probed, version};
use crate::doctor::facts::Chosen;
use crate::state::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};

fn words(facts: &Facts) -> String {
    report(facts, &diagnose(facts), None).words()
}

#[test]
fn a_healthy_secret_is_told_what_was_not_checked() {
    let mut facts = facts(vec![version('0', &[AWSCURRENT], 24), version('1', &[AWSPREVIOUS], 48)]);
    facts.plugin.chosen = Some(Chosen {
        name: "redis".to_owned(),
        version: "0.1.0".to_owned(),
        trusted_by: "signature release".to_owned(),
        endpoints: vec!["redis.example.com:6379".to_owned()],
    });
    insta::assert_snapshot!(words(&facts), @r"
    arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/cache-a1B2c3

      rotation    on, by arn:aws:lambda:eu-west-1:123456789012:function:windlass
      last, next  2026-05-27T20:26Z, 2026-05-29T20:26Z
      plugin      redis 0.1.0, trusted by signature release
      service     redis.example.com:6379

    Versions (the same letter means the same value)
      00000000-0000-4000-8000-000000000000  A   2026-05-27T20:26Z  AWSCURRENT   has a value
      00000001-0000-4000-8000-000000000000  B   2026-05-26T20:26Z  AWSPREVIOUS  has a value

    Nothing is wrong.

    Not checked
      which version opens the service (--probe asks it)
      the function: its role, network and log, and the events in CloudTrail
    ");
}

#[test]
fn the_most_urgent_comes_first_with_the_command_that_resolves_it() {
    let facts = probed([Probe::Refused, Probe::Refused, Probe::Refused, Probe::Opens]);
    insta::assert_snapshot!(words(&facts), @r"
    arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/cache-a1B2c3

      rotation    on, by arn:aws:lambda:eu-west-1:123456789012:function:windlass
      last, next  2026-05-27T20:26Z, 2026-05-29T20:26Z

    Versions (the same letter means the same value)
      00000000-0000-4000-8000-000000000000  A   2026-05-27T20:26Z  AWSCURRENT   refused by the service
      00000001-0000-4000-8000-000000000000  B   2026-05-28T17:26Z  AWSPENDING   refused by the service
      00000002-0000-4000-8000-000000000000  C   2026-05-26T20:26Z  AWSPREVIOUS  refused by the service
      00000003-0000-4000-8000-000000000000  D   2026-05-25T20:26Z  no label     opens the service

    1. URGENT: only-abandoned-opens
        The service refuses AWSCURRENT (00000000-0000-4000-8000-000000000000) and accepts version
        00000003-0000-4000-8000-000000000000, which has no label. A rotation was abandoned after
        setSecret, for example because somebody stored a new value meanwhile. Secrets Manager deletes
        versions without a label sooner or later, and this one is the only credential that works.
        To do: Make it AWSCURRENT now.

          aws secretsmanager update-secret-version-stage --region eu-west-1 --secret-id arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/cache-a1B2c3 --version-stage AWSCURRENT --move-to-version-id 00000003-0000-4000-8000-000000000000 --remove-from-version-id 00000000-0000-4000-8000-000000000000

    2. problem: stuck-pending
        AWSPENDING (00000001-0000-4000-8000-000000000000, 3 hours old) is left over from a rotation that
        did not end. Secrets Manager refuses to start another one and repeats this one by itself in the
        rotation window. The service refuses both versions. If its event RotationFailed in CloudTrail
        says that the version was not created by the function, it never ends by itself.
        To do: AWSCURRENT does not work, so this version's value may still be needed: do not take its
        label away before something else works. What to do first stands above.

    Not checked
      which plugin serves the secret: that depends on the value of AWSCURRENT
      the function: its role, network and log, and the events in CloudTrail
    ");
}

#[test]
fn scripts_get_names_commands_and_what_may_be_applied() {
    let mut facts = facts(vec![version('0', &[AWSCURRENT], 24), version('1', &[AWSPENDING], 3)]);
    facts.versions[1].value = ValueFacts::Absent;
    facts.versions[1].created = None;
    let report = report(&facts, &diagnose(&facts), Some("http://127.0.0.1:4566"));
    insta::assert_json_snapshot!(report, @r#"
    {
      "secret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/cache-a1B2c3",
      "healthy": false,
      "probed": false,
      "rotation_enabled": true,
      "function": "arn:aws:lambda:eu-west-1:123456789012:function:windlass",
      "last_rotated": "2026-05-27T20:26Z",
      "next_rotation": "2026-05-29T20:26Z",
      "plugin": null,
      "versions": [
        {
          "id": "00000000-0000-4000-8000-000000000000",
          "labels": [
            "AWSCURRENT"
          ],
          "created": "2026-05-27T20:26Z",
          "value": "A",
          "opens": null,
          "state": "has a value"
        },
        {
          "id": "00000001-0000-4000-8000-000000000000",
          "labels": [
            "AWSPENDING"
          ],
          "created": null,
          "value": null,
          "opens": null,
          "state": "has no value"
        }
      ],
      "findings": [
        {
          "name": "valueless-pending",
          "urgency": "problem",
          "what": "AWSPENDING (00000001-0000-4000-8000-000000000000) has no value: createSecret never succeeded. Secrets Manager refuses to start another rotation until this one ends, and repeats it by itself in the rotation window.",
          "to_do": "Mend what createSecret reports in the function's log; the rotation then goes on by itself. To begin anew, take the label away. Nothing is lost: there is no value.",
          "commands": [
            "aws secretsmanager update-secret-version-stage --region eu-west-1 --endpoint-url http://127.0.0.1:4566 --secret-id arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/cache-a1B2c3 --version-stage AWSPENDING --remove-from-version-id 00000001-0000-4000-8000-000000000000",
            "aws secretsmanager rotate-secret --region eu-west-1 --endpoint-url http://127.0.0.1:4566 --secret-id arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/cache-a1B2c3"
          ],
          "can_apply": "aws secretsmanager update-secret-version-stage --region eu-west-1 --endpoint-url http://127.0.0.1:4566 --secret-id arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/cache-a1B2c3 --version-stage AWSPENDING --remove-from-version-id 00000001-0000-4000-8000-000000000000"
        }
      ],
      "not_checked": [
        "which plugin serves the secret: that depends on the value of AWSCURRENT",
        "which version opens the service (--probe asks it)",
        "the function: its role, network and log, and the events in CloudTrail"
      ]
    }
    "#);
}

/// Every sentence that the command can say, to be read as a whole.
#[test]
fn every_finding_says_what_it_means_and_what_to_do() {
    let (id, labels) = (crate::doctor::diagnosis::tests::id, || vec![AWSPREVIOUS.to_owned()]);
    let why = || "the reason".to_owned();
    let function = || "[other function]".to_owned();
    let all = [
        Finding::OnlyPendingOpens { current: id('0'), pending: id('1') },
        Finding::OnlyAbandonedOpens { current: id('0'), version: id('3') },
        Finding::OnlyOtherOpens { current: id('0'), version: id('2'), labels: labels() },
        Finding::Drift { refused: 2, unknown: 1 },
        Finding::NoCurrentValue,
        Finding::MarkedForDeletion,
        Finding::EndpointDenied { why: why() },
        Finding::IdentityDiffers { pending: id('1'), fields: "`host`".to_owned(), current_opens: None },
        Finding::NotCreatedByFunction { pending: id('1'), current_opens: Some(true) },
        Finding::ValuelessPending { pending: id('1') },
        Finding::StuckPending {
            pending: id('1'),
            age: Some(Duration::from_secs(7_200)),
            current_opens: Some(false),
            pending_opens: None,
        },
        Finding::Unreadable { version: id('0'), labels: labels(), why: why() },
        Finding::MissingTag { why: why() },
        Finding::UnknownPlugin { why: why() },
        Finding::InvalidTag { why: why() },
        Finding::UnusablePlugin { why: why() },
        Finding::MalformedSecret { why: why() },
        Finding::OwnedByAnotherService { owner: "rds".to_owned() },
        Finding::Replica { primary: Some("us-east-1".to_owned()) },
        Finding::RotationDisabled,
        Finding::RotationNotConfigured,
        Finding::Overdue { due: SystemTime::UNIX_EPOCH },
        Finding::ProbeUnclear { version: id('0'), why: why() },
        Finding::RotationUnderway {
            pending: id('1'),
            age: Duration::from_secs(61),
            current_opens: Some(true),
            pending_opens: Some(true),
        },
        Finding::OtherFunction { has: "[function]".to_owned(), meant: function(), pending: None },
        Finding::OtherFunction { has: "[function]".to_owned(), meant: function(), pending: Some(id('1')) },
        Finding::MasterIgnored,
        Finding::AbandonedVersion { version: id('3') },
        Finding::UnknownError,
    ];
    let facts = facts(vec![version('0', &[AWSCURRENT], 24)]);
    let alone = |finding: &Finding| report(&facts, std::slice::from_ref(finding), None).findings[0].words(1);
    let said = all.iter().map(alone).collect::<String>().replace(facts.examined.arn.as_str(), "[arn]");
    insta::assert_snapshot!(said, @r"
    1. URGENT: only-pending-opens
        The service refuses AWSCURRENT (00000000-0000-4000-8000-000000000000) and accepts AWSPENDING
        (00000001-0000-4000-8000-000000000000). A rotation ended between setSecret and finishSecret, so
        clients that read AWSCURRENT cannot log in.
        To do: Make the version that works AWSCURRENT. Or mend what stopped the rotation and start it
        again: it goes on with this version.

          aws secretsmanager update-secret-version-stage --region eu-west-1 --secret-id [arn] --version-stage AWSCURRENT --move-to-version-id 00000001-0000-4000-8000-000000000000 --remove-from-version-id 00000000-0000-4000-8000-000000000000

    1. URGENT: only-abandoned-opens
        The service refuses AWSCURRENT (00000000-0000-4000-8000-000000000000) and accepts version
        00000003-0000-4000-8000-000000000000, which has no label. A rotation was abandoned after
        setSecret, for example because somebody stored a new value meanwhile. Secrets Manager deletes
        versions without a label sooner or later, and this one is the only credential that works.
        To do: Make it AWSCURRENT now.

          aws secretsmanager update-secret-version-stage --region eu-west-1 --secret-id [arn] --version-stage AWSCURRENT --move-to-version-id 00000003-0000-4000-8000-000000000000 --remove-from-version-id 00000000-0000-4000-8000-000000000000

    1. URGENT: only-other-opens
        The service refuses AWSCURRENT (00000000-0000-4000-8000-000000000000) and accepts version
        00000002-0000-4000-8000-000000000000 (AWSPREVIOUS). Somebody put the service or the secret back.
        To do: Make the version that works AWSCURRENT; then rotate, so that the two agree on something
        new.

          aws secretsmanager update-secret-version-stage --region eu-west-1 --secret-id [arn] --version-stage AWSCURRENT --move-to-version-id 00000002-0000-4000-8000-000000000000 --remove-from-version-id 00000000-0000-4000-8000-000000000000

          aws secretsmanager rotate-secret --region eu-west-1 --secret-id [arn]

    1. URGENT: drift
        No stored version opens the service: 2 refused, 1 more without a clear answer or not tried.
        Somebody changed the credential in the service without storing it here, or the user is locked or
        gone.
        To do: Find the credential or set one in the service, as its administrator. Then store it here as
        a whole new value, by a file: copy the value of AWSCURRENT and correct it. Rotate when `windlass
        doctor --probe` finds that it works. A plugin that can use an admin credential repairs this by
        itself, if the operator's rule binds one (`admin`).

          aws secretsmanager put-secret-value --region eu-west-1 --secret-id [arn] --secret-string file://secret.json

    1. URGENT: no-current-value
        No version has AWSCURRENT and a value, so there is nothing to rotate from.
        To do: Store the credential that the service accepts now. That also ends a rotation that waits
        for it.

          aws secretsmanager put-secret-value --region eu-west-1 --secret-id [arn] --secret-string file://secret.json

    1. URGENT: marked-for-deletion
        The secret is marked for deletion. Nobody can read its values, and no rotation runs.
        To do: If it is still in use, bring it back.

          aws secretsmanager restore-secret --region eu-west-1 --secret-id [arn]

    1. problem: endpoint-denied
        The plugin may not connect where the secret leads it: the reason.
        To do: Correct `endpoints` in the operator's windlass.toml, or host and port in the secret,
        whichever is wrong. `windlass config check FILE --explain SECRET` says what holds and where it
        comes from.

    1. problem: identity-differs
        AWSPENDING (00000001-0000-4000-8000-000000000000) differs from AWSCURRENT in `host`, which no
        rotation changes. It was made before the secret was edited, or somebody else wrote it. Every step
        refuses it.
        To do: Make sure that AWSCURRENT works (--probe asks the service): without its label this version
        is deleted sooner or later, and if setSecret had run, its value is the only one that works. Then
        take the label away and rotate again.

          aws secretsmanager update-secret-version-stage --region eu-west-1 --secret-id [arn] --version-stage AWSPENDING --remove-from-version-id 00000001-0000-4000-8000-000000000000

          aws secretsmanager rotate-secret --region eu-west-1 --secret-id [arn]

    1. problem: not-created-by-function
        AWSPENDING (00000001-0000-4000-8000-000000000000) was made by another function than the one that
        rotates the secret now, so Secrets Manager refuses to go on. This is how it is after a change of
        the rotation function in the middle of a rotation. AWSCURRENT opens the service.
        To do: Take its label away and rotate again.

          aws secretsmanager update-secret-version-stage --region eu-west-1 --secret-id [arn] --version-stage AWSPENDING --remove-from-version-id 00000001-0000-4000-8000-000000000000

          aws secretsmanager rotate-secret --region eu-west-1 --secret-id [arn]

    1. problem: valueless-pending
        AWSPENDING (00000001-0000-4000-8000-000000000000) has no value: createSecret never succeeded.
        Secrets Manager refuses to start another rotation until this one ends, and repeats it by itself
        in the rotation window.
        To do: Mend what createSecret reports in the function's log; the rotation then goes on by itself.
        To begin anew, take the label away. Nothing is lost: there is no value.

          aws secretsmanager update-secret-version-stage --region eu-west-1 --secret-id [arn] --version-stage AWSPENDING --remove-from-version-id 00000001-0000-4000-8000-000000000000

          aws secretsmanager rotate-secret --region eu-west-1 --secret-id [arn]

    1. problem: stuck-pending
        AWSPENDING (00000001-0000-4000-8000-000000000000, 2 hours old) is left over from a rotation that
        did not end. Secrets Manager refuses to start another one and repeats this one by itself in the
        rotation window. The service refuses AWSCURRENT. If its event RotationFailed in CloudTrail says
        that the version was not created by the function, it never ends by itself.
        To do: AWSCURRENT does not work, so this version's value may still be needed: do not take its
        label away before something else works. What to do first stands above.

    1. problem: unreadable
        Version 00000000-0000-4000-8000-000000000000 (AWSPREVIOUS) cannot be read: the reason.
        To do: Allow whoever runs this secretsmanager:GetSecretValue on the secret and kms:Decrypt on its
        key. If the function has the same trouble, its log says so.

    1. problem: missing-tag
        Nothing says which plugin serves the secret: the reason.
        To do: Tag the secret with the plugin's name, or write a rule for it in windlass.toml.

          aws secretsmanager tag-resource --region eu-west-1 --secret-id [arn] --tags Key=windlass:plugin,Value=PLUGIN

    1. problem: unknown-plugin
        The plugin that serves the secret is not there: the reason.
        To do: Install it in the function's `plugins` folder, or correct the tag or the rule that names
        it.

          aws secretsmanager tag-resource --region eu-west-1 --secret-id [arn] --tags Key=windlass:plugin,Value=PLUGIN

    1. problem: invalid-tag
        the reason.
        To do: Correct the tag. A misspelt restriction must not be a missing one, so every step refuses
        it.

    1. problem: unusable-plugin
        The plugin that serves the secret may not run: the reason.
        To do: Do what the message says; `windlass inspect` shows what a component is.

    1. problem: malformed-secret
        The value of AWSCURRENT does not fit its plugin: the reason.
        To do: Correct the value: store a whole new one, by a file. Every reader gets the new one at
        once: first change readers that expect another form.

          aws secretsmanager put-secret-value --region eu-west-1 --secret-id [arn] --secret-string file://secret.json

    1. problem: owned-by-another-service
        `rds` owns the secret and rotates it.
        To do: Nothing here: rotate it where it is managed.

    1. problem: replica
        The secret is a replica. It is rotated in its primary region, us-east-1.
        To do: Ask there: `windlass doctor` with the ARN of the primary secret and AWS_REGION set to its
        region.

    1. problem: rotation-disabled
        Rotation is turned off, so nothing changes the credential and every step is refused.
        To do: Turn it on, which also starts a rotation. If another rotation had begun, deal with its
        AWSPENDING first.

          aws secretsmanager rotate-secret --region eu-west-1 --secret-id [arn]

    1. problem: rotation-not-configured
        Rotation was never configured, so nothing changes the credential.
        To do: Configure it, which also starts a rotation. Replace FUNCTION_ARN by the ARN of the
        Windlass function.

          aws secretsmanager rotate-secret --region eu-west-1 --secret-id [arn] --rotation-lambda-arn FUNCTION_ARN --rotation-rules AutomaticallyAfterDays=30

    1. problem: overdue
        The next rotation was due by 1970-01-01T00:00Z and has not succeeded.
        To do: Look for RotationFailed in CloudTrail and for `step failed` in the function's log. When
        that is mended, rotate.

          aws secretsmanager rotate-secret --region eu-west-1 --secret-id [arn]

    1. problem: probe-unclear
        Version 00000000-0000-4000-8000-000000000000: the service gave no clear answer: the reason.
        To do: Run this where the function's network can be reached, or look at the function's log: what
        is unreachable from here may be reachable from there.

    1. notice: rotation-underway
        AWSPENDING (00000001-0000-4000-8000-000000000000) is 1 minute old: a rotation is at work, or has
        just failed and is going to be repeated. The service accepts both versions.
        To do: Look for `step failed` in the function's log, which says what to do; or wait and ask
        again. If you know that no rotation runs, --stuck-after 0 takes it for stuck.

    1. notice: other-function
        The secret is rotated by [function], not by [other function].
        To do: Change the function. The first command only has it test the credential in use; the second
        one rotates. host/deploy/MIGRATION.md says what to look at before.

          aws secretsmanager rotate-secret --region eu-west-1 --secret-id [arn] --rotation-lambda-arn '[other function]' --no-rotate-immediately

          aws secretsmanager rotate-secret --region eu-west-1 --secret-id [arn]

    1. notice: other-function
        The secret is rotated by [function], not by [other function], and AWSPENDING
        (00000001-0000-4000-8000-000000000000) is of a rotation that has not ended. No function goes on
        with what another one began.
        To do: First let that rotation end, or end it as is said here about AWSPENDING, but without
        rotating again. Then run this again.

    1. notice: masterarn-ignored
        The secret names an admin secret in its field `masterarn`, as those of AWS's multi-user templates
        do. Windlass takes no admin credential from a secret, so a rotation gives the new password to the
        user that is in use.
        To do: If two users shall take turns as before, write a rule for the secret in windlass.toml with
        `alternating_users = true` and `admin` naming that secret. Until then do not rotate.

    1. notice: abandoned-version
        Version 00000003-0000-4000-8000-000000000000 has a value, no label, and was never AWSCURRENT as
        far as its age tells: it may be what an abandoned rotation left. If setSecret had run, the
        service accepts this one and not AWSCURRENT.
        To do: Ask the service: run this again with --probe.

    1. notice: unknown-error
        The error is none that this command explains, or it is about a version that is not AWSPENDING any
        more.
        To do: Errors of Windlass's own begin with `Windlass.` and say what to do.
    ");
}

#[test]
fn no_command_has_the_function_rotate_that_the_secret_is_to_leave() {
    let mut facts = probed([Probe::Opens, Probe::Refused, Probe::Refused, Probe::NotAsked]);
    facts.examined.described.rotation_enabled = Some(false);
    let commands = |facts: &Facts| {
        let report = report(facts, &diagnose(facts), None);
        report.findings.into_iter().map(|finding| (finding.name, finding.commands.len())).collect::<Vec<_>>()
    };
    assert_eq!(commands(&facts), [("stuck-pending", 2), ("rotation-disabled", 1)]);
    facts.meant_function = Some("arn:aws:lambda:eu-west-1:123456789012:function:other".to_owned());
    assert_eq!(commands(&facts), [("stuck-pending", 1), ("rotation-disabled", 0), ("other-function", 0)]);
}

#[test]
fn words_of_strangers_steer_no_terminal() {
    let mut facts = facts(vec![version('0', &[AWSCURRENT, "a\u{1b}[2J"], 24)]);
    facts.examined.function = Some("\u{1b}[2J\nNothing is wrong.".to_owned());
    facts.versions[0].value = ValueFacts::Unreadable { why: "\u{202e}\u{9b}31m\nNothing is wrong.".to_owned() };
    let words = words(&facts);
    assert!(!words.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{words}");
    assert!(!words.lines().any(|line| line == "Nothing is wrong."), "{words}");
}
