//! The daemon's log: lines on standard error, as text or JSON, at a level that can change while the daemon runs.
//!
//! If standard error is systemd's journal, each line begins with its priority as the journal parses it (sd-daemon(3)), and has
//! no time stamp.
//!
//! A bounded buffer passes lines to a thread that writes them. If standard error is not read, the lines that do not fit are
//! dropped and counted, and the daemon does not wait.
//!
//! Text from the network passes `udpchat_api::safe` before it is logged, and is given as a plain string value, which is
//! quoted. A `%` value would be printed raw.
//!
//! Belongs here: how lines are written, and how many. Does not belong here: what is logged, for which each part calls
//! `tracing`.

pub(crate) mod rate_limit;

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};
use udpchat_config::{LogFormat, LogLevel};

use crate::service::systemd::stderr_is_journal;

/// How many lines the buffer holds.
const MAX_BUFFERED_LINES: usize = 4096;

/// The running log.
#[derive(Clone, Debug)]
pub(crate) struct Logging {
    level: reload::Handle<LevelFilter, Registry>,
    lost: ErrorCounter,
}

impl Logging {
    /// Starts the log of this process. Dropping the guard writes the buffered lines.
    pub(crate) fn start(level: LogLevel, format: LogFormat) -> (Self, WorkerGuard) {
        let (writer, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(MAX_BUFFERED_LINES)
            .thread_name("log")
            .finish(std::io::stderr());
        let lost = writer.error_counter();
        let (filter, handle) = reload::Layer::new(filter(level));
        tracing_subscriber::registry().with(lines(format, writer).with_filter(filter)).init();
        (Self { level: handle, lost }, guard)
    }

    /// Returns how many lines were dropped because standard error was not read.
    pub(crate) fn lost_lines(&self) -> u64 {
        self.lost.dropped_lines() as u64
    }

    /// Changes the level.
    pub(crate) fn set_level(&self, level: LogLevel) {
        // Fails only after the subscriber is gone, which lives as long as the process.
        let _gone = self.level.reload(filter(level));
    }
}

/// Writes the priority before each line.
struct WithPriority<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithPriority<F>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// Returns the priority of a level in syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

fn lines<S>(format: LogFormat, writer: NonBlocking) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    let lines = fmt::layer().with_writer(writer).with_target(false);
    match (format, stderr_is_journal()) {
        (LogFormat::Text, true) => {
            let text = fmt::format().without_time().with_level(false).with_target(false).with_ansi(false);
            lines.with_ansi(false).event_format(WithPriority(text)).boxed()
        }
        (LogFormat::Text, false) => lines.with_ansi(wants_colour()).boxed(),
        (LogFormat::Json, true) => {
            let json = fmt::format().json().flatten_event(true).with_target(false);
            let lines = lines.with_ansi(false).fmt_fields(JsonFields::new());
            lines.event_format(WithPriority(json)).boxed()
        }
        (LogFormat::Json, false) => lines.with_ansi(false).json().flatten_event(true).boxed(),
    }
}

fn wants_colour() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    std::io::stderr().is_terminal()
        && set("NO_COLOR").is_none()
        && set("TERM").is_some_and(|term| term != "dumb")
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
