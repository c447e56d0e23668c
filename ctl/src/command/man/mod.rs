//! `man`: prints a manual page, generated from the help texts and the annotated configuration file.

mod control;
mod daemon;
mod file;
mod page;

use std::io::Write;
use std::process::{Command, Stdio};

use clap::{Args, ValueEnum};
use udpchat_locale::{Language, language, tr};

use crate::error::{CtlError, Result};
use crate::output::Output;

const HELP: &str = "\
On a terminal, `man -l -` shows the page. A pipe and a file get its source, for groff.

Examples:
  udpchatctl man
  udpchatctl man udpchat.toml | man -l -
  udpchatctl man udpchatd > /usr/local/share/man/man8/udpchatd.8";

/// Print a manual page
#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ManArgs {
    /// The page: udpchatctl, udpchatd, or udpchat.toml, the configuration file
    #[arg(value_name = "PAGE", value_enum, ignore_case = true, default_value_t = ManPage::Control, hide_possible_values = true)]
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
    let source = source(arguments.page, definition);
    let by_man = if output.is_terminal() { shown_by_man(&source) } else { ByMan::Unable };
    match by_man {
        ByMan::Shown => Ok(()),
        ByMan::Failed => Err(CtlError::failed(tr!("man(1) could not show the page"))
            .hint(tr!("`udpchatctl man | cat` prints its source"))),
        ByMan::Unable => output.text(&source),
    }
}

/// What man(1) did with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByMan {
    Shown,
    /// It began to show the page, and has reported what failed.
    Failed,
    /// There is no man(1) that shows what it reads.
    Unable,
}

impl ByMan {
    /// Reads the exit code; none if a signal ended it. 3 is that of a program that man(1) has started, 1 and 2 are those of a
    /// command line that it does not know.
    fn of_exit(code: Option<i32>) -> Self {
        match code {
            Some(0) | None => Self::Shown,
            Some(3) => Self::Failed,
            Some(_) => Self::Unable,
        }
    }
}

/// Has man(1) show a page.
fn shown_by_man(source: &str) -> ByMan {
    let mut command = Command::new("man");
    if language() == Language::Chinese {
        // Where the environment has another locale, or one that is not installed, man(1) leaves out what is not ASCII.
        command.env("LC_ALL", "C.UTF-8");
    }
    let Ok(mut man) = command.args(["-l", "-"]).stdin(Stdio::piped()).spawn() else { return ByMan::Unable };
    if let Some(mut input) = man.stdin.take() {
        // A reader that has left has seen enough.
        let _left = input.write_all(source.as_bytes());
    }
    man.wait().map_or(ByMan::Failed, |status| ByMan::of_exit(status.code()))
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
    use udpchat_locale::{Language, is_known, with_language};

    use super::*;
    use crate::cli::Cli;

    const LANGUAGES: [Language; 2] = [Language::English, Language::Chinese];

    /// Returns a page without backslashes before dashes and dots.
    fn plain(page: ManPage, language: Language) -> String {
        with_language(language, || source(page, Cli::command))
            .replace(r"\-", "-")
            .replace(r"\&", "")
            .replace(r"\:", "")
            .replace(r"\fB", "")
            .replace(r"\fR", "")
    }

    fn flags_of(command: &clap::Command) -> impl Iterator<Item = String> {
        let flags = command.get_arguments().filter_map(|flag| flag.get_long());
        flags.map(|flag| format!("--{flag}")).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn a_page_that_man_began_to_show_is_not_printed_again() {
        let by_man = [Some(0), None, Some(3), Some(1), Some(2), Some(127)].map(ByMan::of_exit);
        let [unable, shown] = [ByMan::Unable, ByMan::Shown];
        assert_eq!(by_man, [shown, shown, ByMan::Failed, unable, unable, unable]);
    }

    #[test]
    fn every_command_and_flag_is_in_its_page() {
        LANGUAGES.into_iter().for_each(check_commands_and_flags);
    }

    fn check_commands_and_flags(language: Language) {
        let (page, control) = (plain(ManPage::Control, language), Cli::command());
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
        let page = plain(ManPage::Daemon, language);
        for flag in flags_of(&Flags::definition()) {
            assert!(page.contains(&flag), "{flag}");
        }
    }

    #[test]
    fn every_key_is_in_its_page() {
        for (language, table) in LANGUAGES
            .into_iter()
            .flat_map(|language| reference().into_iter().map(move |table| (language, table)))
        {
            let page = plain(ManPage::File, language);
            assert!(table.name.is_empty() || page.contains(&format!("[{}]", table.name)), "{}", table.name);
            for key in table.keys {
                assert!(page.contains(&format!("\n.TP\n{}", key.name)), "{}", key.name);
            }
        }
    }

    #[test]
    fn every_key_has_a_translation() {
        let texts = reference()
            .into_iter()
            .flat_map(|table| table.keys.into_iter().map(|key| key.text).chain([table.text]));
        let missing: Vec<_> = texts.filter(|text| !text.is_empty() && !is_known(text)).collect();
        let entries: String = missing.iter().map(|text| format!("msgid {text:?}\nmsgstr \"\"\n\n")).collect();
        assert!(
            missing.is_empty(),
            "{} without a translation in config/locale/po:\n{entries}",
            missing.len()
        );
    }

    #[test]
    fn chinese_pages_have_chinese_headings() {
        for page in [ManPage::Control, ManPage::Daemon, ManPage::File] {
            let source = plain(page, Language::Chinese);
            let headings: Vec<_> = source.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
            assert_eq!((headings.first(), headings.last()), (Some(&"名称"), Some(&"另见")), "{headings:?}");
            let is_english = |heading: &&&str| heading.is_ascii() && !heading.starts_with('[');
            assert_eq!(headings.iter().find(is_english), None);
        }
    }

    #[test]
    fn no_text_line_is_a_roff_request() {
        let known = [
            "TH", "SH", "SS", "PP", "TP", "EX", "EE", "RS", "RE", "IP", "nr", "nh", "ad", "ds", "mso", "br",
            "ie", "el",
        ];
        let pages = [ManPage::Control, ManPage::Daemon, ManPage::File];
        for (page, language) in pages.into_iter().flat_map(|page| LANGUAGES.map(|language| (page, language)))
        {
            let source = with_language(language, || source(page, Cli::command));
            for line in source.lines().filter(|line| line.starts_with(['.', '\''])) {
                let request = line[1..].split(' ').next().unwrap();
                assert!(known.contains(&request), "{line}");
            }
        }
    }
}
