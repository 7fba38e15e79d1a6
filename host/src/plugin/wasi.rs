//! The inert part of WASI 0.2 that ordinary toolchains import whether they use it or not.
//!
//! Clocks and randomness are real. There is no environment, no argument, no input, no terminal and no file; what a guest writes to
//! its output is kept for the log. There is no `wasi:sockets`: not denied, but not there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, filesystem, random};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, async_trait};

use super::call::CallState;
use crate::config::limits::Limits;
use crate::redact::MARGIN;

/// Adds the interfaces to a linker.
pub(crate) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    // wasi:io, the clocks, random/random, and the three standard streams.
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    // Rust's hash maps take their seed from here.
    random::insecure::add_to_linker::<_, WasiRandom>(linker, |state| state.wasi.random())?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, |state| state.wasi.random())?;
    // The start-up code of libc and of Rust's standard library imports all of these.
    cli::environment::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, CallState::filesystem)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, CallState::filesystem)?;
    Ok(())
}

/// A context with nothing in it but two streams that are kept.
pub(crate) fn context(stdout: &Captured, stderr: &Captured, limits: &Limits) -> WasiCtx {
    let mut context = WasiCtxBuilder::new();
    context.stdout(stdout.clone()).stderr(stderr.clone()).max_random_size(limits.random_bytes() as u64);
    context.build()
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// What a guest wrote to a standard stream, up to a bound. It is redacted as a whole when the call ends, so that nothing depends on
/// how the guest cuts its output into pieces.
#[derive(Clone)]
pub(crate) struct Captured(Arc<Mutex<Stream>>);

pub(crate) struct Stream {
    /// How much is kept, in bytes: what may be shown, and what it takes to recognise a value that begins in it.
    most: usize,
    pub(crate) bytes: Vec<u8>,
    pub(crate) dropped: u64,
}

impl Stream {
    const fn new(limits: &Limits) -> Self {
        Self { most: limits.log_bytes() + MARGIN, bytes: Vec::new(), dropped: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(self.most - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..kept]);
        self.dropped += (bytes.len() - kept) as u64;
    }

    /// How much of it may be shown: all, or as much as is known to hold no beginning of a value whose end was dropped.
    pub(crate) fn shown(&self) -> usize {
        if self.dropped == 0 { self.bytes.len() } else { self.bytes.len() - MARGIN }
    }
}

impl Captured {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Mutex::new(Stream::new(limits))))
    }

    pub(crate) fn stream(&self) -> MutexGuard<'_, Stream> {
        // Nothing panics while it is held, and half a line is better than none.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.3 and the preview1 host ask for this; neither is linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Captured {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // Beyond the bound it is counted and dropped: an error would make the guest's `println!` panic.
        self.stream().push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(8_192)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::redact::{MARK, Redactor};
    use crate::secret::SecretValue;

    proptest! {
        #[test]
        fn pieces_do_not_hide_a_value(value in "[ -~]{4,60}", cuts in proptest::collection::vec(1_usize..9, 1..20)) {
            let redactor = Redactor::new([&SecretValue::text(value.clone())]);
            let captured = Captured::new(&Limits::default());
            let said = format!("before\n{value}\nafter\n");
            let mut rest = said.as_bytes();
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                captured.stream().push(piece);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            let stream = captured.stream();
            prop_assert_eq!(redactor.captured(&stream.bytes, stream.shown()), redactor.text(&said));
            prop_assert!(redactor.text(&said).contains(MARK));
        }
    }

    #[test]
    fn a_value_at_the_bound_is_not_half_shown() {
        let redactor = Redactor::new([&SecretValue::text("correct horse")]);
        let limits = Limits::default();
        let shown = limits.log_bytes();
        let kept = shown + MARGIN;
        for filler in (kept - 20..kept).chain(shown - 20..shown + 20) {
            let mut stream = Stream::new(&limits);
            stream.push(" ".repeat(filler).as_bytes());
            stream.push(b"correct horse");
            stream.push(&[b' '; 2 * MARGIN]);
            assert!(stream.dropped > 0);
            assert!(!redactor.captured(&stream.bytes, stream.shown()).contains("corr"), "{filler}");
        }
    }
}
