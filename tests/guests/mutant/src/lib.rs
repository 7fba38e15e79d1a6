//! A plugin that is right, and wrong in one way if the operator's setting `mutant` names one. `windlass test` has to tell each from the
//! right one; `tests/conformance.rs` says which check does.
//!
//! Its service is `tests/conformance/service`, which also says what it is asked.

use std::io::{BufRead, BufReader, Write};

use windlass_sdk::bindings::windlass::rotation::secret;
use windlass_sdk::connection::{self, Connection};
use windlass_sdk::{Cause, Credential, Effect, Failure, Outcome, Role, Steps, Versions, log, setting};

/// The plugin.
pub struct Mutant;

/// A value that a mutant sets instead of AWSPENDING.
const OF_ITS_OWN: &str = "Made-up-by-the-plugin-1";

impl Steps for Mutant {
    fn set_secret(versions: &Versions) -> Result<Outcome, Failure> {
        if mutant("panics") {
            panic!("a mutant panics");
        }
        if mutant("traps") {
            trap();
        }
        if mutant("opens-an-undeclared-endpoint") {
            // Whatever comes of it: to ask is what it must not do.
            drop(connection::open("elsewhere"));
        }
        match set(versions) {
            Ok(Outcome::Changed) if mutant("says-unchanged") => Ok(Outcome::Unchanged),
            Err(_) if mutant("swallows-errors") => Ok(Outcome::Changed),
            result => result.map_err(told),
        }
    }

    fn test_secret(pending: &Credential) -> Result<(), Failure> {
        test(pending).map_err(|failure| match failure.cause() {
            Cause::Unauthorized if mutant("test-says-changed") => failure.changed(),
            _ => told(failure.unchanged()),
        })
    }
}

/// Ends without the words that a panic has.
#[inline(never)]
fn trap() {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
}

fn mutant(name: &str) -> bool {
    setting("mutant").is_some_and(|chosen| chosen == name)
}

fn set(versions: &Versions) -> Result<Outcome, Failure> {
    if mutant("talks-a-lot") || mutant("gives-up-after-a-long-way") {
        Session::open()?.stammer().map_err(Failure::unchanged)?;
    }
    let owner = if mutant("reads-a-field-late") { None } else { Some(versions.pending.required("owner")?) };
    let owner = owner.as_ref().map_or("nobody", |owner| owner.expose());
    if !mutant("does-not-look-first")
        && let Some(mut session) = if_accepted(&versions.pending)?
    {
        if !mutant("settles-only-after-a-change") {
            session.settle(versions)?;
        }
        return Ok(Outcome::Unchanged);
    }
    if versions.pending.field("username") != versions.current.field("username") && !mutant("changes-the-user-in-use") {
        return hand_over(versions);
    }
    let previous = versions.previous.as_ref().filter(|_| !mutant("forgets-previous"));
    let admin = versions.admin.as_ref().filter(|_| !mutant("forgets-the-admin"));
    let first = admin.filter(|_| mutant("changes-a-pattern"));
    for credential in [first, Some(&versions.current), previous, admin].into_iter().flatten() {
        let Some(mut session) = if_accepted(credential)? else { continue };
        let changed = session.change(&versions.pending, owner);
        if mutant("reads-a-field-late") {
            versions.pending.required("owner")?;
        }
        return match changed {
            Err(lost) if lost.cause() == Cause::Conflict && mutant("takes-a-race-for-a-defect") => {
                Err(Failure::internal("what was staged is gone"))
            }
            Err(lost) if lost.cause() == Cause::Conflict && mutant("undoes-what-another-run-did") => {
                let current = versions.current.required("password")?;
                let mut session = login(&versions.pending)?;
                session.replace(current.expose(), owner)?;
                session.keep(&[current.expose()])?;
                Err(lost.unchanged())
            }
            Err(failure) if failure.effect() == Effect::Unchanged || mutant("believes-a-lost-answer") => Err(failure.unchanged()),
            changed => look_again(changed, versions),
        };
    }
    // What was refused may have been replaced in the meantime, by another run of this step.
    match if_accepted(&versions.pending)?.filter(|_| !mutant("does-not-look-first")) {
        Some(mut session) => session.settle(versions).map(|()| Outcome::Unchanged),
        None => Err(Failure::unauthorized("the service accepts no version of the secret")),
    }
}

