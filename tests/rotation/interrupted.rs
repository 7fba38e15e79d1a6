//! Steps that are killed. SIGKILL between any two messages, and between an effect and its answer: afterwards a stored credential
//! works, and the same event finishes what was begun.

use rstest::rstest;
use windlass::event::Step;
use windlass::local::store::{CURRENT, PENDING};

use crate::scene::{Scene, Service, Set};
use crate::support::proxy::{Moment, Proxy};
use crate::whole::sha256;

/// What was left behind by the process that was killed.
#[derive(Debug, Default)]
struct Seen {
    kills: u32,
    /// The pending value was stored and createSecret had not answered.
    stored: bool,
    /// The service had taken the pending value and setSecret had not answered.
    taken: bool,
    /// As before, and Redis had not saved its users: the time between the step's two effects.
    unsaved: bool,
    /// AWSCURRENT had moved and finishSecret had not answered.
    moved: bool,
}

/// Kills `step` at every moment of its talk through `proxy`, each time in a new rotation; then runs it again and finishes.
fn kill_everywhere(scene: &Scene, step: Step, proxy: fn(&Scene) -> &Proxy) -> Seen {
    let proxy = proxy(scene);
    let mut seen = Seen::default();
    for (moment, versions) in (1..).flat_map(|turn| [Moment::BeforeRequest(turn), Moment::BeforeReply(turn)]).zip(2..) {
        let rotation = scene.begin_before(step);
        let created = scene.pending();
        scene.function.kill_at(proxy, moment);
        let killed = scene.function.invoke(&rotation.event(step));
        let fired = proxy.disarm();
        scene.one_works();
        let pending = scene.pending();
        if !fired {
            // The step has no such moment: all of them have been tried.
            killed.unwrap();
        } else {
            assert_eq!(killed.unwrap_err().error_type, "Runtime.ExitError", "{moment:?}");
            seen.kills += 1;
            let taken = pending.as_ref().is_some_and(|pending| scene.accepts(pending));
            seen.stored |= step == Step::Create && pending.is_some();
            seen.taken |= step == Step::Set && taken;
            seen.moved |= scene.account.holder(&scene.secret, CURRENT).as_deref() == Some(rotation.version());
            if let Service::Redis(redis) = &scene.service {
                seen.unsaved |=
                    step == Step::Set && taken && !redis.acl_file().unwrap().contains(&sha256(&pending.clone().unwrap()));
            }
            // A new process, the same event.
            scene.function.succeed(&rotation.event(step));
            scene.one_works();
        }
        if created.is_some() || pending.is_some() {
            assert_eq!(scene.pending(), created.or(pending), "{moment:?}: the pending value was written twice");
        }
        if let Service::Redis(redis) = &scene.service
            && step != Step::Create
        {
            assert!(
                redis.acl_file().unwrap().contains(&sha256(&scene.pending().unwrap())),
                "{moment:?}: the new password is not saved"
            );
        }
        for later in Step::ALL.into_iter().skip_while(|later| *later != step).skip(1) {
            scene.function.succeed(&rotation.event(later));
        }
        scene.finished(&rotation);
        assert_eq!(scene.account.versions(&scene.secret), versions);
        assert_eq!(scene.account.holder(&scene.secret, PENDING).as_deref(), Some(rotation.version()));
        if !fired {
            return seen;
        }
    }
    unreachable!("the loop ends with the step's last moment")
}

#[test]
fn create_secret_killed_at_any_moment_makes_one_pending_value() {
    let seen = kill_everywhere(&Set::default().redis(), Step::Create, Scene::secrets_manager);
    assert!(seen.kills >= 8 && seen.stored, "{seen:?}");
}

#[test]
fn set_secret_killed_at_any_moment_of_its_talk_with_redis_leaves_a_working_credential() {
    let seen = kill_everywhere(&Set::default().redis(), Step::Set, Scene::proxy);
    assert!(seen.kills >= 12 && seen.taken && seen.unsaved, "{seen:?}");
}

#[test]
fn set_secret_killed_at_any_moment_of_its_talk_with_rabbitmq_leaves_a_working_credential() {
    let seen = kill_everywhere(&Set::default().rabbitmq(), Step::Set, Scene::proxy);
    assert!(seen.kills >= 8 && seen.taken, "{seen:?}");
}

#[test]
fn finish_secret_killed_at_any_moment_moves_the_label_once() {
    let seen = kill_everywhere(&Set::default().redis(), Step::Finish, Scene::secrets_manager);
    assert!(seen.kills >= 8 && seen.moved, "{seen:?}");
}

#[rstest]
#[case::set_secret(Step::Set)]
#[case::test_secret(Step::Test)]
fn steps_killed_while_they_read_the_secret_can_be_repeated(#[case] step: Step) {
    let seen = kill_everywhere(&Set::default().redis(), step, Scene::secrets_manager);
    assert!(seen.kills >= 6, "{seen:?}");
}

#[rstest]
#[case::test_secret(Step::Test)]
#[case::finish_secret(Step::Finish)]
fn steps_killed_while_they_test_can_be_repeated(#[case] step: Step) {
    let seen = kill_everywhere(&Set::default().redis(), step, Scene::proxy);
    assert!(seen.kills >= 4 && !seen.moved, "{seen:?}");
}

/// Not the function but the connection dies: the same process finds out what became of its request.
#[rstest]
#[case::redis(Set::redis)]
#[case::rabbitmq(Set::rabbitmq)]
fn set_secret_whose_connection_breaks_at_any_moment_can_be_repeated(#[case] scene: fn(Set) -> Scene) {
    let scene = scene(Set::default());
    for moment in (1..).flat_map(|turn| [Moment::BeforeRequest(turn), Moment::BeforeReply(turn)]) {
        let rotation = scene.begin_before(Step::Set);
        scene.proxy.cut_at(moment);
        let cut = scene.function.invoke(&rotation.event(Step::Set));
        let fired = scene.proxy.disarm();
        scene.one_works();
        if let Err(error) = cut {
            assert!(fired && error.error_type == "Windlass.Unreachable", "{moment:?}: {error}");
        }
        for step in [Step::Set, Step::Test, Step::Finish] {
            scene.function.succeed(&rotation.event(step));
        }
        scene.finished(&rotation);
        if !fired {
            return;
        }
    }
}
