//! Character encodings and their names.

use std::fmt;
use std::str::FromStr;

use super::{Repertoire, Text, ValueError, narrowed, quoted};
use crate::suggestion::did_you_mean;

/// Names a character encoding that text can be decoded from.
///
/// Parses every label of the WHATWG Encoding Standard, and the names of the same encodings in Python and Windows
/// (`utf_8`, `cp936`), in any case. Displayed as the standard's name in lower case, or as the name of its [`Repertoire`].
///
/// [`Self::HEX`] is for bytes that are no text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encoding {
    codec: &'static encoding_rs::Encoding,
    repertoire: Repertoire,
}

impl Encoding {
    /// UTF-8.
    pub const UTF_8: Self = Self::of(encoding_rs::UTF_8);
    /// GBK, a superset of GB 2312.
    pub const GBK: Self = Self::of(encoding_rs::GBK);
    /// GB 18030, a superset of GBK.
    pub const GB18030: Self = Self::of(encoding_rs::GB18030);
    /// UTF-16, little end first.
    pub const UTF_16LE: Self = Self::of(encoding_rs::UTF_16LE);
    /// UTF-16, big end first.
    pub const UTF_16BE: Self = Self::of(encoding_rs::UTF_16BE);
    /// Big5 with the characters of Hong Kong.
    pub const BIG5: Self = Self::of(encoding_rs::BIG5);
    /// EUC-JP.
    pub const EUC_JP: Self = Self::of(encoding_rs::EUC_JP);
    /// EUC-KR with all syllables (UHC).
    pub const EUC_KR: Self = Self::of(encoding_rs::EUC_KR);
    /// Shift_JIS with the extensions of Windows.
    pub const SHIFT_JIS: Self = Self::of(encoding_rs::SHIFT_JIS);

    /// Bytes that are no text, written as hexadecimal digits. The codec has a character for each byte.
    pub const HEX: Self = Self { codec: encoding_rs::X_USER_DEFINED, repertoire: Repertoire::Hex };

    /// Lists the most common encodings, the most common first.
    pub const COMMON: [&str; 10] = [
        "utf-8",
        "gbk",
        "gb18030",
        "big5",
        "shift_jis",
        "euc-jp",
        "euc-kr",
        "utf-16le",
        "windows-1251",
        "windows-1252",
    ];

    /// Lists the names of all encodings of text, as they are displayed, by language.
    pub const NAMES: [&str; 46] = [
        "utf-8",
        "utf-16le",
        "utf-16be",
        "gbk",
        "gb18030",
        "gb2312",
        "big5",
        "cp950",
        "shift_jis",
        "cp932",
        "euc-jp",
        "iso-2022-jp",
        "euc-kr",
        "cp949",
        "ascii",
        "iso-8859-1",
        "iso-8859-2",
        "iso-8859-3",
        "iso-8859-4",
        "iso-8859-5",
        "iso-8859-6",
        "iso-8859-7",
        "iso-8859-8",
        "iso-8859-8-i",
        "iso-8859-9",
        "iso-8859-10",
        "iso-8859-13",
        "iso-8859-14",
        "iso-8859-15",
        "iso-8859-16",
        "tis-620",
        "windows-874",
        "windows-1250",
        "windows-1251",
        "windows-1252",
        "windows-1253",
        "windows-1254",
        "windows-1255",
        "windows-1256",
        "windows-1257",
        "windows-1258",
        "koi8-r",
        "koi8-u",
        "ibm866",
        "macintosh",
        "x-mac-cyrillic",
    ];

    const fn of(codec: &'static encoding_rs::Encoding) -> Self {
        Self { codec, repertoire: Repertoire::Common }
    }

    /// Returns the name: the standard's in lower case, or that of its [`Repertoire`].
    pub fn name(self) -> &'static str {
        let name = self.codec.name();
        let in_lower_case = || Self::NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        self.repertoire.name().or_else(in_lower_case).unwrap_or(name)
    }

    /// Returns the codec. For UTF-16 its encoder writes UTF-8, as the standard requires.
    pub const fn encoding(self) -> &'static encoding_rs::Encoding {
        self.codec
    }

    /// Returns which of its characters may be sent.
    pub const fn repertoire(self) -> Repertoire {
        self.repertoire
    }

    /// Returns the standard's encoding, in which text is read: a reader may know more characters than the name says.
    #[must_use]
    pub const fn for_reading(self) -> Self {
        match self.repertoire {
            Repertoire::Hex => self,
            _ => Self::of(self.codec),
        }
    }

    /// Returns whether this is [`Self::HEX`].
    pub const fn is_hex(self) -> bool {
        matches!(self.repertoire, Repertoire::Hex)
    }

    /// Returns whether this is UTF-16, in either byte order.
    pub fn is_utf_16(self) -> bool {
        self.codec == encoding_rs::UTF_16LE || self.codec == encoding_rs::UTF_16BE
    }
}

