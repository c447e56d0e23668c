//! The clock of the system, and time stamps as the inbox stores them.

use std::time::Duration;

use jiff::Timestamp;
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

/// Returns the current time in nanoseconds since 1970, UTC.
pub(crate) fn now_ns() -> i64 {
    #[cfg(test)]
    if let Some(simulated) = simulated::get() {
        return simulated.wall_ns;
    }
    to_ns(Timestamp::now())
}

/// Returns how long this boot of the machine has lasted, also while it was suspended, in nanoseconds. This clock cannot be set.
/// Outside Linux, where `CLOCK_BOOTTIME` is missing, it begins at any time.
pub(crate) fn boottime_ns() -> i64 {
    #[cfg(test)]
    if let Some(simulated) = simulated::get() {
        return simulated.boottime_ns;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: ClockId = ClockId::CLOCK_BOOTTIME;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: ClockId = ClockId::CLOCK_MONOTONIC;
    // Infallible: the clock exists (clock_gettime(2)).
    clock_gettime(CLOCK).map_or(0, |time| time.num_nanoseconds())
}

/// Returns a time that never steps, and stands still while the machine is suspended.
pub(crate) fn monotonic() -> Duration {
    #[cfg(test)]
    if let Some(simulated) = simulated::get() {
        return Duration::from_nanos(u64::try_from(simulated.boottime_ns).unwrap_or(0));
    }
    // Infallible: the clock exists (clock_gettime(2)).
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// Converts a time to nanoseconds since 1970, UTC. A time that does not fit (before 1678, after 2262) becomes the nearest.
pub(crate) fn to_ns(at: Timestamp) -> i64 {
    let ns = at.as_nanosecond();
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

/// Converts nanoseconds since 1970 to a time of whole microseconds, as the protocol has it.
pub(crate) fn from_ns(at_ns: i64) -> Timestamp {
    // Infallible: jiff holds every time that 64 bits of nanoseconds can express.
    Timestamp::from_microsecond(at_ns.div_euclid(1_000)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Clocks that a test sets, for its own thread.
#[cfg(test)]
pub(crate) mod simulated {
    use std::cell::Cell;

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Clocks {
        pub(crate) wall_ns: i64,
        pub(crate) boottime_ns: i64,
        pub(crate) boot_id: u128,
    }

    thread_local! {
        static CLOCKS: Cell<Option<Clocks>> = const { Cell::new(None) };
    }

    pub(crate) fn get() -> Option<Clocks> {
        CLOCKS.get()
    }

    pub(crate) fn set(clocks: Clocks) {
        CLOCKS.set(Some(clocks));
    }
}
