//! Steps that run more than once, one after the other and at the same time.

use std::sync::{Arc, Barrier};

use rstest::rstest;
use windlass::event::Step;
use windlass::local::invoker::Invocation;
use windlass::local::store::CURRENT;

use crate::scene::{Scene, Set};
use crate::support::proxy::{Moment, Proxy};

/// Errors after which Secrets Manager's next attempt can succeed by itself, as `StepError::retry` says.
const RETRYABLE: [&str; 4] =
    ["Windlass.Unreachable", "Windlass.NotYetEffective", "Windlass.CurrentMoved", "Windlass.SecretsManagerUnreachable"];

#[rstest]
#[case::redis(Set::redis)]
#[case::rabbitmq(Set::rabbitmq)]
fn each_step_twice_ends_where_once_ends(#[case] scene: fn(Set) -> Scene) {
    let scene = scene(Set::default());
    let rotation = scene.begin();
    for step in Step::ALL {
        scene.function.succeed(&rotation.event(step));
        let once = (scene.account.state(&scene.secret), scene.users());
        scene.function.succeed(&rotation.event(step));
        assert!(once == (scene.account.state(&scene.secret), scene.users()), "{step} changed something when it was repeated");
        scene.one_works();
    }
    scene.finished(&rotation);
    assert_eq!(scene.account.versions(&scene.secret), 2);
    // Every step of a rotation that is over.
    let end = (scene.account.state(&scene.secret), scene.users());
    let turns = scene.proxy.turns();
    for step in Step::ALL {
        scene.function.succeed(&rotation.event(step));
    }
    assert!(end == (scene.account.state(&scene.secret), scene.users()));
    assert_eq!(scene.proxy.turns(), turns, "the service was contacted though the version is AWSCURRENT");
    assert_eq!(scene.function.output().matches("\"already-current\"").count(), 5);
}

#[test]
fn steps_out_of_order_do_no_harm() {
    let scene = Set::default().redis();
    let rotation = scene.begin();
    for step in [Step::Set, Step::Test, Step::Finish] {
        scene.refused(&rotation.event(step), "Windlass.NoPendingValue", &["has no value", "starts again at createSecret"]);
    }
    scene.function.succeed(&rotation.event(Step::Create));
    for step in [Step::Test, Step::Finish] {
        scene.fails(&rotation.event(step), "Windlass.Unauthorized", &["plugin `redis`"]);
    }
    for step in [Step::Set, Step::Finish] {
        scene.function.succeed(&rotation.event(step));
    }
    scene.finished(&rotation);
}

/// What two runs of a step may come to.
#[track_caller]
fn judge(scene: &Scene, step: Step, invocations: &[Invocation]) {
    assert!(invocations.iter().any(Result::is_ok), "{step}: both failed: {invocations:?}");
    for error in invocations.iter().filter_map(|invocation| invocation.as_ref().err()) {
        assert!(RETRYABLE.contains(&&*error.error_type), "{step}: {error}");
    }
    scene.one_works();
}

#[rstest]
#[case::redis(Set::redis)]
#[case::rabbitmq(Set::rabbitmq)]
fn two_processes_that_run_every_step_at_the_same_time_agree(#[case] scene: fn(Set) -> Scene) {
    let scene = scene(Set::default());
    let other = scene.another_function();
    for round in 2..5 {
        let rotation = scene.begin();
        let mut pending = None;
        for step in Step::ALL {
            let (event, barrier) = (rotation.event(step), Barrier::new(2));
            let run = |function: &crate::support::account::Function| {
                barrier.wait();
                function.invoke(&event)
            };
            let both = std::thread::scope(|threads| {
                let second = threads.spawn(|| run(&other));
                [run(&scene.function), second.join().unwrap()]
            });
            judge(&scene, step, &both);
            scene.function.succeed(&event);
            assert_eq!(*pending.get_or_insert_with(|| scene.pending()), scene.pending(), "{step}: the pending value was replaced");
        }
        scene.finished(&rotation);
        assert_eq!(scene.account.versions(&scene.secret), round);
    }
}

/// The worst of the orders that two processes can run in, one by one: while the first is held up, its connection lost, the second
/// does the whole step.
#[rstest]
#[case::create(Step::Create, Set::redis, Scene::secrets_manager)]
#[case::set_in_redis(Step::Set, Set::redis, Scene::proxy)]
#[case::set_in_rabbitmq(Step::Set, Set::rabbitmq, Scene::proxy)]
#[case::finish(Step::Finish, Set::redis, Scene::secrets_manager)]
fn a_second_process_may_do_the_whole_step_at_any_moment_of_the_first(
    #[case] step: Step,
    #[case] scene: fn(Set) -> Scene,
    #[case] proxy: fn(&Scene) -> &Proxy,
) {
    let scene = scene(Set::default());
    let (other, proxy) = (Arc::new(scene.another_function()), proxy(&scene));
    for moment in (1..).flat_map(|turn| [Moment::BeforeRequest(turn), Moment::BeforeReply(turn)]) {
        let rotation = scene.begin_before(step);
        let event = rotation.event(step);
        let (sender, second) = std::sync::mpsc::channel();
        let (process, again) = (Arc::clone(&other), event.clone());
        proxy.at(moment, move || sender.send(process.invoke(&again)).unwrap());
        let first = scene.function.invoke(&event);
        let fired = proxy.disarm();
        let both: Vec<Invocation> = [first].into_iter().chain(second.try_iter()).collect();
        assert_eq!(both.len(), if fired { 2 } else { 1 });
        judge(&scene, step, &both);
        let pending = scene.pending();
        for later in Step::ALL.into_iter().skip_while(|later| *later != step) {
            scene.function.succeed(&rotation.event(later));
        }
        assert_eq!(scene.pending(), pending, "{moment:?}: the pending value was replaced");
        scene.finished(&rotation);
        assert_eq!(scene.account.holder(&scene.secret, CURRENT).as_deref(), Some(rotation.version()));
        if !fired {
            return;
        }
    }
}