impl FromStr for Encoding {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let label = narrowed(text.trim()).to_ascii_lowercase();
        let dashed = match label.replace('_', "-") {
            gb if ["gb-2312", "gb-18030", "gb-k"].contains(&&*gb) => gb.replace('-', ""),
            dashed => dashed,
        };
        if matches!(&*label, "hex" | "bytes" | "binary") {
            return Ok(Self::HEX);
        }
        find(&label)
            .or_else(|| find(&dashed))
            .or_else(|| alias(&dashed).and_then(find))
            .map(|codec| Self { codec, repertoire: Repertoire::of(&dashed) })
            .ok_or_else(|| ValueError::new(format!("unknown encoding {}", quoted(text)), hint(&dashed)))
    }
}

/// Finds a label of the standard, except those of `replacement` and `x-user-defined`, which no text is written in.
fn find(label: &str) -> Option<&'static encoding_rs::Encoding> {
    encoding_rs::Encoding::for_label_no_replacement(label.as_bytes())
        .filter(|encoding| *encoding != encoding_rs::X_USER_DEFINED)
}

/// Translates a name of Python or Windows, in lower case with dashes, into a label of the standard.
fn alias(name: &str) -> Option<&'static str> {
    let label = match name {
        "65001" | "cp65001" | "utf-8-sig" | "utf8-sig" | "utf-8-bom" | "utf8-bom" | "u8" => "utf-8",
        "936" | "cp936" | "ms936" | "windows-936" | "euc-cn" | "euccn" => "gbk",
        "54936" | "cp54936" | "gb18030-2000" | "gb18030-2005" | "gb18030-2022" => "gb18030",
        "950" | "cp950" | "ms950" | "windows-950" | "big5hkscs" | "hkscs" => "big5",
        "932" | "cp932" | "ms932" | "mskanji" | "ms-kanji" => "shift_jis",
        "eucjp" | "ujis" | "51932" | "cp51932" => "euc-jp",
        "iso2022-jp" | "iso2022jp" => "iso-2022-jp",
        "949" | "cp949" | "ms949" | "uhc" | "euckr" | "51949" | "cp51949" => "euc-kr",
        "1200" | "cp1200" | "utf16" | "utf-16-le" | "utf16le" | "utf16-le" => "utf-16le",
        "1201" | "cp1201" | "utf-16-be" | "utf16be" | "utf16-be" => "utf-16be",
        "latin-1" => "latin1",
        "mac-roman" | "macroman" => "macintosh",
        "koi8r" => "koi8-r",
        "koi8u" => "koi8-u",
        _ => return windows_page(name),
    };
    Some(label)
}

/// Translates the bare number of a single-byte Windows code page.
fn windows_page(number: &str) -> Option<&'static str> {
    let number = number.strip_prefix("cp").unwrap_or(number);
    Encoding::NAMES.into_iter().find(|name| name.strip_prefix("windows-") == Some(number))
}

/// Returns the encoding that a name means which is no name of one.
fn meant(name: &str) -> Option<&'static str> {
    Some(match name {
        "ansi" | "mbcs" => "`ANSI` of a Chinese Windows is `gbk`;",
        "国标" | "国标码" | "汉字" | "中文" | "gb" => "Chinese text is `gbk` or `gb18030`;",
        _ => return None,
    })
}

fn hint(name: &str) -> String {
    let common = Encoding::COMMON;
    let names = common.join(", ");
    if let Some(meant) = meant(name) {
        return format!("{meant} common ones are {names}; `hex` is for bytes");
    }
    match did_you_mean(name, common) {
        Some(question) => format!("{question} common ones are {names}; `hex` is for bytes"),
        None => format!("common ones are {names}; `hex` is for bytes"),
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoding({self})")
    }
}

impl Text for Encoding {
    const EXPECTED: &str = "the name of an encoding";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_of_the_standard_of_python_and_of_windows_are_known() {
        for (names, shown) in [
            ("utf-8 UTF8 utf_8 U8 cp65001 65001 utf_8_sig", "utf-8"),
            ("gbk cp936 936 ms936", "gbk"),
            ("gb2312 GB2312 gb_2312 gb_2312-80 euc_cn chinese", "gb2312"),
            ("gb18030 GB18030 cp54936", "gb18030"),
            ("big5 Big5-HKSCS big5_hkscs", "big5"),
            ("cp950 950", "cp950"),
            ("shift_jis shift-jis sjis", "shift_jis"),
            ("cp932 ms932 932 Windows-31J", "cp932"),
            ("euc-jp euc_jp eucjp", "euc-jp"),
            ("iso-2022-jp iso2022_jp", "iso-2022-jp"),
            ("euc-kr euc_kr ks_c_5601-1987", "euc-kr"),
            ("cp949 ms949 949 uhc", "cp949"),
            ("utf-16 utf_16 utf16 utf-16le utf_16_le cp1200", "utf-16le"),
            ("utf-16be utf_16_be UTF-16BE", "utf-16be"),
            ("windows-1251 windows_1251 cp1251 1251", "windows-1251"),
            ("windows-1252 windows_1252 cp1252", "windows-1252"),
            ("iso-8859-1 latin1 latin-1 latin_1 L1 iso8859_1 ISO_8859-1:1987", "iso-8859-1"),
            ("ascii US-ASCII us_ascii", "ascii"),
            ("iso-8859-9 latin5", "iso-8859-9"),
            ("windows-874 cp874 874", "windows-874"),
            ("tis-620 iso-8859-11", "tis-620"),
            ("koi8-r koi8_r", "koi8-r"),
            ("macintosh mac_roman", "macintosh"),
        ] {
            for name in names.split(' ') {
                assert_eq!(name.parse::<Encoding>().unwrap().to_string(), shown, "{name}");
            }
        }
    }

