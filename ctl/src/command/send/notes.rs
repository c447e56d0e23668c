//! What a user should know about a message that was sent: that a peer without a port was heard from another one, that the
//! peers of a broadcast may not read the encoding, and that empty lines were skipped.

use std::net::{IpAddr, SocketAddr};

use udpchat_api::call::PeersParams;
use udpchat_api::{Client, EncodingBy, Message};
use udpchat_config::{DEFAULT_PORT, PeerAddress};
use udpchat_locale::tr;

use super::args::MessageArgs;
use super::fill::Fill;
use super::form::FormArgs;
use crate::output::Output;

/// How many of the newest entries are searched for the last message of a peer.
const HEARD_WINDOW: u64 = 10_000;

/// A peer without a port in the configuration, and where its last message came from: not the port that a message to its
/// name goes to.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::command) struct OtherPort {
    name: String,
    heard: String,
}

impl OtherPort {
    /// Returns it if a message to `to` went to the default port of such a peer.
    pub(in crate::command) async fn of(client: &mut Client, to: &str, sent: &Message) -> Option<Self> {
        let name =
            sent.name.as_ref().filter(|name| sent.peer.port() == DEFAULT_PORT && !has_port(to, name))?;
        // Without the role to read, nothing is known.
        let peers = client.call(&PeersParams { window: Some(HEARD_WINDOW) }).await.ok()?.peers;
        let peer = peers.into_iter().find(|peer| peer.name.as_ref() == Some(name))?;
        let is_host = peer.address.parse::<PeerAddress>().is_ok_and(|address| address.port().is_none());
        let port = |address: &str| address.parse::<SocketAddr>().map(|address| address.port());
        let is_other = |heard: &String| port(heard).is_ok_and(|port| port != sent.peer.port());
        let heard = peer.last_from.filter(|heard| is_host && is_other(heard))?;
        Some(Self { name: name.clone(), heard })
    }

    /// Describes it, with the command that sends to the other port.
    pub(in crate::command) fn describe(&self, command: &str) -> String {
        let Self { name, heard } = self;
        tr!(
            "`{name}` has no port in the configuration, so the message went to port {port}; the last message of `{name}` came \
             from {heard}: `udpchatctl {command} {heard}` sends there",
            name,
            port = DEFAULT_PORT,
            heard,
            command
        )
    }
}

/// Prints a note on a text with fields that `--fill` would fill in, which is sent as it is.
pub(in crate::command) fn note_unfilled(output: &mut Output, form: &FormArgs, message: &MessageArgs) {
    let text = || message.text.join(" ");
    if !form.fill && !message.hex && Fill::parse(&text()).is_ok_and(|fill| fill.has_fields()) {
        output.note(tr!("the fields in double braces are sent as they are; --fill fills them in"));
    }
}

/// Returns whether a destination was written with its port; `name` is that of the peer.
fn has_port(to: &str, name: &str) -> bool {
    to != name && to.parse::<PeerAddress>().map_or(to.contains(':'), |address| address.port().is_some())
}

/// Prints a note if a text to several peers went out in the default encoding, since theirs differ or are unknown. Returns
/// whether there was one.
pub(in crate::command) async fn note_encoding(
    client: &mut Client,
    output: &mut Output,
    sent: &Message,
) -> bool {
    let may_differ = sent.encoding_by == EncodingBy::Configured && !sent.text.is_ascii();
    let is_default =
        output.has_notes() && may_differ && is_for_many(sent) && !has_own_encoding(client, sent).await;
    if is_default {
        output.note(&tr!(
            "the text was sent in {encoding}, the default: the peers that it may reach use different encodings, or unknown ones; \
             `-e ENC` chooses another",
            encoding = sent.encoding
        ));
    }
    is_default
}

/// Prints a note if empty lines were skipped.
pub(in crate::command) fn note_empty_lines(output: &mut Output, number: u64) {
    match number {
        0 => {}
        1 => output.note(tr!("1 empty line was skipped; `--allow-empty` sends empty datagrams")),
        number => output
            .note(&tr!("{number} empty lines were skipped; `--allow-empty` sends empty datagrams", number)),
    }
}

/// Returns whether the group or broadcast address has a name with an encoding in the configuration.
async fn has_own_encoding(client: &mut Client, sent: &Message) -> bool {
    let Some(name) = &sent.name else { return false };
    let Ok(answer) = client.call(&PeersParams { window: Some(0) }).await else { return true };
    answer.peers.iter().any(|peer| peer.name.as_ref() == Some(name) && !peer.encoding_is_default)
}

/// Returns whether the address of a message looks like one of several hosts.
pub(in crate::command) fn is_for_many(message: &Message) -> bool {
    match message.peer.ip() {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast() || ip.octets()[3] == 255,
        IpAddr::V6(ip) => ip.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_port_is_meant() {
        for (to, expected) in [
            ("board", false),
            ("10.0.0.7", false),
            ("10.0.0.7:7788", true),
            ("fe80::1%2", false),
            ("[fe80::1%2]:7788", true),
            ("board.lan", false),
            ("board.lan:7788", true),
        ] {
            assert_eq!(has_port(to, "board"), expected, "{to}");
        }
        assert!(!has_port("a:b", "a:b"), "a name may contain a colon");
    }
}
