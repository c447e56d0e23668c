//! `peers`: lists the configured peers and the peers that messages came from.

mod table;

use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use udpchat_api::call::{Peer, PeerList};
use udpchat_config::PeerAddress;
use udpchat_locale::tr;

use super::context::{Context, within};
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, grouped};
use crate::time::span;

const HELP: &str = "\
The peer with the latest message comes first. ENCODING is the encoding in which a message to the peer is sent, and BY is what \
chose it; `default` is `text.encoding` of the configuration, since nothing else is configured or known. MESSAGES counts the peer's messages in the newest 100,000 entries; UNREAD counts those of them that `inbox` has \
not printed yet. HELD counts the messages that are held for it (`send --when-seen`). STATE is `silent` since when, for a peer \
with `silent_after` in the configuration, or `bounces` since when: the network reports that messages to it are not delivered, \
and nothing has come from it since. A terminal shows these two only if there is something to show. On a narrow terminal, columns are left out; other programs receive the whole table, with full times \
instead of `2m ago`. The lists of peers in the configuration follow in a second table, in JSON as objects with the keys `list` and \
`members`.

Examples:
  udpchatctl peers
  udpchatctl peers | grep gbk
  udpchatctl peers --silent || echo 'a sensor is silent'
  udpchatctl peers --silent 2h
  udpchatctl --json peers | jq -r 'select(.unread > 0) | .name // .address'
  udpchatctl --json peers | jq -r 'select(.list == \"lab\").members[]'";

/// List the configured peers and those that messages came from
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct PeersArgs {
    /// Give up after T, for example 500ms or 5s; a number alone is seconds [default: 30s]
    #[arg(long, value_name = "T", value_parser = crate::time::span)]
    pub(crate) timeout: Option<Duration>,
    /// Only peers that are silent: that have a `silent_after` in the configuration and have sent nothing for so long; with T
    /// those that have sent nothing for T, configured or not. Exits with 1 if there are any, otherwise with 0
    #[arg(long, value_name = "T", num_args = 0..=1, default_missing_value = OWN_TIME)]
    pub(crate) silent: Option<SilentFor>,
}

/// What the parser takes for `--silent` without a time. No argument of a program can contain it.
const OWN_TIME: &str = "\0";

/// For how long a peer has sent nothing that counts as silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SilentFor {
    /// For the `silent_after` of the peer.
    Own,
    /// For a time that is the same for every peer.
    Time(Duration),
}

impl FromStr for SilentFor {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text == OWN_TIME {
            return Ok(Self::Own);
        }
        match span(text)? {
            Duration::ZERO => {
                Err(tr!("every peer has sent nothing for 0 s; give a longer time, such as 10m").to_owned())
            }
            time => Ok(Self::Time(time)),
        }
    }
}

impl SilentFor {
    /// Returns whether a peer counts as silent. One that was never heard does, for a time that is the same for every peer; one
    /// that the access list denies does not, nor does a multicast group or 255.255.255.255.
    fn holds(self, peer: &Peer, now: Timestamp) -> bool {
        match self {
            _ if peer.denied || is_group(peer) => false,
            Self::Own => peer.silent_since.is_some(),
            // Of one whose messages are removed, it may be known since when it is silent; of one without a name, nothing.
            Self::Time(time) => match peer.last_heard.or(peer.silent_since) {
                Some(quiet_since) => {
                    Duration::try_from(now.duration_since(quiet_since)).is_ok_and(|quiet| quiet >= time)
                }
                None => peer.name.is_some(),
            },
        }
    }
}

/// Returns whether the address of a peer is one of many hosts, which sends nothing itself.
fn is_group(peer: &Peer) -> bool {
    let ip = peer.address.parse::<PeerAddress>().map(|address| address.ip());
    ip.is_ok_and(|ip| ip.is_multicast() || ip == Ipv4Addr::BROADCAST)
}

