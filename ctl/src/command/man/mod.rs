//! The manual pages, made of what the help and the annotated configuration file are made of.

mod control;
mod daemon;
mod file;
mod page;
pub(crate) mod run;

use crate::cli::ManPage;

/// Returns the source of a page.
pub(crate) fn source(page: ManPage) -> String {
    match page {
        ManPage::Control => control::page(),
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

    /// A page without the backslashes that its source has before dashes and dots.
    fn plain(page: ManPage) -> String {
        source(page).replace(r"\-", "-").replace(r"\&", "").replace(r"\fB", "").replace(r"\fR", "")
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
    fn no_line_of_text_is_taken_for_a_request() {
        let known =
            ["TH", "SH", "SS", "PP", "TP", "EX", "EE", "RS", "RE", "IP", "nr", "nh", "ad", "br", "ie", "el"];
        for page in [ManPage::Control, ManPage::Daemon, ManPage::File] {
            for line in source(page).lines().filter(|line| line.starts_with(['.', '\''])) {
                let request = line[1..].split(' ').next().unwrap();
                assert!(known.contains(&request), "{line}");
            }
        }
    }
}
