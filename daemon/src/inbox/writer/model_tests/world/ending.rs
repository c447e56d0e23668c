//! Ends the daemon in every way, and starts the next one.

use super::super::daemon::Daemon;
use super::super::image::Image;
use super::super::machine::Moment;
use super::super::operations::{End, How, Place};
use super::super::reference::Pending;
use super::state::{Counts, World};
use crate::inbox::entry::GapReason;
use crate::inbox::queue::Item;
use crate::inbox::writer::maintenance::checkpoint;

impl World {
    /// Ends the daemon and starts the next one, which must have everything that was acknowledged and report what was lost.
    pub(super) fn end(&mut self, end: &End) {
        let mut before_removal = None;
        let image = match &end.how {
            How::Stop => {
                self.add_gap();
                self.store();
                let writer = &mut self.daemon.writer;
                let connection = writer.connection.as_ref().unwrap();
                writer.clock.note(connection);
                checkpoint(connection);
                None
            }
            How::Kill => Some(self.image()),
            How::KillAfterCommit(commit) => Some(self.end_in_commit(*commit, |_, after| (after, true))),
            How::KillInCommit(commit, at) => {
                Some(self.end_in_commit(*commit, |before, after| before.in_transaction(&after, *at)))
            }
            How::PowerCut(commit, kept, journal) => {
                let mut image =
                    self.end_in_commit(*commit, |before, after| before.without_unsynced(&after, *kept));
                if !self.journals.is_empty() {
                    image.set_journal(&self.journals[journal.index(self.journals.len())]);
                }
                Some(image)
            }
            How::KillInMaintenance(at) => {
                before_removal = Some(self.reference.clone());
                let before = self.image();
                self.maintain();
                let after = self.image();
                Some(if before.continues_in(&after) {
                    before.in_transaction(&after, *at).0
                } else if at.index(2) == 0 {
                    before
                } else {
                    after
                })
            }
        };
        let is_power_cut = matches!(end.how, How::PowerCut(..));
        let lost = self.lost();
        self.machine.pass(end.down_ns);
        if end.reboot || is_power_cut {
            self.machine.restart(end.step_ns);
        } else {
            self.machine.step(end.step_ns);
        }
        let reported = self.start_next(image);
        let sum: u64 = lost.iter().map(|(_, lost)| lost).sum();
        if let Some(before) = before_removal
            && self.daemon.reader.bounds().unwrap().oldest == before.oldest_id()
        {
            self.reference = before;
        }
        if is_power_cut {
            // Losses that were not reported earlier may be reported now, and nothing twice.
            assert!(reported <= sum + self.silent, "{reported} of {sum}");
            self.silent = sum + self.silent - reported;
            self.store_reported(reported);
        } else {
            assert_eq!(reported, sum);
            let gaps = lost.into_iter().filter(|(_, lost)| *lost > 0);
            self.pending =
                gaps.map(|(reason, lost)| Pending::gap(None, Moment::default(), lost, reason)).collect();
        }
        self.was_set = true;
        self.compare(u64::MAX);
    }

    fn image(&self) -> Image {
        Image::of(self.daemon.folder.path())
    }

    /// Ends the daemon in one of the transactions of what is queued, of which an earlier part is published. `crash` makes the
    /// image from those before and after the transaction, and returns whether the transaction is complete.
    fn end_in_commit(&mut self, commit: Place, crash: impl FnOnce(Image, Image) -> (Image, bool)) -> Image {
        let (mut batch, mut commits) = self.take();
        if commits.is_empty() {
            return self.image();
        }
        commits.truncate(commit.index(commits.len()) + 1);
        let (items, bytes) = commits.pop().unwrap();
        for (items, bytes) in commits {
            self.store_part(&mut batch, items, bytes);
        }
        let before = self.image();
        let outcome = self.daemon.writer.commit(&batch.items[items.clone()], &batch.bytes[bytes]);
        assert!(outcome.is_ok());
        let (image, is_complete) = crash(before, self.image());
        if is_complete {
            let pending = self.pending_of(&batch.items[items]);
            self.reference.store(pending);
        }
        image
    }

    /// Returns how many datagrams are lost if the daemon ends now, by reason.
    fn lost(&self) -> Vec<(GapReason, u64)> {
        let of = |reason: GapReason| {
            let datagrams = self.pending.iter().map(Pending::datagrams);
            let pending: u64 = datagrams.filter(|(_, of)| *of == reason).map(|(lost, _)| lost).sum();
            let unplaced = if reason == GapReason::ReceiveBufferFull { self.unplaced } else { 0 };
            (reason, pending + unplaced)
        };
        GapReason::JOURNALED.into_iter().map(of).collect()
    }

    /// Starts the next daemon, in the same directory or with an image of it; returns how much it reports as lost.
    fn start_next(&mut self, image: Option<Image>) -> u64 {
        self.waiting.clear();
        self.holding.clear();
        self.pending.clear();
        self.unplaced = 0;
        let folder = tempfile::tempdir().unwrap();
        // The old connections are still open when the image is made, so that nothing more is written.
        let image = image.unwrap_or_else(|| self.image());
        image.write(folder.path());
        let reported;
        (self.daemon, reported) = Daemon::start(folder, self.kept);
        assert_eq!(self.daemon.reader.damage().awaited(), None, "no disk has lost what was synced");
        self.counts = Counts { lost_before: reported, ..Counts::default() };
        self.read_times();
        reported
    }

    /// Stores the gaps that a daemon reports after a power cut, whose reasons are those of an earlier moment.
    fn store_reported(&mut self, reported: u64) {
        let (mut batch, commits) = self.take();
        for item in &batch.items {
            let Item::Gap { at_ns, lost, reason, .. } = item else { panic!("{item:?}") };
            self.pending.push(Pending::gap(Some(*at_ns), Moment::default(), *lost, *reason));
        }
        assert_eq!(self.pending.iter().map(|item| item.datagrams().0).sum::<u64>(), reported);
        for (items, bytes) in commits {
            self.store_part(&mut batch, items, bytes);
        }
    }
}
