//! What a service answers to a request. The first byte chooses how (see [`Service`]), the rest is the answer.
#![no_main]

use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http_body_util::Full;
use hyper::Method;
use hyper::body::Bytes;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use windlass::capability::http::exchange;
use windlass::config::Limits;

/// How much an endless service sends before it ends after all, in bytes. A host that read this much would read for ever.
const ENDLESS: usize = 4 << 20;

/// What the host may read of an endless answer at most, in bytes: 1 MiB of body, and what it has buffered.
const READ_AT_MOST: usize = 2 << 20;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime without threads"));

/// A service that answers the first request with what it was given, and then hangs up.
struct Service<'a> {
    answer: &'a [u8],
    /// How much it sends at once, in bytes.
    piece: usize,
    /// Whether it repeats its last byte.
    endless: bool,
    sent: usize,
    asked: bool,
    waiting: Option<Waker>,
}

impl AsyncRead for Service<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.asked {
            self.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let most = self.piece.min(buffer.remaining());
        let rest = &self.answer[self.sent.min(self.answer.len())..];
        if !rest.is_empty() {
            let piece = &rest[..most.min(rest.len())];
            buffer.put_slice(piece);
            self.sent += piece.len();
        } else if let Some(last) = self.answer.last().filter(|_| self.endless && self.sent < ENDLESS) {
            buffer.put_slice(&vec![*last; most]);
            self.sent += most;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Service<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.asked = true;
        if let Some(reader) = self.waiting.take() {
            reader.wake();
        }
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((how, answer)) = input.split_first() else { return };
    // `0` is a GET answered byte by byte, `6` one answered at once; `1` and `7` the same for HEAD; `>` never ends.
    let (head, endless) = (how & 1 == 1, how & 8 != 0);
    let piece = if endless { 64 << 10 } else { [1, 7, 512, usize::MAX][usize::from(how >> 1 & 3)] };
    let mut service = Service { answer, piece, endless, sent: 0, asked: false, waiting: None };
    let mut request = hyper::Request::new(Full::new(Bytes::new()));
    *request.method_mut() = if head { Method::HEAD } else { Method::GET };
    let limits = Limits::default();
    let deadline = Instant::now() + Duration::from_secs(5);
    let result = RUNTIME.block_on(async { exchange(&mut service, request, &limits, deadline).await });

    assert!(service.sent <= READ_AT_MOST.max(answer.len()), "{} bytes of an endless answer were read", service.sent);
    match result {
        Ok(answer) => {
            assert!((100..=599).contains(&answer.status) && answer.status != 101, "status {}", answer.status);
            assert!(answer.body.len() <= 1 << 20 && (!head || answer.body.is_empty()), "a body of {} bytes", answer.body.len());
            let bytes: usize = answer.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
            assert!(answer.headers.len() <= 100 && bytes <= 32 << 10, "{} headers of {bytes} bytes", answer.headers.len());
            for (name, value) in &answer.headers {
                assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()), "{name:?}");
                assert!(!value.contains(['\0', '\r', '\n']), "{value:?}");
            }
        }
        Err(why) => {
            assert!(!why.contains("no answer within"), "the service hung up and was waited for");
            assert!(why.len() <= 256 && !why.contains(char::is_control), "the service's words reach the log: {why:?}");
        }
    }
});
