//! Names of encodings that the WHATWG Encoding Standard treats as another one, with more characters or fewer.

/// The characters that a name promises, where the standard's encoding of that name has others.
///
/// The standard reads `ascii` as windows-1252 and `gb2312` as gbk. A reader may do that. A program that knows only what the
/// name says cannot read the further characters, so they must not be sent under that name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Repertoire {
    /// What is common to the programs that know the standard's encoding by its name.
    #[default]
    Common,
    /// ASCII, in windows-1252.
    Ascii,
    /// ISO 8859-1, in windows-1252.
    Latin1,
    /// ISO 8859-9, in windows-1254.
    Latin5,
    /// TIS-620 (ISO 8859-11), in windows-874.
    Tis620,
    /// GB 2312, in gbk.
    Gb2312,
    /// All of Windows' code page 932; `shift_jis` is JIS X 0208 and half-width kana.
    Cp932,
    /// All of Windows' code page 949; `euc-kr` is KS X 1001.
    Cp949,
    /// All of Windows' code page 950; `big5` is the original character set.
    Cp950,
    /// No characters: bytes, written as hexadecimal digits.
    Hex,
}

impl Repertoire {
    /// Finds the repertoire of a label, in lower case with dashes.
    pub(super) fn of(label: &str) -> Self {
        match label {
            "ascii" | "us-ascii" | "ansi-x3.4-1968" => Self::Ascii,
            "iso-8859-1" | "iso8859-1" | "iso88591" | "iso-8859-1:1987" | "iso-ir-100" | "csisolatin1"
            | "latin1" | "latin-1" | "l1" | "cp819" | "ibm819" => Self::Latin1,
            "iso-8859-9" | "iso8859-9" | "iso88599" | "iso-8859-9:1989" | "iso-ir-148" | "csisolatin5"
            | "latin5" | "l5" => Self::Latin5,
            "iso-8859-11" | "iso8859-11" | "iso885911" | "tis-620" => Self::Tis620,
            "gb2312" | "gb-2312" | "gb-2312-80" | "csgb2312" | "csiso58gb231280" | "iso-ir-58"
            | "chinese" | "euc-cn" | "euccn" => Self::Gb2312,
            "932" | "cp932" | "ms932" | "mskanji" | "ms-kanji" | "windows-31j" => Self::Cp932,
            "949" | "cp949" | "ms949" | "uhc" | "windows-949" => Self::Cp949,
            "950" | "cp950" | "ms950" | "windows-950" => Self::Cp950,
            _ => Self::Common,
        }
    }

    /// Returns the name, if it is not the one of the standard's encoding.
    pub(super) fn name(self) -> Option<&'static str> {
        let name = match self {
            Self::Common => return None,
            Self::Ascii => "ascii",
            Self::Latin1 => "iso-8859-1",
            Self::Latin5 => "iso-8859-9",
            Self::Tis620 => "tis-620",
            Self::Gb2312 => "gb2312",
            Self::Cp932 => "cp932",
            Self::Cp949 => "cp949",
            Self::Cp950 => "cp950",
            Self::Hex => "hex",
        };
        Some(name)
    }
}
