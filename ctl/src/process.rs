//! Processes of this machine, from `/proc`.

use std::fs;
use std::path::Path;

/// Returns the name of the process with this folder in `/proc`; none if it has ended. A zombie has ended: only its parent has
/// not read its exit code yet.
pub(crate) fn living_name(folder: &Path) -> Option<String> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let has_ended = state(&stat).is_none_or(|state| "ZXx".contains(state));
    let name = fs::read_to_string(folder.join("comm")).ok()?;
    (!has_ended).then(|| name.trim_end().to_owned())
}

/// Returns the state of a process in `/proc/PID/stat` (proc_pid_stat(5)). The name before it may contain parentheses.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_state_follows_the_name() {
        assert_eq!(state("4711 (udpchatd) S 1 4711"), Some('S'));
        assert_eq!(state("4711 (a) Z (b) R) Z 1 4711"), Some('Z'));
        assert_eq!(state("4711"), None);
    }

    #[test]
    fn a_zombie_has_ended() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let folder = Path::new("/proc").join(child.id().to_string());
        child.stdin.take().unwrap();
        // The end of its output comes before its own end.
        child.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
        while fs::read_to_string(folder.join("stat")).is_ok_and(|stat| state(&stat) != Some('Z')) {
            std::thread::yield_now();
        }
        assert_eq!(fs::read_to_string(folder.join("comm")).unwrap(), "cat\n");
        assert_eq!(living_name(&folder), None);
        child.wait().unwrap();
        assert_eq!(living_name(&folder), None);
        assert!(living_name(Path::new("/proc/self")).is_some());
    }
}
