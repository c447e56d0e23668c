//! How many lines of a kind the log takes in a second, for whatever strangers or clients can make it say.
//!
//! Whoever leaves lines out counts them, and tells in one line how many they were.

use std::time::Duration;

use tokio::time::Instant;

/// How long a window is.
const WINDOW: Duration = Duration::from_secs(1);

/// The lines of the running second.
#[derive(Debug)]
pub(crate) struct Window {
    end: Instant,
    lines: u32,
}

impl Window {
    /// Makes one that is over, so that the first line begins another.
    pub(crate) fn new() -> Self {
        Self { end: Instant::now(), lines: 0 }
    }

    /// Begins a new window, if this one is over.
    pub(crate) fn turn(&mut self, now: Instant) {
        if now >= self.end {
            (self.end, self.lines) = (now + WINDOW, 0);
        }
    }

    /// Returns how many more lines it takes.
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
    fn a_second_has_so_many_lines_and_the_next_as_many_again() {
        let mut window = Window::new();
        let start = Instant::now();
        window.turn(start);
        for left in (0..3).rev() {
            window.take();
            assert_eq!(window.room(3), left);
        }
        window.turn(window.end() - Duration::from_nanos(1));
        assert_eq!(window.room(3), 0);
        // A limit that was lowered meanwhile.
        assert_eq!(window.room(2), 0);
        window.turn(window.end());
        assert_eq!((window.room(3), window.end()), (3, start + 2 * WINDOW));
    }
}
