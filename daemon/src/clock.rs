//! The time as the log writes it.

use jiff::Timestamp;

/// Returns the time of now, in nanoseconds since 1970, UTC.
pub(crate) fn now_ns() -> i64 {
    to_ns(Timestamp::now())
}

/// Turns a time into nanoseconds since 1970; what does not fit (before 1678, after 2262) becomes the nearest.
pub(crate) fn to_ns(at: Timestamp) -> i64 {
    let ns = at.as_nanosecond();
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

/// Turns nanoseconds since 1970 into a time of whole microseconds, as clients see it.
pub(crate) fn from_ns(at_ns: i64) -> Timestamp {
    // Every 64-bit number of microseconds' thousandth part is a time that jiff holds.
    Timestamp::from_microsecond(at_ns.div_euclid(1_000)).unwrap_or(Timestamp::UNIX_EPOCH)
}
