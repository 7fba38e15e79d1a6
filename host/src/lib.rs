//! Windlass: a WebAssembly plugin host for AWS Secrets Manager rotation.
//!
//! # One event
//!
//! ```text
//! Lambda ── {Step, SecretId, ClientRequestToken, RotationToken?}
//!   │ event       parse once                                   EventError
//!   │ secrets     DescribeSecret; AWS SDK types end here       SecretsError
//!   │ state       the gate: may this step run?                 NotRotatable
//!   ▼
//! rotation        the order of things, for each step:
//!   create        candidate: current value, generated fields new ──────▶ PutSecretValue(AWSPENDING)
//!   set           plugin.set-secret(pending, current, previous?, admin?) ─▶ the service
//!   test          plugin.test-secret(pending), then a corrupted copy, which must be refused
//!   finish        plugin.test-secret(pending) ─────────────────────────▶ UpdateSecretVersionStage(AWSCURRENT)
//!                      │ plugin::call     fresh store, limits, deadline, redactor
//!                      ▼ capability       secret · http · connection · log · random
//!                                         endpoint ─▶ address ─▶ network ─▶ tls
//! error           what failed, who acts, does a retry help ────▶ Lambda's errorType and errorMessage
//! function        a line of the log with metrics, whatever came of it
//! ```
//!
//! # Where does X happen?
//!
//! | question | module |
//! |---|---|
//! | Which events are accepted? | [`event`] |
//! | Why was a step refused or skipped? | [`state`] |
//! | In what order do AWS and the plugin act? | [`rotation`] |
//! | Which secrets does a heartbeat test, and how? | [`heartbeat`], [`config::heartbeat`] |
//! | Which AWS permissions are needed? | [`secrets`], [`plugin::objects`] |
//! | What is generated, what must stay the same? | [`candidate`], [`fields`], [`password`] |
//! | Which plugin serves a secret, where may it connect? | [`choice`], [`tags`], [`plugin::reference`], [`plugin::source`] |
//! | What does a swap do to a rotation that is under way? | [`rotation`], [`served`], [`config::swap`] |
//! | Where does native code come from, and why may it run? | [`plugin::code`], [`package`] |
//! | Which plugins may run? | [`trust`] decides, [`config::trust`] is the policy, [`plugin::signature`] the evidence |
//! | What does a plugin say of itself? | [`manifest`], [`plugin::component_file`] |
//! | Where may a plugin connect? | [`capability::endpoint`], [`capability::grant`], [`capability::address`] |
//! | Where did the time of a step go? | [`time_account`] |
//! | How often may a service refuse a login? | [`capability::refused_logins`] |
//! | How long, how much memory? | [`config::limits`] (values), [`plugin::call`] (use) |
//! | Where can a secret become text? | search for `expose` |
//! | What is an invocation for, and what does it leave in the log? | [`function`], [`step_record`], [`step_line`], [`embedded_metrics`], [`journal`] |
//! | What does the log withhold? | [`redact`], [`log`], [`secret_names`] |
//! | What does Lambda show for a failure? | [`error`], of the start: [`init_error`] |
//! | What is wrong with a secret, and what mends it? | `doctor` |
//! | What does every plugin have to do? | `conformance` |
//! | What may the operator set? | [`config`]; for one secret [`config::explain`] |

pub mod alternating_users;
pub mod aws;
pub mod candidate;
pub mod capability;
pub mod choice;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
#[cfg(feature = "cli")]
pub mod conformance;
#[cfg(feature = "cli")]
pub mod doctor;
#[cfg(test)]
mod documented_keys;
pub mod dumpable;
pub mod embedded_metrics;
pub mod error;
pub mod event;
pub mod failure;
pub mod fields;
pub mod function;
pub mod heartbeat;
pub mod init_error;
pub mod invocation_deadline;
pub mod journal;
#[cfg(feature = "cli")]
pub mod local;
pub mod log;
#[cfg(test)]
mod log_samples;
pub mod manifest;
pub mod package;
pub mod password;
mod plain_http;
pub mod plugin;
pub mod redact;
pub mod renewal;
pub mod rotation;
pub mod secret;
pub mod secret_names;
pub mod secrets;
pub mod served;
pub mod state;
pub mod step_line;
pub mod step_record;
pub mod tags;
pub mod time_account;
pub mod timestamp;
pub mod trust;
