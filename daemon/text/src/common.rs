//! Which characters all programs read alike that know an encoding by its name.
//!
//! An encoding has several tables under one name: that of the WHATWG standard, which is Windows', and those of the national
//! standards, which Python, Java and devices have. Where they differ, what is sent would be read as another character or
//! as an error. Python's codec of the same name stands for those programs here; a test compares every character.

use encoding_rs::Encoding as Codec;
use encoding_rs::{BIG5, EUC_JP, EUC_KR, GB18030, GBK, ISO_2022_JP, KOI8_U, SHIFT_JIS, WINDOWS_1255};
use udpchat_config::{Encoding, Repertoire};

/// Returns whether all programs that know the encoding by its name read `bytes` as `character`, which is not ASCII.
pub(crate) fn is_common(character: char, bytes: &[u8], encoding: Encoding) -> bool {
    match encoding.repertoire() {
        Repertoire::Common => is_in_common_tables(character, bytes, encoding.encoding()),
        // `encode` writes digits, and no characters.
        Repertoire::Ascii | Repertoire::Hex => false,
        // The code pages of Windows fill the places of the C1 controls.
        Repertoire::Latin1 | Repertoire::Latin5 => bytes[0] >= 0xa0,
        Repertoire::Tis620 => bytes[0] >= 0xa1,
        Repertoire::Gb2312 => is_gbk(character, bytes) && is_gb2312(bytes),
        Repertoire::Cp950 => is_cp950(bytes),
        Repertoire::Cp932 | Repertoire::Cp949 => true,
    }
}

fn is_in_common_tables(character: char, bytes: &[u8], codec: &'static Codec) -> bool {
    if codec == GBK {
        is_gbk(character, bytes)
    } else if codec == GB18030 {
        !is_moved_in_gb18030(character, bytes)
    } else if codec == BIG5 {
        is_big5(bytes)
    } else if codec == EUC_KR {
        is_ks_x_1001(bytes)
    } else if codec == SHIFT_JIS || codec == EUC_JP || codec == ISO_2022_JP {
        is_jis(bytes, codec)
    } else if codec == KOI8_U {
        // Belarusian letters, at places where RFC 2319 has frames.
        !matches!(character, 'Ў' | 'ў')
    } else if codec == WINDOWS_1255 && character == '\u{5ba}' {
        // Later versions of the code page have this point, at a place that was free.
        false
    } else if codec.name().starts_with("windows-") {
        // The standard gives the free places to C1 controls.
        !character.is_control()
    } else {
        true
    }
}

/// GB 2312: rows 1 to 9 and 16 to 87. Its table reads 01-04 and 01-42 as U+30FB and U+2015, where GBK has `·` and `—`.
fn is_gb2312(bytes: &[u8]) -> bool {
    match bytes {
        [0xa1, 0xa4 | 0xaa] => false,
        [0xa2, trail] => matches!(trail, 0xb1..=0xe2 | 0xe5..=0xee | 0xf1..=0xfc),
        [0xa6, trail] => matches!(trail, 0xa1..=0xb8 | 0xc1..=0xd8),
        [0xa8, trail] => matches!(trail, 0xa1..=0xba | 0xc5..=0xe9),
        [0xa9, trail] => matches!(trail, 0xa4..=0xef),
        [0xa1..=0xa9 | 0xb0..=0xf7, trail] => *trail >= 0xa1,
        _ => false,
    }
}

/// GBK as of 1995: without the euro sign, which only Windows has, as byte 80; without what GB 18030 added to its free
/// places; without private use.
fn is_gbk(character: char, bytes: &[u8]) -> bool {
    let is_private = matches!(character, '\u{e000}'..='\u{f8ff}');
    let is_added = matches!(
        bytes,
        [0xa6, 0xd9..=0xdf | 0xec | 0xed | 0xf3]
            | [0xa8, 0xbc | 0xbf]
            | [0xa9, 0x89..=0x95]
            | [0xfe, 0x50..=0xff]
    );
    bytes.len() == 2 && !is_private && !is_added
}

/// The characters that GB 18030 moved in 2005 and 2022 to places that were private use before.
fn is_moved_in_gb18030(character: char, bytes: &[u8]) -> bool {
    character == '\u{e7c7}'
        || matches!(
            bytes,
            [0xa6, 0xd9..=0xdf | 0xec | 0xed | 0xf3]
                | [0xa8, 0xbc]
                | [0xfe, 0x59 | 0x61 | 0x66 | 0x67 | 0x6d | 0x7e | 0x90 | 0xa0]
        )
}

/// Big5 as of 1984: without the characters that Windows added, and without the symbols that its tables read in two ways,
/// such as `～` and `￥`.
fn is_big5(bytes: &[u8]) -> bool {
    is_cp950(bytes)
        && !matches!(
            bytes,
            [0xa1, 0x45 | 0x4e | 0xc2 | 0xe3 | 0xf2 | 0xf3]
                | [0xa2, 0x41 | 0x42 | 0x44 | 0x46 | 0x47]
                | [0xa3, 0xe1]
                | [0xf9, 0xd6..=0xff]
        )
}

/// Windows' Big5: without the characters that ETEN and Hong Kong added.
fn is_cp950(bytes: &[u8]) -> bool {
    !matches!(
        bytes,
        [0xa3, 0xc0..=0xe0] | [0xc6, 0xa1..=0xff] | [0xc7 | 0xc8 | 0xfa..=0xff, _] | [0xf9, 0xfe]
    )
}

/// KS X 1001: without the syllables that Windows added, and without the filler, which begins a sequence of eight bytes there.
fn is_ks_x_1001(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte >= 0xa1) && bytes != [0xa4, 0xd4]
}

/// JIS X 0201 and JIS X 0208: without the rows that NEC and IBM added, and without the cells of `～∥－￠￡￢`, which the
/// standard reads as `〜‖−¢£¬`.
fn is_jis(bytes: &[u8], codec: &'static Codec) -> bool {
    let Some((row, cell)) = jis_cell(bytes, codec) else { return bytes != [0x80] };
    let is_added = !matches!(row, 1..=8 | 16..=84);
    !is_added && !matches!((row, cell), (1, 33 | 34 | 61 | 81 | 82) | (2, 44))
}

/// Returns the row and the cell of two bytes in JIS X 0208, from 1; none for other bytes.
fn jis_cell(bytes: &[u8], codec: &'static Codec) -> Option<(u8, u8)> {
    match bytes {
        [0x1b, b'$', b'B', row, cell, ..] => Some((row - 0x20, cell - 0x20)),
        [row @ 0xa1..=0xfe, cell] if codec == EUC_JP => Some((row - 0xa0, cell - 0xa0)),
        [lead, trail] if codec == SHIFT_JIS => {
            // Each lead byte has two rows of 94 cells.
            let pair = lead - if *lead < 0xa0 { 0x81 } else { 0xc1 };
            let cell = trail - if *trail < 0x80 { 0x40 } else { 0x41 };
            Some((2 * pair + 1 + cell / 94, cell % 94 + 1))
        }
        _ => None,
    }
}
