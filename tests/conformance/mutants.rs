//! What may be wrong with a plugin, and the check that has to notice it. `tests/guests/mutant` does what the names say.

/// A plugin that is wrong in one way.
pub struct Mutant {
    /// The value of the guest's setting `mutant`.
    pub name: &'static str,
    /// The guest.
    pub guest: &'static str,
    /// The case, in which the same guest without the setting is right.
    pub case: &'static str,
    /// The check that has to fail.
    pub caught_by: &'static str,
    /// What is wrong with it.
    pub does: &'static str,
}

const fn mutant(
    name: &'static str,
    guest: &'static str,
    case: &'static str,
    caught_by: &'static str,
    does: &'static str,
) -> Mutant {
    Mutant { name, guest, case, caught_by, does }
}

/// All of them, by the check that has to catch them.
pub const MUTANTS: [Mutant; 45] = [
    mutant("test-uses-current", "mutant", "right", "set-then-test", "test-secret logs in with AWSCURRENT, which it is not given"),
    mutant("sets-a-value-of-its-own", "mutant", "right", "set-then-test", "set-secret sets another value than AWSPENDING"),
    mutant("says-unchanged", "mutant", "right", "set-then-test", "set-secret makes the change and says `unchanged`"),
    mutant("panics", "mutant", "right", "set-then-test", "set-secret panics"),
    mutant(
        "does-not-look-first",
        "mutant",
        "right",
        "set-twice",
        "set-secret does not try AWSPENDING, and finds no login the second time",
    ),
    mutant("test-always-succeeds", "mutant", "right", "test-before-set", "test-secret says that all is well without looking"),
    mutant("test-only-connects", "mutant", "right", "test-before-set", "test-secret connects and does not log in"),
    mutant(
        "test-says-changed",
        "mutant",
        "right",
        "test-before-set",
        "test-secret reports a refused login with the effect `changed`",
    ),
    mutant(
        "test-changes-the-service",
        "mutant",
        "right",
        "test-changes-nothing",
        "test-secret logs in and sets a password of its own",
    ),
    mutant(
        "kills-the-old-value",
        "mutant-overlap",
        "right",
        "overlap",
        "the old password dies, and the manifest says that it lives on",
    ),
    mutant("never-retires-the-old-value", "mutant-overlap", "right", "overlap", "old passwords live for ever"),
    mutant(
        "never-retires-the-old-value",
        "mutant",
        "right",
        "overlap",
        "the old password lives on, and the manifest says that it dies",
    ),
    mutant(
        "test-retires-the-old-value",
        "mutant-overlap",
        "right",
        "overlap",
        "test-secret retires AWSCURRENT as soon as AWSPENDING works",
    ),
    mutant(
        "does-not-look-first",
        "mutant-overlap",
        "right",
        "drift-pending",
        "set-secret does not try AWSPENDING, and changes the password again while the old one works",
    ),
    mutant("forgets-previous", "mutant", "right", "drift-previous", "set-secret does not fall back to AWSPREVIOUS"),
    mutant("forgets-the-admin", "mutant", "right-admin", "drift-other", "set-secret does not fall back to the admin credential"),
    mutant(
        "changes-everybody",
        "mutant",
        "right-admin",
        "drift-other",
        "set-secret changes all accounts when the admin is logged in",
    ),
    mutant(
        "changes-the-admin",
        "mutant",
        "right-admin",
        "drift-other",
        "set-secret changes the account that is logged in, and that is the admin",
    ),
    mutant("swallows-errors", "mutant", "right", "wrong-credential", "set-secret says `changed` whatever happened"),
    mutant("unauthorized-as-unreachable", "mutant", "right", "wrong-credential", "a refused login is reported as `unreachable`"),
    mutant(
        "hides-refused-logins",
        "mutant",
        "right",
        "wrong-credential",
        "refused logins are not told to the host, which cannot bound them",
    ),
    mutant(
        "unreachable-as-unauthorized",
        "mutant",
        "right",
        "dead-host",
        "a service that is not there is reported as `unauthorized`",
    ),
    mutant(
        "unreachable-as-changed",
        "mutant",
        "right",
        "dead-host",
        "a service that is not there is reported with the effect `changed`",
    ),
    mutant("silence-as-internal", "mutant", "right", "silent-host", "the host's failure of a read is replaced by `internal`"),
    mutant(
        "believes-a-lost-answer",
        "mutant",
        "right",
        "lost-answer",
        "set-secret says `unchanged` when the answer to the change is lost",
    ),
    mutant("rejected-as-internal", "mutant", "right", "rejected-value", "a refused password is reported as `internal`"),
    mutant("rejected-as-changed", "mutant", "right", "rejected-value", "a refused password is reported with the effect `changed`"),
    mutant(
        "panics-when-refused",
        "mutant",
        "right",
        "rejected-value",
        "set-secret takes it for granted that the service takes the password",
    ),
    mutant("missing-field-as-internal", "mutant", "right", "missing-field", "a missing field is reported as `internal`"),
    mutant("missing-field-without-its-name", "mutant", "right", "missing-field", "a missing field is not named"),
    mutant(
        "reads-a-field-late",
        "mutant",
        "right",
        "missing-field",
        "set-secret makes the change, finds that a field is missing, and says `unchanged`",
    ),
    mutant(
        "swallows-errors",
        "mutant",
        "right",
        "missing-field",
        "set-secret says `changed` though a field is missing and nothing was done",
    ),
    mutant(
        "gives-up-after-an-interruption",
        "mutant",
        "right",
        "interrupted",
        "set-secret cannot go on from the first half of a change in two steps",
    ),
    mutant("panics", "mutant", "right", "interrupted", "set-secret panics before anything can be interrupted"),
    mutant(
        "settles-only-after-a-change",
        "mutant",
        "right",
        "interrupted",
        "the old password lives on if set-secret is killed before it retires it",
    ),
    mutant("unquoted-passwords", "mutant", "right", "hostile-passwords", "a space in a password ends it"),
    mutant("unescaped-passwords", "mutant", "right", "hostile-passwords", "a quote or a backslash in a password is syntax"),
    mutant("trims-passwords", "mutant", "right", "hostile-passwords", "spaces around a password are lost"),
    mutant(
        "cuts-long-passwords",
        "mutant",
        "right",
        "hostile-passwords",
        "a password is cut after 72 characters, in set and test alike",
    ),
    mutant("unquoted-user-names", "mutant", "right", "hostile-user-names", "a space or a quote in a user name is syntax"),
    mutant("lower-case-user-names", "mutant", "right", "hostile-user-names", "user names are written in lower case"),
    mutant(
        "opens-an-undeclared-endpoint",
        "mutant",
        "right",
        "granted-endpoints",
        "set-secret opens an endpoint that the manifest does not declare",
    ),
    mutant("value-in-a-failure", "mutant", "right", "no-values-in-words", "a failure quotes the password"),
    mutant("value-in-a-log-line", "mutant", "right", "no-values-in-words", "a line for debugging quotes the password"),
    mutant("half-a-value-in-a-log-line", "mutant", "right", "no-values-in-words", "a line of the log quotes half of the password"),
];
