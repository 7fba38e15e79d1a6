//! The function's log: one JSON object per line on standard output, where CloudWatch Logs reads it.
//!
//! What may be logged is fixed here. Other crates speak up only with warnings: at their finer levels the AWS SDK logs requests and
//! lambda_runtime the raw event, and both hold credentials. `WINDLASS_LOG` does not change that, and no other variable is read.
//!
//! What came of an invocation does not come through here but through [`crate::journal`], whatever the level.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::redact::legible;

/// The level that was asked for is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log level. Set WINDLASS_LOG to error, warn, info or debug")]
pub struct UnknownLevel(String);

/// The tracing target of lines that plugins write.
pub const PLUGIN: &str = "plugin";

/// The tracing target under which lambda_runtime repeats the handler's errors, which have a line of their own; and says that it
/// panicked, which the panic hook has said.
const ANSWERED: &str = "lambda_runtime::layers::panic";

/// Starts logging. `level` is the value of `WINDLASS_LOG`: `error`, `warn`, `info` (the default) or `debug`.
///
/// # Errors
///
/// [`UnknownLevel`] for any other value.
pub fn start(level: Option<&str>) -> Result<(), UnknownLevel> {
    let subscriber = tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false).with_filter(targets(level)?));
    // A second start in one process keeps the first subscriber, which has the same rules.
    let _ = subscriber.try_init();
    Ok(())
}

/// Starts logging for a person who runs a command: what plugins say and warnings of Windlass, a line each on standard error.
pub fn start_for_people() {
    // What a step warns of is not what the person at the command has to hear.
    let ours = Targets::new()
        .with_target("windlass", LevelFilter::WARN)
        .with_target("windlass::rotation", LevelFilter::OFF)
        .with_target(PLUGIN, LevelFilter::INFO);
    let layer = tracing_subscriber::fmt::layer().event_format(ForPeople).with_ansi(false).with_writer(std::io::stderr);
    // A second start in one process keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(layer.with_filter(ours)).try_init();
}

/// `plugin redis: warning: …`, without a time: whoever reads it is there when it happens.
struct ForPeople;

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let who = said.plugin.map_or_else(|| "windlass".to_owned(), |plugin| format!("plugin {plugin}"));
        let kind = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            Level::INFO | Level::DEBUG | Level::TRACE => "",
        };
        writeln!(writer, "{}", legible::line(&format!("{who}: {kind}{}{}", said.message, said.more)))
    }
}

/// The fields of an event.
#[derive(Default)]
struct Said {
    plugin: Option<String>,
    message: String,
    more: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "plugin" { self.plugin = Some(value.to_owned()) } else { self.record_debug(field, &value) }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.more.push_str(&format!(", {}: {value:?}", field.name()));
        }
    }
}

/// Our own lines and those of plugins at `level`, everybody else's warnings.
///
/// # Errors
///
/// [`UnknownLevel`] for anything but a level's name.
pub fn targets(level: Option<&str>) -> Result<Targets, UnknownLevel> {
    let ours = match level {
        None | Some("" | "info") => LevelFilter::INFO,
        Some("error") => LevelFilter::ERROR,
        Some("warn") => LevelFilter::WARN,
        Some("debug") => LevelFilter::DEBUG,
        Some(other) => return Err(UnknownLevel(other.to_owned())),
    };
    Ok(Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        .with_target(ANSWERED, LevelFilter::OFF)
        .with_target("windlass", ours)
        .with_target(PLUGIN, ours))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn people_read_who_says_what_in_one_line_each() {
        let screen = Screen::default();
        let writer = screen.clone();
        let layer = tracing_subscriber::fmt::layer().event_format(ForPeople).with_ansi(false).with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let plugin = "redis";
            tracing::info!(target: PLUGIN, plugin, "asked");
            tracing::warn!(target: PLUGIN, plugin, "forgets\n{}", "all");
            tracing::error!(target: PLUGIN, plugin, lost = 3, "too much");
            tracing::warn!("the clock is wrong");
        });
        let text = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
        insta::assert_snapshot!(text, @r"
        plugin redis: asked
        plugin redis: warning: forgets all
        plugin redis: error: too much, lost: 3
        windlass: warning: the clock is wrong
        ");
    }

    #[test]
    fn other_crates_never_log_their_requests() {
        let targets = targets(Some("debug")).unwrap();
        for other in ["aws_smithy_runtime::client", "lambda_runtime::layers::api_response", "hyper"] {
            assert!(!targets.would_enable(other, &Level::INFO) && targets.would_enable(other, &Level::WARN), "{other}");
        }
        assert!(!targets.would_enable(ANSWERED, &Level::ERROR));
        assert!(targets.would_enable("windlass::rotation", &Level::DEBUG) && targets.would_enable(PLUGIN, &Level::DEBUG));
    }

    #[test]
    fn an_unknown_level_stops_the_start() {
        assert_eq!(targets(Some("trace")).unwrap_err(), UnknownLevel("trace".into()));
    }
}
