//! Rates: how many datagrams or bytes a second.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use super::{Size, Text, ValueError, narrowed, quoted};

/// The unit of every rate.
const A_SECOND: &str = "/s";

/// Limits datagrams; written `500/s`, or empty for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DatagramRate(Option<NonZeroU64>);

impl DatagramRate {
    /// Limits nothing.
    pub const UNLIMITED: Self = Self(None);
    const HINT: &str = "write a number of datagrams a second, for example \"500/s\", or \"\" for no limit; `/s` is the only unit of time";

    /// Returns how many datagrams a second are allowed, or `None` if there is no limit.
    pub const fn a_second(self) -> Option<NonZeroU64> {
        self.0
    }
}

impl FromStr for DatagramRate {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(Self::UNLIMITED);
        }
        let number = per_second(trimmed);
        let number = number
            .as_deref()
            .map(str::trim_end)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let number = number.and_then(|digits| digits.parse().ok());
        let number = number.ok_or_else(|| not_a_rate(text, Self::HINT))?;
        not_zero(number, text).map(|number| Self(Some(number)))
    }
}

impl fmt::Display for DatagramRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |number| write!(f, "{number}{A_SECOND}"))
    }
}

impl Text for DatagramRate {
    const EXPECTED: &str = "a rate as text";
}

/// Limits bytes of payload; written `1MiB/s`, or empty for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteRate(Option<NonZeroU64>);

impl ByteRate {
    /// Limits nothing.
    pub const UNLIMITED: Self = Self(None);
    const HINT: &str =
        "write a size a second, for example \"1MiB/s\", or \"\" for no limit; `/s` is the only unit of time";

    /// Returns how many bytes a second are allowed, or `None` if there is no limit.
    pub const fn a_second(self) -> Option<NonZeroU64> {
        self.0
    }
}

impl FromStr for ByteRate {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(Self::UNLIMITED);
        }
        let size = per_second(trimmed).and_then(|size| size.parse::<Size>().ok());
        let size = size.ok_or_else(|| not_a_rate(text, Self::HINT))?;
        not_zero(size.bytes(), text).map(|bytes| Self(Some(bytes)))
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |bytes| write!(f, "{}{A_SECOND}", Size::from_bytes(bytes.get())))
    }
}

impl Text for ByteRate {
    const EXPECTED: &str = "a rate as text";
}

/// Returns what stands before `/s`; full-width characters and the Chinese word for a second are taken for it.
fn per_second(text: &str) -> Option<String> {
    let narrow = narrowed(text);
    let number = narrow.strip_suffix(A_SECOND).or_else(|| narrow.strip_suffix("/秒"))?;
    Some(number.to_owned())
}

/// Refuses a text; one that names no time, or another than a second, with the reason.
fn not_a_rate(text: &str, hint: &'static str) -> ValueError {
    let (number, time) = text.split_once('/').unwrap_or((text, ""));
    let is_number = number.trim().parse::<Size>().is_ok();
    let message = match is_number && !matches!(time.trim(), "s") {
        true => format!("{} is not a rate a second", quoted(text)),
        false => format!("{} is not a rate", quoted(text)),
    };
    ValueError::new(message, hint)
}

fn not_zero(number: u64, written: &str) -> Result<NonZeroU64, ValueError> {
    NonZeroU64::new(number).ok_or_else(|| {
        let message = format!("rate {} is not more than zero", quoted(written));
        ValueError::new(message, "`access.deny` refuses everything from an address")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_shown() {
        for (text, number, shown) in [
            ("500/s", 500, "500/s"),
            (" 1 /s ", 1, "1/s"),
            ("", 0, ""),
            ("20/秒", 20, "20/s"),
            ("２０／ｓ", 20, "20/s"),
        ] {
            let rate: DatagramRate = text.parse().unwrap();
            assert_eq!(
                (rate.a_second().map_or(0, NonZeroU64::get), rate.to_string()),
                (number, shown.into())
            );
        }
        for (text, bytes, shown) in
            [("1MiB/s", 1 << 20, "1MiB/s"), ("1000/s", 1000, "1000B/s"), (" 2 KiB /s", 2048, "2KiB/s")]
        {
            let rate: ByteRate = text.parse().unwrap();
            assert_eq!((rate.a_second().map_or(0, NonZeroU64::get), rate.to_string()), (bytes, shown.into()));
        }
        assert_eq!(" ".parse::<ByteRate>().unwrap(), ByteRate::UNLIMITED);
    }

    #[test]
    fn invalid_rates_are_refused_with_an_example() {
        for (text, hint) in [("500/m", "500/s"), ("500", "500/s"), ("200/min", "500/s")] {
            let error = text.parse::<DatagramRate>().unwrap_err();
            assert!(error.to_string().ends_with("is not a rate a second"), "{text}: {error}");
            assert!(error.hint().unwrap().contains(hint), "{text}");
        }
        for text in ["1 MB", "1MiB/m"] {
            let error = text.parse::<ByteRate>().unwrap_err();
            assert!(error.to_string().ends_with("is not a rate a second"), "{text}: {error}");
            assert!(error.hint().unwrap().ends_with("`/s` is the only unit of time"), "{text}");
        }
        for text in ["-1/s", "+1/s", "/s", "1.5/s", "99999999999999999999/s", "1MiB/s"] {
            let error = text.parse::<DatagramRate>().unwrap_err();
            assert!(error.to_string().ends_with("is not a rate"), "{text}: {error}");
            assert!(error.hint().unwrap().contains("500/s"));
        }
        for text in ["-1/s", "/s", "fast"] {
            let error = text.parse::<ByteRate>().unwrap_err();
            assert!(error.to_string().ends_with("is not a rate"), "{text}: {error}");
            assert!(error.hint().unwrap().contains("1MiB/s"));
        }
        for error in ["0/s".parse::<DatagramRate>().unwrap_err(), "0/s".parse::<ByteRate>().unwrap_err()] {
            assert_eq!(error.to_string(), "rate `0/s` is not more than zero");
            assert!(error.hint().unwrap().contains("access.deny"));
        }
    }
}
