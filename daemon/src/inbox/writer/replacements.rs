//! When a damaged file may be replaced again.

use std::time::{Duration, Instant};

/// How long after a damaged file was replaced the next one may be. The time doubles with each that is damaged soon: on a failing
/// disk all are. Until then nothing can be read, so the first time is short.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// When damaged files were replaced.
#[derive(Debug, Default)]
pub(super) struct Replacements {
    /// The last one, and the pause behind it.
    last: Option<(Instant, Duration)>,
}

impl Replacements {
    /// Returns how long the next one must wait.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.last.map_or(Duration::ZERO, |(last, pause)| pause.saturating_sub(now.duration_since(last)))
    }

    pub(super) fn note(&mut self, now: Instant) {
        let pause = match self.last {
            Some((last, pause)) if now.duration_since(last) < 2 * MAX_PAUSE => (2 * pause).min(MAX_PAUSE),
            _ => FIRST_PAUSE,
        };
        self.last = Some((now, pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_damaged_soon_is_replaced_within_seconds() {
        let mut replaced = Replacements::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            assert!(replaced.wait(now).is_zero());
            replaced.note(now);
            let pause = replaced.wait(now);
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        replaced.note(now + 2 * MAX_PAUSE);
        assert_eq!(replaced.wait(now + 2 * MAX_PAUSE), FIRST_PAUSE, "the last one was sound for long");
    }
}
