use std::time::SystemTime;

use insta::assert_snapshot;

use super::*;
use crate::config::Config;
use crate::error::StepError;
use crate::event::{SecretArn, VersionId};
use crate::failure::{Cause, Effect};
use crate::heartbeat::verdict::{Skipped, Verdict};
use crate::plugin::call::CallError;
use crate::secrets::{ErrorKind, SecretsError};
use crate::step_record::{PluginUsed, StepRecord, StepTimes};

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/redis/app-a1B2c3";

fn names(hashed: bool) -> SecretNames {
    let mut config = Config::with_plugins("plugins".into());
    config.read_text(if hashed { "[log]\nsecret = \"hash\"" } else { "" }, "windlass.toml".as_ref()).unwrap();
    SecretNames::configured(&config)
}

fn context(names: &SecretNames) -> Context<'_> {
    Context {
        at: SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_671_669_123_456),
        function: "windlass",
        request_id: "8f5f4c2e-6a3b-4d0e-9d6f-1c2b3a4d5e6f",
        trace_id: None,
        names,
    }
}

fn of(hashed: bool, checked: &Checked) -> String {
    serde_json::to_string(&SecretLine::new(context(&names(hashed)), checked)).unwrap()
}

fn checked(verdict: Verdict) -> Checked {
    let plugin = PluginUsed {
        name: "redis".to_owned(),
        version: "0.1.0".to_owned(),
        digest: "sha256:faa37df1".to_owned(),
        trusted_by: "signature of release".to_owned(),
    };
    let times = StepTimes { whole: Duration::from_micros(5_500), plugin: Duration::from_micros(2_000), ..StepTimes::default() };
    Checked {
        id: "prod/redis/app".to_owned(),
        arn: Some(SecretArn::parse(ARN).unwrap()),
        version: Some(VersionId::parse("0f4f8d1a-9f7c-4b52-9a3e-7a0c1d2e3f40").unwrap()),
        verdict,
        record: StepRecord { plugin: Some(plugin), refused_logins: Some(0), attempts: 1, times, ..StepRecord::default() },
    }
}

fn drift() -> Verdict {
    let why = CallError::Failure { cause: Cause::Unauthorized, effect: Effect::Unchanged, message: "WRONGPASS".to_owned() };
    Verdict::of(StepError::Plugin { plugin: "redis".to_owned(), why })
}

