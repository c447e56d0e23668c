//! `version`: prints the versions of both programs and of the protocol.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use udpchat_api::PROTOCOL;
use udpchat_api::call::{VersionAnswer, VersionParams};
use udpchat_locale::tr;

use super::context::{Context, within};
use crate::error::Result;
use crate::output::Output;

const HELP: &str = "\
Examples:
  udpchatctl version
  udpchatctl --json version | jq -r .udpchatd";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Print the versions of both programs and of the protocol
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct VersionArgs {
    /// Give up after T, for example 500ms or 5s; a number alone is seconds [default: 30s]
    #[arg(long, value_name = "T", value_parser = crate::time::span)]
    pub(crate) timeout: Option<Duration>,
}

/// The versions, in JSON.
#[derive(Serialize)]
struct Versions<'a> {
    udpchatctl: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    udpchatd: Option<&'a str>,
    /// The protocol of this program.
    protocol: u32,
    /// The protocol of the daemon, if it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon_protocol: Option<u32>,
}

/// Runs `version`. Without a daemon, prints the versions of this program before it fails.
pub(crate) async fn run(context: Context<'_>, arguments: &VersionArgs) -> Result<()> {
    match within(arguments.timeout, ask(&context)).await {
        Ok(answer) => print(context.output, Some(&answer)),
        Err(error) => {
            print(context.output, None)?;
            Err(error)
        }
    }
}

async fn ask(context: &Context<'_>) -> Result<VersionAnswer> {
    Ok(context.connect().await?.call(&VersionParams {}).await?)
}

fn print(output: &mut Output, daemon: Option<&VersionAnswer>) -> Result<()> {
    let other = daemon.map(|daemon| daemon.protocol).filter(|protocol| *protocol != PROTOCOL);
    if output.is_json() {
        let udpchatd = daemon.map(|daemon| daemon.version.as_str());
        return output.json(&Versions {
            udpchatctl: VERSION,
            udpchatd,
            protocol: PROTOCOL,
            daemon_protocol: other,
        });
    }
    output.line(&format!("udpchatctl {VERSION}"))?;
    if let Some(daemon) = daemon {
        output.line(&format!("udpchatd {}", daemon.version))?;
    }
    output.line(&tr!("protocol {number}", number = PROTOCOL))?;
    output.flush()?;
    if let Some(other) = other {
        output.warning(
            &tr!(
                "the daemon uses protocol {daemon}, this program uses {own}",
                daemon = other,
                own = PROTOCOL
            ),
            tr!("restart the daemon, so that both programs are of the same release"),
        );
    }
    Ok(())
}
