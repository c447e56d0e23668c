//! Which pauses are breaks in a curve: those that are much longer than usual.

/// How many times as long as usual a pause may be that is not a break.
const USUAL_PAUSES: i64 = 5;

/// Of which share of the time span a burst of messages is seen as one point: about a column of the screen.
const POINTS_PER_SPAN: i64 = 64;

/// How many times as long as a burst the pauses between bursts are, if a burst may count as one point.
const PAUSES_PER_POINT: i64 = 10;

/// From how many pauses between bursts on these are usual. Fewer are breaks.
const MIN_BETWEEN: usize = 3;

/// Returns the longest pause between two points in time over which nothing is missing; none without pauses. All times have one
/// unit, and those of `times` ascend.
///
/// The upper quartile of the pauses is usual: with bursts of five messages and more it is a pause within bursts. Bursts that look
/// like points, as of a board that sends each value twice, count as one message each.
pub(super) fn longest_usual(times: impl Iterator<Item = i64> + Clone, span: i64) -> Option<i64> {
    let pauses: Vec<i64> = times.clone().zip(times.skip(1)).map(|(before, after)| after - before).collect();
    let total: i64 = pauses.iter().sum();
    let longest = longest_of(pauses.clone())?;
    let between: Vec<i64> = pauses.into_iter().filter(|pause| *pause > longest).collect();
    let count = between.len() as i64;
    let in_bursts = total - between.iter().sum::<i64>();
    let is_enough = between.len() >= MIN_BETWEEN;
    let longest_between = longest_of(between);
    let are_points = |longest: &i64| {
        let usual = longest / USUAL_PAUSES;
        in_bursts.saturating_mul(PAUSES_PER_POINT) < usual.saturating_mul(count)
            && in_bursts.saturating_mul(POINTS_PER_SPAN) < span.saturating_mul(count + 1)
    };
    Some(longest_between.filter(|longest| is_enough && are_points(longest)).unwrap_or(longest))
}

/// Returns several times the upper quartile of pauses.
fn longest_of(mut pauses: Vec<i64>) -> Option<i64> {
    let place = pauses.len().checked_sub(1)? * 3 / 4;
    let (_, usual, _) = pauses.select_nth_unstable(place);
    Some(usual.saturating_mul(USUAL_PAUSES))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    /// Returns the times of bursts, in milliseconds.
    fn bursts(count: i64, messages: i64, distance: i64, silence: i64) -> Vec<i64> {
        let period = (messages - 1) * distance + silence;
        (0..count * messages).map(|at| at / messages * period + at % messages * distance).collect()
    }

    fn longest(times: &[i64], span: i64) -> Option<i64> {
        longest_usual(times.iter().copied(), span)
    }

    #[test]
    fn a_silence_that_recurs_is_a_break() {
        for (count, messages, distance, silence) in [
            (2, 8, 4_000, 150_000),
            (5, 8, 4_000, 150_000),
            (12, 8, 4_000, 150_000),
            (4, 60, 1_000, 20 * MINUTE),
        ] {
            for span in [13 * MINUTE, 30 * MINUTE, 60 * MINUTE] {
                let longest = longest(&bursts(count, messages, distance, silence), span).unwrap();
                assert!((distance..silence).contains(&longest), "{count} {span}: {longest}");
            }
        }
    }

    #[test]
    fn the_pause_between_bursts_that_look_like_points_is_usual() {
        for messages in [1, 2, 3, 6, 10] {
            let mut times = bursts(6, messages, 50, 9_000);
            let usual = longest(&times, MINUTE).unwrap();
            assert!(usual >= 9_000, "{messages}: {usual}");
            // Where they are seen as lines, it is a break.
            let nearer = longest(&times, 2_000).unwrap();
            assert_eq!(nearer < 9_000, messages > 4, "{messages}: {nearer}");
            // A pause much longer than those is a break too.
            times.extend(bursts(6, messages, 50, 9_000).iter().map(|at| at + 20 * MINUTE));
            assert!(longest(&times, 30 * MINUTE).unwrap() < 10 * MINUTE, "{messages}");
        }
    }

    #[test]
    fn without_pauses_nothing_is_usual() {
        assert_eq!((longest(&[], MINUTE), longest(&[1], MINUTE)), (None, None));
        assert_eq!(longest(&[1_000, 51_000], MINUTE), Some(250_000));
    }
}
