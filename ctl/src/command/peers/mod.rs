//! `peers`: lists the configured peers and the peers that messages came from.

mod table;

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use udpchat_api::call::{Peer, PeersParams};
use udpchat_locale::tr;

use super::context::{Context, within};
use crate::error::Result;
use crate::output::Output;

const HELP: &str = "\
The peer with the latest message comes first. ENCODING is the encoding in which a message to the peer is sent, and BY is what \
chose it; `default` is `text.encoding` of the configuration, since nothing else is configured or known. MESSAGES counts the peer's messages in the newest 100,000 entries; UNREAD counts those of them that `inbox` has \
not printed yet. On a narrow terminal, columns are left out; other programs receive the whole table, with full times \
instead of `2m ago`.

Examples:
  udpchatctl peers
  udpchatctl peers | grep gbk
  udpchatctl --json peers | jq -r 'select(.unread > 0) | .name // .address'";

/// List the configured peers and those that messages came from
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct PeersArgs {
    /// Give up after T, for example 500ms or 5s; a number alone is seconds [default: 30s]
    #[arg(long, value_name = "T", value_parser = crate::time::span)]
    pub(crate) timeout: Option<Duration>,
}

/// Runs `peers`.
pub(crate) async fn run(context: Context<'_>, arguments: &PeersArgs) -> Result<()> {
    let ask = async { Ok(context.connect().await?.call(&PeersParams::default()).await?) };
    let answer = within(arguments.timeout, ask).await?;
    context.output.use_pager();
    print(context.output, &answer.peers)?;
    if answer.peers.is_empty() && context.output.is_for_a_person() {
        context.output.note(tr!("no peer is configured, and no message has arrived"));
    }
    if context.output.is_for_a_person() {
        context.output.text(&table::lists(&answer.lists))?;
    }
    Ok(())
}

fn print(output: &mut Output, peers: &[Peer]) -> Result<()> {
    if output.is_json() {
        return peers.iter().try_for_each(|peer| output.json(peer));
    }
    let table = match output.terminal_width() {
        Some(width) => table::table_for_terminal(peers, Timestamp::now(), output.zone(), width),
        None => table::table(peers, output.zone()),
    };
    output.text(&table)
}
