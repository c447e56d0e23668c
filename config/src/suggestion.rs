//! Suggests a correction for a misspelt word.

/// Returns the nearest candidate by edit distance (optimal string alignment), `None` if it differs in more than a third of
/// its characters. The case of letters makes no difference.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance takes quadratic time, and every candidate is much shorter.
    if text.len() > 64 {
        return None;
    }
    let text = text.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&text, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance * 3 <= candidate.chars().count() || is_homophone(&text, candidate, *distance)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns whether a word of two characters differs in one of another alphabet than ASCII: an input method offers many characters for a
/// syllable.
fn is_homophone(text: &str, candidate: &str, distance: usize) -> bool {
    let is_pair =
        |word: &str| word.chars().count() == 2 && !word.chars().any(|character| character.is_ascii());
    distance == 1 && is_pair(text) && is_pair(candidate)
}

/// Returns the question whether the nearest candidate is meant, as a hint; `None` if none is near.
pub fn did_you_mean<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(text, candidates).map(|near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_candidate_is_suggested() {
        let candidates = ["listen", "log", "socket", "gbk", "Alice", "张三", "王小明"];
        for (text, expected) in [
            ("lisen", Some("listen")),
            ("lsiten", Some("listen")),
            ("lot", Some("log")),
            ("gkb", Some("gbk")),
            ("ALICE", Some("Alice")),
            ("alcie", Some("Alice")),
            ("王小朋", Some("王小明")),
            ("李四", None),
            ("张山", Some("张三")),
            ("张3", None),
            ("张三丰", None),
            ("colour", None),
            ("", None),
            (&*"listen".repeat(20), None),
        ] {
            assert_eq!(nearest(text, candidates), expected, "{text}");
        }
        assert_eq!(did_you_mean("lgo", candidates).as_deref(), Some("did you mean `log`?"));
    }
}