/// The turn of another user, which may not exist yet.
fn hand_over(versions: &Versions) -> Result<Outcome, Failure> {
    let admin = versions.admin.as_ref().ok_or_else(|| Failure::unauthorized("only an admin changes another user"))?;
    let mut session = login(admin).map_err(Failure::unchanged)?;
    let (name, password) = (versions.pending.required("username")?, versions.pending.required("password")?);
    let name = name.expose();
    if mutant("only-makes-the-other-user") && !name.ends_with("_clone") {
        return Err(Failure::conflict("the user is there already").unchanged());
    }
    if mutant("makes-the-other-user-in-two-steps") {
        if Session::open()?.login(name, OF_ITS_OWN).is_ok() {
            return Err(Failure::conflict("the user is there already").unchanged());
        }
        session.account(name, OF_ITS_OWN)?;
    }
    let (in_use, its_password) = (versions.current.required("username")?, versions.current.required("password")?);
    if mutant("borrows-the-user-in-use") {
        session.account(in_use.expose(), OF_ITS_OWN)?;
        session.account(in_use.expose(), its_password.expose())?;
    }
    let changed = session.account(name, password.expose());
    if mutant("gives-both-users-the-new-value") {
        session.account = in_use.expose().to_owned();
        session.replace(password.expose(), "nobody")?;
    }
    if mutant("ends-the-credential-in-use") {
        session.ask("KEEP", &[&written_name(in_use.expose())])?;
    }
    look_again(changed, versions)
}

/// The change was made, or nobody knows: the pending credential decides.
fn look_again(changed: Result<(), Failure>, versions: &Versions) -> Result<Outcome, Failure> {
    match (login(&versions.pending), changed) {
        (Ok(mut session), _) => session.settle(versions).map(|()| Outcome::Changed).map_err(Failure::changed),
        (Err(_), Err(failure)) => Err(failure),
        (Err(failure), Ok(())) => Err(failure.changed()),
    }
}

fn test(pending: &Credential) -> Result<(), Failure> {
    if mutant("test-always-succeeds") {
        return Ok(());
    }
    if mutant("test-uses-current") {
        let password = secret::field(secret::Version::Current, "password");
        let password = password.ok_or_else(|| Failure::malformed_secret("the current version has no field `password`"))?;
        return Session::open()?.login(pending.required("username")?.expose(), &password);
    }
    if mutant("test-only-connects") {
        return Session::open().map(drop);
    }
    let mut session = login(pending).map_err(|failure| match failure.cause() {
        Cause::MalformedSecret if mutant("test-takes-a-missing-field-for-a-wrong-one") => {
            Failure::unauthorized("the service refuses the login")
        }
        _ => failure,
    })?;
    if mutant("test-changes-the-service") {
        session.replace(OF_ITS_OWN, "nobody")?;
        session.keep(&[OF_ITS_OWN])?;
    }
    if mutant("test-retires-the-old-value") {
        session.keep(&[pending.required("password")?.expose()])?;
    }
    Ok(())
}

/// A connection on which somebody is logged in.
struct Session {
    connection: BufReader<Connection>,
    /// The account that is to be changed.
    account: String,
}

enum Answer {
    Ok,
    No,
    Busy,
    Refused,
}

/// A session if the service accepts the credential.
fn if_accepted(credential: &Credential) -> Result<Option<Session>, Failure> {
    match login(credential) {
        Ok(session) => Ok(Some(session)),
        Err(refused) if refused.cause() == Cause::Unauthorized => Ok(None),
        // Nothing was sent but a login.
        Err(failure) => Err(failure.unchanged()),
    }
}

