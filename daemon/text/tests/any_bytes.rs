//! Any bytes can be read and examined, whatever is known of their sender.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use udpchat_config::Encoding;
use udpchat_text::{Knowledge, decode, encode, evidence, for_answering};

/// Bytes at which readers branch: marks, frames, escape sequences, lead bytes, variants of UTF-8.
const PIECES: &[&[u8]] = &[
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\x1b]",
    b"\x1b[",
    b"\x1b(",
    b"\x1b$B",
    b"\x1b",
    b"\x07",
    b"\x02",
    b"\x03",
    b"\x0b",
    b"\x1c\r",
    b"\0",
    b"\r\n",
    b"\xc0\x80",
    b"\xed\xa0\xbd\xed\xb8\x80",
    b"\xed\xa0\xbd",
    b"\xe4\xbd",
    b"\x80",
    b"\xbf",
    b"\x81\x30\x81",
    b"\x8f",
    b"\x8e",
    b"\xff",
    b"\xc4\xe3",
    b"ok",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let text = ("\\PC{1,60}", select(&Encoding::NAMES[..])).prop_map(|(text, name)| {
        encode(&text, named(name)).unwrap_or_else(|_| named(name).encoding().encode(&text).0.into_owned())
    });
    let piece = prop_oneof![
        4 => select(PIECES).prop_map(<[u8]>::to_vec),
        2 => text,
        1 => vec(any::<u8>(), 1..200),
        1 => vec(0x80..=0xffu8, 1..200),
    ];
    let changes = vec((any::<Index>(), any::<u8>()), 0..4);
    (vec(piece, 0..12), changes).prop_map(|(pieces, changes)| {
        let mut bytes = pieces.concat();
        bytes.truncate(2_000);
        for (place, byte) in changes {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        bytes
    })
}

fn named(name: &str) -> Encoding {
    name.parse().expect("the name of an encoding")
}

fn some() -> impl Strategy<Value = Option<Encoding>> {
    proptest::option::of(select(&Encoding::NAMES[..]).prop_map(named))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_and_examined(
        bytes in bytes(),
        (configured, given, remembered, of_host) in (some(), some(), some(), some()),
        fallback in select(&Encoding::NAMES[..]).prop_map(named),
        known_before: bool,
    ) {
        for (configured, given) in [(None, None), (None, given), (configured, given)] {
            let knowledge = Knowledge { configured, given, remembered, of_host, known_before, fallback };
            let decoded = decode(&bytes, &knowledge);
            if let Ok(answer) = encode(&decoded.text, for_answering(decoded.encoding, fallback)) {
                prop_assert!(!answer.is_empty() || decoded.text.is_empty());
            }
        }
        let proven = evidence(&bytes, remembered, fallback);
        prop_assert!(proven.is_none_or(|proven| !proven.encoding().is_single_byte() && !proven.is_utf_16()));
    }
}
