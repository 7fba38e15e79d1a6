//! Another rotation function, small and right, and what it becomes when one thing about it is wrong. It shows that the exploration
//! catches what it is there to catch: without a mutation it passes, and each mutation breaks an invariant.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use windlass::event::{RotationEvent, Step};
use windlass::local::error::Exception;
use windlass::local::exchange::Exchange;
use windlass::local::ids;
use windlass::local::protocol::Operation;
use windlass::local::store::{CURRENT, PENDING, PREVIOUS};

use crate::invariant::Invariant;
use crate::service::USER;
use crate::world::{SERVICE, World};

/// One thing that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// Nothing.
    None,
    /// createSecret changes the service before it stores the value.
    SetsBeforePut,
    /// setSecret makes another password when it does not know whether the first one was taken.
    RegeneratesAfterAmbiguity,
    /// PutSecretValue without VersionStages: the value is AWSCURRENT at once.
    PutsAsCurrent,
    /// PutSecretValue under a token of its own.
    PutsWithoutTheToken,
    /// PutSecretValue without the RotationToken.
    PutsWithoutTheRotationToken,
    /// finishSecret moves the label and does not test.
    PromotesWithoutTest,
    /// finishSecret tests, and moves the label whatever came of it.
    IgnoresItsTest,
    /// testSecret and finishSecret test the credential that is current.
    TestsTheCurrentCredential,
    /// finishSecret takes AWSCURRENT from whoever has it.
    PromotesWithoutCompareAndSwap,
    /// testSecret moves the label already.
    PromotesInTest,
    /// finishSecret removes AWSPENDING.
    RemovesPending,
    /// createSecret notes on the secret that it was there.
    TagsTheSecret,
    /// createSecret makes a new user.
    ChangesTheUser,
    /// No step asks whether rotation is on and the version pending.
    SkipsTheGate,
    /// A step whose version is current is an error.
    RefusesWhatIsFinished,
    /// A step whose version is current is done again.
    RepeatsWhatIsFinished,
    /// createSecret fails if there is a value.
    CreatesOnce,
    /// setSecret begins with the current credential and does not look whether the pending one works.
    ForgetsThatPendingMayWork,
    /// setSecret does not try the previous credential.
    ForgetsThePrevious,
    /// A password is logged.
    LogsAValue,
    /// The RotationToken is logged.
    LogsTheRotationToken,
    /// The message of an error holds a password.
    TellsAValue,
    /// setSecret tells another host.
    DialsElsewhere,
}

impl Mutation {
    /// Every mutation, and the invariant that it breaks.
    pub const ALL: [(Self, Invariant); 23] = [
        (Self::SetsBeforePut, Invariant::I1),
        (Self::RegeneratesAfterAmbiguity, Invariant::I1),
        (Self::PutsAsCurrent, Invariant::I2),
        (Self::PutsWithoutTheToken, Invariant::I2),
        (Self::PutsWithoutTheRotationToken, Invariant::I2),
        (Self::PromotesWithoutTest, Invariant::I3),
        (Self::IgnoresItsTest, Invariant::I3),
        (Self::TestsTheCurrentCredential, Invariant::I3),
        (Self::PromotesWithoutCompareAndSwap, Invariant::I3),
        (Self::PromotesInTest, Invariant::I3),
        (Self::RemovesPending, Invariant::I5),
        (Self::TagsTheSecret, Invariant::I5),
        (Self::ChangesTheUser, Invariant::I6),
        (Self::SkipsTheGate, Invariant::I8),
        (Self::RefusesWhatIsFinished, Invariant::I11),
        (Self::RepeatsWhatIsFinished, Invariant::I11),
        (Self::CreatesOnce, Invariant::I12),
        (Self::ForgetsThatPendingMayWork, Invariant::I12),
        (Self::ForgetsThePrevious, Invariant::I12),
        (Self::LogsAValue, Invariant::I9),
        (Self::LogsTheRotationToken, Invariant::I9),
        (Self::TellsAValue, Invariant::I9),
        (Self::DialsElsewhere, Invariant::I10),
    ];
}

/// Runs a step.
pub async fn run(mutation: Mutation, world: Arc<World>, event: &RotationEvent) -> Result<(), String> {
    let function = Function { mutation, world, event };
    let holder = match function.gate().await? {
        Gate::Finished if mutation == Mutation::RefusesWhatIsFinished => return Err("this has been done".to_owned()),
        Gate::Finished if mutation == Mutation::RepeatsWhatIsFinished => return function.test().await,
        Gate::Finished => return Ok(()),
        Gate::InProgress { holder } => holder,
    };
    match event.step {
        Step::Create => function.create().await,
        Step::Set => function.set().await,
        Step::Test if mutation == Mutation::PromotesInTest => {
            function.test().await?;
            function.promote(&holder).await
        }
        Step::Test => function.test().await,
        Step::Finish => function.finish(&holder).await,
    }
}

