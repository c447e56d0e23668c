//! A number at a place of the payload, such as `@6:i16le/10`, for peers that send binary frames.
//!
//! | part | meaning |
//! |---|---|
//! | `@6` | the offset in bytes; `@-2` is from the end |
//! | `i16` | unsigned (`u`), signed in two's complement (`i`) or IEEE 754 (`f`), and the size in bits |
//! | `le` | the least significant byte first; `be`, and nothing, the most significant one first |
//! | `.3`, `.0-3` | one bit, or a group of bits, of an unsigned number; bit 0 is the least significant one |
//! | `/10`, `*0.1` | the scale |

use std::str::FromStr;

use udpchat_config::narrowed;
use udpchat_locale::tr;

/// The characters with which a place begins; the second one is as Chinese keyboards make it.
pub(super) const SIGNS: [char; 2] = ['@', '＠'];

/// The types, for messages to people.
const TYPES: &str = "u8, i8, u16, i16, u32, i32, u64, i64, f32, f64";

/// A place of the payload, and how the number there is read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    offset: Offset,
    form: Form,
    /// The size of the number, in bytes.
    size: usize,
    order: Order,
    bits: Bits,
    scale: Scale,
}

/// Where the number begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offset {
    FromBeginning(usize),
    FromEnd(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Unsigned,
    Signed,
    Float,
}

/// The bits of a number that count: shifted to the right, those of the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bits {
    shift: u32,
    mask: u64,
}

/// Which byte of the number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    MostSignificant,
    LeastSignificant,
}

/// A number is multiplied by one factor and divided by the other: 3 * 1 / 10 is 0.3, but 3 * 0.1 is 0.30000000000000004.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    times: f64,
    by: f64,
}

impl Place {
    /// Returns the number in a payload; none if the payload is too short for it, or if it is not finite. An integer of more than
    /// 53 bits is rounded.
    pub(super) fn value(&self, payload: &[u8]) -> Option<f64> {
        let begin = match self.offset {
            Offset::FromBeginning(offset) => offset,
            Offset::FromEnd(offset) => payload.len().checked_sub(offset)?,
        };
        let bytes = payload.get(begin..)?.get(..self.size)?;
        let join = |word, byte: &u8| word << 8 | u64::from(*byte);
        let word: u64 = match self.order {
            Order::MostSignificant => bytes.iter().fold(0, join),
            Order::LeastSignificant => bytes.iter().rev().fold(0, join),
        };
        let word = word >> self.bits.shift & self.bits.mask;
        let unused_bits = u64::BITS as usize - 8 * self.size;
        let value = match self.form {
            Form::Unsigned => word as f64,
            Form::Signed => (word.cast_signed() << unused_bits >> unused_bits) as f64,
            Form::Float if self.size == size_of::<f32>() => decimal(f32::from_bits(word as u32)),
            Form::Float => f64::from_bits(word),
        };
        Some(value * self.scale.times / self.scale.by).filter(|value| value.is_finite())
    }
}

/// Returns the shortest decimal number that is this one in 32 bits: 21.4 and not 21.399999618530273. Whole numbers stay exact.
fn decimal(value: f32) -> f64 {
    let exact = f64::from(value);
    if exact.fract() == 0.0 { exact } else { value.to_string().parse().unwrap_or(exact) }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place = narrowed(text.trim());
        let (offset, rest) = place.split_once(':').unwrap_or((&place, ""));
        let offset = Offset::parse(offset.strip_prefix(SIGNS).unwrap_or(offset).trim()).ok_or_else(|| {
            tr!(
                "`{place}` has no valid offset; write the number of bytes before it, for example `@6:u16`, or from the \
                 end `@-2:u16`",
                place
            )
        })?;
        let rest = rest.trim_start();
        let kind = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())];
        let (form, size, order) = kind_of(&kind.to_ascii_lowercase()).ok_or_else(|| match kind {
            "" => tr!("`{place}` has no type; write for example `@6:u16`: {types}", place, types = TYPES),
            kind => tr!(
                "`{kind}` is no type of a number; the types are {types}, with `le` behind it if the least significant \
                 byte comes first",
                kind,
                types = TYPES
            ),
        })?;
        if let Offset::FromEnd(offset) = offset
            && offset < size
        {
            return Err(tr!(
                "`{place}` reaches beyond the end; the last {size} bytes begin at @-{size}",
                place,
                size
            ));
        }
        let rest = rest[kind.len()..].trim_start();
        let (bits, scale) = match rest.strip_prefix('.') {
            None => (Bits::ALL, rest),
            Some(rest) => {
                let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
                let (written, scale) = rest.split_at(end);
                let bits = Bits::parse(written, 8 * size).filter(|_| form == Form::Unsigned);
                (bits.ok_or_else(|| no_bits(written, kind, 8 * size - 1))?, scale)
            }
        };
        let scale = scale.trim();
        let scale = Scale::parse(scale).ok_or_else(|| {
            tr!(
                "invalid scale `{scale}` of `{place}`; write for example /10 or *0.1, and for single bits .3 or .0-3",
                scale,
                place
            )
        })?;
        Ok(Self { offset, form, size, order, bits, scale })
    }
}

