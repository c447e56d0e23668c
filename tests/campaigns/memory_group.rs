//! A memory cgroup of the test's own, of version 1 or 2 (cgroups(7)), whichever this machine has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{is_root, missing};

/// A group with a limit, for one program and its children. Dropping it removes the group, which must be empty by then.
pub(crate) struct MemoryGroup {
    folder: PathBuf,
    is_version_2: bool,
}

impl MemoryGroup {
    /// Makes a group with a limit in bytes; returns none, and prints why, if this machine cannot.
    pub(crate) fn new(limit: u64) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let Some(group) = Self::make(Path::new("/sys/fs/cgroup")) else {
            missing("memory cgroups");
            return None;
        };
        fs::write(group.file("memory.max", "memory.limit_in_bytes"), limit.to_string()).unwrap();
        Some(group)
    }

    fn make(root: &Path) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("udpchat-test-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let is_version_2 = root.join("cgroup.controllers").exists();
        let folder = if is_version_2 { root.join(&name) } else { root.join("memory").join(&name) };
        if is_version_2 {
            // It is enabled already where a service manager uses it.
            let _enabled = fs::write(root.join("cgroup.subtree_control"), "+memory");
        }
        fs::create_dir(&folder).ok()?;
        let group = Self { folder, is_version_2 };
        let has_memory = group.file("memory.max", "memory.limit_in_bytes").exists();
        has_memory.then_some(group)
    }

    fn file(&self, version_2: &str, version_1: &str) -> PathBuf {
        self.folder.join(if self.is_version_2 { version_2 } else { version_1 })
    }

    /// Prepares a program to run in the group, with the arguments and variables of a command.
    pub(crate) fn command(&self, program: &Command) -> Command {
        let mut inside = Command::new("sh");
        inside.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]).arg(&self.folder);
        inside.arg(program.get_program()).args(program.get_args()).env_clear();
        inside.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        inside
    }

    /// Returns how often the kernel has killed in the group for want of memory.
    pub(crate) fn kills(&self) -> u64 {
        let text = fs::read_to_string(self.file("memory.events", "memory.oom_control")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.map_or(0, |number| number.trim().parse().unwrap())
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // A failing test may leave a process in it.
        let _removed = fs::remove_dir(&self.folder);
    }
}
