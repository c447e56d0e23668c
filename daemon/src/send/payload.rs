//! What is sent: the bytes of each datagram, made of the text or the bytes of a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use udpchat_api::call::SendParams;
use udpchat_api::entry::max_entry_bytes;
use udpchat_api::safe::json_length;
use udpchat_api::{ErrorKind, ErrorObject, MAX_DATAGRAM_BYTES, MAX_LINE_BYTES};
use udpchat_config::Encoding;
use udpchat_text::{Basis, NotEncodable, Piece, UnknownEscape, encode, parse_escapes, wider};

use super::cut::cut;
use super::target::Target;
use crate::inbox::entry::SentEncoding;
use crate::inbox::reader::Reader;
use crate::peers::{Configured, Peers};
use crate::state::Daemon;

/// The smallest datagrams that a message may be cut into, in bytes: any one character fits.
const MIN_SPLIT_BYTES: usize = 16;

/// How long the look-ups of encodings in the inbox may take for one request, with the wait for those of others. On a disk that
/// hangs, messages are still sent.
const LOOK_UP_TIME: Duration = Duration::from_millis(500);

/// The bytes to send.
pub(super) struct Payload {
    pub(super) datagrams: Vec<Vec<u8>>,
    /// The encoding of the text, if it was a text.
    pub(super) encoding: Option<SentEncoding>,
    /// Whether that is `text.encoding` of the configuration, since no other is configured or known.
    pub(super) encoding_is_default: bool,
}

/// Makes the datagrams of a request.
pub(super) async fn make(
    daemon: &Arc<Daemon>,
    params: &SendParams,
    target: &Target,
) -> Result<Payload, ErrorObject> {
    let split = params.split.and_then(udpchat_api::call::Split::bytes);
    if split.is_some_and(|bytes| !(MIN_SPLIT_BYTES..=MAX_DATAGRAM_BYTES).contains(&bytes)) {
        return Err(invalid(format!("`split` must be {MIN_SPLIT_BYTES} to {MAX_DATAGRAM_BYTES} bytes")));
    }
    let as_received =
        |bytes: &[u8]| daemon.peers.decode(&daemon.peers.configured(), u64::MAX, target.peer, bytes);
    let mut encoding_is_default = false;
    let (datagrams, encoding) = match (&params.text, &params.raw) {
        (Some(text), None) => {
            let (encoding, by) = chosen_encoding(daemon, params, target).await?;
            encoding_is_default = Peers::is_default(&daemon.peers.configured(), target.peer, by);
            let pieces = match params.escape {
                true => parse_escapes(text).map_err(|escape| unknown_escape(&escape))?,
                false => vec![Piece::Text(text)],
            };
            let units = in_units(&pieces, encoding, split.is_some())
                .map_err(|error| not_encodable(&error, by == Basis::Given))?;
            (pack(units, split), Some(SentEncoding { name: encoding.to_string(), by: by.into() }))
        }
        (None, Some(raw)) if params.encoding.is_none() && !params.escape => {
            let datagrams = match split {
                // The bytes are cut as the peer would read them if they came from it: it uses the same encoding.
                Some(most) if raw.0.len() > most => cut(&raw.0, most, as_received(&raw.0).encoding),
                _ => vec![raw.0.clone()],
            };
            (datagrams, None)
        }
        (None, Some(_)) => return Err(invalid("`encoding` and `escape` go with `text` only".to_owned())),
        _ => return Err(invalid("give one of `text` and `raw`".to_owned())),
    };
    check(&datagrams, params.allow_empty)?;
    check_answer(&datagrams, |bytes| as_received(bytes).text)?;
    Ok(Payload { datagrams, encoding, encoding_is_default })
}

fn invalid(text: String) -> ErrorObject {
    ErrorObject::new(ErrorKind::InvalidParams, text)
}

async fn chosen_encoding(
    daemon: &Arc<Daemon>,
    params: &SendParams,
    target: &Target,
) -> Result<(Encoding, Basis), ErrorObject> {
    let Some(name) = &params.encoding else {
        return Ok(encoding_towards(daemon, target, look_up_until()).await);
    };
    let encoding = name
        .parse()
        .map_err(|error: udpchat_config::ValueError| invalid(error.to_string()).hint_if(error.hint()))?;
    Ok((encoding, Basis::Given))
}

/// Returns until when a request that begins its look-ups now may take for them.
pub(super) fn look_up_until() -> Instant {
    Instant::now() + LOOK_UP_TIME
}

