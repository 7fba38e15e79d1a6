//! The ladder against a service of one user, over every state that a crash, a lost answer or an operator can leave behind.
#![allow(clippy::unwrap_used, reason = "the functions that tests share are meant to panic too")]

use std::cell::{Cell, RefCell};

use windlass_sdk::testing::Scene;
use windlass_sdk::{Cause, Credential, Effect, Failure, Outcome, Role, Service, Versions};

thread_local! {
    static PASSWORDS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static CHANGE: Cell<Change> = const { Cell::new(Change::Works) };
    static DOWN_FOR: Cell<Option<Role>> = const { Cell::new(None) };
    static STEPS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone, Copy)]
enum Change {
    Works,
    OnlyAdmin,
    Rejects,
    AnswerLostAfter,
    AnswerLostBefore,
    LaterEffective,
}

struct Fake;

/// The same service, where users take turns.
struct TakingTurns;

impl Service for TakingTurns {
    type Session = Session;

    const ALTERNATING: Option<&'static str> = Some("username");

    fn login(credential: &Credential) -> Result<Session, Failure> {
        Fake::login(credential)
    }

    fn change(session: &mut Session, new: &Credential) -> Result<(), Failure> {
        Fake::change(session, new)
    }

    fn change_other(session: &mut Session, new: &Credential, current: &Credential) -> Result<(), Failure> {
        assert_eq!((new.role(), current.role()), (Role::Pending, Role::Current));
        did("other user:", session.0);
        Fake::change(session, new)
    }
}

struct Session(Role);

fn password(of: &Credential) -> String {
    of.required("password").unwrap().expose().to_owned()
}

fn did(what: &str, role: Role) {
    STEPS.with_borrow_mut(|steps| steps.push(format!("{what} {}", role.name())));
}

impl Service for Fake {
    type Session = Session;

    fn login(credential: &Credential) -> Result<Session, Failure> {
        if DOWN_FOR.get() == Some(credential.role()) {
            return Err(Failure::unreachable("no answer"));
        }
        if PASSWORDS.with_borrow(|valid| valid.contains(&password(credential))) {
            did("login", credential.role());
            Ok(Session(credential.role()))
        } else {
            Err(Failure::unauthorized("wrong password"))
        }
    }

    fn change(session: &mut Session, new: &Credential) -> Result<(), Failure> {
        did("change by", session.0);
        let accept = || PASSWORDS.with_borrow_mut(|valid| valid.push(password(new)));
        match CHANGE.get() {
            Change::Works => accept(),
            Change::OnlyAdmin if session.0 == Role::Admin => accept(),
            Change::OnlyAdmin => return Err(Failure::unauthorized("may not")),
            Change::Rejects => return Err(Failure::rejected("too short")),
            Change::AnswerLostAfter => {
                accept();
                return Err(Failure::unreachable("answer lost"));
            }
            Change::AnswerLostBefore => return Err(Failure::unreachable("answer lost")),
            Change::LaterEffective => {}
        }
        Ok(())
    }

    fn settle(session: &mut Session, versions: &Versions) -> Result<(), Failure> {
        assert_eq!(versions.pending.role(), Role::Pending);
        did("settle by", session.0);
        let may = session.0 == Role::Admin || !matches!(CHANGE.get(), Change::OnlyAdmin);
        may.then_some(()).ok_or_else(|| Failure::unauthorized("may not settle"))
    }
}

fn scene(valid: &[&str], change: Change) -> Scene {
    PASSWORDS.set(valid.iter().map(|password| (*password).to_owned()).collect());
    CHANGE.set(change);
    DOWN_FOR.set(None);
    STEPS.take();
    Scene::new().pending([("password", "new")]).current([("password", "now")])
}

fn steps() -> Vec<String> {
    STEPS.take()
}

#[test]
fn the_current_credential_makes_the_change() {
    let mut scene = scene(&["now"], Change::Works);
    assert_eq!(scene.set_secret::<Fake>(), Ok(Outcome::Changed));
    assert_eq!(steps(), ["login current", "change by current", "login pending", "settle by pending"]);
    assert_eq!(scene.set_secret::<Fake>(), Ok(Outcome::Unchanged));
    assert_eq!(steps(), ["login pending", "settle by pending"]);
}

#[test]
fn the_previous_credential_helps_when_the_current_one_is_refused() {
    let mut scene = scene(&["before"], Change::Works).previous([("password", "before")]);
    assert_eq!(scene.set_secret::<Fake>(), Ok(Outcome::Changed));
    assert_eq!(steps(), ["login previous", "change by previous", "login pending", "settle by pending"]);
}