fn login(credential: &Credential) -> Result<Session, Failure> {
    let (name, password) = (credential.required("username")?, credential.required("password")?);
    let (name, password) = (name.expose(), password.expose());
    if mutant("value-in-a-log-line") {
        log::debug(&format!("logging in with {password}"));
    }
    if mutant("half-a-value-in-a-log-line") {
        let half: String = password.chars().take(password.chars().count() / 2).collect();
        log::info(&format!("logging in with a password that begins with {half}"));
    }
    let mut session = Session::open()?;
    session.login(name, password).inspect_err(|failure| {
        if failure.cause() == Cause::Unauthorized && !mutant("hides-refused-logins") {
            secret::refused(match credential.role() {
                Role::Pending => secret::Version::Pending,
                Role::Current => secret::Version::Current,
                Role::Previous => secret::Version::Previous,
                Role::Admin => secret::Version::Admin,
            });
        }
    })?;
    session.account = match credential.role() {
        Role::Admin if mutant("changes-everybody") => "*".to_owned(),
        Role::Admin if mutant("changes-a-pattern") => account_of_pending() + "*",
        Role::Admin if !mutant("changes-the-admin") => account_of_pending(),
        Role::Admin | Role::Pending | Role::Current | Role::Previous => name.to_owned(),
    };
    Ok(session)
}

fn account_of_pending() -> String {
    secret::field(secret::Version::Pending, "username").unwrap_or_default()
}

impl Session {
    fn open() -> Result<Self, Failure> {
        Ok(Self { connection: BufReader::new(connection::open("service")?), account: String::new() })
    }

    fn login(&mut self, name: &str, password: &str) -> Result<(), Failure> {
        match self.ask("LOGIN", &[&written_name(name), &written_password(password)])? {
            Answer::Ok => Ok(()),
            _ if mutant("value-in-a-failure") => Err(Failure::unauthorized(format!("the service does not accept {password}"))),
            _ => Err(Failure::unauthorized("the service refuses the login")),
        }
    }

    /// Makes the service accept the new password beside those that it accepts already.
    fn change(&mut self, new: &Credential, owner: &str) -> Result<(), Failure> {
        let new = new.required("password")?;
        self.replace(if mutant("sets-a-value-of-its-own") { OF_ITS_OWN } else { new.expose() }, owner)
    }

    fn replace(&mut self, new: &str, owner: &str) -> Result<(), Failure> {
        let (account, new) = (written_name(&self.account), written_password(new));
        let mut staged = self.ask("STAGE", &[&account, &new]).map_err(Failure::unchanged)?;
        if matches!(staged, Answer::Busy) && !mutant("gives-up-after-an-interruption") && !mutant("gives-up-after-a-long-way") {
            // An earlier run staged it and was interrupted. What it staged may be another value by now.
            self.ask("DISCARD", &[&account]).map_err(Failure::unchanged)?;
            staged = self.ask("STAGE", &[&account, &new]).map_err(Failure::unchanged)?;
        }
        match staged {
            Answer::Ok => {}
            Answer::No => return Err(Failure::unauthorized("the login may not change this account")),
            Answer::Busy => return Err(Failure::conflict("another change is under way").unchanged()),
            Answer::Refused if mutant("panics-when-refused") => panic!("the service takes every password"),
            Answer::Refused => return Err(Failure::rejected("the service refuses the new password")),
        }
        match self.ask("COMMIT", &[&account, &quoted(owner)])? {
            Answer::Ok if mutant("changes-the-admin") || mutant("changes-everybody") || mutant("changes-a-pattern") => {
                self.ask("KEEP", &[&account, &new]).map(drop)
            }
            Answer::Ok => Ok(()),
            Answer::No | Answer::Busy | Answer::Refused => Err(Failure::conflict("another run took what was staged")),
        }
    }

    /// Makes this the account's only password, and the account if there is none.
    fn account(&mut self, name: &str, password: &str) -> Result<(), Failure> {
        match self.ask("ACCOUNT", &[&written_name(name), &written_password(password)])? {
            Answer::Ok => Ok(()),
            Answer::No | Answer::Busy | Answer::Refused => {
                Err(Failure::unauthorized("the login may not make accounts").unchanged())
            }
        }
    }