/// Chooses the encoding by what is known of the peer, or of all peers that a message to several reaches. It reads the inbox up to
/// a time, after which messages that have proven nothing do not count.
pub(super) async fn encoding_towards(
    daemon: &Arc<Daemon>,
    target: &Target,
    until: Instant,
) -> (Encoding, Basis) {
    let (configured, local) = (daemon.peers.configured(), daemon.addresses.get());
    let (all, interface) = (target.peer, target.interface);
    if !local.is_multicast_or_broadcast(all.ip()) {
        return encoding_towards_one(daemon, configured, all, until).await;
    }
    let is_reached = |peer: SocketAddr| {
        !local.is_multicast_or_broadcast(peer.ip()) && local.is_reached(peer, all.ip(), interface)
    };
    daemon.peers.encoding_towards_all(&configured, all, is_reached)
}

async fn encoding_towards_one(
    daemon: &Arc<Daemon>,
    configured: Configured,
    peer: SocketAddr,
    until: Instant,
) -> (Encoding, Basis) {
    if let Some(known) = daemon.peers.known_towards(&configured, peer) {
        return known;
    }
    let without = daemon.peers.assumed_towards(&configured, peer);
    let sender = Arc::clone(daemon);
    let look_up = async |permit| {
        let read = move |reader: &Reader| {
            // The permit is held until the read ends, even if the caller has stopped waiting.
            let _permit = permit;
            sender.peers.encoding_towards(&configured, peer, reader)
        };
        // A message can be sent although the inbox cannot be read, which is reported elsewhere.
        daemon.read(read).await.ok()
    };
    permitted(&daemon.encoding_lookups, until, look_up).await.unwrap_or(without)
}

/// Looks something up with a permit; returns none if there is no permit or no result in time.
async fn permitted<T>(
    permits: &Arc<Semaphore>,
    until: Instant,
    look_up: impl AsyncFnOnce(OwnedSemaphorePermit) -> Option<T>,
) -> Option<T> {
    let permit_and_look_up = async { look_up(Arc::clone(permits).acquire_owned().await.ok()?).await };
    timeout_at(until, permit_and_look_up).await.ok().flatten()
}

/// Encodes the pieces: as a whole, or a character at a time where it will be cut between them.
fn in_units(pieces: &[Piece<'_>], encoding: Encoding, to_be_cut: bool) -> Result<Vec<Vec<u8>>, NotEncodable> {
    let mut units = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) if to_be_cut && encoding.is_hex() => {
                units.extend(encode(text, encoding)?.into_iter().map(|byte| vec![byte]));
            }
            Piece::Text(text) if to_be_cut => {
                for character in text.chars() {
                    units.push(encode(character.encode_utf8(&mut [0; 4]), encoding)?);
                }
            }
            piece => units.push(piece.encode(encoding)?),
        }
    }
    Ok(units)
}

/// Packs units into as few datagrams as hold them in their order, or into one where nothing limits it.
fn pack(units: Vec<Vec<u8>>, split: Option<usize>) -> Vec<Vec<u8>> {
    let most = split.unwrap_or(usize::MAX);
    let mut datagrams = vec![Vec::new()];
    for unit in units {
        match datagrams.last_mut() {
            Some(last) if last.len() + unit.len() <= most => last.extend(unit),
            _ => datagrams.push(unit),
        }
    }
    datagrams
}

fn check(datagrams: &[Vec<u8>], allow_empty: bool) -> Result<(), ErrorObject> {
    let longest = datagrams.iter().map(Vec::len).max().unwrap_or(0);
    if longest == 0 && !allow_empty {
        return Err(ErrorObject::new(ErrorKind::EmptyMessage, "the message is empty")
            .hint("`--allow-empty` (`allow_empty` on the socket) sends an empty datagram"));
    }
    if longest > MAX_DATAGRAM_BYTES {
        let text =
            format!("the message is {longest} bytes long; a datagram holds {MAX_DATAGRAM_BYTES} at most");
        return Err(ErrorObject::new(ErrorKind::TooLong, text)
            .hint("`--split` (`split` on the socket) cuts it into datagrams that fit"));
    }
    Ok(())
}

