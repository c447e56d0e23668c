//! `man`: prints a manual page, generated from the help texts and the annotated configuration file.

mod control;
mod daemon;
mod file;
mod page;

use clap::{Args, ValueEnum};

use crate::error::Result;
use crate::output::Output;

const HELP: &str = "\
Examples:
  udpchatctl man | man -l -
  udpchatctl man udpchat.toml | man -l -
  udpchatctl man udpchatd > /usr/local/share/man/man8/udpchatd.8";

/// Print a manual page
#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ManArgs {
    /// The page: udpchatctl, udpchatd, or udpchat.toml, the configuration file
    #[arg(value_name = "PAGE", value_enum, default_value_t = ManPage::Control, hide_possible_values = true)]
    page: ManPage,
}

/// The manual pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ManPage {
    /// This program
    #[value(name = "udpchatctl")]
    Control,
    /// The daemon
    #[value(name = "udpchatd")]
    Daemon,
    /// The configuration file
    #[value(name = "udpchat.toml")]
    File,
}

/// Runs `man`; `definition` returns the definition of the command line of this program.
pub(crate) fn run(output: &mut Output, arguments: &ManArgs, definition: fn() -> clap::Command) -> Result<()> {
    output.text(&source(arguments.page, definition))
}

/// Returns the source of a page, for groff.
fn source(page: ManPage, definition: fn() -> clap::Command) -> String {
    match page {
        ManPage::Control => control::page(definition()),
        ManPage::Daemon => daemon::page(),
        ManPage::File => file::page(),
    }
    .into_source()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use udpchat_config::{Flags, reference};

    use super::*;
    use crate::cli::Cli;

    /// Returns a page without backslashes before dashes and dots.
    fn plain(page: ManPage) -> String {
        source(page, Cli::command)
            .replace(r"\-", "-")
            .replace(r"\&", "")
            .replace(r"\fB", "")
            .replace(r"\fR", "")
    }

    fn flags_of(command: &clap::Command) -> impl Iterator<Item = String> {
        let flags = command.get_arguments().filter_map(|flag| flag.get_long());
        flags.map(|flag| format!("--{flag}")).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn every_command_and_flag_is_in_its_page() {
        let (page, control) = (plain(ManPage::Control), Cli::command());
        for command in control.get_subcommands() {
            let name = command.get_name();
            let begin = page.find(&format!("\n.SS {name}\n")).expect(name);
            let part = &page[begin + 1..];
            let part = &part[..part.find("\n.S").unwrap()];
            assert!(part.contains(&format!("udpchatctl {name}")), "{part}");
            for flag in flags_of(command) {
                assert!(part.contains(&flag), "{name} {flag}");
            }
        }
        for flag in flags_of(&control) {
            assert!(page.contains(&flag), "{flag}");
        }
        let page = plain(ManPage::Daemon);
        for flag in flags_of(&Flags::definition()) {
            assert!(page.contains(&flag), "{flag}");
        }
    }

    #[test]
    fn every_key_is_in_its_page() {
        let page = plain(ManPage::File);
        for table in reference() {
            assert!(table.name.is_empty() || page.contains(&format!("[{}]", table.name)), "{}", table.name);
            for key in table.keys {
                assert!(page.contains(&format!("\n.TP\n{}", key.name)), "{}", key.name);
            }
        }
    }

    #[test]
    fn no_text_line_is_a_roff_request() {
        let known =
            ["TH", "SH", "SS", "PP", "TP", "EX", "EE", "RS", "RE", "IP", "nr", "nh", "ad", "br", "ie", "el"];
        for page in [ManPage::Control, ManPage::Daemon, ManPage::File] {
            for line in source(page, Cli::command).lines().filter(|line| line.starts_with(['.', '\''])) {
                let request = line[1..].split(' ').next().unwrap();
                assert!(known.contains(&request), "{line}");
            }
        }
    }
}
