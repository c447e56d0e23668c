//! The configuration: its mistakes, its layers, its defaults, and what a reload changes.

mod interfaces;
mod layers;
mod listening;
mod mistakes;
mod reload;

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::new_folder;

fn folder_with(config: &str) -> TempDir {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), config).unwrap();
    folder
}

/// Prepares a daemon with nothing but a home directory.
fn bare(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
    command.env_clear().env("HOME", home);
    command
}