#[test]
fn the_admin_changes_and_settles_what_the_user_may_not() {
    let mut scene = scene(&["now", "root"], Change::OnlyAdmin).admin([("password", "root")]);
    assert_eq!(scene.set_secret::<Fake>(), Ok(Outcome::Changed));
    let changing = ["login current", "change by current", "login admin", "change by admin"];
    let settling = ["login pending", "settle by pending", "login admin", "settle by admin"];
    assert_eq!(steps(), [changing, settling].concat());
}

#[test]
fn the_other_of_two_users_is_changed_by_the_admin_alone() {
    let valid = ["now", "before", "root"];
    let versions = |scene: Scene, user| {
        let scene = scene.pending([("username", user), ("password", "new")]).current([("username", "app"), ("password", "now")]);
        scene.previous([("username", "app_clone"), ("password", "before")]).admin([("password", "root")])
    };
    let mut turns = versions(scene(&valid, Change::Works), "app_clone");
    assert_eq!(turns.set_secret::<TakingTurns>(), Ok(Outcome::Changed));
    assert_eq!(steps(), ["login admin", "other user: admin", "change by admin", "login pending"]);
    let mut alone = versions(scene(&valid, Change::Works), "app");
    assert_eq!(alone.set_secret::<TakingTurns>(), Ok(Outcome::Changed));
    assert_eq!(steps(), ["login current", "change by current", "login pending"]);
}

#[test]
fn the_host_hears_of_every_refused_login_and_of_no_other() {
    let mut scene = scene(&["before"], Change::Works).previous([("password", "before")]);
    assert_eq!(scene.set_secret::<Fake>(), Ok(Outcome::Changed));
    assert_eq!(scene.refused(), [Role::Pending, Role::Current]);
    PASSWORDS.take();
    scene.test_secret::<Fake>().unwrap_err();
    assert_eq!(scene.refused(), [Role::Pending, Role::Current, Role::Pending]);
}

#[test]
fn a_refusal_names_what_was_tried() {
    let failure = scene(&["now"], Change::OnlyAdmin).previous([("password", "before")]).set_secret::<Fake>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unauthorized, Effect::Unchanged));
    assert_eq!(
        failure.message(),
        "no stored credential can make the change: pending: wrong password; current: may not; previous: wrong password"
    );
}

#[test]
fn a_lost_answer_is_looked_into() {
    assert_eq!(scene(&["now"], Change::AnswerLostAfter).set_secret::<Fake>(), Ok(Outcome::Changed));
    let failure = scene(&["now"], Change::AnswerLostBefore).set_secret::<Fake>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unknown));
}

#[test]
fn a_change_without_effect_is_not_taken_for_one() {
    let failure = scene(&["now"], Change::LaterEffective).set_secret::<Fake>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::NotYetEffective, Effect::Changed));
}

#[test]
fn a_rejected_value_ends_the_step_without_trying_others() {
    let failure = scene(&["now", "root"], Change::Rejects).admin([("password", "root")]).set_secret::<Fake>().unwrap_err();
    assert_eq!((failure.cause(), failure.effect()), (Cause::Rejected, Effect::Unchanged));
    assert_eq!(steps(), ["login current", "change by current"]);
}

#[test]
fn a_login_that_gets_no_answer_ends_the_step_unchanged() {
    for role in [Role::Pending, Role::Current] {
        let mut scene = scene(&["now"], Change::Works);
        DOWN_FOR.set(Some(role));
        let failure = scene.set_secret::<Fake>().unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unchanged));
        assert_eq!(steps(), [""; 0]);
    }
}

#[test]
fn a_test_sees_the_pending_credential_only() {
    let mut scene = scene(&["new"], Change::Works);
    assert_eq!(scene.test_secret::<Fake>(), Ok(()));
    PASSWORDS.set(vec!["now".to_owned()]);
    assert_eq!(scene.test_secret::<Fake>().unwrap_err().cause(), Cause::Unauthorized);
}

#[test]
fn a_missing_field_is_named_with_its_version() {
    let failure = Scene::new().pending([("password", "")]).with(|versions| versions.pending.required("password").unwrap_err());
    assert_eq!(
        (failure.cause(), failure.message()),
        (Cause::MalformedSecret, "the field `password` of the pending version is empty")
    );
    let failure = Scene::new().with(|versions| versions.current.required("username").unwrap_err());
    assert_eq!(failure.message(), "the current version has no field `username`");
}
