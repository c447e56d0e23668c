//! The numbers of a plot in bounded memory: each curve keeps the least, the greatest and the last value of intervals, in
//! several resolutions (as round-robin databases do).

use std::collections::VecDeque;
use std::time::Duration;

use super::feed::Sample;
use super::pauses;
use crate::command::known_names::KnownNames;
use crate::terminal::wrap::display_line;

/// The most curves.
pub(super) const MAX_CURVES: usize = 6;

/// The spans that a plot can show.
pub(super) const SHORTEST_SPAN: Duration = Duration::from_secs(1);
pub(super) const LONGEST_SPAN: Duration = Duration::from_secs(24 * 60 * 60);

/// How many intervals a resolution keeps.
const KEPT: usize = 4_096;

/// The lengths of the intervals in microseconds: 1 ms to 65.536 s.
const RESOLUTIONS: [i64; 9] =
    [1_000, 4_000, 16_000, 64_000, 256_000, 1_024_000, 4_096_000, 16_384_000, 65_536_000];

/// A sample that is older than the newest one by more than this means that the clock was set back; in microseconds.
const CLOCK_STEP: i64 = 10_000_000;

/// What is kept of an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    /// The number of the interval since 1970.
    number: i64,
    pub(super) first: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
    pub(super) last: f64,
}

/// One curve.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// The peer, displayable on a screen.
    pub(super) peer: String,
    /// The name of the number, displayable on a screen.
    pub(super) field: String,
    pub(super) is_hidden: bool,
    pub(super) last: f64,
    /// In microseconds since 1970.
    newest_at: i64,
    levels: [VecDeque<Interval>; RESOLUTIONS.len()],
}

impl Curve {
    fn new(peer: String, field: String) -> Self {
        let levels = std::array::from_fn(|_| VecDeque::new());
        Self { peer, field, is_hidden: false, last: 0.0, newest_at: i64::MIN, levels }
    }

    fn add(&mut self, at: i64, value: f64) {
        if at.saturating_add(CLOCK_STEP) < self.newest_at {
            self.levels.iter_mut().for_each(VecDeque::clear);
            self.newest_at = at;
        }
        self.newest_at = self.newest_at.max(at);
        self.last = value;
        for (level, length) in self.levels.iter_mut().zip(RESOLUTIONS) {
            let number = at.div_euclid(length);
            match level.back_mut() {
                Some(newest) if newest.number >= number => {
                    newest.least = newest.least.min(value);
                    newest.greatest = newest.greatest.max(value);
                    newest.last = value;
                }
                _ => {
                    if level.len() == KEPT {
                        level.pop_front();
                    }
                    let (first, least, greatest, last) = (value, value, value, value);
                    level.push_back(Interval { number, first, least, greatest, last });
                }
            }
        }
    }

    /// Returns the finest resolution that covers a time span.
    fn resolution(&self, from: i64, until: i64) -> usize {
        let covers = |length: &i64| length.saturating_mul(KEPT as i64) >= until.saturating_sub(from);
        let mut place = RESOLUTIONS.iter().position(covers).unwrap_or(RESOLUTIONS.len() - 1);
        // What came behind the span, while the plot is held, may have pushed its beginning out of this one.
        while let Some(begin) = self.levels[place].front().map(|first| first.number * RESOLUTIONS[place])
            && begin > from.saturating_add(RESOLUTIONS[place])
        {
            let reaches_back = |coarser: &usize| {
                let first = self.levels[*coarser].front();
                first.is_some_and(|first| first.number < begin.div_euclid(RESOLUTIONS[*coarser]))
            };
            let Some(coarser) = (place + 1..RESOLUTIONS.len()).find(reaches_back) else { break };
            place = coarser;
        }
        place
    }

    /// Returns the longest time between two intervals of [`Self::within`] over which nothing is missing, in microseconds.
    pub(super) fn longest_usual(&self, from: i64, until: i64) -> i64 {
        let place = self.resolution(from, until);
        let times = self.levels[place].iter().map(|interval| interval.number * RESOLUTIONS[place]);
        pauses::longest_usual(times, until.saturating_sub(from)).unwrap_or(i64::MAX)
    }

    /// Returns the intervals of a time span that touch it, each with its middle, in microseconds, in the finest resolution
    /// that covers the span.
    pub(super) fn within(&self, from: i64, until: i64) -> impl Iterator<Item = (i64, Interval)> {
        let place = self.resolution(from, until);
        let (level, length) = (&self.levels[place], RESOLUTIONS[place]);
        let begin = level.partition_point(|interval| interval.number < from.div_euclid(length));
        level
            .range(begin..)
            .take_while(move |interval| interval.number <= until.div_euclid(length))
            .map(move |interval| (interval.number * length + length / 2, *interval))
    }
}

