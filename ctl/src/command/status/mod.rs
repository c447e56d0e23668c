//! `status`: how the daemon is, once or again and again, for people or for what watches over them.

pub(crate) mod line;
pub(crate) mod render;
pub(crate) mod watch;

use std::path::Path;

use udpchat_api::call::{Status, StatusParams};
use udpchat_api::{MetricsFormat, metrics};

use super::Context;
use crate::cli::{StatusArgs, StatusFormat};
use crate::error::{CtlError, Result};
use crate::output::replace_file;

/// Runs `status`. A daemon that is degraded is no failure of this program.
pub(crate) async fn run(context: Context<'_>, arguments: &StatusArgs) -> Result<()> {
    if arguments.watch {
        return watch::run(context.output, context.socket, arguments.interval).await;
    }
    let format = arguments.format.unwrap_or(StatusFormat::Text);
    let file = arguments.output.as_deref();
    if let Some(format) = format.metrics() {
        return write_metrics(context, format, file).await;
    }
    if file.is_some() {
        return Err(CtlError::usage("only metrics are written to a file")
            .hint("`--format prometheus` or `--format openmetrics` prints them; `> FILE` takes the rest"));
    }
    if format == StatusFormat::Json {
        context.output.want_json();
    }
    let status = ask(&context).await?;
    context.output.status(&status)
}

/// Writes metrics, also where the daemon does not answer: what was written before would stay otherwise, and look as if
/// all were well.
async fn write_metrics(context: Context<'_>, format: MetricsFormat, file: Option<&Path>) -> Result<()> {
    if context.output.is_json() {
        return Err(CtlError::usage("metrics are no JSON").hint("leave out `--json`, or `--format`"));
    }
    let answer = ask(&context).await;
    let text = match &answer {
        Ok(status) => metrics::of_status(status, format),
        Err(_) => metrics::of_silence(format),
    };
    match file {
        Some(path) if path != Path::new("-") => replace_file(path, text.as_bytes())?,
        _ => context.output.data(text.as_bytes())?,
    }
    answer.map(drop)
}

async fn ask(context: &Context<'_>) -> Result<Status> {
    Ok(context.connect().await?.call(&StatusParams {}).await?)
}