    #[test]
    fn every_alias_leads_to_an_encoding() {
        for name in ["874", "cp874", "1250", "1253", "1254", "1255", "1256", "1257", "1258", "koi8u", "hkscs"]
        {
            assert!(name.parse::<Encoding>().is_ok(), "{name}");
        }
    }

    #[test]
    fn encodings_that_decode_nothing_are_refused() {
        for name in ["replacement", "hz-gb-2312", "hz", "iso-2022-kr", "iso-2022-cn", "x-user-defined", ""] {
            let error = name.parse::<Encoding>().unwrap_err();
            assert_eq!(error.to_string(), format!("unknown encoding `{name}`"));
        }
    }

    #[test]
    fn an_unknown_encoding_is_answered_with_common_ones() {
        let error = "foo".parse::<Encoding>().unwrap_err();
        assert_eq!(error.to_string(), "unknown encoding `foo`");
        assert_eq!(
            error.hint().unwrap(),
            "common ones are utf-8, gbk, gb18030, big5, shift_jis, euc-jp, euc-kr, utf-16le, \
             windows-1251, windows-1252; `hex` is for bytes"
        );
        for (name, start) in
            [("ansi", "`ANSI` of a Chinese Windows is `gbk`;"), ("国标", "Chinese text is `gbk` or")]
        {
            let hint = name.parse::<Encoding>().unwrap_err().hint().unwrap().to_owned();
            assert!(hint.starts_with(start), "{hint}");
        }
        for (name, shown) in [("gb-2312", "gb2312"), ("ｇｂｋ", "gbk"), ("UTF-8-BOM", "utf-8")] {
            assert_eq!(name.parse::<Encoding>().unwrap().to_string(), shown);
        }
        let error = "gb18300".parse::<Encoding>().unwrap_err();
        assert!(error.hint().unwrap().starts_with("did you mean `gb18030`?"), "{error:?}");
    }

    #[test]
    fn a_narrower_name_is_read_as_the_whole_encoding() {
        for (name, codec) in [
            ("ascii", "windows-1252"),
            ("iso-8859-1", "windows-1252"),
            ("iso-8859-9", "windows-1254"),
            ("tis-620", "windows-874"),
            ("gb2312", "gbk"),
            ("cp932", "shift_jis"),
            ("cp949", "euc-kr"),
            ("cp950", "big5"),
        ] {
            let encoding = name.parse::<Encoding>().unwrap();
            assert_eq!(
                (encoding.to_string().as_str(), encoding.for_reading().to_string().as_str()),
                (name, codec)
            );
            assert_eq!(encoding.to_string().parse::<Encoding>().unwrap(), encoding);
            assert_eq!(codec.parse::<Encoding>().unwrap(), encoding.for_reading());
        }
    }

    #[test]
    fn bytes_are_no_encoding_of_text() {
        for name in ["hex", "Bytes", "binary"] {
            assert_eq!(name.parse::<Encoding>().unwrap(), Encoding::HEX);
        }
        assert!(Encoding::HEX.for_reading().is_hex() && !Encoding::UTF_8.is_hex());
        assert_eq!(Encoding::HEX.to_string(), "hex");
        assert!(!Encoding::NAMES.contains(&"hex"));
    }

    #[test]
    fn all_names_are_listed_as_they_are_displayed() {
        for name in Encoding::NAMES {
            let encoding = name.parse::<Encoding>().unwrap();
            assert_eq!(encoding.to_string(), name);
            assert!(Encoding::NAMES.contains(&encoding.for_reading().to_string().as_str()), "{name}");
        }
        // The standard has 39 encodings besides `replacement`; no text is written in `x-user-defined`.
        let codecs: HashSet<_> =
            Encoding::NAMES.iter().map(|name| name.parse::<Encoding>().unwrap().codec).collect();
        assert_eq!(codecs.len(), 38);
        assert!(Encoding::COMMON.iter().all(|name| Encoding::NAMES.contains(name)));
    }

    #[test]
    fn a_name_is_read_back_as_the_same_encoding() {
        for encoding in [Encoding::UTF_8, Encoding::GBK, Encoding::GB18030, Encoding::of(encoding_rs::BIG5)] {
            assert_eq!(encoding.to_string().parse::<Encoding>().unwrap(), encoding);
        }
        assert!(Encoding::of(encoding_rs::UTF_16BE).is_utf_16());
        assert!(!Encoding::UTF_8.is_utf_16());
    }
}
