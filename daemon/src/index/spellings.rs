//! Spellings: which bytes decode to a character, in every encoding that messages may be decoded with.
//!
//! They are taken from the decoders, not the encoders, which know fewer: duplicates in Shift_JIS, Big5's Hong Kong
//! characters, JIS X 0212, the two spellings that GB18030 has for some characters. They are complete: the text that a
//! decoder returns was decoded from these bytes, one character after the other. Only ISO-2022-JP changes the meaning of
//! bytes within a text, and is recognised by its escape sequences.

use std::collections::{BTreeMap, BTreeSet};

use encoding_rs::Encoding;

/// The encodings of one or several bytes a character, apart from Unicode's. GBK is decoded as GB18030.
const NATIONAL: [&Encoding; 33] = [
    encoding_rs::BIG5,
    encoding_rs::EUC_JP,
    encoding_rs::EUC_KR,
    encoding_rs::GB18030,
    encoding_rs::SHIFT_JIS,
    encoding_rs::IBM866,
    encoding_rs::ISO_8859_2,
    encoding_rs::ISO_8859_3,
    encoding_rs::ISO_8859_4,
    encoding_rs::ISO_8859_5,
    encoding_rs::ISO_8859_6,
    encoding_rs::ISO_8859_7,
    encoding_rs::ISO_8859_8,
    encoding_rs::ISO_8859_8_I,
    encoding_rs::ISO_8859_10,
    encoding_rs::ISO_8859_13,
    encoding_rs::ISO_8859_14,
    encoding_rs::ISO_8859_15,
    encoding_rs::ISO_8859_16,
    encoding_rs::KOI8_R,
    encoding_rs::KOI8_U,
    encoding_rs::MACINTOSH,
    encoding_rs::WINDOWS_874,
    encoding_rs::WINDOWS_1250,
    encoding_rs::WINDOWS_1251,
    encoding_rs::WINDOWS_1252,
    encoding_rs::WINDOWS_1253,
    encoding_rs::WINDOWS_1254,
    encoding_rs::WINDOWS_1255,
    encoding_rs::WINDOWS_1256,
    encoding_rs::WINDOWS_1257,
    encoding_rs::WINDOWS_1258,
    encoding_rs::X_MAC_CYRILLIC,
];

/// The common beginnings of the escape sequences that ISO-2022-JP may have between any two characters, also ASCII ones.
pub(super) const ISO_2022_JP_ESCAPES: [&[u8]; 2] = [b"\x1b(", b"\x1b$"];

/// The spellings of characters in one encoding.
#[derive(Debug)]
pub(super) enum Coding {
    Utf8,
    Utf16Be,
    Utf16Le,
    /// ASCII unchanged, and these characters. It has no others.
    National(BTreeMap<char, Spellings>),
}

/// The spellings of a character outside ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spellings {
    /// One of these.
    Known(Vec<Vec<u8>>),
    /// Also a sequence that encodes two characters.
    Unknown,
}

impl Coding {
    /// Returns all encodings, with the spellings of these characters.
    pub(super) fn all(characters: &BTreeSet<char>) -> Vec<Self> {
        let mut all = vec![Self::Utf8, Self::Utf16Be, Self::Utf16Le];
        let wanted = Wanted::new(characters);
        if wanted.characters.is_empty() {
            all.push(Self::National(BTreeMap::new()));
            return all;
        }
        all.extend(NATIONAL.iter().map(|encoding| Self::National(spellings(encoding, &wanted))));
        all
    }

    /// Returns one of the national encodings.
    #[cfg(test)]
    pub(super) fn national(encoding: &'static Encoding, characters: &BTreeSet<char>) -> Self {
        assert!(NATIONAL.contains(&encoding));
        Self::National(spellings(encoding, &Wanted::new(characters)))
    }

    /// Returns the spellings of a character.
    pub(super) fn spellings(&self, character: char) -> Spellings {
        let units = |bytes: fn(u16) -> [u8; 2]| {
            Spellings::Known(vec![
                character.encode_utf16(&mut [0; 2]).iter().copied().flat_map(bytes).collect(),
            ])
        };
        match self {
            _ if character == char::REPLACEMENT_CHARACTER => Spellings::Unknown,
            Self::Utf16Be => units(u16::to_be_bytes),
            Self::Utf16Le => units(u16::to_le_bytes),
            Self::National(known) if !character.is_ascii() => {
                known.get(&character).cloned().unwrap_or(Spellings::Known(Vec::new()))
            }
            Self::Utf8 => Spellings::Known(utf_8(character)),
            Self::National(_) => Spellings::Known(vec![character.to_string().into_bytes()]),
        }
    }
}

