//! A message to an address without a port, whose host talks from another port than the default.

use std::net::SocketAddr;

use udpchat_api::call::{Peer, PeersParams};
use udpchat_api::{Client, Message};
use udpchat_config::{DEFAULT_PORT, PeerAddress};
use udpchat_locale::tr;

use super::notes::HEARD_WINDOW;
use crate::output::Output;

/// Prints a note if a message to an address without a port went to the default port, and its host was heard from others only.
/// For a configured peer there is another note.
pub(in crate::command) async fn note_unnamed(
    client: &mut Client,
    output: &mut Output,
    to: &str,
    sent: &Message,
    command: &str,
) {
    let is_without_port = to.parse::<PeerAddress>().is_ok_and(|address| address.port().is_none());
    if !output.has_notes() || sent.name.is_some() || sent.peer.port() != DEFAULT_PORT || !is_without_port {
        return;
    }
    // Without the role to read, nothing is known.
    let Ok(answer) = client.call(&PeersParams { window: Some(HEARD_WINDOW) }).await else { return };
    // The address of a configured peer says nothing about what was heard.
    let own = |peer: &Peer| peer.name.is_none().then(|| peer.address.clone());
    let addresses = answer.peers.iter().filter_map(|peer| peer.last_from.clone().or_else(|| own(peer)));
    let heard: Vec<SocketAddr> = addresses
        .filter_map(|address| address.parse().ok())
        .filter(|address: &SocketAddr| address.ip() == sent.peer.ip())
        .collect();
    // The most recent sender comes first.
    let Some(heard) = heard.first().filter(|_| heard.iter().all(|address| address.port() != DEFAULT_PORT))
    else {
        return;
    };
    output.note(&tr!(
        "{to} has no port, so the message went to port {port}; that host was last heard from {heard}: `udpchatctl {command} {heard}` \
         sends there",
        to,
        port = DEFAULT_PORT,
        heard,
        command
    ));
}
