//! Lines for the operator's log.
//!
//! A line passes the host's redactor, which is a net under the rule and not the rule: never log a credential. A line is cut after
//! 2,048 bytes; after 200 lines or 64 KiB in one step the rest is dropped.

use std::panic::{PanicHookInfo, set_hook};

pub use crate::bindings::windlass::rotation::log::Level;
use crate::host;
use crate::text::{decimal, joined};

/// For the plugin's author; off unless the operator asks for it.
pub fn debug(line: &str) {
    host::log(Level::Debug, line);
}

/// What the plugin did.
pub fn info(line: &str) {
    host::log(Level::Info, line);
}

/// Something the operator should look at, though the step goes on.
pub fn warn(line: &str) {
    host::log(Level::Warn, line);
}

/// Why the step is about to fail.
pub fn error(line: &str) {
    host::log(Level::Error, line);
}

/// Reports every panic from here on. The host replaces the values it handed out; a panic's message can quote others, so panic with
/// constant texts.
pub(crate) fn panics_reported() {
    set_hook(Box::new(|panic| error(&report(panic))));
}

fn report(panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let message = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let (file, line, column) = panic.location().map_or(("an unknown place", 0, 0), |at| (at.file(), at.line(), at.column()));
    let (line, column) = (decimal(line as usize), decimal(column as usize));
    joined(&["panicked at ", file, ":", &line, ":", &column, ": ", message.unwrap_or("no message")])
}
