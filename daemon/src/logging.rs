//! The daemon's log: lines on standard error, as text or JSON, at a level that can change while it runs.
//!
//! Lines go through a bounded buffer and a thread of its own: where nobody reads standard error, the lines that do not
//! fit are counted and lost, and the daemon goes on.
//!
//! Whatever a stranger sent passes through `udpchat_api::safe` before it gets here, and is given as a plain string
//! value, which is quoted. A `%` value would be printed raw.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};
use udpchat_config::{LogFormat, LogLevel};

/// How many lines wait for the reader of the log at most.
const MAX_BUFFERED_LINES: usize = 4096;

/// The running log.
#[derive(Clone, Debug)]
pub(crate) struct Logging {
    level: reload::Handle<LevelFilter, Registry>,
    lost: ErrorCounter,
}

impl Logging {
    /// Starts the log of this process. Dropping the guard writes what is buffered.
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

    /// Returns how many lines were lost because nobody read them.
    pub(crate) fn lost_lines(&self) -> u64 {
        self.lost.dropped_lines() as u64
    }

    /// Changes the level.
    pub(crate) fn set_level(&self, level: LogLevel) {
        // It fails only once the subscriber is gone, with the process.
        let _gone = self.level.reload(filter(level));
    }
}

fn lines<S>(format: LogFormat, writer: NonBlocking) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'lookup> tracing_subscriber::registry::LookupSpan<'lookup>,
{
    let lines = fmt::layer().with_writer(writer).with_target(false);
    match format {
        LogFormat::Text => lines.with_ansi(wants_colour()).boxed(),
        LogFormat::Json => lines.with_ansi(false).json().flatten_event(true).boxed(),
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
