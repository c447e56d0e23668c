//! A rate limit for log lines that strangers or clients can cause: a fixed window of one second.
//!
//! The user of a window counts the lines that it leaves out, and reports their number in one line.

use std::time::Duration;

use tokio::time::Instant;

/// The length of a window.
const WINDOW: Duration = Duration::from_secs(1);

/// Counts the lines of the current second.
#[derive(Debug)]
pub(crate) struct Window {
    end: Instant,
    lines: u32,
}

impl Window {
    /// Returns a window that is over, so that the first line begins another.
    pub(crate) fn new() -> Self {
        Self::ended_at(Instant::now())
    }

    /// Returns a window that was over at a time.
    pub(crate) fn ended_at(end: Instant) -> Self {
        Self { end, lines: 0 }
    }

    /// Begins a new window, if this one is over.
    pub(crate) fn turn(&mut self, now: Instant) {
        if now >= self.end {
            (self.end, self.lines) = (now + WINDOW, 0);
        }
    }

    /// Returns how many more lines may be logged.
    pub(crate) fn room(&self, limit: u32) -> u32 {
        limit.saturating_sub(self.lines)
    }

    /// Counts a line.
    pub(crate) fn take(&mut self) {
        self.lines += 1;
    }

    /// Returns when it ends.
    pub(crate) fn end(&self) -> Instant {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_has_the_full_limit() {
        let mut window = Window::new();
        let start = Instant::now();
        window.turn(start);
        for left in (0..3).rev() {
            window.take();
            assert_eq!(window.room(3), left);
        }
        window.turn(window.end() - Duration::from_nanos(1));
        assert_eq!(window.room(3), 0);
        // The limit was lowered meanwhile.
        assert_eq!(window.room(2), 0);
        window.turn(window.end());
        assert_eq!((window.room(3), window.end()), (3, start + 2 * WINDOW));
    }
}
