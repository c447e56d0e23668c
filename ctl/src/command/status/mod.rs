//! `status`: prints the state of the daemon, once or repeatedly, as text, JSON or metrics.

mod line;
mod render;
mod watch;

pub(in crate::command) use self::render::is_full_disk;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use udpchat_api::call::{AcknowledgeParams, Status, StatusParams};
use udpchat_api::{MetricsFormat, metrics};
use udpchat_locale::{tr, translated};

use super::context::{Context, within};
use crate::error::{CtlError, Result};
use crate::output::{Output, replace_file};

const HELP: &str = "\
Exits with 0 even if the state is degraded. The counters start with the daemon, and they balance: \
received = stored + queued + dropped.

A problem disappears when its cause is over. One that reports an event stays until --acknowledge, which requires the role \
`admin`, or a restart.

--watch ends with q or Ctrl+C. Its plots show the last minutes, the newest on the right, both on one scale. The daemon \
must answer at the start; if it stops later, --watch waits for it. Into a pipe or a file, --watch writes a line per \
interval, with --json the object of `status --json`.

--format prometheus is for the textfile collector of the Prometheus node exporter, --format openmetrics follows the \
OpenMetrics standard. If the daemon does not answer, both formats contain only `udpchat_up 0`; the error is on standard \
error and sets the exit code as usual. FILE is replaced atomically; for the collector its name must end with .prom.

Examples:
  udpchatctl status
  udpchatctl --json status | jq .inbox.unread
  udpchatctl status --format prometheus \\
      -o /var/lib/prometheus/node-exporter/udpchat.prom
  udpchatctl status --watch
  udpchatctl --json status --watch --interval 10s >> status.jsonl";

/// Show the daemon's state, addresses, counters and problems
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct StatusArgs {
    /// Keep showing the state: on a terminal a full screen, otherwise a line per interval
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// With --watch: the interval, from 100ms to 1h
    #[arg(short, long, value_name = "T", default_value = "1s", requires = "watch", value_parser = interval)]
    pub(crate) interval: Duration,
    /// Give up after T, for example 500ms or 5s; a number alone is seconds [default: 30s]
    #[arg(long, value_name = "T", conflicts_with = "watch", value_parser = crate::time::span)]
    pub(crate) timeout: Option<Duration>,
    /// Clear problems that are events, such as a damaged inbox that was moved away, then show the state
    #[arg(long, conflicts_with_all = ["watch", "format"])]
    pub(crate) acknowledge: bool,
    /// `text`, `json` as with --json, or metrics for monitoring: `prometheus`, `openmetrics` [default: text]
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        ignore_case = true,
        hide_possible_values = true,
        conflicts_with = "watch"
    )]
    pub(crate) format: Option<StatusFormat>,
    /// With metrics: write to FILE, replaced atomically and readable by everyone
    #[arg(short, long, value_name = "FILE", requires = "format")]
    pub(crate) output: Option<PathBuf>,
}

/// The formats that `status` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusFormat {
    /// Lines of text
    Text,
    /// One object, as with --json
    Json,
    /// Metrics for the textfile collector of the Prometheus node exporter
    Prometheus,
    /// Metrics in the format of OpenMetrics 1.0
    Openmetrics,
}

impl StatusFormat {
    /// Returns the format of metrics, if it is one.
    fn metrics(self) -> Option<MetricsFormat> {
        match self {
            Self::Text | Self::Json => None,
            Self::Prometheus => Some(MetricsFormat::Prometheus),
            Self::Openmetrics => Some(MetricsFormat::OpenMetrics),
        }
    }
}

/// Parses the interval of `--watch`.
fn interval(text: &str) -> Result<Duration, String> {
    let span = crate::time::span(text)?;
    let (least, most) = watch::INTERVALS;
    if (least..=most).contains(&span) { Ok(span) } else { Err(tr!("must be from 100ms to 1h").to_owned()) }
}

/// Runs `status`. A degraded state is not a failure of this program.
pub(crate) async fn run(context: Context<'_>, arguments: &StatusArgs) -> Result<()> {
    if arguments.watch {
        return watch::run(context.output, context.socket, arguments.interval).await;
    }
    let format = arguments.format.unwrap_or(StatusFormat::Text);
    if format == StatusFormat::Json {
        context.output.set_json();
    }
    let file = arguments.output.as_deref();
    if let Some(format) = format.metrics() {
        return write_metrics(context, format, file, arguments.timeout).await;
    }
    if file.is_some() {
        return Err(CtlError::usage(tr!("only metrics can be written to a file")).hint(tr!(
            "choose metrics with `--format prometheus` or `--format openmetrics`, or redirect with `> FILE`"
        )));
    }
    let (acknowledged, status) = within(arguments.timeout, ask(&context, arguments.acknowledge)).await?;
    for problem in acknowledged {
        context.output.note(&tr!("acknowledged: {problem}", problem = translated(&problem)));
    }
    print(context.output, &status)
}

/// Acknowledges problems if that is wanted, then requests the state; returns what was acknowledged as well.
async fn ask(context: &Context<'_>, acknowledge: bool) -> Result<(Vec<String>, Status)> {
    let mut client = context.connect().await?;
    let acknowledged = match acknowledge {
        true => {
            let answer = client.call(&AcknowledgeParams {}).await.map_err(CtlError::from);
            answer.map_err(|error| error.of_command("status --acknowledge"))?.acknowledged
        }
        false => Vec::new(),
    };
    Ok((acknowledged, client.call(&StatusParams {}).await?))
}

fn print(output: &mut Output, status: &Status) -> Result<()> {
    if output.is_json() {
        return output.json(status);
    }
    output.text(&render::as_text(status, Timestamp::now(), output.zone(), output.palette()))
}

/// Writes metrics. If the daemon does not answer, the file is replaced as well: old metrics would hide the failure.
async fn write_metrics(
    context: Context<'_>,
    format: MetricsFormat,
    file: Option<&Path>,
    limit: Option<Duration>,
) -> Result<()> {
    if context.output.is_json() {
        return Err(CtlError::usage(tr!("metrics cannot be printed as JSON"))
            .hint(tr!("leave out `--json`, or `--format`")));
    }
    let answer = within(limit, ask(&context, false)).await;
    let text = match &answer {
        Ok((_, status)) => metrics::of_status(status, format),
        Err(_) => metrics::of_silence(format),
    };
    match file {
        Some(path) if path != Path::new("-") => replace_file(path, text.as_bytes())?,
        _ => context.output.data(text.as_bytes())?,
    }
    answer.map(drop)
}