/// Says which bits can be written.
fn no_bits(written: &str, kind: &str, highest: usize) -> String {
    tr!(
        "`.{written}` names no bits of `{kind}`; unsigned numbers have the bits 0 to {highest}, for example .3, or .0-3 for a number of \
         four bits",
        written,
        kind,
        highest
    )
}

impl Bits {
    const ALL: Self = Self { shift: 0, mask: u64::MAX };

    /// Parses `3` or `0-3`, in either order, of a number of so many bits.
    fn parse(text: &str, bits: usize) -> Option<Self> {
        let (one, other) = text.split_once('-').unwrap_or((text, text));
        let (one, other): (u32, u32) = (one.parse().ok()?, other.parse().ok()?);
        let (low, high) = (one.min(other), one.max(other));
        let is_within = usize::try_from(high).is_ok_and(|high| high < bits);
        is_within.then(|| Self { shift: low, mask: u64::MAX >> (u64::BITS - 1 - (high - low)) })
    }
}

impl Offset {
    fn parse(text: &str) -> Option<Self> {
        let (digits, is_from_end) = match text.strip_prefix('-') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        let offset = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        match (is_from_end, offset) {
            // No number begins at the end.
            (true, 0) => None,
            (true, offset) => Some(Self::FromEnd(offset)),
            (false, offset) => Some(Self::FromBeginning(offset)),
        }
    }
}

/// Reads a type in small letters: the form, the size in bytes, and the order.
fn kind_of(text: &str) -> Option<(Form, usize, Order)> {
    let (kind, order) = match text.strip_suffix("le") {
        Some(kind) => (kind, Order::LeastSignificant),
        None => (text.strip_suffix("be").unwrap_or(text), Order::MostSignificant),
    };
    let (form, size) = match kind {
        "u8" => (Form::Unsigned, 1),
        "i8" => (Form::Signed, 1),
        "u16" => (Form::Unsigned, 2),
        "i16" => (Form::Signed, 2),
        "u32" => (Form::Unsigned, 4),
        "i32" => (Form::Signed, 4),
        "u64" => (Form::Unsigned, 8),
        "i64" => (Form::Signed, 8),
        "f32" => (Form::Float, 4),
        "f64" => (Form::Float, 8),
        _ => return None,
    };
    Some((form, size, order))
}

impl Scale {
    /// Parses `/10` or `*0.1`; nothing scales nothing.
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self { times: 1.0, by: 1.0 });
        }
        let (is_divisor, factor) = match text.strip_prefix('/') {
            Some(factor) => (true, factor),
            None => (false, text.strip_prefix('*')?),
        };
        let (times, by) = fraction(factor.trim())?;
        Some(if is_divisor { Self { times: by, by: times } } else { Self { times, by } })
    }
}

