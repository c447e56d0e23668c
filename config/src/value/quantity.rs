//! Quantities: bytes and durations.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::{SignedDuration, Span, SpanRelativeTo};

use super::{Text, ValueError, quoted};

/// Counts bytes; written `8MiB`, `4GiB` or as a plain number.
///
/// At most `i64::MAX` bytes, the limit of SQLite integers and of file offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    const HINT: &str = "write a number and a unit, for example \"8MiB\" or \"4GiB\"";

    /// Returns a size of this many mebibytes (1024 × 1024 bytes).
    pub const fn from_mib(mebibytes: u32) -> Self {
        Self(mebibytes as u64 * 1024 * 1024)
    }

    /// Returns a size of this many bytes, at most `i64::MAX`.
    pub const fn from_bytes(bytes: u64) -> Self {
        if bytes > i64::MAX as u64 { Self(i64::MAX as u64) } else { Self(bytes) }
    }

    /// Returns the number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    fn checked(bytes: u64, written: &str) -> Result<Self, ValueError> {
        if i64::try_from(bytes).is_err() {
            return Err(ValueError::new(format!("size {} is too large", quoted(written)), Self::HINT));
        }
        Ok(Self(bytes))
    }
}

impl FromStr for Size {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let size: ByteSize = text
            .trim()
            .parse()
            .map_err(|_| ValueError::new(format!("{} is not a size", quoted(text)), Self::HINT))?;
        Self::checked(size.as_u64(), text)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 8] = [
            (1 << 40, "TiB"),
            (1_000_000_000_000, "TB"),
            (1 << 30, "GiB"),
            (1_000_000_000, "GB"),
            (1 << 20, "MiB"),
            (1_000_000, "MB"),
            (1 << 10, "KiB"),
            (1, "B"),
        ];
        // The largest unit that shows it exactly: 4 GB is also a number of KiB.
        let exact = UNITS.iter().find(|(unit, _)| self.0 != 0 && self.0.is_multiple_of(*unit));
        let (unit, name) = exact.unwrap_or(&(1, "B"));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl Text for Size {
    const EXPECTED: &str = "a size in bytes";

    fn from_integer(bytes: u64) -> Option<Result<Self, ValueError>> {
        Some(Self::checked(bytes, &bytes.to_string()))
    }
}

/// Limits how long something is kept; written `90d`, `12h`, or empty for no limit. A day has 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MaxAge(Option<Duration>);

impl MaxAge {
    /// Keeps everything.
    pub const UNLIMITED: Self = Self(None);
    const HINT: &str = "write for example \"90d\", \"12h\" or \"1w 3d\", or \"\" for no limit; \
                        months and years have no fixed length";

    /// Returns the limit, which is more than zero, or `None` if there is none.
    pub const fn limit(self) -> Option<Duration> {
        self.0
    }
}

impl FromStr for MaxAge {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(Self::UNLIMITED);
        }
        match Duration::try_from(span(text, Self::HINT)?) {
            Ok(limit) if !limit.is_zero() => Ok(Self(Some(limit))),
            _ => Err(ValueError::new(format!("age {} is not more than zero", quoted(text)), Self::HINT)),
        }
    }
}

impl fmt::Display for MaxAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |limit| write_span(f, limit))
    }
}

impl Text for MaxAge {
    const EXPECTED: &str = "a span of time as text";
}

/// Says how long a peer may send nothing before it counts as silent; written `10m`, at least 10 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SilentAfter(Duration);

impl SilentAfter {
    const HINT: &str = "write for example \"10m\", \"90s\" or \"1d\", two or three times the interval at which the peer \
                        sends; 10s at least; leave it out if the peer may be silent";

    /// The shortest one.
    const MIN: Duration = Duration::from_secs(10);

    /// Returns the time.
    pub const fn time(self) -> Duration {
        self.0
    }
}

impl FromStr for SilentAfter {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match Duration::try_from(span(text, Self::HINT)?) {
            Ok(time) if time >= Self::MIN => Ok(Self(time)),
            _ => Err(ValueError::new(format!("time {} is less than 10s", quoted(text)), Self::HINT)),
        }
    }
}

impl fmt::Display for SilentAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_span(f, self.0)
    }
}

impl Text for SilentAfter {
    const EXPECTED: &str = "a span of time as text";
}

/// Reads a span of time, which may be negative, of a number of nanoseconds as times are in the log: then it can be read again in
/// each unit.
fn span(text: &str, hint: &str) -> Result<SignedDuration, ValueError> {
    text.trim()
        .parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .ok()
        .filter(|span| i64::try_from(span.as_nanos()).is_ok())
        .ok_or_else(|| ValueError::new(format!("{} is not a span of time", quoted(text)), hint))
}

