//! Tries a schedule: one rotation with its faults, then repeats without, as Secrets Manager does.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use windlass::event::RotationEvent;
use windlass::local::api::RotateSecret;
use windlass::local::engine::{Engine, Happened, Pace};
use windlass::local::fault::Place;
use windlass::local::invoker::Invoker;
use windlass::local::store::FunctionArn;

use crate::host::{Host, Installed, Log, Whereabouts, step_of};
use crate::invariant::{Invariant, Violation};
use crate::mutant::Mutation;
use crate::schedule::Schedule;
use crate::world::{AFTERWARDS, INVOCATION, Invocation, World, ends_rotation};

/// A host on a thread of its own, with everything that outlives a schedule.
pub struct Explorer {
    host: Host,
    whereabouts: Whereabouts,
    plugins: Installed,
    log: Log,
    _collecting: tracing::subscriber::DefaultGuard,
}

/// What became of a schedule.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub violations: Vec<Violation>,
    pub succeeded: bool,
    /// Where something could have gone wrong, and how often.
    pub places: Vec<(Place, u32)>,
    /// Fingerprints of the states that were passed.
    pub states: BTreeSet<u64>,
    /// The most logins with a wrong credential in one step.
    pub most_refused: u32,
    /// What happened, and what was logged.
    pub story: String,
}

impl Explorer {
    pub fn windlass() -> Self {
        let whereabouts = Whereabouts::default();
        let plugins = Installed::first();
        Self::with(Host::windlass(&whereabouts, &plugins), whereabouts, plugins)
    }

    pub fn mutant(mutation: Mutation) -> Self {
        Self::with(Host::Mutant(mutation), Whereabouts::default(), Installed::first())
    }

    fn with(host: Host, whereabouts: Whereabouts, plugins: Installed) -> Self {
        let log = Log::default();
        let collecting = log.collect();
        Self { host, whereabouts, plugins, log, _collecting: collecting }
    }

    /// Tries a schedule, in virtual time.
    pub fn explore(&self, schedule: &Schedule) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(self.rotate(schedule))
    }

    async fn rotate(&self, schedule: &Schedule) -> Outcome {
        let (world, begun) = World::new(schedule.kind, &schedule.faults);
        self.whereabouts.enter(&world);
        world.backend.when_swapped(self.plugins.swap());
        self.log.take();
        let tokens = Arc::new(Mutex::new(BTreeSet::new()));
        let invoker = self.invoker(&world, &tokens);
        let (sender, mut reports) = mpsc::unbounded_channel();
        // More than there are occurrences of all faults together: what has not succeeded then never will.
        let attempts = 4 + 16 * u32::try_from(schedule.faults.len()).unwrap();
        let pace = Pace { attempts, ..Pace::default() };
        let _engine = Engine::start(Arc::clone(&world.backend), begun, invoker, pace, sender);
        let request = RotateSecret {
            secret_id: Some(world.arn.clone()),
            client_request_token: Some(world.token.clone()),
            rotation_lambda_arn: Some(FunctionArn::DEFAULT.to_owned()),
            ..RotateSecret::default()
        };
        world.backend.rotate(&request).unwrap();
        let mut said = Vec::new();
        let end = loop {
            let happened = reports.recv().await.unwrap().happened;
            said.extend_from_slice(format!("{happened:?}\n").as_bytes());
            if happened.is_last() {
                break happened;
            }
        };
        let may_end = schedule.faults.iter().any(ends_rotation);
        match &end {
            Happened::Succeeded => world.finished(),
            Happened::Started { .. }
            | Happened::StepSucceeded { .. }
            | Happened::StepFailed { .. }
            | Happened::Failed { .. }
            | Happened::Abandoned { .. } => {
                if !may_end {
                    world.violated(Invariant::I12, format!("the rotation did not succeed: {end:?}"));
                }
            }
        }
        // What was late arrives now. Somebody else may be late, too, and has the last word then.
        tokio::time::sleep(AFTERWARDS).await;
        world.look();
        if end == Happened::Succeeded && !may_end {
            world.finished();
        }
        said.extend(self.log.take());
        world.silent(&said, &tokens.lock().unwrap());
        Outcome {
            violations: world.violations(),
            succeeded: end == Happened::Succeeded,
            places: world.places(),
            states: world.states(),
            most_refused: world.most_refused(),
            story: String::from_utf8_lossy(&said).into_owned(),
        }
    }

    fn invoker(&self, world: &Arc<World>, tokens: &Arc<Mutex<BTreeSet<String>>>) -> Invoker {
        let (host, world, tokens) = (self.host.clone(), Arc::clone(world), Arc::clone(tokens));
        let numbers = Arc::new(AtomicU32::new(0));
        Invoker::in_process(move |event, deadline| {
            let (host, world) = (host.clone(), Arc::clone(&world));
            let token = RotationEvent::parse(&event).unwrap().rotation_token.map(|token| token.expose().to_owned());
            tokens.lock().unwrap().extend(token);
            let invocation = Invocation { number: numbers.fetch_add(1, Ordering::Relaxed), step: step_of(&event) };
            INVOCATION.scope(invocation, async move {
                world.invoked(invocation);
                let answer = host.run(Arc::clone(&world), &event, deadline).await;
                world.answered(invocation, answer.as_ref().err().map(|error| &*error.error_type));
                answer
            })
        })
    }
}
