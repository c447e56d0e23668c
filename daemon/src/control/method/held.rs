//! The method `held`: lists the messages that are held until their peers send one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use udpchat_api::ErrorObject;
use udpchat_api::call::{HeldAnswer, HeldMessage, HeldParams};
use udpchat_api::safe;
use udpchat_text::to_hex;

use crate::clock::from_ns;
use crate::control::context::{Context, HeldOf};
use crate::inbox::entry::SentEncoding;
use crate::inbox::kept::{HeldRow, MAX_HELD, To};
use crate::state::Daemon;

/// How many messages a page has at most.
const MAX_PAGE: usize = 200;

/// How many characters of a text are shown.
const SHOWN_CHARACTERS: usize = 100;

/// How many bytes of a payload are decoded for that.
const DECODED_BYTES: usize = 1_024;

/// How much memory a message of a page takes, in bytes, also as JSON: a page always fits into a line.
const BYTES_OF_A_MESSAGE: usize = 2_400;

pub(super) async fn call(context: &mut Context, params: HeldParams) -> Result<HeldAnswer, ErrorObject> {
    context.charge(MAX_PAGE * BYTES_OF_A_MESSAGE + MAX_HELD * size_of::<Arc<HeldRow>>()).await?;
    context.reads("held").await;
    let shown = context.visible_held().await;
    let daemon = context.daemon();
    let after = params.after.unwrap_or(0);
    let most = if params.to.is_some() || shown != HeldOf::All { MAX_HELD } else { MAX_PAGE + 1 };
    let to = params.to.map(|to| with_name_of_interface(daemon, to));
    let mut rows = daemon.kept.held_after(after, most);
    rows.retain(|row| shown.has(row) && to.as_ref().is_none_or(|to| row.to.to_string() == *to));
    let more = rows.len() > MAX_PAGE;
    rows.truncate(MAX_PAGE);
    Ok(HeldAnswer { held: rows.iter().map(|row| message(daemon, row)).collect(), more })
}

/// Returns a destination as the list shows it: with the name of an interface whose number was given.
fn with_name_of_interface(daemon: &Daemon, to: String) -> String {
    let text = if to.contains(']') { to.clone() } else { format!("[{to}]:0") };
    let Ok(address) = text.parse() else { return to };
    To::Address(address).on(daemon.peers.configured().interface_of(address)).to_string()
}

fn message(daemon: &Daemon, row: &HeldRow) -> HeldMessage {
    HeldMessage {
        held: row.id,
        to: row.to.to_string(),
        at: from_ns(row.at_ns),
        until: from_ns(row.until_ns),
        text: Some(text(daemon, row)),
        encoding: row.detail.encoding.as_ref().map(|encoding| encoding.name.clone()),
        encoding_is_default: false,
        bytes: row.payload.len(),
        by: row.detail.by.clone(),
    }
}

/// Returns the beginning of a message, as its peer reads it.
fn text(daemon: &Daemon, row: &HeldRow) -> String {
    let begin = &row.payload[..row.payload.len().min(DECODED_BYTES)];
    let encoding = row.detail.encoding.as_ref().and_then(SentEncoding::encoding);
    let text = match encoding {
        Some(encoding) => udpchat_text::read(begin, encoding),
        None => {
            let configured = daemon.peers.configured();
            let peer = match &row.to {
                To::Address(address) => Some(*address),
                To::OnInterface(address, _) => Some((*address).into()),
                To::Name(name) => configured.by_name(name).and_then(|named| named.address.destination()),
            };
            let peer = peer.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
            let text = daemon.peers.decode(&configured, u64::MAX, peer, begin).text;
            let is_known = configured.of(peer).is_some_and(|named| named.encoding.is_some());
            match is_text(&text) && (is_known || is_utf8(begin)) {
                true => text,
                false => to_hex(begin),
            }
        }
    };
    let text = safe::without_trailer(&text);
    text.chars().take(SHOWN_CHARACTERS).collect()
}

/// Returns whether bytes were decoded to a text that a person would write.
fn is_text(text: &str) -> bool {
    text.chars().all(|character| !character.is_control() || matches!(character, '\t' | '\r' | '\n'))
}

/// Returns whether bytes are UTF-8, but for a character that may be cut off at their end.
fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}