/// Writes a span of time as [`span`] reads it.
fn write_span(f: &mut fmt::Formatter<'_>, span: Duration) -> fmt::Result {
    const SECOND: u128 = 1_000_000_000;
    const UNITS: [(u128, &str); 6] = [
        (86_400 * SECOND, "d"),
        (3_600 * SECOND, "h"),
        (60 * SECOND, "m"),
        (SECOND, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    let nanoseconds = span.as_nanos();
    match UNITS.iter().find(|(unit, _)| nanoseconds.is_multiple_of(*unit)) {
        Some((unit, name)) => write!(f, "{}{name}", nanoseconds / unit),
        None => write!(f, "{nanoseconds}ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in
            [("8MiB", 8 << 20), ("4 GiB", 4 << 30), ("512", 512), (" 1kB ", 1000), ("1.5KiB", 1536), ("0", 0)]
        {
            assert_eq!(text.parse::<Size>().unwrap().bytes(), bytes, "{text}");
        }
    }

    #[test]
    fn invalid_sizes_are_refused_with_an_example() {
        for text in ["", "-1", "8 apples", "nan", "inf", "1e3", "MiB"] {
            let error = text.parse::<Size>().unwrap_err();
            assert!(error.to_string().ends_with("is not a size"), "{text}: {error}");
            assert!(error.hint().unwrap().contains("8MiB"));
        }
        let error = "99999999999999GiB".parse::<Size>().unwrap_err();
        assert!(error.to_string().ends_with("is too large"), "{error}");
    }

    #[test]
    fn sizes_are_shown_exactly_and_read_back() {
        for (bytes, shown) in [
            (0, "0B"),
            (1000, "1000B"),
            (4096, "4KiB"),
            (1_000_000, "1MB"),
            (4_000_000_000, "4GB"),
            (8 << 20, "8MiB"),
            (4 << 30, "4GiB"),
            (2 << 40, "2TiB"),
            ((8 << 20) + 1, "8388609B"),
        ] {
            assert_eq!(Size(bytes).to_string(), shown);
            assert_eq!(shown.parse::<Size>().unwrap(), Size(bytes));
        }
    }

    #[test]
    fn ages_are_read_with_days_of_24_hours() {
        for (text, seconds) in [("90d", 90 * 86400), ("12h", 43200), ("1w 3d", 10 * 86400), ("1h30m", 5400)] {
            let age: MaxAge = text.parse().unwrap();
            assert_eq!(age.limit(), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!("".parse::<MaxAge>().unwrap(), MaxAge::UNLIMITED);
        assert_eq!(MaxAge::UNLIMITED.limit(), None);
    }

    #[test]
    fn an_age_of_nothing_or_less_is_refused() {
        for text in ["0d", "-3d", "3d ago"] {
            let error = text.parse::<MaxAge>().unwrap_err();
            assert!(error.to_string().contains("not more than zero"), "{text}: {error}");
        }
        for text in ["90", "soon", "1mo", "99999999999d", "106752d", "878951756:881756:88"] {
            let error = text.parse::<MaxAge>().unwrap_err();
            assert!(error.to_string().contains("not a span of time"), "{text}: {error}");
            assert!(error.hint().unwrap().contains("90d"));
        }
    }

    #[test]
    fn a_silence_of_less_than_ten_seconds_is_refused() {
        for text in ["10s", "10m", "90m", "2d", "10500ms"] {
            assert_eq!(text.parse::<SilentAfter>().unwrap().to_string(), text);
        }
        assert_eq!("10m".parse::<SilentAfter>().unwrap().time(), Duration::from_secs(600));
        for text in ["9s", "9999ms", "0s", "-10m"] {
            let error = text.parse::<SilentAfter>().unwrap_err();
            assert!(error.to_string().ends_with("is less than 10s"), "{text}: {error}");
        }
        for text in ["", "10", "soon", "1mo"] {
            let error = text.parse::<SilentAfter>().unwrap_err();
            assert!(error.to_string().contains("not a span of time"), "{text}: {error}");
            assert!(error.hint().unwrap().contains("10m"));
        }
    }

    #[test]
    fn ages_are_shown_exactly_and_read_back() {
        for text in
            ["", "90d", "36h", "90m", "45s", "1500ms", "7us", "3ns", "106751d", "9223372036854775807ns"]
        {
            assert_eq!(text.parse::<MaxAge>().unwrap().to_string(), text);
        }
    }
}
