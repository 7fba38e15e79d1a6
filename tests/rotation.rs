//! Rotations by the real function: a `bootstrap` process that is fed events through a Runtime API, a local Secrets Manager over
//! HTTP, real Redis and RabbitMQ servers.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test is meant to panic, in its helpers too; `pub` is for the other files of this test"
)]

mod support;

#[path = "rotation/ahead_of_time.rs"]
mod ahead_of_time;
#[path = "rotation/bad_configurations.rs"]
mod bad_configurations;
#[path = "rotation/bad_events.rs"]
mod bad_events;
#[path = "rotation/bad_plugins.rs"]
mod bad_plugins;
#[path = "rotation/bad_secrets.rs"]
mod bad_secrets;
#[path = "rotation/bad_services.rs"]
mod bad_services;
#[path = "rotation/client_certificates.rs"]
mod client_certificates;
#[path = "rotation/heartbeat.rs"]
mod heartbeat;
#[path = "rotation/hostile_plugins.rs"]
mod hostile_plugins;
#[path = "rotation/interrupted.rs"]
mod interrupted;
#[path = "rotation/log_lines.rs"]
mod log_lines;
#[path = "rotation/scene.rs"]
mod scene;
#[path = "rotation/swap.rs"]
mod swap;
#[path = "rotation/trust.rs"]
mod trust;
#[path = "rotation/twice.rs"]
mod twice;
#[path = "rotation/whole.rs"]
mod whole;