/// Returns the bytes of a character in UTF-8 and in the variants of it that `udpchat_text::read` reads: C0 80, and CESU-8.
fn utf_8(character: char) -> Vec<Vec<u8>> {
    let standard = character.to_string().into_bytes();
    let mut units = [0; 2];
    let surrogates = character.encode_utf16(&mut units).iter().flat_map(|unit| {
        let [upper, lower] = [(unit >> 6 & 0x3f) as u8, (unit & 0x3f) as u8];
        [0xe0 | (unit >> 12) as u8, 0x80 | upper, 0x80 | lower]
    });
    match character {
        '\0' => vec![standard, vec![0xc0, 0x80]],
        '\u{10000}'.. => vec![standard, surrogates.collect()],
        _ => vec![standard],
    }
}

/// The characters that are looked for.
struct Wanted<'a> {
    characters: BTreeSet<&'a char>,
    /// A bit for the lower 16 bits of each character: a quick test that skips nearly all that a decoder returns.
    low: Vec<u64>,
}

impl<'a> Wanted<'a> {
    fn new(characters: &'a BTreeSet<char>) -> Self {
        let characters: BTreeSet<_> = characters.iter().filter(|character| !character.is_ascii()).collect();
        let mut low = vec![0; 1 << 10];
        for character in &characters {
            let place = **character as usize & 0xffff;
            low[place / 64] |= 1 << (place % 64);
        }
        Self { characters, low }
    }

    fn has(&self, character: char) -> bool {
        let place = character as usize & 0xffff;
        self.low[place / 64] >> (place % 64) & 1 == 1 && self.characters.contains(&character)
    }
}

/// Finds the spellings of the wanted characters, by decoding every sequence that the encoding has.
fn spellings(encoding: &'static Encoding, wanted: &Wanted<'_>) -> BTreeMap<char, Spellings> {
    let mut known = BTreeMap::new();
    let mut singles = [false; 256];
    let single = (0x80..=0xff).map(|byte| vec![byte]);
    read_each(encoding, single, |sequence, text| {
        singles[usize::from(sequence[0])] = !text.contains(char::REPLACEMENT_CHARACTER);
        note(&mut known, wanted, sequence, text);
    });
    if encoding.is_single_byte() {
        return known;
    }
    for lead in 0x81..=0xfe {
        let pairs = (0x30..=0xfe).map(|trail| [lead, trail]);
        read_each(encoding, pairs, |sequence, text| {
            let two_singles = singles[usize::from(lead)] && text.chars().nth(1).is_some();
            if !two_singles {
                note(&mut known, wanted, sequence, text);
            }
        });
    }
    if encoding == encoding_rs::EUC_JP {
        for row in 0xa1..=0xfe {
            let triples = (0xa1..=0xfe).map(|cell| [0x8f, row, cell]);
            read_each(encoding, triples, |sequence, text| note(&mut known, wanted, sequence, text));
        }
    }
    if encoding == encoding_rs::GB18030 {
        for [first, second] in
            (0x81..=0x84).flat_map(|first| (0x30..=0x39).map(move |second| [first, second]))
        {
            let thirds = (0x81..=0xfe).flat_map(|third| (0x30..=0x39).map(move |fourth| [third, fourth]));
            let fours = thirds.map(|[third, fourth]| [first, second, third, fourth]);
            read_each(encoding, fours, |sequence, text| note(&mut known, wanted, sequence, text));
        }
        for character in wanted.characters.iter().filter(|character| ***character > '\u{ffff}') {
            add(&mut known, **character, &gb18030_beyond_the_bmp(**character));
        }
    }
    known
}

/// Returns the four bytes of a character above U+FFFF: GB18030 numbers them consecutively.
fn gb18030_beyond_the_bmp(character: char) -> [u8; 4] {
    let number = u32::from(character) - 0x1_0000;
    let digit = |weight: u32, base: u32, from: u8| from + (number / weight % base) as u8;
    [digit(12_600, 126, 0x90), digit(1_260, 10, 0x30), digit(10, 126, 0x81), digit(1, 10, 0x30)]
}

/// Decodes sequences, each on its own, and calls `visit` with each result. A line feed is the same byte in all these
/// encodings, and ends every incomplete sequence.
fn read_each<S: AsRef<[u8]>>(
    encoding: &'static Encoding,
    sequences: impl Iterator<Item = S> + Clone,
    mut visit: impl FnMut(&[u8], &str),
) {
    let mut bytes = Vec::new();
    for sequence in sequences.clone() {
        bytes.extend_from_slice(sequence.as_ref());
        bytes.push(b'\n');
    }
    let (text, _) = encoding.decode_without_bom_handling(&bytes);
    for (sequence, line) in sequences.zip(text.split('\n')) {
        visit(sequence.as_ref(), line);
    }
}

