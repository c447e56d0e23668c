//! Suggests a correction for a misspelt word.

/// Returns the nearest candidate by edit distance (optimal string alignment), `None` if it differs in more than a third
/// of its length.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance takes quadratic time, and every candidate is much shorter.
    if text.len() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(text, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_candidate_is_suggested() {
        let candidates = ["listen", "log", "socket"];
        for (text, expected) in [
            ("lisen", Some("listen")),
            ("lsiten", Some("listen")),
            ("lot", Some("log")),
            ("colour", None),
            ("", None),
            (&*"listen".repeat(20), None),
        ] {
            assert_eq!(nearest(text, candidates), expected, "{text}");
        }
    }
}
