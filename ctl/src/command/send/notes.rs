//! What a user should know about a message that was sent: that a peer without a port was heard from another one, that its
//! peers may not read the encoding, and that empty lines were skipped.

use std::collections::BTreeMap;
use std::net::IpAddr;

use udpchat_api::call::{HeldMessage, Peer};
use udpchat_api::numbers::BYTES;
use udpchat_api::{Client, Message, Raw};
use udpchat_locale::tr;

use super::args::MessageArgs;
use super::fill::Fill;
use super::known_peers::KnownPeers;
use super::other_port::OtherPort;
use crate::output::{Output, grouped};

/// `text.encoding` if it is not configured.
const BUILT_IN_ENCODING: &str = "utf-8";

/// The first message to one of several destinations.
pub(super) struct FirstSent {
    /// Without its payload and text.
    message: Message,
    /// Whether its text went out in the default encoding, and that of its peer is unknown.
    is_in_default: bool,
    /// Whether it was sent as bytes, which are UTF-8 with characters outside ASCII.
    is_utf_8: bool,
}

impl FirstSent {
    pub(super) fn of(message: &Message, is_text: bool) -> Self {
        let is_in_default = is_in_default(message);
        let is_utf_8 = !is_text && is_utf_8(message);
        let message = Message { raw: Raw::default(), text: String::new(), ..message.clone() };
        Self { message, is_in_default, is_utf_8 }
    }
}

/// Prints a note on a text with fields that `--fill` would fill in, which is sent as it is, and on `--fill` without a field.
pub(super) fn note_unfilled(output: &mut Output, is_filled: bool, message: &MessageArgs) {
    let text = message.text.join(" ");
    let has_fields = || Fill::parse(&text).map(|fill| fill.has_fields());
    if !is_filled && !message.hex && has_fields() == Ok(true) {
        output.note(tr!("the fields in double braces are sent as they are; --fill fills them in"));
    } else if is_filled && !text.is_empty() && text != "-" && has_fields() == Ok(false) {
        output.note(&tr!(
            "--fill fills nothing in: the text has no field such as `{open}n{close}`",
            open = "{{",
            close = "}}"
        ));
    } else if is_filled && message.hex && Fill::parse(&text).is_ok_and(|fill| fill.has_decimal_numbers()) {
        output.note(&tr!(
            "--hex reads the decimal digits of `{open}n:04{close}` as hexadecimal ones, so 10 is sent as 0x10; `{open}n:04x{close}` writes \
             hexadecimal digits",
            open = "{{",
            close = "}}"
        ));
    }
}

/// Prints a note on a text with an escape such as `\r\n`, which is sent as it is.
pub(in crate::command) fn note_escapes(output: &mut Output, message: &MessageArgs) {
    if message.escape || message.hex {
        return;
    }
    if let Some(escape) = escape_in(&message.text.join(" ")) {
        output.note(&tr!(
            "`{escape}` is sent as it is written; --escape sends the bytes that it stands for",
            escape
        ));
    }
}

/// Returns an escape that is hardly meant as text: a line end at the end, a carriage return with its line feed, or a byte in
/// hexadecimal digits. Others are in paths of Windows and in JSON.
pub(in crate::command) fn escape_in(text: &str) -> Option<&str> {
    let at_the_end = || [r"\r\n", r"\n", r"\r", r"\0"].into_iter().find(|escape| text.ends_with(escape));
    let is_byte = |escape: &str| escape.bytes().skip(2).all(|digit| digit.is_ascii_hexdigit());
    let mut bytes = text.match_indices(r"\x").filter_map(|(at, _)| text.get(at..at + 4));
    at_the_end()
        .or_else(|| text.contains(r"\r\n").then_some(r"\r\n"))
        .or_else(|| bytes.find(|escape| is_byte(escape)))
}

/// Prints a note if a text went out in the default encoding, since that of its peer is unknown, or since those of its peers differ
/// or are unknown. Returns whether there was one.
pub(in crate::command) fn note_encoding(output: &mut Output, sent: &Message) -> bool {
    if !is_in_default(sent) {
        return false;
    }
    let encoding = &sent.encoding;
    if is_for_many(sent) {
        output.note(&tr!(
            "the text was sent in {encoding}, the default: the peers that it may reach use different encodings, or unknown ones; \
             `-e ENC` chooses another",
            encoding
        ));
    } else {
        let peer = sent.name.clone().unwrap_or_else(|| sent.peer.to_string());
        output.note(&tr!(
            "the text was sent in {encoding}, the default: the encoding of {peer} is unknown; `-e ENC` chooses another",
            encoding,
            peer
        ));
    }
    true
}

