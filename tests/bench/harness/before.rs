//! Another build of the programs, to be measured beside this one in the same run: `UDPCHAT_BEFORE` names its folder.

use std::path::PathBuf;
use std::process::Command;

/// Returns the folder of the other build, if one is named.
pub(crate) fn folder() -> Option<PathBuf> {
    std::env::var_os("UDPCHAT_BEFORE").map(PathBuf::from)
}

/// Prepares the program of the other build as one of this build is prepared.
pub(crate) fn program(name: &str, like: &Command) -> Command {
    let mut command = Command::new(folder().expect("another build").join(name));
    let environment = like.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.env_clear().envs(environment).args(like.get_args());
    command
}