/// Adds the text that a sequence was decoded to.
fn note(known: &mut BTreeMap<char, Spellings>, wanted: &Wanted<'_>, sequence: &[u8], text: &str) {
    let mut characters = text.chars();
    let (Some(first), rest) = (characters.next(), characters.as_str()) else { return };
    if rest.is_empty() {
        if wanted.has(first) {
            add(known, first, sequence);
        }
    } else if !text.contains(char::REPLACEMENT_CHARACTER) {
        // One sequence for two characters: neither has bytes of its own.
        for character in text.chars().filter(|character| wanted.has(*character)) {
            known.insert(character, Spellings::Unknown);
        }
    }
}

fn add(known: &mut BTreeMap<char, Spellings>, character: char, sequence: &[u8]) {
    if let Spellings::Known(spellings) = known.entry(character).or_insert(Spellings::Known(Vec::new())) {
        spellings.push(sequence.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists all encodings that messages may be decoded with.
    fn accepted() -> Vec<&'static Encoding> {
        let others = [encoding_rs::UTF_8, encoding_rs::UTF_16BE, encoding_rs::UTF_16LE, encoding_rs::GBK];
        [&NATIONAL[..], &others, &[encoding_rs::ISO_2022_JP]].concat()
    }

    #[test]
    fn every_encoding_of_the_standard_is_covered() {
        let names: BTreeSet<_> = accepted().iter().map(|encoding| encoding.name()).collect();
        assert_eq!(names.len(), 38, "of 40, two are not encodings of text: replacement and x-user-defined");
        for name in names {
            let accepted: udpchat_config::Encoding = name.parse().unwrap();
            assert_eq!(accepted.encoding().name(), name);
        }
    }

    #[test]
    fn ascii_has_one_spelling_and_gbk_decodes_as_gb18030() {
        for encoding in accepted().into_iter().filter(|encoding| encoding.is_ascii_compatible()) {
            let all = (0x00..=0xff).flat_map(|lead| (0x00..=0xff).map(move |trail| [lead, trail]));
            for pair in all {
                let (text, _) = encoding.decode_without_bom_handling(&pair);
                let wanted: Vec<u8> = pair.into_iter().filter(u8::is_ascii).collect();
                let mut given = text.bytes().filter(u8::is_ascii);
                assert!(given.all(|byte| wanted.contains(&byte)), "{} {pair:x?}", encoding.name());
                if encoding == encoding_rs::GB18030 {
                    assert_eq!(encoding_rs::GBK.decode_without_bom_handling(&pair).0, text);
                }
            }
        }
    }

    #[test]
    fn gb18030_numbers_characters_above_u_ffff_consecutively() {
        for character in '\u{10000}'..=char::MAX {
            let bytes = gb18030_beyond_the_bmp(character);
            let (text, _) = encoding_rs::GB18030.decode_without_bom_handling(&bytes);
            assert!(text.chars().eq([character]), "{character:?} {bytes:x?}");
        }
    }

    #[test]
    fn characters_have_all_their_spellings() {
        let characters = BTreeSet::from(['你', '€', 'Ê', '纊', '丂']);
        let national = |encoding, character| Coding::national(encoding, &characters).spellings(character);
        let of =
            |spellings: &[&[u8]]| Spellings::Known(spellings.iter().map(|bytes| bytes.to_vec()).collect());
        assert_eq!(national(encoding_rs::GB18030, '你'), of(&[b"\xc4\xe3"]));
        assert_eq!(national(encoding_rs::GB18030, '€'), of(&[b"\x80", b"\xa2\xe3"]));
        assert_eq!(national(encoding_rs::BIG5, 'Ê'), Spellings::Unknown);
        assert_eq!(national(encoding_rs::SHIFT_JIS, '纊'), of(&[b"\xed\x40", b"\xfa\x5c"]));
        assert_eq!(national(encoding_rs::EUC_JP, '丂'), of(&[b"\x8f\xb0\xa1"]));
        assert_eq!(national(encoding_rs::KOI8_R, '你'), of(&[]));
        assert_eq!(Coding::Utf16Le.spellings('你'), of(&[b"\x60\x4f"]));
        for character in ['\0', 'a', '你', '😀', char::MAX] {
            let Spellings::Known(spellings) = Coding::Utf8.spellings(character) else { panic!() };
            for bytes in spellings {
                assert_eq!(
                    udpchat_text::read(&bytes, udpchat_config::Encoding::UTF_8),
                    character.to_string()
                );
            }
        }
    }
}
