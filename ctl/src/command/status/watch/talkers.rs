//! The top senders: sums over the answers of the last seconds.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use udpchat_api::call::TalkersAnswer;

/// The time over which messages are summed.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);

/// The answers of the last seconds: a hundred at most, with the shortest interval.
#[derive(Debug, Default)]
pub(crate) struct TalkersWindow {
    samples: VecDeque<Sample>,
}

#[derive(Debug)]
struct Sample {
    /// When the sample ended, since the watch began, and its length.
    at: Duration,
    elapsed: Duration,
    /// How many messages each counted one represents: above 1 if the daemon counted only a part.
    weight: f64,
    answer: TalkersAnswer,
}

/// A sender, with its share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopTalker {
    pub(crate) name: Option<String>,
    pub(crate) address: String,
    /// Messages in ten seconds, so that less than one a second is not rounded to zero.
    pub(crate) in_ten_seconds: u64,
    /// The share of all messages, in percent.
    pub(crate) percent: u64,
}

impl TalkersWindow {
    /// Adds an answer about the entries above the id `after`, and drops samples older than [`WINDOW`].
    pub(crate) fn add(&mut self, at: Duration, elapsed: Duration, after: u64, answer: TalkersAnswer) {
        let ids = |from: u64| answer.next.saturating_sub(from).max(1) as f64;
        let weight = ids(after) / ids(answer.after);
        self.samples.push_back(Sample { at, elapsed, weight: weight.max(1.0), answer });
        self.samples.retain(|sample| at.saturating_sub(sample.at) < WINDOW);
    }

    /// Drops all samples.
    pub(crate) fn clear(&mut self) {
        self.samples.clear();
    }

    /// Returns whether the sums are estimated.
    pub(crate) fn is_estimated(&self) -> bool {
        self.samples.iter().any(|sample| sample.weight > 1.0)
    }

    /// Returns the top senders.
    pub(crate) fn top(&self, limit: usize) -> Vec<TopTalker> {
        let seconds: Duration = self.samples.iter().map(|sample| sample.elapsed).sum();
        let all: f64 = self.samples.iter().map(|sample| sample.weight * sample.answer.messages as f64).sum();
        let mut sums: Vec<_> = self.sums().into_iter().collect();
        let order = |(who, messages): &((Option<&str>, &str), f64)| {
            (Reverse(messages.round() as u64), who.1.to_owned())
        };
        sums.sort_by_cached_key(order);
        let talker = |((name, address), messages): ((Option<&str>, &str), f64)| TopTalker {
            name: name.map(str::to_owned),
            address: address.to_owned(),
            in_ten_seconds: (messages * 10.0 / seconds.as_secs_f64().max(1e-6)).round() as u64,
            percent: (messages / all.max(1.0) * 100.0).round().min(100.0) as u64,
        };
        sums.into_iter().take(limit).map(talker).collect()
    }

    fn sums(&self) -> HashMap<(Option<&str>, &str), f64> {
        let mut sums = HashMap::new();
        for sample in &self.samples {
            for talker in &sample.answer.talkers {
                let who = (talker.name.as_deref(), talker.address.as_str());
                *sums.entry(who).or_default() += sample.weight * talker.messages as f64;
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use udpchat_api::call::Talker;

    use super::*;

    fn answer(after: u64, next: u64, counts: &[(&str, u64)]) -> TalkersAnswer {
        let talker = |&(address, messages): &(&str, u64)| Talker {
            name: None,
            address: address.to_owned(),
            messages,
            bytes: messages,
        };
        let messages = counts.iter().map(|(_, messages)| messages).sum();
        TalkersAnswer { talkers: counts.iter().map(talker).collect(), after, next, messages }
    }

    fn shown(window: &TalkersWindow, limit: usize) -> Vec<(String, u64, u64)> {
        window
            .top(limit)
            .into_iter()
            .map(|talker| (talker.address, talker.in_ten_seconds, talker.percent))
            .collect()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_the_last_seconds_are_summed() {
        let mut window = TalkersWindow::default();
        window.add(seconds(1), seconds(1), 0, answer(0, 100, &[("a", 70), ("b", 30)]));
        window.add(seconds(2), seconds(1), 100, answer(100, 200, &[("b", 90), ("a", 10)]));
        assert_eq!(shown(&window, 9), [("b".to_owned(), 600, 60), ("a".to_owned(), 400, 40)]);
        assert_eq!(shown(&window, 1).len(), 1);
        window.add(seconds(11), seconds(9), 200, answer(200, 200, &[]));
        assert_eq!(shown(&window, 9), [("b".to_owned(), 90, 90), ("a".to_owned(), 10, 10)]);
        window.add(seconds(40), seconds(29), 200, answer(200, 200, &[]));
        assert!(window.top(9).is_empty());
    }

    #[test]
    fn a_partial_count_is_scaled_up() {
        let mut window = TalkersWindow::default();
        assert!(!window.is_estimated());
        window.add(seconds(1), seconds(1), 0, answer(90_000, 100_000, &[("a", 7_500), ("b", 2_500)]));
        assert!(window.is_estimated());
        assert_eq!(shown(&window, 9), [("a".to_owned(), 750_000, 75), ("b".to_owned(), 250_000, 25)]);
        window.clear();
        assert!(window.top(9).is_empty());
    }
}
