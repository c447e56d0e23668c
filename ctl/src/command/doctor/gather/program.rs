//! Runs programs of this machine that report its state.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// How long a program may take; some wait for a service that may not answer.
const PROGRAM_WAIT: Duration = Duration::from_secs(2);

/// The result of a program.
pub(super) struct Ran {
    pub(super) succeeded: bool,
    pub(super) output: String,
}

/// Finds a program in `PATH` and in the folders for administrators, which `PATH` of other users lacks. Relative folders are
/// ignored, since they depend on the current directory.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Runs a program that only reads; none if it is not installed.
pub(super) async fn run(name: &str, arguments: &[&str]) -> Option<Ran> {
    let mut command = Command::new(find(name)?);
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    match timeout(PROGRAM_WAIT, command.output()).await {
        Ok(Ok(output)) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Some(Ran { succeeded: output.status.success(), output: text })
        }
        _ => Some(Ran { succeeded: false, output: String::new() }),
    }
}
