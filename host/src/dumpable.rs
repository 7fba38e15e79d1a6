//! Keeps other processes out of this one's memory.

/// Makes this process's memory, environment and open files unreadable for every other process of the same user, and keeps it out of
/// core dumps. `bootstrap` calls this first; a program that is started from here begins readable again.
///
/// The environment of a Lambda function holds its AWS credentials, and `/proc/PID/environ` would show them to a plugin compiler
/// that went wrong. That one may not open files either; this is the second lock.
///
/// # Errors
///
/// The kernel refuses, which Linux does not. Elsewhere there is nothing to do.
pub fn forbid() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
