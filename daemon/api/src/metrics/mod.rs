//! The status as metrics: one rendering for `udpchatctl status --format` and for the daemon's HTTP endpoint.
//!
//! Names, units and types follow Prometheus' conventions. A label never holds what a stranger chooses: there are no peers
//! and no addresses here, so the number of time series is fixed. `docs/metrics.md` lists every name, and a test
//! compares it with what is rendered.
//!
//! Written by hand: the crate `prometheus-client` (0.26) writes OpenMetrics only, as text, and the text-file collector of the
//! node exporter reads the older format only.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::call::{State, Status};
use crate::safe;

/// What every name begins with.
const PREFIX: &str = "udpchat_";

/// A text format for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus, the only one that the text-file collector of the node exporter knows.
    Prometheus,
}

impl MetricsFormat {
    /// Returns the media type for HTTP.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Renders the status of a daemon that answers.
pub fn of_status(status: &Status, format: MetricsFormat) -> String {
    let mut text = Text::begin(format);
    text.up(true);
    daemon(&mut text, status);
    reception(&mut text, status);
    sending(&mut text, status);
    inbox(&mut text, status);
    text.end()
}

/// Renders what there is to say where no daemon answers: `udpchat_up 0`. Everything else is left out, since a counter
/// that falls to 0 would look like a restart.
pub fn of_silence(format: MetricsFormat) -> String {
    let mut text = Text::begin(format);
    text.up(false);
    text.end()
}

fn daemon(text: &mut Text, status: &Status) {
    let version = [("version", safe::one_line(&status.version))];
    text.family("build_info", Kind::Gauge, "The daemon's version, in a label; the value is always 1.");
    text.sample("build_info", &version, 1);
    text.gauge(
        "start_time_seconds",
        "When the daemon started, in seconds since 1970.",
        seconds(status.started),
    );
    text.gauge(
        "status_timestamp_seconds",
        "When the figures were taken, in seconds since 1970, by the daemon's clock.",
        seconds(status.at),
    );
    let degraded = u8::from(status.state == State::Degraded);
    text.gauge("degraded", "Whether something is wrong: `udpchatctl status` says what.", degraded);
    text.gauge("problems", "How many things are wrong.", status.problems.len());
    text.counter(
        "log_lines_lost",
        "Lines of the daemon's log that were lost, because nobody read them in time.",
        status.log_lines_lost,
    );
}

fn reception(text: &mut Text, status: &Status) {
    text.counter(
        "received_datagrams",
        "Datagrams that the kernel handed over: stored, dropped and queued ones.",
        status.received.datagrams,
    );
    text.counter(
        "received_bytes",
        "Payload of the datagrams that the kernel handed over.",
        status.received.bytes,
    );
    text.counter("stored_datagrams", "Received datagrams that are durable in the inbox.", status.stored);
    let dropped = status.dropped;
    text.family("dropped_datagrams", Kind::Counter, "Received datagrams that were not stored, by reason.");
    for (reason, count) in
        [("denied", dropped.denied), ("queue_full", dropped.queue_full), ("own", dropped.own)]
    {
        text.sample("dropped_datagrams_total", &[("reason", reason)], count);
    }
    text.counter(
        "kernel_drops",
        "Datagrams that the kernel dropped, because its receive buffer was full.",
        status.kernel_drops,
    );
    text.gauge(
        "lost_before_datagrams",
        "Datagrams that the last daemon had in hand when it ended, and did not store; the log has gaps for them.",
        status.lost_before,
    );
    text.gauge("queued_datagrams", "Received datagrams on their way to the inbox.", status.queued);
    text.gauge("queue_bytes", "What waits in the queue before the inbox.", status.queue.bytes);
    text.gauge("queue_max_bytes", "What the queue before the inbox holds at most.", status.queue.max_bytes);
    let buffer = status.receive_buffer;
    text.gauge(
        "receive_buffer_asked_bytes",
        "The receive buffer that the configuration asks for.",
        buffer.asked,
    );
    text.gauge(
        "receive_buffer_granted_bytes",
        "The receive buffer that the kernel granted, the least of all sockets.",
        buffer.granted,
    );
}

fn sending(text: &mut Text, status: &Status) {
    text.counter("sent_datagrams", "Datagrams that the kernel took to send.", status.sent.datagrams);
    text.counter("send_failures", "Datagrams that the kernel refused to send.", status.sent.failed);
}

fn inbox(text: &mut Text, status: &Status) {
    let inbox = status.inbox;
    text.gauge("inbox_entries", "Entries in the inbox.", inbox.entries);
    text.gauge("inbox_oldest_id", "The id of the oldest entry, 0 without any.", inbox.oldest_id);
    text.gauge(
        "inbox_newest_id",
        "The id of the newest entry that there is or was, 0 in a new inbox.",
        inbox.newest_id,
    );
    text.gauge(
        "inbox_unread_messages",
        "Received messages that the consumer `default` has not read.",
        inbox.unread,
    );
    text.counter(
        "inbox_removed_entries",
        "Entries that the limits of size and age have removed.",
        inbox.removed,
    );
    text.gauge("inbox_bytes", "The size of the inbox's files.", inbox.bytes);
    text.gauge("inbox_wal_bytes", "How much of that is the write-ahead log.", inbox.wal_bytes);
    text.gauge(
        "inbox_max_bytes",
        "What the inbox may take with its index; beyond, the oldest go.",
        inbox.max_bytes,
    );
    if let Some(free) = inbox.disk_free_bytes {
        text.gauge("disk_free_bytes", "What is free for the daemon on the disk that the inbox is on.", free);
    }
    let index = status.index;
    text.gauge("index_newest_id", "The id of the newest entry in the index, 0 without any.", index.newest_id);
    text.gauge("index_behind_entries", "Entries that the index has still to take up.", index.behind);
    text.gauge("index_bytes", "The size of the index's files.", index.bytes);
}

/// Returns a time in seconds, exact to the microsecond until the year 2255.
fn seconds(at: Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1e6
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// The text as it is written.
struct Text {
    format: MetricsFormat,
    out: String,
}

impl Text {
    fn begin(format: MetricsFormat) -> Self {
        Self { format, out: String::with_capacity(8 * 1024) }
    }

    fn up(&mut self, is_up: bool) {
        self.gauge("up", "Whether the daemon answered.", u8::from(is_up));
    }

    /// Writes a counter without labels; `_total` is added to its name.
    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, Kind::Counter, help);
        self.sample(&format!("{name}_total"), &[] as &[(&str, &str)], value);
    }