/// Reads a decimal number other than zero as a numerator and a denominator, which are whole numbers if it has no exponent.
fn fraction(text: &str) -> Option<(f64, f64)> {
    /// The greatest power of ten that an `f64` has exactly is 10 to this one.
    const MAX_EXACT_DIGITS: usize = 22;
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_normal())?;
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    let has_exponent = text.contains(['e', 'E']);
    let exact =
        format!("{whole}{digits}").parse().ok().filter(|_| !has_exponent && digits.len() <= MAX_EXACT_DIGITS);
    Some(exact.map_or((value, 1.0), |numerator| (numerator, 10_f64.powi(digits.len() as i32))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(place: &str, payload: &[u8]) -> Option<f64> {
        place.parse::<Place>().unwrap().value(payload)
    }

    #[test]
    fn each_type_is_read_in_both_orders() {
        let frame = [0x80, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0xfe];
        for (kind, big, little) in [
            ("u8", 128.0, 128.0),
            ("i8", -128.0, -128.0),
            ("u16", 32_769.0, 384.0),
            ("i16", -32_767.0, 384.0),
            ("u32", 2_147_549_699.0, 50_463_104.0),
            ("i32", -2_147_417_597.0, 50_463_104.0),
            ("u64", 0x8001_0203_0405_06fe_u64 as f64, 0xfe06_0504_0302_0180_u64 as f64),
            (
                "i64",
                0x8001_0203_0405_06fe_u64.cast_signed() as f64,
                0xfe06_0504_0302_0180_u64.cast_signed() as f64,
            ),
            ("f64", f64::from_bits(0x8001_0203_0405_06fe), f64::from_bits(0xfe06_0504_0302_0180)),
        ] {
            assert_eq!(read(&format!("@0:{kind}"), &frame), Some(big), "{kind}");
            assert_eq!(read(&format!("@0:{kind}be"), &frame), Some(big), "{kind}");
            assert_eq!(read(&format!("@0:{kind}le"), &frame), Some(little), "{kind}");
        }
        assert_eq!(read("@0:f32", &21.4_f32.to_be_bytes()), Some(21.4));
        assert_eq!(read("@0:f32le", &(-21.4_f32).to_le_bytes()), Some(-21.4));
        // Its shortest decimal number is 1073741800.
        assert_eq!(read("@0:f32", &1_073_741_824_f32.to_be_bytes()), Some(1_073_741_824.0));
        for (value, expected) in
            [(f32::NAN, None), (f32::INFINITY, None), (f32::MAX, Some(f64::from(f32::MAX)))]
        {
            assert_eq!(read("@0:f32", &value.to_be_bytes()), expected, "{value}");
        }
        assert_eq!(read("@0:f64", &f64::NEG_INFINITY.to_be_bytes()), None);
        // What is not finite only behind its scale.
        assert_eq!(read("@0:f64*10", &f64::MAX.to_be_bytes()), None);
    }

    #[test]
    fn an_offset_is_from_the_beginning_or_the_end() {
        let frame = [1, 2, 3, 4];
        for (place, expected) in [
            ("@0:u8", Some(1.0)),
            ("@3:u8", Some(4.0)),
            ("@4:u8", None),
            ("@2:u16", Some(772.0)),
            ("@3:u16", None),
            ("@-1:u8", Some(4.0)),
            ("@-4:u8", Some(1.0)),
            ("@-5:u8", None),
            ("@-2:u16le", Some(1027.0)),
            ("@-4:u32", Some(16_909_060.0)),
            ("@0:u64", None),
            ("@18446744073709551615:u64", None),
            ("@-18446744073709551615:u8", None),
        ] {
            assert_eq!(read(place, &frame), expected, "{place}");
            assert_eq!(read(place, &[]), None, "{place}");
        }
    }

    #[test]
    fn a_scale_makes_decimal_numbers() {
        for (place, expected) in [
            ("@0:u8/10", 0.3),
            ("@0:u8*0.1", 0.3),
            ("@0:u8*0.03", 0.09),
            ("@0:u8/0.5", 6.0),
            ("@0:u8*-2", -6.0),
            ("@0:u8 * 1e3", 3000.0),
            ("@0:u8/1E-1", 30.0),
            (" @ 0 : U8 / 10 ", 0.3),
            ("＠０：ｕ８／１０", 0.3),
            ("＠0：Ｕ8＊０。１", 0.3),
        ] {
            assert_eq!(read(place, &[3]), Some(expected), "{place}");
        }
        assert_eq!(read("@0:i16be/100", &(-1_234_i16).to_be_bytes()), Some(-12.34));
    }

    #[test]
    fn bits_are_counted_from_the_least_significant_one() {
        let frame = [0b1010_0110, 0xff];
        for (place, expected) in [
            ("@0:u8.0", 0.0),
            ("@0:u8.1", 1.0),
            ("@0:u8.7", 1.0),
            ("@0:u8.4-7", 10.0),
            ("@0:u8.7-4", 10.0),
            ("@0:u8.0-7", 166.0),
            ("@0:u16.0-7", 255.0),
            ("@0:u16le.0-7", 166.0),
            ("@0:u16.8-11/10", 0.6),
            (" @ 0 : u8 .1 * 2", 2.0),
            ("＠０：ｕ８．１", 1.0),
        ] {
            assert_eq!(read(place, &frame), Some(expected), "{place}");
        }
        let all = u64::MAX as f64;
        assert_eq!(read("@0:u64.0-63", &[0xff; 8]), Some(all));
        assert_eq!(read("@0:u64.63", &[0x80, 0, 0, 0, 0, 0, 0, 0]), Some(1.0));
    }

    #[test]
    fn errors_say_what_to_write() {
        for (wrong, what) in [
            ("@x", "`@x` has no valid offset; write the number of bytes before it, for example `@6:u16`"),
            ("@:u8", "`@:u8` has no valid offset"),
            ("@", "`@` has no valid offset"),
            ("@-0:u8", "`@-0:u8` has no valid offset"),
            ("@+1:u8", "`@+1:u8` has no valid offset"),
            ("@99999999999999999999:u8", "has no valid offset"),
            ("@6", "`@6` has no type; write for example `@6:u16`: u8, i8,"),
            ("@6:", "`@6:` has no type"),
            ("@6:/10", "`@6:/10` has no type"),
            (
                "@6:int",
                "`int` is no type of a number; the types are u8, i8, u16, i16, u32, i32, u64, i64, f32, f64,",
            ),
            ("@6:u16ll", "`u16ll` is no type"),
            ("@6:u24", "`u24` is no type"),
            ("@-1:u16", "`@-1:u16` reaches beyond the end; the last 2 bytes begin at @-2"),
            ("@-7:f64le", "begin at @-8"),
            ("@6:le", "`le` is no type"),
            ("@6:u16 10", "invalid scale `10` of `@6:u16 10`; write for example /10 or *0.1"),
            ("@6:u8&0x0f", "and for single bits .3 or .0-3"),
            ("@6:u8.8", "`.8` names no bits of `u8`; unsigned numbers have the bits 0 to 7"),
            ("@6:u8.0-8", "`.0-8` names no bits"),
            ("@6:u8.", "`.` names no bits"),
            ("@6:u8.-1", "`.-1` names no bits"),
            ("@6:i8.1", "`.1` names no bits of `i8`"),
            ("@6:f32.1", "`.1` names no bits of `f32`"),
            ("@6:u16/", "invalid scale `/`"),
            ("@6:u16/0", "invalid scale `/0`"),
            ("@6:u16*nan", "invalid scale `*nan`"),
            ("@6:u16*1e999", "invalid scale `*1e999`"),
            ("@6:u16/10/2", "invalid scale `/10/2`"),
        ] {
            let why = wrong.parse::<Place>().unwrap_err();
            assert!(why.contains(what), "{wrong}: {why}");
        }
    }

    /// Reads a number as the types of the language do.
    fn expected(kind: &str, is_little: bool, bytes: &[u8]) -> f64 {
        let mut ordered = bytes.to_vec();
        if is_little {
            ordered.reverse();
        }
        let wide = |fill: u8| {
            let mut wide = [fill; 8];
            wide[8 - ordered.len()..].copy_from_slice(&ordered);
            wide
        };
        let is_negative = ordered[0] >= 0x80;
        match &kind[..1] {
            "u" => u64::from_be_bytes(wide(0)) as f64,
            "i" => i64::from_be_bytes(wide(if is_negative { 0xff } else { 0 })) as f64,
            _ if ordered.len() == 4 => f64::from(f32::from_be_bytes(ordered.try_into().unwrap())),
            _ => f64::from_be_bytes(wide(0)),
        }
    }

    proptest::proptest! {
        #[test]
        fn a_number_is_read_wherever_it_fits(
            frame in proptest::collection::vec(proptest::num::u8::ANY, 0..20),
            offset in -22_isize..22,
            kind in proptest::sample::select(TYPES.split(", ").collect::<Vec<_>>()),
            order in proptest::sample::select(vec!["", "be", "le"]),
        ) {
            let size = kind[1..].parse::<usize>().unwrap() / 8;
            proptest::prop_assume!(offset >= 0 || offset.unsigned_abs() >= size);
            let begin = if offset < 0 { frame.len() as isize + offset } else { offset };
            let bytes = usize::try_from(begin).ok().and_then(|begin| frame.get(begin..begin + size));
            let number = bytes.map(|bytes| expected(kind, order == "le", bytes)).filter(|value| value.is_finite());
            let found = read(&format!("@{offset}:{kind}{order}"), &frame);
            match (found, number) {
                // The shortest decimal number is the same in 32 bits.
                (Some(found), Some(number)) if kind == "f32" => proptest::prop_assert_eq!(found as f32, number as f32),
                (found, number) => proptest::prop_assert_eq!(found, number),
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused_and_any_bytes_are_read(
            text in r"(@-?[0-9]{1,20}:[uif][0-9]{1,2}(le|be)?(\.[0-9]{1,2}(-[0-9]{1,2})?)?[/*]?[-+.eE0-9]{0,8}|[@＠:：uif0-9le/*.\-＊ 你]{0,20}|\PC{0,10})",
            frame in proptest::collection::vec(proptest::num::u8::ANY, 0..20),
        ) {
            if let Ok(place) = text.parse::<Place>() {
                proptest::prop_assert!(place.value(&frame).is_none_or(f64::is_finite));
            }
        }
    }
}