/// Runs `peers`.
pub(crate) async fn run(context: Context<'_>, arguments: &PeersArgs) -> Result<()> {
    let ask = async { Ok(context.connect().await?.peers(None).await?) };
    let mut answer = within(arguments.timeout, ask).await?;
    if let Some(silent) = arguments.silent {
        let now = Timestamp::now();
        answer.peers.retain(|peer| silent.holds(peer, now));
        return print_silent(context.output, &answer.peers);
    }
    context.output.use_pager();
    print(context.output, &answer.peers)?;
    if answer.peers.is_empty() && context.output.is_for_a_person() {
        context.output.note(tr!("no peer is configured, and no message has arrived"));
    }
    if context.output.is_json() {
        let lists = answer.lists.iter();
        return lists.map(ListLine::from).try_for_each(|list| context.output.json(&list));
    }
    context.output.text(&table::lists(&answer.lists, context.output.terminal_width()))
}

/// A list of peers, in JSON: its key `list` distinguishes it from a peer.
#[derive(Serialize)]
struct ListLine<'a> {
    list: &'a str,
    members: &'a [String],
}

impl<'a> From<&'a PeerList> for ListLine<'a> {
    fn from(PeerList { name, members }: &'a PeerList) -> Self {
        Self { list: name, members }
    }
}

/// Prints the silent peers; fails if there are any, so that a monitor can use the exit code.
fn print_silent(output: &mut Output, peers: &[Peer]) -> Result<()> {
    if peers.is_empty() {
        return match output.is_json() {
            true => Ok(()),
            false => output.done(tr!("no peer is silent")),
        };
    }
    print(output, peers)?;
    let text = match peers.len() {
        1 => tr!("1 peer is silent").to_owned(),
        number => tr!("{number} peers are silent", number = grouped(number as u64)),
    };
    Err(CtlError::new(Exit::Failed, "peers_silent", text).hint(tr!(
        "`udpchatctl doctor` looks for a cause here, and `udpchatctl doctor PEER` on the way to one of them"
    )))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last_heard: Option<&str>, silent_since: Option<&str>) -> Peer {
        let value = serde_json::json!({
            "name": "x", "address": "10.0.0.1", "encoding": "gbk", "encoding_by": "configured", "messages": 0, "unread": 0,
            "last_heard": last_heard, "silent_since": silent_since,
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_peer_is_silent_for_its_own_time_or_a_given_one() {
        let now: Timestamp = "2026-11-22T14:00:00Z".parse().unwrap();
        let heard = peer(Some("2026-11-22T13:00:00Z"), None);
        let silent = peer(Some("2026-11-22T13:59:00Z"), Some("2026-11-22T13:59:10Z"));
        let never = peer(None, None);
        let of = |text: &str| {
            let time: SilentFor = text.parse().unwrap();
            [&heard, &silent, &never].map(|peer| time.holds(peer, now))
        };
        assert_eq!(of(OWN_TIME), [false, true, false]);
        assert_eq!(of("1h"), [true, false, true]);
        assert_eq!(of("61m"), [false, false, true]);
        assert_eq!(of("1d"), [false, false, true]);
        // The clock may have been set back.
        let ahead = peer(Some("2026-11-22T15:00:00Z"), None);
        assert!(!SilentFor::Time(Duration::ZERO).holds(&ahead, now));
        assert!("soon".parse::<SilentFor>().is_err() && "0".parse::<SilentFor>().is_err());
        for group in ["239.7.7.7:7833", "ff02::1%eth0", "255.255.255.255", "255.255.255.255:6001"] {
            let group = Peer { address: group.to_owned(), ..peer(None, None) };
            assert!(!SilentFor::Time(Duration::from_secs(1)).holds(&group, now), "{}", group.address);
        }
        let denied = Peer { denied: true, ..silent };
        assert!(!SilentFor::Own.holds(&denied, now));
    }
}