    /// Writes a gauge without labels.
    fn gauge(&mut self, name: &str, help: &str, value: impl ToString) {
        self.family(name, Kind::Gauge, help);
        self.sample(name, &[] as &[(&str, &str)], value);
    }

    /// Writes what a family of samples is. In OpenMetrics its name is the counter's without `_total`; the older format
    /// knows a counter by the name of its samples, and has no units.
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let total = match (self.format, kind) {
            (MetricsFormat::Prometheus, Kind::Counter) => "_total",
            _ => "",
        };
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.line(format_args!("# HELP {PREFIX}{name}{total} {help}"));
        self.line(format_args!("# TYPE {PREFIX}{name}{total} {kind}"));
        let unit = ["bytes", "seconds"].into_iter().find(|unit| name.ends_with(unit));
        if let (MetricsFormat::OpenMetrics, Some(unit)) = (self.format, unit) {
            self.line(format_args!("# UNIT {PREFIX}{name} {unit}"));
        }
    }

    fn sample(&mut self, name: &str, labels: &[(&str, impl AsRef<str>)], value: impl ToString) {
        let labels: Vec<_> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value.as_ref()))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.line(format_args!("{PREFIX}{name}{labels} {}", value.to_string()));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.out, "{line}");
    }

    fn end(mut self) -> String {
        if self.format == MetricsFormat::OpenMetrics {
            self.line(format_args!("# EOF"));
        }
        self.out
    }
}

/// Escapes the value of a label, as both formats want it. It has no line end, which would have to be escaped too.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests;
