//! Rotation, as the store sees it: who may start one, whether it may go on, and how it ends. The order of steps and the repeats
//! are in [`crate::local::engine`].

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{CURRENT, PENDING, RotationSettings, Running, Secret, Store, Version, parameters};
use crate::local::api::{Named, OfSecret, RotateSecret};
use crate::local::error::{Exception, ServiceError};

/// The ARN of the rotation function. Its region and account are those of the secrets, because Secrets Manager invokes functions
/// of its own region only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionArn {
    text: String,
    partition: String,
    region: String,
    account: String,
}

/// Why a text is not the ARN of a function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not the ARN of a Lambda function: write arn:aws:lambda:REGION:ACCOUNT:function:NAME, the account with 12 digits"
)]
pub struct FunctionArnError {
    text: String,
}

/// Why a function cannot rotate the secrets of another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{function} is not of the region and account of {here}: Secrets Manager invokes functions of its own only. Name another function"
)]
pub struct ElsewhereError {
    pub(super) function: String,
    pub(super) here: String,
}

impl Default for FunctionArn {
    fn default() -> Self {
        Self::parse(Self::DEFAULT).expect("the default is written as `parse` expects it")
    }
}

impl FunctionArn {
    /// The function that is assumed unless told otherwise.
    pub const DEFAULT: &str = "arn:aws:lambda:us-east-1:123456789012:function:windlass";

    /// Checks an ARN. A qualifier (`:live`) may follow the function's name.
    ///
    /// # Errors
    ///
    /// [`FunctionArnError`] says what is expected.
    pub fn parse(text: &str) -> Result<Self, FunctionArnError> {
        let parts: Vec<&str> = text.split(':').collect();
        if let ["arn", partition, "lambda", region, account, "function", name]
        | ["arn", partition, "lambda", region, account, "function", name, _] = parts[..]
        {
            let plain =
                |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            let account_ok = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
            if partition.starts_with("aws") && plain(partition) && plain(region) && account_ok && plain(name) {
                return Ok(Self {
                    text: text.to_owned(),
                    partition: partition.to_owned(),
                    region: region.to_owned(),
                    account: account.to_owned(),
                });
            }
        }
        Err(FunctionArnError { text: text.to_owned() })
    }

    /// The ARN's text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The function's name, without a qualifier.
    pub fn name(&self) -> &str {
        self.text.split(':').nth(6).expect("an ARN of a function was parsed")
    }

    /// The region of the function and the secrets.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Partition, region and account.
    pub(super) fn place(&self) -> (&str, &str, &str) {
        (&self.partition, &self.region, &self.account)
    }

    pub(super) fn secret_arn(&self, name: &str, suffix: &str) -> String {
        format!("arn:{}:secretsmanager:{}:{}:secret:{name}-{suffix}", self.partition, self.region, self.account)
    }
}

/// What is invoked: all four steps, or testSecret alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RotationKind {
    /// A rotation.
    Rotation,
    /// What `RotateImmediately=false` asks for: testSecret, on a copy of the current value.
    Test,
}

/// A rotation to carry out.
#[derive(Clone)]
pub struct Rotation {
    /// The secret's full ARN.
    pub arn: String,
    /// The version that is being made.
    pub version: String,
    /// Which steps.
    pub kind: RotationKind,
    /// The ARN of the function that the secret has.
    pub function: String,
    pub(super) token: Zeroizing<String>,
}

impl Rotation {
    /// The RotationToken, for the event and nothing else.
    pub fn expose_token(&self) -> &str {
        &self.token
    }
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotation")
            .field("arn", &self.arn)
            .field("version", &self.version)
            .field("kind", &self.kind)
            .field("function", &self.function)
            .finish_non_exhaustive()
    }
}

/// What `RotateSecret` came to.
#[derive(Debug)]
pub enum Next {
    /// It is accepted. There is work unless the same request had been accepted before.
    Started(Named, Option<Rotation>),
    /// It is refused because of a rotation that is not complete. There is work if nobody is on that one.
    InProgress(Option<Rotation>),
}

/// Why a rotation may not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// AWSPENDING or AWSCURRENT was moved by somebody else.
    #[error("the rotation was abandoned: AWSCURRENT got another value, or AWSPENDING was taken away")]
    Abandoned,
    /// `CancelRotateSecret` was called.
    #[error("the rotation was cancelled; AWSPENDING stays until it is removed")]
    Cancelled,
    /// The secret was deleted or marked for deletion.
    #[error("the secret was deleted")]
    Deleted,
    /// Somebody else wrote the pending version.
    #[error(
        "Pending secret version {version} for Secret {arn} was not created by Lambda {function}. Remove the AWSPENDING staging \
         label and restart rotation"
    )]
    Foreign {
        /// The version.
        version: String,
        /// The secret.
        arn: String,
        /// The function.
        function: String,
    },
    /// All steps succeeded and AWSCURRENT is where it was.
    #[error("finishSecret succeeded and AWSCURRENT is not on version {version}")]
    NotMoved {
        /// The version.
        version: String,
    },
}