#[test]
fn a_secret_that_is_ok() {
    assert_snapshot!(of(false, &checked(Verdict::Ok)), @r#"{"timestamp":"2026-11-26T05:41:09.123456Z","level":"INFO","message":"heartbeat","request_id":"8f5f4c2e-6a3b-4d0e-9d6f-1c2b3a4d5e6f","heartbeat":"ok","secret":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/redis/app-a1B2c3","version":"0f4f8d1a-9f7c-4b52-9a3e-7a0c1d2e3f40","plugin":"redis","plugin_version":"0.1.0","digest":"sha256:faa37df1","trusted_by":"signature of release","refused_logins":0,"attempts":1,"duration_us":5500,"secrets_manager_us":0,"plugin_us":2000,"service_us":0}"#);
}

#[test]
fn a_secret_that_has_drifted() {
    assert_snapshot!(of(false, &checked(drift())), @r#"{"timestamp":"2026-11-26T05:41:09.123456Z","level":"ERROR","message":"heartbeat","request_id":"8f5f4c2e-6a3b-4d0e-9d6f-1c2b3a4d5e6f","heartbeat":"drift","secret":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/redis/app-a1B2c3","version":"0f4f8d1a-9f7c-4b52-9a3e-7a0c1d2e3f40","plugin":"redis","plugin_version":"0.1.0","digest":"sha256:faa37df1","trusted_by":"signature of release","error_type":"Windlass.Unauthorized","cause":"unauthorized","effect":"unchanged","blame":"operator","error":"plugin `redis`: the service refuses AWSCURRENT, so whoever uses the secret cannot log in: unauthorized (unchanged): WRONGPASS. To do: find out with `windlass doctor arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/redis/app-a1B2c3 --probe` which version works, and follow what it says","refused_logins":0,"attempts":1,"duration_us":5500,"secrets_manager_us":0,"plugin_us":2000,"service_us":0}"#);
}

#[test]
fn a_secret_that_was_skipped() {
    let skipped = Checked::skipped("prod/redis/app".to_owned(), Skipped::OutOfTime);
    assert_snapshot!(of(false, &skipped), @r#"{"timestamp":"2026-11-26T05:41:09.123456Z","level":"INFO","message":"heartbeat","request_id":"8f5f4c2e-6a3b-4d0e-9d6f-1c2b3a4d5e6f","heartbeat":"skipped","secret":"prod/redis/app","reason":"out of time","attempts":1,"duration_us":0,"secrets_manager_us":0,"plugin_us":0,"service_us":0}"#);
}

#[test]
fn a_secret_is_named_by_a_digest_where_the_operator_wants_that() {
    let missing = SecretsError {
        operation: "DescribeSecret",
        kind: ErrorKind::Denied,
        code: Some("AccessDeniedException".to_owned()),
        message: "not authorized on prod/redis/app".to_owned(),
    };
    let unknown = Checked { arn: None, version: None, ..checked(Verdict::of(missing.into())) };
    for (checked, digest) in [(checked(drift()), "sha256:21f5de52ab24839a"), (unknown, "sha256:ed5ad6c53a4f4e09")] {
        let line = of(true, &checked);
        assert!(!line.contains("prod/redis/app") && line.matches(digest).count() == 2, "{line}");
    }
}

#[test]
fn the_end_counts() {
    let counts = Counts { ok: 5, drift: 1, unreachable: 2, unclear: 3, skipped: 4 };
    let names = names(false);
    let line = EndLine::new(context(&names), counts, Duration::from_millis(1_500));
    assert_snapshot!(serde_json::to_string(&line).unwrap(), @r#"{"timestamp":"2026-11-26T05:41:09.123456Z","level":"INFO","message":"heartbeat done","request_id":"8f5f4c2e-6a3b-4d0e-9d6f-1c2b3a4d5e6f","ok":5,"drift":1,"unreachable":2,"unclear":3,"skipped":4,"duration_us":1500000,"_aws":{"Timestamp":1795671669123,"CloudWatchMetrics":[{"Namespace":"Windlass","Dimensions":[["FunctionName"]],"Metrics":[{"Name":"HeartbeatOk","Unit":"Count"},{"Name":"HeartbeatDrift","Unit":"Count"},{"Name":"HeartbeatUnreachable","Unit":"Count"},{"Name":"HeartbeatUnclear","Unit":"Count"},{"Name":"HeartbeatSkipped","Unit":"Count"},{"Name":"HeartbeatDuration","Unit":"Milliseconds"}]}]},"FunctionName":"windlass","HeartbeatOk":5,"HeartbeatDrift":1,"HeartbeatUnreachable":2,"HeartbeatUnclear":3,"HeartbeatSkipped":4,"HeartbeatDuration":1500.0}"#);
}

#[test]
fn a_heartbeat_that_comes_to_nothing_is_a_failure() {
    let names = names(false);
    let line = FailureLine::new(context(&names), &HeartbeatError::SelectsNothing);
    assert_snapshot!(serde_json::to_string(&line).unwrap(), @r#"{"timestamp":"2026-11-26T05:41:09.123456Z","level":"ERROR","message":"heartbeat failed","request_id":"8f5f4c2e-6a3b-4d0e-9d6f-1c2b3a4d5e6f","error_type":"Windlass.HeartbeatSelectsNothing","error":"the event asks for a heartbeat, and no rule of windlass.toml selects a secret for it. Write `heartbeat = true` into the `[[secrets]]` rules whose secrets are to be tested, or stop sending the event","_aws":{"Timestamp":1795671669123,"CloudWatchMetrics":[{"Namespace":"Windlass","Dimensions":[["FunctionName","ErrorType"]],"Metrics":[{"Name":"Failures","Unit":"Count"}]}]},"FunctionName":"windlass","ErrorType":"Windlass.HeartbeatSelectsNothing","Failures":1}"#);
}
