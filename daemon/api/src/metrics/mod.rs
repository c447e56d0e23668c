//! The status as metrics: one rendering for `udpchatctl status --format` and for the daemon's HTTP endpoint.
//!
//! Belongs here: the text formats. Does not belong here: which numbers are metrics, which [`crate::call::Status`] defines
//! with its fields (by a macro of `metric`), and HTTP.
//!
//! Names, units and types follow the conventions of Prometheus. No label has a value that a remote host can choose: the
//! only peers are those that the configuration names, so the number of time series is fixed. `PROTOCOL.md` lists every metric, and a
//! test compares that list with the output.
//!
//! The formats are written by hand: the crate `prometheus-client` (0.26) writes only OpenMetrics as text, and the
//! text-file collector of the node exporter reads only the older format.

pub(crate) mod metric;

use std::fmt::Write as _;

use jiff::Timestamp;

use self::metric::{Figure, Kind, Metric, Sample};
use crate::call::{State, Status, WatchedPeer};
use crate::safe;

/// The prefix of every name.
const PREFIX: &str = "udpchat_";

/// A text format for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus, the only one that the text-file collector of the node exporter reads fully.
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
    let mut metrics = vec![
        up(true),
        Metric::gauge(
            "build_info",
            "The version of the daemon, as a label; the value is always 1.",
            &Version(&status.version),
        ),
        Metric::gauge(
            "start_time_seconds",
            "The time at which the daemon started, in seconds since 1970.",
            &status.started,
        ),
        Metric::gauge(
            "status_timestamp_seconds",
            "The time of these values by the clock of the daemon, in seconds since 1970.",
            &status.at,
        ),
        Metric::gauge(
            "degraded",
            "1 if the daemon has a problem, which `udpchatctl status` shows, otherwise 0.",
            &u64::from(status.state == State::Degraded),
        ),
        Metric::gauge("problems", "The number of current problems.", &(status.problems.len() as u64)),
    ];
    status.add_metrics(&mut metrics);
    metrics.extend(of_watched_peers(&status.watched_peers));
    render(&metrics, format)
}

/// Renders `udpchat_up 0`, for a daemon that does not answer.
///
/// Omits all other metrics, because a counter that falls to 0 would look like a restart.
pub fn of_silence(format: MetricsFormat) -> String {
    render(&[up(false)], format)
}

fn up(is_up: bool) -> Metric {
    Metric::gauge("up", "Whether the daemon answered.", &u64::from(is_up))
}

/// Returns the metrics of the peers whose silence is watched. Their names are those of the configuration.
fn of_watched_peers(peers: &[WatchedPeer]) -> [Metric; 2] {
    let seconds = |time: Timestamp| time.as_microsecond() as f64 / 1e6;
    let heard = peers.iter().filter_map(|peer| Some((peer, seconds(peer.last_heard?).to_string())));
    let silent = peers.iter().map(|peer| (peer, u64::from(peer.silent_since.is_some()).to_string()));
    let gauge = |name, help, values: &mut dyn Iterator<Item = (&WatchedPeer, String)>| {
        let label = |peer: &WatchedPeer| Some(("peer", safe::one_line(&peer.name).into_owned()));
        let samples = values.map(|(peer, value)| Sample { label: label(peer), value }).collect();
        Metric { name, kind: Kind::Gauge, help, samples }
    };
    [
        gauge(
            "peer_last_heard_timestamp_seconds",
            "The time of the newest message of a peer with `silent_after`, in seconds since 1970.",
            &mut { heard },
        ),
        gauge("peer_silent", "1 if a peer has sent nothing for its `silent_after`, otherwise 0.", &mut {
            silent
        }),
    ]
}

/// The version as a label.
struct Version<'a>(&'a str);

impl Figure for Version<'_> {
    fn samples(&self) -> Vec<Sample> {
        vec![Sample::labelled("version", safe::one_line(self.0), 1)]
    }
}

fn render(metrics: &[Metric], format: MetricsFormat) -> String {
    let mut text = String::with_capacity(8 * 1024);
    for metric in metrics.iter().filter(|metric| !metric.samples.is_empty()) {
        // Writing into a `String` cannot fail.
        let _ = write_metric(&mut text, metric, format);
    }
    if format == MetricsFormat::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

/// Writes a metric. In OpenMetrics the name of a counter has no `_total`, which only its samples have; the older format has
/// it in both places, and has no units.
fn write_metric(text: &mut String, metric: &Metric, format: MetricsFormat) -> std::fmt::Result {
    let Metric { name, kind, help, samples } = metric;
    let (kind, suffix) = match kind {
        Kind::Counter => ("counter", "_total"),
        Kind::Gauge => ("gauge", ""),
    };
    let family_suffix = if format == MetricsFormat::Prometheus { suffix } else { "" };
    writeln!(text, "# HELP {PREFIX}{name}{family_suffix} {help}")?;
    writeln!(text, "# TYPE {PREFIX}{name}{family_suffix} {kind}")?;
    let unit = ["bytes", "seconds"].into_iter().find(|unit| name.ends_with(unit));
    if let (MetricsFormat::OpenMetrics, Some(unit)) = (format, unit) {
        writeln!(text, "# UNIT {PREFIX}{name} {unit}")?;
    }
    for Sample { label, value } in samples {
        write!(text, "{PREFIX}{name}{suffix}")?;
        if let Some((label_name, label_value)) = label {
            write!(text, "{{{label_name}=\"{}\"}}", escaped(label_value))?;
        }
        writeln!(text, " {value}")?;
    }
    Ok(())
}

/// Escapes the value of a label, as both formats require. It has no line end, which would have to be escaped too.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests;