/// Refuses, before anything is sent, what could not be answered for: all parts come back in one line.
fn check_answer(datagrams: &[Vec<u8>], text_of: impl Fn(&[u8]) -> String) -> Result<(), ErrorObject> {
    let entry_bytes = |bytes: &Vec<u8>| max_entry_bytes(json_length(&text_of(bytes)), bytes.len());
    if datagrams.len() == 1 || datagrams.iter().map(entry_bytes).sum::<usize>() <= MAX_LINE_BYTES {
        return Ok(());
    }
    let bytes: usize = datagrams.iter().map(Vec::len).sum();
    let text = format!("{bytes} bytes in {} datagrams are too much for one message", datagrams.len());
    Err(ErrorObject::new(ErrorKind::TooLong, text).hint("send it in several messages, of 50 KB each"))
}

fn unknown_escape(UnknownEscape(shown): &UnknownEscape) -> ErrorObject {
    invalid(format!("unknown escape `{shown}`"))
        .hint(r"the escapes are \n \r \t \0 \\ \xHH, and \u with a number in braces")
}

/// Refuses a text with a character that the encoding lacks; `is_given` says whether the request named the encoding.
fn not_encodable(refused: &NotEncodable, is_given: bool) -> ErrorObject {
    let NotEncodable { character, encoding } = refused;
    if encoding.is_hex() {
        let text = match is_given {
            true => format!("`{character}` is no byte in hexadecimal digits, which the encoding `hex` takes"),
            false => format!(
                "`{character}` is no byte in hexadecimal digits, which the encoding of this peer takes"
            ),
        };
        return ErrorObject::new(ErrorKind::NotEncodable, text)
            .hint("write two digits for each byte, for example `01 e4`; `-e utf-8` sends text");
    }
    let text = format!("{encoding} cannot hold `{character}` (U+{:04X})", u32::from(*character));
    let holds = |wider: &Encoding| encode(character.encode_utf8(&mut [0; 4]), *wider).is_ok();
    let hint = match wider(*encoding).filter(holds) {
        Some(wider) if wider == Encoding::GB18030 => {
            "`-e gb18030` holds every character, if the peer reads it; so does `-e utf-8`".to_owned()
        }
        Some(wider) => {
            format!("`-e {wider}` holds it, if the peer reads that; `-e utf-8` holds every character")
        }
        None => "`-e utf-8` holds every character, if the peer reads it".to_owned(),
    };
    ErrorObject::new(ErrorKind::NotEncodable, text).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, encoding: Encoding, most: usize) -> Vec<Vec<u8>> {
        pack(in_units(&[Piece::Text(text)], encoding, true).unwrap(), Some(most))
    }

    proptest::proptest! {
        #[test]
        fn cutting_keeps_every_character_whole_and_every_datagram_small(
            text in r"[a-z一-龥\n]{0,200}",
            most in MIN_SPLIT_BYTES..64,
        ) {
            for encoding in [Encoding::UTF_8, Encoding::GBK] {
                let parts = cut(&text, encoding, most);
                let decode = |part: &Vec<u8>| encoding.encoding().decode_without_bom_handling_and_without_replacement(part).map(String::from);
                let texts: Option<Vec<String>> = parts.iter().map(decode).collect();
                proptest::prop_assert_eq!(texts.map(|texts| texts.concat()), Some(text.clone()));
                proptest::prop_assert!(parts.iter().all(|part| part.len() <= most));
                // No part could have taken the first character of the next.
                proptest::prop_assert!(parts.windows(2).all(|pair| pair[0].len() + 3 > most || !pair[1].is_empty()));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_waits_neither_for_others_nor_for_the_disk() {
        let permits = Arc::new(Semaphore::new(1));
        let held = Arc::clone(&permits).acquire_owned().await.unwrap();
        assert_eq!(permitted(&permits, look_up_until(), async |_permit| Some(1)).await, None);
        drop(held);
        assert_eq!(permitted(&permits, look_up_until(), async |_permit| Some(1)).await, Some(1));
        let began = Instant::now();
        let hanging = permitted(&permits, look_up_until(), async |_permit| std::future::pending().await);
        assert_eq!((hanging.await, began.elapsed()), (None::<u32>, LOOK_UP_TIME));
    }

    #[test]
    fn what_is_not_cut_is_one_datagram() {
        let units =
            in_units(&[Piece::Text("你"), Piece::Byte(0xff), Piece::Text("好")], Encoding::GBK, false);
        assert_eq!(pack(units.unwrap(), None), [b"\xc4\xe3\xff\xba\xc3"]);
    }
}
