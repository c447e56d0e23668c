//! Chooses what an operation does, and ends a case.

use super::super::machine::{HOUR, SECOND};
use super::super::operations::{CONSUMERS, Content, End, How, Operation};
use super::state::World;

/// How many of the newest entries are compared after each operation.
const NEWEST: u64 = 50;

impl World {
    pub(in super::super) fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Receive { peer, content, count } => self.receive(*peer, *content, *count),
            Operation::Flood => self.flood(),
            Operation::Unwanted { denied, own } => {
                self.daemon.queue.intake(|intake| {
                    (0..*denied).for_each(|_| intake.denied(1));
                    (0..*own).for_each(|_| intake.looped_back(1));
                });
                self.counts.received += denied + own;
                self.counts.denied += denied;
                self.counts.own += own;
            }
            Operation::KernelDrops(lost) => {
                self.drops = self.drops.wrapping_add(*lost as u32);
                self.daemon.queue.intake(|intake| intake.kernel_drops(0, *lost, self.drops));
                self.counts.kernel_drops += lost;
                self.unplaced += lost;
            }
            Operation::AddGap => self.add_gap(),
            Operation::Send { peer, content, outcome } => self.send(*peer, *content, *outcome),
            Operation::Hold { content, parts } => self.hold(*content, *parts),
            Operation::Cancel(at) => self.cancel(*at),
            Operation::SendHeld { peer, at, outcome } => self.send_held(*peer, *at, *outcome),
            Operation::Mark { consumer, at } => self.mark(CONSUMERS[*consumer], *at),
            Operation::Recode { peer, most, encoding, remember } => {
                self.recode(*peer, *most, *encoding, *remember);
            }
            Operation::Limits { max_mib, max_age_hours } => {
                self.kept = (*max_mib, *max_age_hours);
                self.daemon.set_limits(self.kept);
            }
            Operation::Pass(ns) => {
                self.store();
                self.machine.pass(*ns);
            }
            Operation::Step(ns) => {
                // The writer takes what has arrived at once: it sees each step.
                if self.was_set {
                    self.store();
                }
                self.machine.step(*ns);
                self.was_set = true;
            }
            Operation::Store => self.store(),
            Operation::Idle => self.idle(),
            Operation::Index => self.daemon.index(),
            Operation::Read(page) => self.read(page),
            Operation::End(end) => self.end(end),
        }
        self.journals.push(std::fs::read(self.daemon.folder.path().join("books")).unwrap());
        self.compare(NEWEST);
    }

    /// Ends the case: after a kill and a stop everything is there, and in time everything goes.
    pub(in super::super) fn finish(&mut self) {
        let end = |how| End { how, down_ns: 0, step_ns: 0, reboot: false };
        self.end(&end(How::Kill));
        self.end(&end(How::Stop));
        self.compare(u64::MAX);
        let Some(hours) = self.kept.1 else { return };
        self.receive(0, Content::Empty, 1);
        self.store();
        self.machine.pass(i64::from(hours) * HOUR + 2 * SECOND);
        self.receive(0, Content::Empty, 1);
        self.store();
        self.idle();
        let oldest = self.reference.oldest_id();
        assert_eq!(oldest, self.reference.newest_id, "what is too old goes");
    }
}
