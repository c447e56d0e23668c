//! Which of the peers with `silent_after` are silent, and when the others will be.
//!
//! Times are those of [`super::Kept::now`]. A deadline is not moved when a peer sends something: when it has come, it shows
//! whether the peer was heard since, and the next one is set. So a message costs nothing here but the note of its time.
//!
//! A deadline that is over is checked twice, a step apart. The process may have been stopped over the deadline, with a message of
//! the peer in the kernel; reception has this step to bring it. It may as well have been stopped between both checks if the second
//! comes late. Where checks are always late, since each waits for a commit to a slow disk, the [`MAX_CHECKS`]th counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use udpchat_config::{PeerAddress, Settings};

use super::types::{FallsSilent, SilentRow};

/// Deadlines are checked in steps, so that those of many peers share one.
const STEP: Duration = Duration::from_millis(250);

/// A second check that comes later than this does not count: the process may have been stopped in between, and reception behind.
const LATE: Duration = STEP;

/// How many checks find a deadline over until the peer is silent, however late they come.
const MAX_CHECKS: u32 = 4;

/// The peers with `silent_after`.
#[derive(Debug, Default)]
pub(super) struct Silence {
    peers: BTreeMap<Arc<str>, Watched>,
    deadlines: BTreeSet<(Duration, Arc<str>)>,
    /// The rows of peers that are no longer watched.
    forgotten: BTreeMap<String, SilentRow>,
}

#[derive(Debug)]
struct Watched {
    after: Duration,
    address: PeerAddress,
    /// When it was last heard, or when it began to be watched; the latter also in nanoseconds since 1970.
    heard: Duration,
    since_ns: i64,
    /// Id and time of its newest message, as far as it came since then.
    last: Option<(u64, i64)>,
    silent: Option<SilentRow>,
    /// How many checks have found its deadline over.
    checks: u32,
}

impl Silence {
    /// Takes the peers of new settings; returns their names. Peers that remain keep what is known of them.
    pub(super) fn configure(&mut self, settings: &Settings, now: Duration, now_ns: i64) -> Vec<Arc<str>> {
        let mut before = std::mem::take(&mut self.peers);
        self.deadlines.clear();
        for (name, peer, silent_after) in settings.watched_peers() {
            let name: Arc<str> = name.as_str().into();
            let (after, address) = (silent_after.time(), peer.address.value.clone());
            let watched = match before.remove(&name) {
                Some(known) => Watched { after, address, checks: 0, ..known },
                None => {
                    let (heard, since_ns) = (now, now_ns);
                    Watched { after, address, heard, since_ns, last: None, silent: None, checks: 0 }
                }
            };
            // Its row may still be there.
            let silent = watched.silent.or_else(|| self.forgotten.remove(&*name));
            if silent.is_none() {
                self.deadlines.insert((watched.heard + after, Arc::clone(&name)));
            }
            self.peers.insert(name, Watched { silent, ..watched });
        }
        let rows = before.into_iter().filter_map(|(name, peer)| Some((name.to_string(), peer.silent?)));
        self.forgotten.extend(rows);
        self.peers.keys().cloned().collect()
    }

    /// Takes a row that an earlier daemon has written.
    pub(super) fn load(&mut self, name: &str, row: SilentRow) {
        match self.peers.get_mut(name) {
            Some(peer) => peer.silent = Some(row),
            None => drop(self.forgotten.insert(name.to_owned(), row)),
        }
    }

    /// Returns the rows as the table must have them.
    pub(super) fn rows(&self) -> BTreeMap<String, SilentRow> {
        let rows = self.peers.iter().filter_map(|(name, peer)| Some((name.to_string(), peer.silent?)));
        rows.chain(self.forgotten.clone()).collect()
    }

    /// Notes that a peer was heard; returns whether it is watched.
    pub(super) fn heard(&mut self, name: &str, last: (u64, i64), now: Duration) -> bool {
        let Some(peer) = self.peers.get_mut(name) else { return false };
        (peer.heard, peer.last) = (now, Some(last));
        true
    }