/// Prints notes on the ports and the encodings of the destinations, each once.
pub(super) async fn note_destinations(
    client: &mut Client,
    known: &mut KnownPeers,
    output: &mut Output,
    (arguments, sent): (&MessageArgs, &BTreeMap<String, FirstSent>),
) {
    let is_file = arguments.file.is_some() && !arguments.hex;
    for (to, first) in sent {
        if let Some(other) = OtherPort::of(client, known, to, &first.message).await {
            output.note(&other.describe("send"));
        }
        note_own_host(output, to, &first.message);
        if is_file && first.is_utf_8 {
            note_file(client, known, output, to, &first.message).await;
        }
    }
    let unknown: Vec<&str> =
        sent.iter().filter(|(_, first)| first.is_in_default).map(|(to, _)| to.as_str()).collect();
    note_encoding_of_several(output, &unknown);
}

/// Prints a note on a message to the address that stands for every address of this machine where a program listens.
pub(super) fn note_own_host(output: &mut Output, to: &str, sent: &Message) {
    if sent.peer.ip().is_unspecified() {
        output.note(&tr!("the message went to this machine itself: {to} is no address of another one", to));
    }
}

/// Returns whether the bytes of a file were sent, and are UTF-8 with characters outside ASCII.
pub(super) fn is_file_in_utf_8(arguments: &MessageArgs, sent: &Message) -> bool {
    arguments.file.is_some() && !arguments.hex && is_utf_8(sent)
}

fn is_utf_8(sent: &Message) -> bool {
    !sent.raw.0.is_ascii() && std::str::from_utf8(&sent.raw.0).is_ok()
}

/// Prints a note on a file in UTF-8 that was sent to a peer which is known to use another encoding.
pub(super) async fn note_file(
    client: &mut Client,
    known: &mut KnownPeers,
    output: &mut Output,
    to: &str,
    sent: &Message,
) {
    let address = sent.peer.to_string();
    let is_it = |peer: &&Peer| peer.name.as_deref() == Some(to) || peer.address == address;
    let found = known.get(client).await.and_then(|known| known.peers.iter().find(is_it));
    let uses_another = |peer: &&Peer| {
        !peer.encoding_is_default && ![BUILT_IN_ENCODING, BYTES].contains(&peer.encoding.as_str())
    };
    if let Some(Peer { encoding, .. }) = found.filter(uses_another) {
        output.note(&tr!(
            "the file is UTF-8 and is sent as it is, but {peer} uses {encoding}; `udpchatctl send {peer} < FILE` converts the text",
            peer = to,
            encoding
        ));
    }
}

/// Prints a note on a text that went out in the default encoding to several destinations, of which `unknown` are without a known
/// encoding.
fn note_encoding_of_several(output: &mut Output, unknown: &[&str]) {
    /// How many destinations are named.
    const NAMED: usize = 5;
    let encoding = BUILT_IN_ENCODING;
    match unknown {
        [] => {}
        [peer] => output.note(&tr!(
            "the text was sent in {encoding}, the default: the encoding of {peer} is unknown; `-e ENC` chooses another",
            encoding,
            peer
        )),
        _ => {
            let named = unknown[..unknown.len().min(NAMED)].join(tr!(", "));
            let more = if unknown.len() > NAMED { ", …" } else { "" };
            output.note(&tr!(
                "the text was sent in {encoding}, the default, to {number} peers whose encoding is unknown: {peers}; `-e ENC` \
                 chooses another",
                encoding,
                number = grouped(unknown.len() as u64),
                peers = format!("{named}{more}")
            ));
        }
    }
}

/// Returns whether a text went out in the default encoding that may not be that of its peers. A person who has configured
/// another default than UTF-8 knows what the devices read; but several peers may read different ones.
fn is_in_default(sent: &Message) -> bool {
    let may_be_wrong = is_for_many(sent) || sent.encoding == BUILT_IN_ENCODING;
    sent.encoding_is_default && may_be_wrong && !sent.text.is_ascii()
}

/// Prints a note if a text is held in the default encoding, since that of its peer is unknown: it is encoded already. Returns
/// whether there was one.
pub(super) fn note_held_encoding(output: &mut Output, held: &HeldMessage, is_ascii: bool) -> bool {
    let encoding = held.encoding.as_deref().unwrap_or_default();
    let is_default = held.encoding_is_default && encoding == BUILT_IN_ENCODING && !is_ascii;
    if is_default {
        output.note(&tr!(
            "the text is held in {encoding}, the default: the encoding of {peer} is unknown now, and the text is not encoded again when \
             it is sent; `-e ENC` chooses another",
            encoding,
            peer = held.to
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

/// Returns whether the address of a message looks like one of several hosts.
pub(in crate::command) fn is_for_many(message: &Message) -> bool {
    match message.peer.ip() {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast() || ip.octets()[3] == 255,
        IpAddr::V6(ip) => ip.is_multicast(),
    }
}
