//! The clocks of a machine, set by the test: `shifted.c`, compiled here and preloaded into a daemon.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

use super::available;

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const HOUR: i64 = 3_600 * SECOND;
pub(crate) const YEAR: i64 = 365 * 24 * HOUR;

/// The clocks of a machine.
pub(crate) struct Clocks {
    file: File,
    wall_ns: i64,
    boottime_ns: i64,
    boot: i64,
}

impl Clocks {
    /// Makes clocks in a folder; none if there is no compiler.
    pub(crate) fn new(folder: &Path) -> Option<Self> {
        if !available("cc") {
            return None;
        }
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clock/shifted.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(folder.join("shifted.so")).args([source, "-ldl"]);
        assert!(cc.status().unwrap().success());
        let file = File::create(folder.join("clock")).unwrap();
        let clocks = Self { file, wall_ns: 0, boottime_ns: 0, boot: 1 };
        clocks.show();
        Some(clocks)
    }

    /// Makes a daemon see these clocks.
    pub(crate) fn preload<'a>(folder: &Path, daemon: &'a mut Command) -> &'a mut Command {
        daemon.env("LD_PRELOAD", folder.join("shifted.so")).env("SHIFTED_CLOCK", folder.join("clock"))
    }

    fn show(&self) {
        for (number, value) in [self.wall_ns, self.boottime_ns, self.boot].into_iter().enumerate() {
            self.file.write_all_at(&value.to_ne_bytes(), 8 * number as u64).unwrap();
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, ns: i64) {
        self.wall_ns += ns;
        self.boottime_ns += ns;
        self.show();
    }

    /// Sets the clock.
    pub(crate) fn step(&mut self, ns: i64) {
        self.wall_ns += ns;
        self.show();
    }

    /// Restarts the machine.
    pub(crate) fn restart(&mut self) {
        let real = clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap();
        self.boot += 1;
        self.boottime_ns = 5 * SECOND - real.num_nanoseconds();
        self.show();
    }
}