    /// Returns a silent peer that has sent something at a time, and how long nothing came from it: by our own clock, if its last
    /// message came while the daemon was running.
    pub(super) fn heard_again(&self, name: &str, at_ns: i64, now: Duration) -> Option<FallsSilent> {
        let (name, peer) = self.peers.get_key_value(name)?;
        let row = peer.silent?;
        let seconds = match peer.last {
            Some(_) => now.saturating_sub(peer.heard).as_secs(),
            None => {
                let by_clock =
                    u64::try_from(at_ns.saturating_sub(row.quiet_ns()) / 1_000_000_000).unwrap_or(0);
                by_clock.max(now.saturating_sub(peer.heard).as_secs())
            }
        };
        // The row of a peer that had never been heard has the time at which it began to be watched.
        let is_new = peer.last.is_none() && row == SilentRow::without_message(row.since_ns, peer.since_ns);
        Some(FallsSilent { is_new, ..peer.notice(name, seconds) })
    }

    /// Sets the row of a peer; without one, it is not silent.
    pub(super) fn set_silent(&mut self, name: &str, row: Option<SilentRow>) {
        let Some((name, peer)) = self.peers.get_key_value(name) else { return };
        if row.is_none() && peer.silent.is_some() {
            // It is heard at this moment, so the deadline that is found then is not over.
            self.deadlines.insert((peer.heard + peer.after, Arc::clone(name)));
        }
        let name = Arc::clone(name);
        if let Some(peer) = self.peers.get_mut(&name) {
            peer.silent = row;
        }
    }

    /// Returns when the next deadline is to be looked at.
    pub(super) fn next_step(&self) -> Option<Duration> {
        if !self.forgotten.is_empty() {
            return Some(Duration::ZERO);
        }
        self.deadlines.first().map(|(deadline, _)| step_from(*deadline))
    }

    /// Returns the peers whose deadline is over at enough checks. They must become silent, or be [tried again](Self::retry).
    pub(super) fn due(&mut self, now: Duration) -> Vec<FallsSilent> {
        let mut due = Vec::new();
        while let Some((deadline, _)) = self.deadlines.first()
            && *deadline <= now
        {
            let Some((deadline, name)) = self.deadlines.pop_first() else { break };
            let peer = self.peers.get_mut(&name).filter(|peer| peer.silent.is_none());
            let Some(peer) = peer else { continue };
            let own = peer.heard + peer.after;
            if own > now {
                peer.checks = 0;
                self.deadlines.insert((own, name));
                continue;
            }
            peer.checks += 1;
            let is_second = peer.checks > 1 && now - deadline <= LATE;
            if is_second || peer.checks == MAX_CHECKS {
                peer.checks = 0;
                due.push(peer.notice(&name, peer.after.as_secs()));
            } else {
                self.deadlines.insert((step_from(now + STEP), name));
            }
        }
        due
    }

    /// Looks again at the deadlines of peers later, because it could not be written that they are silent.
    pub(super) fn retry(&mut self, due: &[FallsSilent], at: Duration) {
        self.deadlines.extend(due.iter().map(|peer| (at, Arc::clone(&peer.name))));
    }

    /// Returns the peers whose rows are to be removed.
    pub(super) fn forgotten(&self) -> Vec<String> {
        self.forgotten.keys().cloned().collect()
    }

    /// Notes that these rows are removed.
    pub(super) fn forgot(&mut self) {
        self.forgotten.clear();
    }
}

/// Returns the first step that is not before a time.
fn step_from(time: Duration) -> Duration {
    let steps = time.as_nanos().div_ceil(STEP.as_nanos());
    u32::try_from(steps).map_or(time, |steps| STEP * steps)
}

