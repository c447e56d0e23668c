//! Medians and other parts of sorted figures.

/// Returns the figure in the middle.
pub(crate) fn median(figures: &[f64]) -> f64 {
    part(figures, 0.5)
}

/// Returns the figure below which a part of all lie: 0.5 is the median, 1 the largest.
pub(crate) fn part(figures: &[f64], part: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}