    /// Retires every password but those that are in use from now on.
    fn settle(&mut self, versions: &Versions) -> Result<(), Failure> {
        if mutant("never-retires-the-old-value") {
            return Ok(());
        }
        let overlap = setting("overlap").is_some_and(|overlap| overlap == "true");
        let (pending, current) = (versions.pending.required("password")?, versions.current.required("password")?);
        if overlap && !mutant("kills-the-old-value") {
            self.keep(&[pending.expose(), current.expose()])
        } else {
            self.keep(&[pending.expose()])
        }
    }

    fn keep(&mut self, passwords: &[&str]) -> Result<(), Failure> {
        let words: Vec<String> =
            [written_name(&self.account)].into_iter().chain(passwords.iter().map(|password| written_password(password))).collect();
        match self.ask("KEEP", &words.iter().map(String::as_str).collect::<Vec<_>>())? {
            Answer::Ok => Ok(()),
            _ => Err(Failure::unauthorized("the login may not retire passwords")),
        }
    }

    /// A question that leads nowhere, in 163 calls of the host.
    fn stammer(&mut self) -> Result<Answer, Failure> {
        for letter in format!("DISCARD {}\n", "n".repeat(153)).bytes() {
            self.connection.get_mut().write_all(&[letter])?;
        }
        self.answer()
    }

    fn ask(&mut self, command: &str, words: &[&str]) -> Result<Answer, Failure> {
        self.connection.get_mut().write_all([command, " ", &words.join(" "), "\n"].concat().as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer, Failure> {
        let mut answer = String::new();
        match self.connection.read_line(&mut answer) {
            Ok(_) => {}
            Err(_) if mutant("silence-as-internal") => return Err(Failure::internal("the service's answer is none")),
            Err(error) => return Err(error.into()),
        }
        match answer.trim_end() {
            "OK" => Ok(Answer::Ok),
            "NO" | "NONE" => Ok(Answer::No),
            "BUSY" => Ok(Answer::Busy),
            "REFUSED" => Ok(Answer::Refused),
            "" => Err(Failure::unreachable("the service closed the connection")),
            _ => Err(Failure::internal("the service's answer is none")),
        }
    }
}

fn written_name(name: &str) -> String {
    match name {
        name if mutant("unquoted-user-names") => name.to_owned(),
        name if mutant("lower-case-user-names") => quoted(&name.to_lowercase()),
        name => quoted(name),
    }
}

fn written_password(password: &str) -> String {
    match password {
        password if mutant("unquoted-passwords") => password.to_owned(),
        password if mutant("unescaped-passwords") => format!("\"{password}\""),
        password if mutant("trims-passwords") => quoted(password.trim()),
        password if mutant("loses-other-alphabets") => quoted(&password.chars().filter(char::is_ascii).collect::<String>()),
        password if mutant("forgets-line-breaks") => quoted(password).replace("\\n", "\n"),
        password if mutant("counts-on-three-bytes") && password.chars().any(|of| of.len_utf8() > 3) => {
            panic!("no character has more than three bytes")
        }
        password if mutant("cuts-long-passwords") => quoted(&password.chars().take(72).collect::<String>()),
        password => quoted(password),
    }
}

/// A word as the service reads it, whatever stands in it.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A failure as it is reported.
fn told(failure: Failure) -> Failure {
    let (cause, effect) = (failure.cause(), failure.effect());
    match cause {
        Cause::Unreachable if mutant("unreachable-as-unauthorized") => Failure::new(Cause::Unauthorized, effect, failure.message()),
        Cause::Unreachable if mutant("unreachable-as-changed") => failure.changed(),
        Cause::Unauthorized if mutant("unauthorized-as-unreachable") => Failure::new(Cause::Unreachable, effect, failure.message()),
        Cause::Rejected if mutant("rejected-as-internal") => Failure::new(Cause::Internal, effect, failure.message()),
        Cause::Rejected if mutant("rejected-as-changed") => failure.changed(),
        Cause::MalformedSecret if mutant("missing-field-as-internal") => Failure::new(Cause::Internal, effect, failure.message()),
        Cause::MalformedSecret if mutant("missing-field-without-its-name") => Failure::new(cause, effect, "a field is missing"),
        _ => failure,
    }
}

windlass_sdk::export!(Mutant);
