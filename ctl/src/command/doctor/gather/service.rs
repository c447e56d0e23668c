//! How the process of the daemon runs: whether its program is still that of the file, and what systemd holds for it.

use std::fs;
use std::path::Path;

use super::super::facts::Running;
use super::program;
use crate::process::living_name;

/// The unit that runs the daemon of the system, in the path of its control group.
const SYSTEM_UNIT: &str = "/system.slice/udpchatd.service";

/// Returns what is known of the process of a daemon.
pub(super) async fn of(pid: u32) -> Running {
    let folder = Path::new("/proc").join(pid.to_string());
    // In another PID namespace, the number may be that of another process.
    if living_name(&folder).is_none_or(|name| name != "udpchatd") {
        return Running::default();
    }
    let is_replaced = fs::read_link(folder.join("exe")).is_ok_and(|program| is_deleted(&program));
    let group = fs::read_to_string(folder.join("cgroup")).unwrap_or_default();
    let is_of_system = group.lines().any(|line| line.ends_with(SYSTEM_UNIT));
    let unit = if is_of_system { socket_unit().await } else { String::new() };
    let has = |line: &str| unit.lines().any(|found| found == line);
    let is_down = has("ActiveState=inactive") || has("ActiveState=failed");
    Running {
        is_replaced,
        has_socket_unit: has("ActiveState=active"),
        lacks_socket_unit: is_down && has("UnitFileState=enabled"),
    }
}

/// Returns whether the kernel shows a program as removed (proc_pid_exe(5)).
fn is_deleted(program: &Path) -> bool {
    program.as_os_str().as_encoded_bytes().ends_with(b" (deleted)")
}

/// Returns the state of the unit that holds the port, in lines.
async fn socket_unit() -> String {
    let properties = ["show", "udpchatd.socket", "--property=ActiveState,UnitFileState"];
    program::run("systemctl", &properties).await.map(|ran| ran.output).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_program_is_marked_by_the_kernel() {
        assert!(is_deleted(Path::new("/usr/bin/udpchatd (deleted)")));
        assert!(!is_deleted(Path::new("/usr/bin/udpchatd")));
    }
}
