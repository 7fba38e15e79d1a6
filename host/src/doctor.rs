//! What is wrong with a secret's rotation and what to do about it: `windlass doctor`.
//!
//! ```text
//! gather ──▶ Facts ──▶ diagnose ──▶ Finding… ──▶ advice ──▶ words, JSON
//! (reads)              (pure)                    │
//! probe (logs in) ──▶                            └──▶ Remedy, applied if the operator says so, and diagnosed again
//! ```
//!
//! # Permissions
//!
//! The caller's own, not those of the function's role: `secretsmanager:DescribeSecret`, `ListSecretVersionIds` and `GetSecretValue` on
//! the secret, `kms:Decrypt` on its key if that is not `aws/secretsmanager`, and with `--apply` `UpdateSecretVersionStage`. Where the plugin
//! comes from S3, `s3:GetObject` and `s3:GetObjectVersion` on it, and `kms:Decrypt` on the objects' key if they have one.
//!
//! # What stays inside
//!
//! Values are read to compare them, to find the plugin that serves them, and with `--probe` to log in with them. [`Facts`] holds none,
//! and everything shown is made of facts.

pub mod advice;
pub mod aws_command;
pub mod diagnosis;
pub mod facts;
pub mod finding;
pub mod gather;
pub mod words;

pub use diagnosis::diagnose;
pub use facts::Facts;
pub use finding::{Finding, Remedy, Urgency};
