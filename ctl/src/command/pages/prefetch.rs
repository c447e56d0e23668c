//! Decides which pages to request next, and returns them in order.
//!
//! Ids are contiguous, so a part of the log can be requested before the part in front of it has arrived. A page may end
//! before its part does, when the line limit or the time limit of the daemon is reached. The rest then becomes a part of
//! its own, which is requested before all later parts.

use std::collections::VecDeque;

use udpchat_api::RawInboxAnswer;

use super::span::{PAGE_ENTRIES, Span};

/// How many pages are requested or held at once; each has at most 512 KiB.
const MAX_PREFETCHED_PAGES: usize = 4;

/// Cuts a span into parts, which are requested ahead and returned in order.
pub(super) struct Prefetch {
    /// The parts that were not returned yet, in the order of their ids.
    parts: VecDeque<Part>,
    /// The starts of the requested parts, in the order of the requests.
    asked: VecDeque<u64>,
    /// The ids that are not in a part yet.
    rest: Span,
    /// The number of ids of the next part.
    step: u64,
}

struct Part {
    span: Span,
    state: State,
}

enum State {
    Wanted,
    Asked,
    Held(RawInboxAnswer),
}

/// A page that makes no progress.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the daemon makes no progress after entry #{0}")]
pub(super) struct Stuck(u64);

impl Prefetch {
    /// Creates the state for a span; a part has at most `step` ids. A `step` above the page size never changes.
    pub(super) fn new(span: Span, step: u64) -> Self {
        Self { parts: VecDeque::new(), asked: VecDeque::new(), rest: span, step }
    }

    /// Returns the next part to request; none while enough requests are in flight.
    pub(super) fn ask(&mut self) -> Option<Span> {
        let waiting = self.parts.iter().filter(|part| !matches!(part.state, State::Wanted)).count();
        if waiting >= MAX_PREFETCHED_PAGES {
            return None;
        }
        let wanted = |part: &&mut Part| matches!(part.state, State::Wanted);
        if self.parts.iter_mut().find(wanted).is_none() && self.rest.ids() > 0 {
            let last = self.rest.after.saturating_add(self.step).min(self.rest.last);
            self.parts.push_back(Part { span: Span { after: self.rest.after, last }, state: State::Wanted });
            self.rest.after = last;
        }
        let part = self.parts.iter_mut().find(wanted)?;
        part.state = State::Asked;
        self.asked.push_back(part.span.after);
        Some(part.span)
    }

    /// Handles the answer to the oldest open request.
    pub(super) fn answered(&mut self, page: RawInboxAnswer) -> Result<(), Stuck> {
        let after = self.asked.pop_front();
        let Some(at) = self.parts.iter().position(|part| Some(part.span.after) == after) else {
            return Ok(());
        };
        let part = &mut self.parts[at];
        let next = page.next;
        let is_cut = page.more && next < part.span.last;
        if is_cut && next <= part.span.after {
            return Err(Stuck(part.span.after));
        }
        let covered = next.saturating_sub(part.span.after);
        part.state = State::Held(page);
        if is_cut {
            let rest = Span { after: next, last: part.span.last };
            part.span.last = next;
            self.parts.insert(at + 1, Part { span: rest, state: State::Wanted });
        }
        self.adapt(is_cut, covered);
        Ok(())
    }

    /// Makes parts smaller when one did not fit into a page, and gradually larger again.
    fn adapt(&mut self, is_cut: bool, covered: u64) {
        if self.step > PAGE_ENTRIES {
            return;
        }
        let step = if is_cut { covered - covered / 8 } else { self.step + self.step / 64 + 1 };
        self.step = step.clamp(1, PAGE_ENTRIES);
    }

    /// Returns the next page in order, if it has arrived.
    pub(super) fn take(&mut self) -> Option<RawInboxAnswer> {
        match self.parts.pop_front()? {
            Part { state: State::Held(page), .. } => Some(page),
            other => {
                self.parts.push_front(other);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers like a daemon whose line limit is reached `fit(id)` entries after an id; the entries are their ids.
    fn answer(span: Span, fit: impl Fn(u64) -> u64) -> RawInboxAnswer {
        let next = span.last.min(span.after + fit(span.after).clamp(1, PAGE_ENTRIES));
        let ids: Vec<u64> = (span.after + 1..=next).collect();
        let json = serde_json::json!({ "entries": ids, "next": next, "more": next < span.last });
        serde_json::from_str(&json.to_string()).unwrap()
    }

    /// Reads a span to its end; returns the ids in the order of arrival, and the number of pages.
    fn read(span: Span, step: u64, fit: impl Fn(u64) -> u64) -> (Vec<u64>, usize) {
        let mut parts = Prefetch::new(span, step);
        let mut daemon = VecDeque::new();
        let (mut ids, mut pages) = (Vec::new(), 0);
        loop {
            let ready = parts.take();
            while let Some(span) = parts.ask() {
                daemon.push_back(span);
            }
            assert!(
                parts.parts.iter().filter(|part| !matches!(part.state, State::Wanted)).count()
                    <= MAX_PREFETCHED_PAGES
            );
            if let Some(page) = ready {
                ids.extend(page.entries.iter().map(|id| id.parse::<u64>().unwrap()));
                continue;
            }
            let Some(span) = daemon.pop_front() else { return (ids, pages) };
            parts.answered(answer(span, &fit)).unwrap();
            pages += 1;
        }
    }

    #[test]
    fn every_entry_comes_once_and_in_order() {
        let span = Span { after: 99, last: 12_345 };
        for step in [PAGE_ENTRIES, u64::MAX] {
            for fit in [1_000, 415, 3, 1] {
                let (ids, _) = read(span, step, |_| fit);
                assert!(ids.into_iter().eq(100..=12_345), "{step} {fit}");
            }
            let (ids, _) = read(span, step, |after| [1_000, 1, 400, 7][(after % 4) as usize]);
            assert!(ids.into_iter().eq(100..=12_345), "{step}");
        }
    }

    #[test]
    fn parts_adapt_to_the_page_size() {
        let span = Span { after: 0, last: 1_000_000 };
        assert_eq!(read(span, PAGE_ENTRIES, |_| 1_000).1, 1_000);
        let (_, pages) = read(span, PAGE_ENTRIES, |_| 400);
        assert!(pages < 2_500 * 3 / 2, "{pages}");
    }

    #[test]
    fn an_empty_span_requests_nothing() {
        assert_eq!(read(Span { after: 7, last: 7 }, PAGE_ENTRIES, |_| 1_000), (Vec::new(), 0));
        assert_eq!(read(Span { after: 7, last: 3 }, u64::MAX, |_| 1_000), (Vec::new(), 0));
    }

    #[test]
    fn a_page_without_progress_is_an_error() {
        let mut parts = Prefetch::new(Span { after: 5, last: 20 }, PAGE_ENTRIES);
        parts.ask().unwrap();
        let page = RawInboxAnswer { next: 5, more: true, ..RawInboxAnswer::default() };
        assert_eq!(parts.answered(page), Err(Stuck(5)));
    }
}