/// The curves of a plot.
#[derive(Debug, Default)]
pub(super) struct Curves {
    /// The numbers that the user has named.
    fields: Vec<String>,
    pub(super) list: Vec<Curve>,
    /// When the last number came for which there was no curve, in microseconds since 1970.
    left_out_at: Option<i64>,
    /// The names of some numbers that are not wanted, displayable on a screen.
    others: KnownNames,
    /// Whether a message was shown as hex digits.
    has_hex: bool,
    /// The length of the longest message, in bytes.
    longest: usize,
}

impl Curves {
    /// Creates an empty plot.
    pub(super) fn new(fields: Vec<String>) -> Self {
        Self { fields, ..Self::default() }
    }

    /// Adds the numbers of a message. A new curve may replace one whose values are all from before the visible span.
    pub(super) fn add(&mut self, sample: &Sample, visible_from: i64) {
        let at = sample.at.as_microsecond();
        let peer = display_line(sample.name.as_deref().unwrap_or(&sample.peer));
        self.longest = self.longest.max(sample.bytes);
        self.has_hex |= sample.is_hex;
        self.others.extend(sample.others.iter().map(|name| display_line(name).into_owned()));
        for (name, value) in &sample.numbers {
            let field = display_line(name);
            let known = self.list.iter().position(|curve| curve.field == field && curve.peer == peer);
            let place = match known {
                Some(place) => place,
                None if self.list.len() < MAX_CURVES => {
                    self.list.push(Curve::new(peer.clone().into_owned(), field.into_owned()));
                    self.list.len() - 1
                }
                None => {
                    let Some(place) = self.replaceable(at.min(visible_from)) else {
                        self.left_out_at = self.left_out_at.max(Some(at));
                        continue;
                    };
                    self.list[place] = Curve::new(peer.clone().into_owned(), field.into_owned());
                    place
                }
            };
            self.list[place].add(at, *value);
        }
    }

    /// Returns the curve that ended first, if that was before a time.
    fn replaceable(&self, before: i64) -> Option<usize> {
        let ended = self.list.iter().enumerate().filter(|(_, curve)| curve.newest_at < before);
        ended.min_by_key(|(_, curve)| curve.newest_at).map(|(place, _)| place)
    }

    /// Returns whether a number since this time has no curve.
    pub(super) fn has_more(&self, from: i64) -> bool {
        self.left_out_at.is_some_and(|at| at >= from)
    }

    /// Returns the names of some numbers that messages have and that are not wanted.
    pub(super) fn others(&self) -> Vec<&str> {
        self.others.listed(self.fields.iter().map(String::as_str))
    }

    /// Returns whether a message was shown as hex digits.
    pub(super) fn has_hex(&self) -> bool {
        self.has_hex
    }

