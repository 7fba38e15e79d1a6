//! Too much at a time, or too often.

use windlass_sdk::{Failure, http, log};

const MEGABYTES_20: usize = 20_000_000;

/// Hands the host a string of 20 MB.
pub fn logs_20_mb() -> Result<(), Failure> {
    log::info(&"x".repeat(MEGABYTES_20));
    Ok(())
}

/// Fails with a message of 20 MB that begins with control characters.
pub fn fails_with_20_mb() -> Result<(), Failure> {
    let mut message = String::with_capacity(MEGABYTES_20);
    message.push_str("\u{1b}[31m\r\n");
    message.extend(std::iter::repeat_n('x', MEGABYTES_20 - message.len()));
    Err(Failure::internal(message))
}

/// Logs and prints for ever.
pub fn logs_without_end() -> ! {
    let line = "x".repeat(64 << 10);
    loop {
        log::error(&line);
        println!("{line}");
    }
}

/// Sends more headers than a server, or the host, could count in 16 bits less one.
pub fn sends_40000_headers() -> Result<(), Failure> {
    let request = (0..40_000).fold(http::get("service", "/"), |request, _| request.header("x", "y"));
    request.send().map(drop)
}