impl Watched {
    fn notice(&self, name: &Arc<str>, seconds: u64) -> FallsSilent {
        let (name, address) = (Arc::clone(name), self.address.clone());
        FallsSilent { name, address, seconds, last: self.last, since_ns: self.since_ns, is_new: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn settings(peers: &[(&str, &str)]) -> Settings {
        let text: String = peers
            .iter()
            .map(|(name, after)| {
                format!("[peers.{name}]\naddress = '10.0.0.7:{}'\nsilent_after = '{after}'\n", 1 + name.len())
            })
            .collect();
        settings_of(&text)
    }

    fn settings_of(text: &str) -> Settings {
        crate::inbox::kept::tests::settings(text)
    }

    fn names(due: &[FallsSilent]) -> Vec<&str> {
        due.iter().map(|peer| &*peer.name).collect()
    }

    /// Looks at a time and a step later.
    fn due_twice(silence: &mut Silence, at: Duration) -> Vec<FallsSilent> {
        let first = silence.due(at);
        assert!(first.is_empty(), "{first:?}");
        silence.due(step_from(at + STEP))
    }

    const ROW: SilentRow = SilentRow { since_ns: 7, last_ns: 5 };

    #[test]
    fn a_peer_is_due_once_its_time_is_over_since_the_start_or_its_last_message() {
        let mut silence = Silence::default();
        silence.configure(&settings(&[("a", "10m"), ("bb", "10m")]), seconds(5), 1);
        assert!(due_twice(&mut silence, seconds(604)).is_empty());
        silence.heard("bb", (9, 3), seconds(600));
        assert_eq!(names(&due_twice(&mut silence, seconds(605))), ["a"]);
        silence.set_silent("a", Some(ROW));
        assert!(due_twice(&mut silence, seconds(1_199)).is_empty());
        let due = due_twice(&mut silence, seconds(1_200));
        assert_eq!((names(&due), due[0].last, due[0].seconds), (vec!["bb"], Some((9, 3)), 600));
        silence.retry(&due, seconds(1_202));
        assert!(due_twice(&mut silence, seconds(1_201)).is_empty());
        assert_eq!(names(&due_twice(&mut silence, seconds(1_202))), ["bb"]);
    }

    #[test]
    fn a_silent_peer_is_due_again_only_after_it_was_heard() {
        let mut silence = Silence::default();
        silence.configure(&settings(&[("a", "10m")]), seconds(0), 1);
        silence.load("a", ROW);
        for at in [600, 601, 100_000] {
            assert!(due_twice(&mut silence, seconds(at)).is_empty());
        }
        let heard = silence.heard_again("a", 65_000_000_005, seconds(3)).unwrap();
        assert_eq!(heard.seconds, 65, "by the clock, since the message came before the start");
        silence.set_silent("a", None);
        silence.heard("a", (1, 1), seconds(100_000));
        assert!(silence.heard_again("a", 1, seconds(100_000)).is_none());
        silence.due(seconds(100_000));
        assert!(due_twice(&mut silence, seconds(100_599)).is_empty());
        assert_eq!(names(&due_twice(&mut silence, seconds(100_600))), ["a"]);
    }

    #[test]
    fn the_row_of_a_removed_peer_is_forgotten_unless_it_comes_back() {
        let mut silence = Silence::default();
        silence.configure(&settings(&[("a", "10m")]), seconds(0), 1);
        silence.load("a", ROW);
        silence.load("gone", ROW);
        assert_eq!(silence.forgotten(), ["gone"]);
        silence.configure(&settings_of("[peers.a]\naddress = '10.0.0.7'"), seconds(1), 1);
        assert_eq!(silence.forgotten(), ["a", "gone"]);
        assert_eq!(silence.next_step(), Some(Duration::ZERO));
        silence.configure(&settings(&[("a", "10m")]), seconds(2), 1);
        assert_eq!(silence.forgotten(), ["gone"]);
        silence.forgot();
        assert_eq!(silence.rows().into_iter().collect::<Vec<_>>(), [("a".to_owned(), ROW)]);
        assert_eq!(silence.next_step(), None);
    }

    #[test]
    fn a_denied_peer_is_not_silent() {
        let mut silence = Silence::default();
        silence.configure(&settings(&[("a", "10m")]), seconds(0), 1);
        silence.set_silent("a", Some(ROW));
        let text = "[peers.a]\naddress = '10.0.0.7:2'\nsilent_after = '10m'\n[access]\ndeny = ['10.0.0.0/8']";
        assert!(silence.configure(&settings_of(text), seconds(1), 1).is_empty());
        assert_eq!(silence.forgotten(), ["a"], "it is not watched any more");
        silence.forgot();
        silence.configure(&settings(&[("a", "10m")]), seconds(700), 1);
        assert_eq!(silence.next_step(), Some(seconds(1_300)), "it is watched from now on");
    }

    #[test]
    fn what_came_while_the_process_was_stopped_over_a_deadline_is_heard() {
        for stopped in [600_001, 600_900, 700_000].map(Duration::from_millis) {
            let mut silence = Silence::default();
            silence.configure(&settings(&[("a", "10m")]), seconds(0), 1);
            assert!(silence.due(stopped).is_empty(), "a message may wait in the kernel");
            silence.heard("a", (1, 1), stopped);
            assert!(due_twice(&mut silence, step_from(stopped + STEP)).is_empty());
            assert_eq!(silence.next_step(), Some(step_from(stopped + seconds(600))));
        }
    }

    #[test]
    fn a_second_look_that_comes_late_does_not_count() {
        let mut silence = Silence::default();
        silence.configure(&settings(&[("a", "10m")]), seconds(0), 1);
        assert!(due_twice(&mut silence, seconds(599)).is_empty());
        assert!(silence.due(seconds(600)).is_empty());
        assert!(silence.due(seconds(601)).is_empty(), "stopped between the two");
        assert_eq!(names(&silence.due(seconds(601) + STEP)), ["a"]);
    }

    #[test]
    fn the_fourth_look_counts_however_late_it_comes() {
        let mut silence = Silence::default();
        silence.configure(&settings(&[("a", "10m")]), seconds(0), 1);
        for late in [600, 603, 606] {
            assert!(silence.due(seconds(late)).is_empty(), "{late}");
        }
        assert_eq!(names(&silence.due(seconds(609))), ["a"]);
        // A message between two checks starts them again.
        silence.set_silent("a", Some(ROW));
        silence.heard("a", (1, 1), seconds(700));
        silence.set_silent("a", None);
        for late in [1_300, 1_303, 1_306] {
            assert!(silence.due(seconds(late)).is_empty(), "{late}");
        }
        silence.heard("a", (2, 2), seconds(1_307));
        for late in [1_309, 1_908, 1_911, 1_914] {
            assert!(silence.due(seconds(late)).is_empty(), "{late}");
        }
        assert_eq!(names(&silence.due(seconds(1_917))), ["a"]);
    }

    #[test]
    fn silence_is_noticed_within_a_second() {
        for millis in [0, 1, 249, 250, 251, 499] {
            let (mut silence, began) = (Silence::default(), Duration::from_millis(millis));
            silence.configure(&settings(&[("a", "10m")]), began, 1);
            let mut noticed = Vec::new();
            while noticed.is_empty() {
                // The writer wakes a little late.
                let now = silence.next_step().unwrap() + Duration::from_millis(2);
                noticed = silence.due(now);
                assert!(now < began + seconds(601), "{now:?}");
            }
        }
    }

    #[test]
    fn a_reload_changes_the_time_and_keeps_what_was_heard() {
        let mut silence = Silence::default();
        silence.configure(&settings(&[("a", "10m")]), seconds(0), 1);
        silence.heard("a", (1, 1), seconds(100));
        silence.configure(&settings(&[("a", "1m")]), seconds(110), 1);
        assert!(due_twice(&mut silence, seconds(159)).is_empty());
        assert_eq!(names(&due_twice(&mut silence, seconds(160))), ["a"]);
    }

    #[test]
    fn the_deadlines_of_many_peers_share_steps() {
        let mut silence = Silence::default();
        let text: String = (0..1_000)
            .map(|n| {
                format!("[peers.p{n}]\naddress = '10.0.{}.{}'\nsilent_after = '10s'\n", n / 250, 1 + n % 250)
            })
            .collect();
        silence.configure(&settings_of(&text), seconds(0), 1);
        let mut now = Duration::ZERO;
        for n in 0..1_000 {
            now = Duration::from_millis(10 * n);
            silence.heard(&format!("p{n}"), (1, 1), now);
        }
        // Each speaks every 10 s, a little early.
        let (mut steps, end) = (0, now + seconds(60));
        while let Some(next) = silence.next_step().filter(|next| *next < end) {
            steps += 1;
            for n in 0..1_000 {
                silence.heard(&format!("p{n}"), (1, 1), next);
            }
            assert!(silence.due(next).is_empty());
        }
        assert!(steps <= 4 * 70, "{steps} in a minute");
    }
}