impl Secret {
    pub(super) fn next_rotation(&self) -> Option<SystemTime> {
        let rotation = self.rotation.as_ref().filter(|rotation| rotation.enabled)?;
        // "Manually updating the secret value by calling PutSecretValue or UpdateSecret is considered a valid rotation":
        // https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html
        let valued = self.current().and_then(|current| self.versions.get(current)).map(|version| version.created);
        let last = self.rotated.max(valued).unwrap_or(self.created);
        rotation.schedule.as_ref()?.next(last, rotation.since)
    }

    /// Takes a rotation that is not complete up again, unless somebody is on it.
    fn take_up(&mut self, version: &str, token: &str) -> Option<Rotation> {
        let function = self.rotation.as_ref().filter(|rotation| rotation.enabled)?.function.clone();
        let running = self.running.get_or_insert_with(|| Running {
            version: version.to_owned(),
            token: Zeroizing::new(token.to_owned()),
            kind: RotationKind::Rotation,
            active: false,
            again: false,
        });
        if running.active {
            running.again = true;
            return None;
        }
        running.active = true;
        let (kind, token) = (running.kind, running.token.clone());
        Some(Rotation { arn: self.arn.clone(), version: version.to_owned(), kind, function, token })
    }

    /// Ends a test: its version goes away with its label, unless the function made it AWSCURRENT.
    fn end_test(&mut self, version: &str) {
        self.running = None;
        if self.holder(PENDING) == Some(version) {
            self.labels.remove(PENDING);
        }
        if self.labels_of(version).is_empty() {
            self.versions.remove(version);
        }
    }
}

impl Store {
    /// `RotateSecret`. `rotation_token` is the RotationToken of a rotation that begins now.
    ///
    /// # Errors
    ///
    /// As AWS: missing token, unknown or deleted secret, no function, a function that cannot be invoked, impossible rules. Nothing
    /// is configured then.
    pub fn rotate_secret(&mut self, request: &RotateSecret, rotation_token: &str, now: SystemTime) -> Result<Next, ServiceError> {
        let token = parameters::token(request.client_request_token.as_deref(), Exception::InvalidParameter)?;
        let schedule = request.rotation_rules.as_ref().map(parameters::schedule).transpose()?;
        let invocable = [&self.function].into_iter().chain(&self.others).map(|function| function.text.clone()).collect::<Vec<_>>();
        let present = self.changeable(request.secret_id.as_deref())?;
        let function = match (&request.rotation_lambda_arn, &present.rotation) {
            (Some(function), _) => function.clone(),
            (None, Some(rotation)) => rotation.function.clone(),
            (None, None) => {
                return Err(ServiceError::invalid_request("No Lambda rotation function ARN is associated with this secret."));
            }
        };
        if !invocable.contains(&function) {
            return Err(ServiceError::new(
                Exception::AccessDenied,
                "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the \
                 principal secretsmanager.amazonaws.com.",
            ));
        }
        let stuck = present.holder(PENDING).filter(|pending| Some(*pending) != present.current()).map(str::to_owned);
        if let Some(stuck) = stuck.as_deref().filter(|stuck| *stuck != token) {
            return Ok(Next::InProgress(present.take_up(stuck, rotation_token)));
        }
        let mut secret = present.clone();
        let invoked = function.clone();
        secret.rotation = Some(match (schedule, secret.rotation.take()) {
            (None, Some(before)) => RotationSettings { function, enabled: true, ..before },
            (schedule, _) => RotationSettings {
                function,
                rules: request.rotation_rules.clone(),
                schedule: schedule.flatten(),
                since: now,
                enabled: true,
            },
        });
        secret.changed = now;
        if stuck.is_some() || secret.current() == Some(token) {
            // The same request again: its answer was lost, or its rotation was interrupted.
            let work = if stuck.is_some() { secret.take_up(token, rotation_token) } else { None };
            *present = secret;
            return Ok(Next::Started(present.of_version(token), work));
        }
        if secret.versions.contains_key(token) {
            let in_use = ServiceError::token_in_use(token, &secret.arn);
            return Err(ServiceError::invalid_request(in_use.message));
        }
        let (kind, value) = if request.rotate_immediately.unwrap_or(true) {
            (RotationKind::Rotation, None)
        } else {
            (RotationKind::Test, secret.labelled(CURRENT).cloned())
        };
        secret.versions.insert(token.to_owned(), Version { created: now, accessed: None, value, of_rotation: true, put_for: None });
        secret.attach(PENDING, token);
        parameters::label_count(secret.labels.len())?;
        secret.prune(now);
        let token_of_rotation = Zeroizing::new(rotation_token.to_owned());
        secret.running =
            Some(Running { version: token.to_owned(), token: token_of_rotation.clone(), kind, active: true, again: false });
        *present = secret;
        let work =
            Rotation { arn: present.arn.clone(), version: token.to_owned(), kind, function: invoked, token: token_of_rotation };
        Ok(Next::Started(present.of_version(token), Some(work)))
    }