    /// Returns the length of the longest message, in bytes.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Returns whether the user has named numbers.
    pub(super) fn has_fields(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Returns whether the numbers that the user has named are too many even for one peer.
    pub(super) fn has_many_fields(&self) -> bool {
        self.fields.len() > MAX_CURVES
    }

    /// Returns whether all curves are of one peer.
    pub(super) fn is_of_one_peer(&self) -> bool {
        self.list.windows(2).all(|pair| pair[0].peer == pair[1].peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: i64, peer: &str, numbers: &[(&str, f64)]) -> Sample {
        let at = udpchat_api::Timestamp::from_microsecond(at).unwrap();
        let numbers = numbers.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Sample { at, peer: peer.to_owned(), numbers, ..Sample::default() }
    }

    #[test]
    fn each_peer_and_field_has_a_curve_up_to_a_limit() {
        let mut curves = Curves::default();
        for peer in ["a", "b", "c", "d\u{1b}"] {
            curves.add(&sample(1, peer, &[("x", 1.0), ("y\n", 2.0)]), 0);
        }
        let names: Vec<_> =
            curves.list.iter().map(|curve| format!("{} {}", curve.peer, curve.field)).collect();
        assert_eq!(names, ["a x", "a y\\u{a}", "b x", "b y\\u{a}", "c x", "c y\\u{a}"]);
        // On a screen a single joiner would move the rest of the line.
        let mut joined = Curves::default();
        joined.add(&sample(1, "a\u{200d}b", &[("\u{301}x", 1.0)]), 0);
        assert_eq!((&*joined.list[0].peer, &*joined.list[0].field), (r"a\u{200d}b", "\u{25cc}\u{301}x"));
        assert!(curves.has_more(0) && !curves.has_more(2) && !curves.is_of_one_peer());
        let mut wanted = Curves::new(vec!["x".to_owned()]);
        wanted.add(&sample(1, "a", &[("x", 1.0)]), 0);
        assert!(wanted.list.len() == 1 && !wanted.has_more(0) && wanted.is_of_one_peer());
        assert!(wanted.has_fields() && !curves.has_fields());
    }

    #[test]
    fn a_new_curve_replaces_one_out_of_view() {
        let mut curves = Curves::default();
        let names = |curves: &Curves| curves.list.iter().map(|curve| curve.peer.clone()).collect::<String>();
        for (at, peer) in (1..).zip(["b", "a", "c", "d", "e", "f"]) {
            curves.add(&sample(at, peer, &[("x", 1.0)]), 0);
        }
        curves.list[1].is_hidden = true;
        // All are in view.
        curves.add(&sample(7, "g", &[("x", 1.0)]), 1);
        assert!(names(&curves) == "bacdef" && curves.has_more(7), "{curves:?}");
        curves.add(&sample(8, "b", &[("x", 1.0)]), 4);
        curves.add(&sample(8, "g", &[("x", 1.0)]), 4);
        curves.add(&sample(9, "h", &[("x", 1.0)]), 4);
        curves.add(&sample(9, "i", &[("x", 1.0)]), 4);
        assert!(names(&curves) == "bghdef" && curves.has_more(9), "{curves:?}");
        assert!(!curves.list[1].is_hidden);
        // A number from the past, as in history, replaces none that is newer.
        curves.add(&sample(3, "j", &[("x", 1.0)]), 100);
        assert_eq!(names(&curves), "bghdef");
    }

    #[test]
    fn a_span_has_the_extremes_of_its_samples() {
        let mut curve = Curve::new(String::new(), String::new());
        for second in 0..1_000_000 {
            curve.add(second * 1_000_000, (second % 1_000) as f64);
        }
        let newest = 999_999_000_000;
        for span in [60_000_000, 3_600_000_000, 86_400_000_000] {
            let found: Vec<_> = curve.within(newest - span, newest).collect();
            assert!(!found.is_empty() && found.len() <= KEPT + 1, "{span}: {}", found.len());
            let least = found.iter().map(|(_, interval)| interval.least).fold(f64::MAX, f64::min);
            let greatest = found.iter().map(|(_, interval)| interval.greatest).fold(f64::MIN, f64::max);
            let expected = if span < 1_000_000_000 { (939.0, 999.0) } else { (0.0, 999.0) };
            assert_eq!((least, greatest), expected, "{span}");
        }
        assert!(curve.levels.iter().all(|level| level.len() <= KEPT));
        assert_eq!(curve.within(newest + 70_000_000, newest + 80_000_000).count(), 0);
    }

    #[test]
    fn a_span_in_the_past_keeps_its_beginning() {
        let mut curve = Curve::new(String::new(), String::new());
        let (from, until) = (100_000_000, 160_000_000);
        let begin = |curve: &Curve| curve.within(from, until).next().map(|(at, _)| at);
        // Four hours in samples of 20 ms, of which the first minute is held.
        for number in 0..720_000 {
            curve.add(from + number * 20_000, number as f64);
            if number >= 3_000 && number % 1_000 == 0 {
                let (length, begin) = (RESOLUTIONS[curve.resolution(from, until)], begin(&curve));
                let is_whole = begin.is_some_and(|begin| (begin - from).abs() <= 2 * length);
                assert!(is_whole, "{number}: {begin:?} in intervals of {length}");
            }
        }
        assert_eq!(RESOLUTIONS[curve.resolution(from, until)], 4_096_000);
        // Where nothing was pushed out, the finest one is taken, whenever the curve begins.
        let mut young = Curve::new(String::new(), String::new());
        young.add(159_000_000, 1.0);
        assert_eq!(RESOLUTIONS[young.resolution(from, until)], 16_000);
    }

    #[test]
    fn late_samples_are_kept_and_a_step_of_the_clock_begins_anew() {
        let mut curve = Curve::new(String::new(), String::new());
        curve.add(100_000_000, 1.0);
        curve.add(99_999_000, 5.0);
        let found: Vec<_> = curve.within(0, 200_000_000).map(|(_, interval)| interval.greatest).collect();
        assert_eq!(found, [5.0]);
        curve.add(1_000_000, 2.0);
        assert_eq!(curve.within(0, 2_000_000).count(), 1);
        assert_eq!(curve.within(90_000_000, 200_000_000).count(), 0);
    }
}