struct Function<'a> {
    mutation: Mutation,
    world: Arc<World>,
    event: &'a RotationEvent,
}

enum Gate {
    Finished,
    InProgress { holder: String },
}

impl Function<'_> {
    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == mutation
    }

    async fn ask(&self, operation: Operation, mut request: Value) -> Result<Value, Option<Exception>> {
        request["SecretId"] = self.event.secret.as_str().into();
        match Arc::clone(&self.world).exchange(operation, request.to_string().into_bytes()).await {
            Exchange::Answered(Ok(answer)) => Ok(answer),
            Exchange::Answered(Err(error)) => Err(Some(error.exception)),
            Exchange::Unavailable | Exchange::Lost => Err(None),
        }
    }

    async fn gate(&self) -> Result<Gate, String> {
        let described = self.ask(Operation::DescribeSecret, json!({})).await.map_err(|_| "DescribeSecret failed")?;
        let stages = described["VersionIdsToStages"].as_object().ok_or("there are no labels")?;
        let has = |labels: &Value, label: &str| labels.as_array().is_some_and(|labels| labels.iter().any(|it| it == label));
        let holder = stages.iter().find_map(|(id, labels)| has(labels, CURRENT).then(|| id.clone())).unwrap_or_default();
        if self.is(Mutation::SkipsTheGate) {
            return Ok(Gate::InProgress { holder });
        }
        if !described["DeletedDate"].is_null() || described["RotationEnabled"] == json!(false) {
            return Err("the secret is not to be rotated".to_owned());
        }
        let labels = stages.get(self.event.version.as_str()).ok_or("the version has no label")?;
        if has(labels, CURRENT) {
            Ok(Gate::Finished)
        } else if has(labels, PENDING) {
            Ok(Gate::InProgress { holder })
        } else {
            Err("the version is not pending".to_owned())
        }
    }

    /// A version's value; nothing if there is none.
    async fn value(&self, request: Value) -> Result<Option<Value>, String> {
        match self.ask(Operation::GetSecretValue, request).await {
            Ok(answer) => Ok(serde_json::from_str(answer["SecretString"].as_str().unwrap_or_default()).ok()),
            Err(Some(Exception::ResourceNotFound | Exception::InvalidRequest)) => Ok(None),
            Err(_) => Err("GetSecretValue failed".to_owned()),
        }
    }

    async fn labelled(&self, label: &str) -> Result<Option<Value>, String> {
        self.value(json!({ "VersionStage": label })).await
    }

    async fn pending(&self) -> Result<Option<Value>, String> {
        if self.is(Mutation::SkipsTheGate) {
            return self.value(json!({ "VersionId": self.event.version.as_str() })).await;
        }
        self.value(json!({ "VersionId": self.event.version.as_str(), "VersionStage": PENDING })).await
    }

    async fn create(&self) -> Result<(), String> {
        let current = self.labelled(CURRENT).await?.ok_or("there is no current value")?;
        if self.is(Mutation::TagsTheSecret) {
            let tags = json!([{ "Key": "rotating", "Value": "yes" }]);
            self.ask(Operation::TagResource, json!({ "Tags": tags })).await.map_err(|_| "TagResource failed")?;
        }
        if self.pending().await?.is_some() {
            return if self.is(Mutation::CreatesOnce) { Err("there is a value".to_owned()) } else { Ok(()) };
        }
        let mut value = current.clone();
        value["password"] = fresh().into();
        if self.is(Mutation::ChangesTheUser) {
            value["username"] = format!("{USER}_clone").into();
        }
        if self.is(Mutation::LogsAValue) {
            tracing::info!(target: "windlass::mutant", password = text(&value), "made");
        }
        if self.is(Mutation::SetsBeforePut) {
            self.change(&current, text(&value)).await?;
        }
        let mut put = json!({ "SecretString": value.to_string(), "VersionStages": [PENDING] });
        put["ClientRequestToken"] =
            if self.is(Mutation::PutsWithoutTheToken) { fresh() } else { self.event.version.as_str().to_owned() }.into();
        if self.is(Mutation::PutsAsCurrent) {
            put["VersionStages"].take();
        }
        let token = self.event.rotation_token.as_ref().filter(|_| !self.is(Mutation::PutsWithoutTheRotationToken));
        put["RotationToken"] = token.map(|token| token.expose()).into();
        match self.ask(Operation::PutSecretValue, put).await {
            Ok(_) | Err(Some(Exception::ResourceExists)) => Ok(()),
            Err(_) => Err("PutSecretValue failed".to_owned()),
        }
    }

    async fn set(&self) -> Result<(), String> {
        if let (true, Some(token)) = (self.is(Mutation::LogsTheRotationToken), &self.event.rotation_token) {
            tracing::warn!(target: "windlass::mutant", token = token.expose(), "begins");
        }
        let pending = self.pending().await?.ok_or("there is no pending value")?;
        let (current, previous) = (self.labelled(CURRENT).await?, self.labelled(PREVIOUS).await?);
        let current = current.ok_or("there is no current value")?;
        if !self.is(Mutation::ForgetsThatPendingMayWork)
            && let Some(mut session) = self.login(text(&pending)).await?
        {
            return say(&mut session, &format!("KEEP {} {}", text(&pending), text(&current))).await.map(drop);
        }
        let previous = previous.filter(|_| !self.is(Mutation::ForgetsThePrevious));
        for credential in [Some(&current), previous.as_ref()].into_iter().flatten() {
            match self.change(credential, text(&pending)).await {
                Ok(true) if self.login(text(&pending)).await?.is_some() => return Ok(()),
                Ok(true) => return Err("the change is not effective yet".to_owned()),
                Ok(false) => {}
                Err(_) if self.is(Mutation::RegeneratesAfterAmbiguity) => return self.change(&current, &fresh()).await.map(drop),
                Err(why) => return Err(why),
            }
        }
        Err(if self.is(Mutation::TellsAValue) {
            format!("{} is refused", text(&pending))
        } else {
            "no credential works".to_owned()
        })
    }

    async fn test(&self) -> Result<(), String> {
        let tested =
            if self.is(Mutation::TestsTheCurrentCredential) { self.labelled(CURRENT).await? } else { self.pending().await? };
        let tested = tested.ok_or("there is no pending value")?;
        if self.is(Mutation::TellsAValue) {
            return Err(format!("{} is tested", text(&tested)));
        }
        match self.login(text(&tested)).await? {
            Some(_) => Ok(()),
            None => Err("the credential is refused".to_owned()),
        }
    }

    async fn finish(&self, holder: &str) -> Result<(), String> {
        match self.test().await {
            _ if self.is(Mutation::PromotesWithoutTest) => {}
            Err(_) if self.is(Mutation::IgnoresItsTest) => {}
            other => other?,
        }
        self.promote(holder).await
    }

    async fn promote(&self, holder: &str) -> Result<(), String> {
        let mut request =
            json!({ "VersionStage": CURRENT, "MoveToVersionId": self.event.version.as_str(), "RemoveFromVersionId": holder });
        if self.is(Mutation::PromotesWithoutCompareAndSwap) {
            request["RemoveFromVersionId"].take();
        }
        self.ask(Operation::UpdateSecretVersionStage, request).await.map_err(|_| "AWSCURRENT was not moved")?;
        if self.is(Mutation::RemovesPending) {
            let remove = json!({ "VersionStage": PENDING, "RemoveFromVersionId": self.event.version.as_str() });
            self.ask(Operation::UpdateSecretVersionStage, remove).await.map_err(|_| "AWSPENDING was not removed")?;
        }
        Ok(())
    }

    /// Changes the service's password; nothing happens if the credential does not log in.
    async fn change(&self, credential: &Value, new: &str) -> Result<bool, String> {
        match self.login(text(credential)).await? {
            Some(mut session) => say(&mut session, &format!("CHANGE {new}")).await,
            None => Ok(false),
        }
    }

    async fn login(&self, password: &str) -> Result<Option<BufReader<DuplexStream>>, String> {
        let (host, port) = SERVICE;
        let host = if self.is(Mutation::DialsElsewhere) { "192.0.2.1" } else { host };
        let address = SocketAddr::new(host.parse().map_err(|_| "the host is no address")?, port);
        let mut session = BufReader::new(self.world.connect(address));
        Ok(say(&mut session, &format!("LOGIN {USER} {password}")).await?.then_some(session))
    }
}

async fn say(session: &mut BufReader<DuplexStream>, line: &str) -> Result<bool, String> {
    let mut answer = String::new();
    session.get_mut().write_all(format!("{line}\n").as_bytes()).await.map_err(|_| "the connection broke")?;
    match session.read_line(&mut answer).await {
        Ok(1..) => Ok(answer == "OK\n"),
        Ok(0) | Err(_) => Err("the connection broke".to_owned()),
    }
}

fn text(value: &Value) -> &str {
    value["password"].as_str().unwrap_or_default()
}

fn fresh() -> String {
    ids::uuid().unwrap()
}