    /// `CancelRotateSecret`: turns rotation off. A rotation in progress keeps its AWSPENDING.
    ///
    /// # Errors
    ///
    /// As AWS: unknown or deleted secret, rotation never configured.
    pub fn cancel_rotate_secret(&mut self, request: &OfSecret, now: SystemTime) -> Result<Named, ServiceError> {
        let secret = self.changeable(request.secret_id.as_deref())?;
        let Some(rotation) = &mut secret.rotation else {
            return Err(ServiceError::invalid_request(
                "You tried to enable rotation on a secret that doesn't already have a Lambda function ARN configured and you \
                 didn't include such an ARN as a parameter in this call.",
            ));
        };
        rotation.enabled = false;
        secret.changed = now;
        let partial = secret.holder(PENDING).filter(|pending| Some(*pending) != secret.current());
        Ok(Named { version_id: partial.map(str::to_owned), ..secret.named() })
    }

    /// Whether the next step of a rotation may be invoked.
    ///
    /// # Errors
    ///
    /// [`Stopped`] says why not.
    pub fn may_continue(&self, rotation: &Rotation) -> Result<(), Stopped> {
        let secret = self.secrets.values().find(|secret| secret.arn == rotation.arn).ok_or(Stopped::Deleted)?;
        if secret.deletion.is_some() {
            return Err(Stopped::Deleted);
        }
        if secret.running.as_ref().is_none_or(|running| running.version != rotation.version) {
            return Err(Stopped::Abandoned);
        }
        let Some(settings) = secret.rotation.as_ref().filter(|settings| settings.enabled) else {
            return Err(Stopped::Cancelled);
        };
        let version = secret.versions.get(&rotation.version).ok_or(Stopped::Abandoned)?;
        let of_another = !version.of_rotation || version.put_for.as_ref().is_some_and(|function| *function != settings.function);
        if version.value.is_some() && of_another && secret.current() != Some(&rotation.version) {
            let (version, arn, function) = (rotation.version.clone(), secret.arn.clone(), settings.function.clone());
            return Err(Stopped::Foreign { version, arn, function });
        }
        Ok(())
    }

    /// Every step succeeded. A rotation loses AWSPENDING, a test its version.
    ///
    /// # Errors
    ///
    /// [`Stopped::NotMoved`] if the function did not move AWSCURRENT, and what [`Store::may_continue`] finds.
    pub fn succeed(&mut self, rotation: &Rotation, now: SystemTime) -> Result<(), Stopped> {
        let moved = self.of_rotation(rotation).is_some_and(|secret| secret.current() == Some(&rotation.version));
        if !(moved && rotation.kind == RotationKind::Rotation) {
            self.may_continue(rotation)?;
        }
        let lingers = self.pending_lingers;
        let Some(secret) = self.of_rotation(rotation) else { return Err(Stopped::Deleted) };
        match rotation.kind {
            RotationKind::Test => secret.end_test(&rotation.version),
            RotationKind::Rotation if moved => {
                if secret.holder(PENDING) == Some(&rotation.version) && !lingers {
                    secret.labels.remove(PENDING);
                }
                secret.rotated = Some(now);
                secret.changed = now;
                secret.running = None;
            }
            RotationKind::Rotation => return Err(Stopped::NotMoved { version: rotation.version.clone() }),
        }
        Ok(())
    }

    /// A step failed. Returns whether another attempt is wanted: there are attempts left, or RotateSecret asked for one.
    pub fn fail(&mut self, rotation: &Rotation, attempts_left: bool) -> bool {
        let Some(secret) = self.of_rotation(rotation) else { return false };
        if rotation.kind == RotationKind::Test {
            secret.end_test(&rotation.version);
            return false;
        }
        let Some(running) = secret.running.as_mut().filter(|running| running.version == rotation.version) else { return false };
        let more = attempts_left || std::mem::take(&mut running.again);
        running.active = more;
        more
    }

    /// Whether RotateSecret asked for another attempt since the last one; asked once, answered once.
    pub fn take_again(&mut self, rotation: &Rotation) -> bool {
        let running = self.of_rotation(rotation).and_then(|secret| secret.running.as_mut());
        running.is_some_and(|running| running.version == rotation.version && std::mem::take(&mut running.again))
    }

    fn of_rotation(&mut self, rotation: &Rotation) -> Option<&mut Secret> {
        let name = self.secrets.values().find(|secret| secret.arn == rotation.arn)?.name.clone();
        self.secret_mut(&name).ok()
    }
}
