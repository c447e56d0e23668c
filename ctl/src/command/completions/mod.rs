//! `completions`: prints the script with which a shell completes command lines of this program.

pub(crate) mod candidates;
mod shell;

use clap::Args;

pub(crate) use self::shell::answer;
use self::shell::{Shell, script};
use crate::error::Result;
use crate::output::Output;

const HELP: &str = "\
Completes subcommands, flags and encodings, and peers and message ids, which it requests from the daemon.

Examples:
  source <(udpchatctl completions bash)
  udpchatctl completions bash \\
      > ~/.local/share/bash-completion/completions/udpchatctl
  udpchatctl completions zsh > ~/.zfunc/_udpchatctl
  udpchatctl completions fish > ~/.config/fish/completions/udpchatctl.fish";

/// Print the completion script for a shell
#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct CompletionsArgs {
    /// The shell: bash, zsh or fish
    #[arg(value_name = "SHELL", value_enum, ignore_case = true, hide_possible_values = true)]
    shell: Shell,
}

/// Runs `completions`.
pub(crate) fn run(output: &mut Output, arguments: &CompletionsArgs) -> Result<()> {
    output.data(&script(arguments.shell))
}
