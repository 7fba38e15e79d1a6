//! The guide's sample lines (`host/deploy/samples/log.jsonl`), which saved queries and dashboard are tested with, are what the function
//! writes: each is written again here, from what it tells of and errors as the program makes them. Lines of plugins, which do not come
//! through the journal, are compared in `tests/rotation/log_lines.rs`.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Value, json};

use crate::capability::endpoint::Address;
use crate::capability::network::{DialError, Stage, no_answer};
use crate::config::Limits;
use crate::error::StepError;
use crate::event::{RotationEvent, SecretArn, VersionId};
use crate::failure::{Cause, Effect};
use crate::heartbeat::error::HeartbeatError;
use crate::heartbeat::line::{EndLine, FailureLine, SecretLine};
use crate::heartbeat::verdict::{Skipped, Verdict};
use crate::heartbeat::{Checked, Counts};
use crate::manifest::PluginName;
use crate::plugin::call::CallError;
use crate::plugin::catalogue::CatalogueError;
use crate::plugin::load::CodeFrom;
use crate::plugin::source::SourceError;
use crate::secret_names::SecretNames;
use crate::step_line::{Context, StepLine};
use crate::step_record::{Control, PluginUsed, StepOutcome, StepRecord, StepTimes};

/// One of the lines, to be asked for what it tells of.
struct Sample(Value);

impl Sample {
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.as_str().unwrap())
    }

    fn number(&self, key: &str) -> u64 {
        self.0.get(key).map_or(0, |value| value.as_u64().unwrap())
    }

    fn micros(&self, key: &str) -> Duration {
        Duration::from_micros(self.number(key))
    }

    fn at(&self) -> SystemTime {
        let shown = self.text("timestamp").unwrap();
        let (time, micros) = (&shown[..19], shown[20..26].parse::<u64>().unwrap());
        let days = (0..40_000).find(|days| time.starts_with(&date(*days))).unwrap();
        let of_day = |range: std::ops::Range<usize>| time[range].parse::<u64>().unwrap();
        let seconds = days * 86_400 + of_day(11..13) * 3_600 + of_day(14..16) * 60 + of_day(17..19);
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros)
    }

    fn record(&self) -> StepRecord {
        let plugin = self.text("plugin").map(|name| PluginUsed {
            name: name.to_owned(),
            version: self.text("plugin_version").unwrap().to_owned(),
            digest: self.text("digest").unwrap().to_owned(),
            trusted_by: self.text("trusted_by").unwrap().to_owned(),
        });
        let code = |name| [CodeFrom::Envelope, CodeFrom::Scratch, CodeFrom::Compiler].into_iter().find(|code| code.name() == name);
        let control = |name| [Control::Refused, Control::Skipped].into_iter().find(|control| control.name() == name);
        StepRecord {
            plugin,
            code_from: self.text("code_from").map(|name| code(name).unwrap()),
            control: self.text("negative_control").map(|name| control(name).unwrap()),
            refused_logins: self.0.get("refused_logins").map(|count| u32::try_from(count.as_u64().unwrap()).unwrap()),
            attempts: u32::try_from(self.number("attempts")).unwrap(),
            times: StepTimes {
                whole: self.micros("duration_us"),
                host: self.micros("host_us"),
                secrets_manager: self.micros("secrets_manager_us"),
                loading: self.micros("loading_us"),
                plugin: self.micros("plugin_us"),
                service: self.micros("service_us"),
            },
        }
    }

    /// The error that the line tells of, with the plugin's own words for what a service answered.
    fn error(&self) -> Option<StepError> {
        let failed = |cause, message: &str| StepError::Plugin {
            plugin: self.text("plugin").unwrap().to_owned(),
            why: CallError::Failure { cause, effect: Effect::Unchanged, message: message.to_owned() },
        };
        let error = match self.text("error_type")? {
            "Windlass.Unreachable" => {
                let address = Address::parse("mqtt.example.com:8883").unwrap();
                let why = no_answer(Limits::default().connect());
                failed(Cause::Unreachable, &DialError::Unreachable { address, stage: Stage::Connect, why }.to_string())
            }
            "Windlass.PluginNotFound" => {
                let installed =
                    ["mosquitto", "postgresql", "redis"].map(|name| PluginName::try_from(name.to_owned()).unwrap()).to_vec();
                SourceError::from(CatalogueError::NoMatch { installed }).into()
            }
            "Windlass.Unauthorized" => {
                failed(Cause::Unauthorized, "AUTH was answered with WRONGPASS: wrong user name or password, or the user is off")
            }
            "Windlass.RateLimited" => failed(
                Cause::RateLimited,
                "the login was answered with 53300: the server, the database or the user has no free connection",
            ),
            other => panic!("no error of the type {other} is made here"),
        };
        Some(error)
    }

    /// The same line, as the function writes it.
    fn written_again(&self) -> Value {
        let names = SecretNames::default();
        let context = Context {
            at: self.at(),
            function: "windlass",
            request_id: self.text("request_id").unwrap(),
            trace_id: self.text("trace_id"),
            names: &names,
        };
        let record = self.record();
        match self.text("message").unwrap() {
            "step done" | "step failed" => {
                let event = json!({
                    "Step": self.0["step"], "SecretId": self.0["secret"], "ClientRequestToken": self.0["version"]
                });
                let event = RotationEvent::parse(event.to_string().as_bytes()).unwrap();
                let all = [StepOutcome::Created, StepOutcome::Changed, StepOutcome::Accepted, StepOutcome::Promoted];
                let outcome = match self.error() {
                    Some(error) => Err(error),
                    None => Ok(all.into_iter().find(|outcome| self.text("outcome") == Some(outcome.name())).unwrap()),
                };
                value(&StepLine::new(context, Some(&event), &outcome, &record))
            }
            "heartbeat" => {
                let verdict = match self.error() {
                    Some(error) => Verdict::of(error),
                    None if self.text("reason").is_some() => Verdict::Skipped(Skipped::UnderWay),
                    None => Verdict::Ok,
                };
                let id = self.text("secret").unwrap();
                let version = self.text("version").map(|version| VersionId::parse(version).unwrap());
                let arn = Some(SecretArn::parse(id).unwrap());
                value(&SecretLine::new(context, &Checked { id: id.to_owned(), arn, version, verdict, record }))
            }
            "heartbeat done" => {
                let count = |what| u32::try_from(self.number(what)).unwrap();
                let counts = Counts {
                    ok: count("ok"),
                    drift: count("drift"),
                    unreachable: count("unreachable"),
                    unclear: count("unclear"),
                    skipped: count("skipped"),
                };
                value(&EndLine::new(context, counts, self.micros("duration_us")))
            }
            "heartbeat failed" => value(&FailureLine::new(context, &HeartbeatError::SelectsNothing)),
            other => panic!("the function writes no line `{other}`"),
        }
    }
}

fn date(days: u64) -> String {
    let (year, month, day) = crate::timestamp::date(days);
    format!("{year:04}-{month:02}-{day:02}T")
}

fn value(line: &impl Serialize) -> Value {
    serde_json::from_str(&serde_json::to_string(line).unwrap()).unwrap()
}

#[test]
fn every_sample_is_what_the_function_writes() {
    let lines = include_str!("../deploy/samples/log.jsonl").lines();
    let ours = lines.map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|line| line.get("target").is_none());
    let mut compared = 0;
    for line in ours {
        let sample = Sample(line);
        assert_eq!(sample.0, sample.written_again(), "put this into the samples:\n{}", sample.written_again());
        compared += 1;
    }
    assert!(compared > 10);
}
