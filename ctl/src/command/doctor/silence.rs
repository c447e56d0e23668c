//! Checks which configured peers are silent.

use udpchat_api::call::WatchedPeer;
use udpchat_api::safe;
use udpchat_locale::tr;

use super::facts::Facts;
use super::finding::Finding;

const TOPIC: &str = "silence";

/// How many silent peers have a finding each where people read it.
const MAX_SILENT: usize = 5;

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    // With a peer on the command line, only that one matters.
    if facts.peer.is_some() {
        return Vec::new();
    }
    let watched = facts.status().map(|status| status.watched_peers.as_slice()).unwrap_or_default();
    watched.iter().filter_map(|peer| silence(facts, peer)).collect()
}

/// Replaces the findings about silent peers beyond the first ones by their number, for people.
pub(super) fn summarize(findings: &mut Vec<Finding>) {
    let is_silent = |finding: &Finding| finding.topic == TOPIC;
    // The findings of one check stand together.
    let Some(first) = findings.iter().position(is_silent) else { return };
    let silent = findings.iter().filter(|finding| is_silent(finding)).count();
    if let more @ 1.. = silent.saturating_sub(MAX_SILENT) {
        let more = Finding::warning(TOPIC, tr!("and {more} more", more))
            .hint(tr!("`udpchatctl peers --silent` lists all of them"));
        findings.splice(first + MAX_SILENT..first + silent, [more]);
    }
}

/// Reports a peer that is silent.
pub(super) fn silence(facts: &Facts, peer: &WatchedPeer) -> Option<Finding> {
    let (name, since) = (safe::one_line(&peer.name), facts.local_time(peer.silent_since?));
    let seen = match peer.last_heard {
        Some(heard) => {
            tr!(
                "{name} is silent since {since}; its last message came at {time}",
                name,
                since,
                time = facts.local_time(heard)
            )
        }
        None => tr!("{name} is silent since {since}; no message of it is known", name, since),
    };
    Some(
        Finding::warning(TOPIC, seen)
            .hint(tr!("`udpchatctl doctor {name}` examines the connection to it", name)),
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::Warning;
    use super::super::testing::{facts, levels, text, with_status};
    use super::*;

    #[test]
    fn only_silent_peers_are_named() {
        let facts_of_two = with_status(|status| {
            let peer = |name: &str, silent_since, last_heard| WatchedPeer {
                name: name.to_owned(),
                last_heard,
                silent_since,
            };
            let at = Some(status.started);
            status.watched_peers =
                vec![peer("door", at, None), peer("sensor7", None, at), peer("lamp", at, at)];
        });
        let found = findings(&facts_of_two);
        assert_eq!(levels(&found), [Warning, Warning]);
        let expected = "\
door is silent since 2026-11-22 10:00:00; no message of it is known
lamp is silent since 2026-11-22 10:00:00; its last message came at 2026-11-22 10:00:00";
        assert_eq!(text(&found), expected);
        assert!(findings(&facts()).is_empty());
    }

    #[test]
    fn many_silent_peers_are_counted() {
        let facts_of_many = with_status(|status| {
            let silent_since = Some(status.started);
            let peer = |number| WatchedPeer { name: format!("p{number}"), last_heard: None, silent_since };
            status.watched_peers = (0..50).map(peer).collect();
        });
        let mut found = findings(&facts_of_many);
        assert_eq!(found.len(), 50, "JSON has all of them");
        found.push(Finding::ok("clock", "it is right"));
        summarize(&mut found);
        assert_eq!(found.len(), MAX_SILENT + 2);
        assert!(text(&found).ends_with("\nand 45 more\nit is right"), "{}", text(&found));
        found.truncate(MAX_SILENT);
        summarize(&mut found);
        assert_eq!(found.len(), MAX_SILENT, "a few are not counted");
    }
}
