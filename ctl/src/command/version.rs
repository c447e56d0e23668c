//! `version`: which versions of both programs and of the protocol meet here.

use serde::Serialize;
use udpchat_api::PROTOCOL;
use udpchat_api::call::{VersionAnswer, VersionParams};

use super::Context;
use crate::error::Result;
use crate::output::Output;

const OWN: &str = env!("CARGO_PKG_VERSION");

/// The versions, in JSON.
#[derive(Serialize)]
struct Versions<'a> {
    udpchatctl: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    udpchatd: Option<&'a str>,
    /// The number that this program speaks.
    protocol: u32,
    /// The daemon's number, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon_protocol: Option<u32>,
}

/// Runs `version`. Without a daemon, prints what this program knows before it fails.
pub(crate) async fn run(context: Context<'_>) -> Result<()> {
    match ask(&context).await {
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
            udpchatctl: OWN,
            udpchatd,
            protocol: PROTOCOL,
            daemon_protocol: other,
        });
    }
    output.line(&format!("udpchatctl {OWN}"))?;
    if let Some(daemon) = daemon {
        output.line(&format!("udpchatd {}", daemon.version))?;
    }
    output.line(&format!("protocol {PROTOCOL}"))?;
    output.flush()?;
    if let Some(other) = other {
        output.warning(
            &format!("the daemon speaks protocol {other}, this program {PROTOCOL}"),
            "start the daemon anew, so that both programs are of the same release",
        );
    }
    Ok(())
}
