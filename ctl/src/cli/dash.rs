//! Options that begin with a dash that is no hyphen, as Chinese keyboards and word processors make it of two hyphens: `——every`.
//! A command that takes text would send it.

use std::ffi::OsString;

/// Em dash, en dash, horizontal bar, minus sign, full-width hyphen.
const DASHES: [char; 5] = ['—', '–', '―', '−', '－'];

/// An argument, and the option that was meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misread {
    pub(crate) argument: String,
    pub(crate) option: String,
}

/// Finds an argument that would be an option of the command with hyphens instead of its dashes.
pub(super) fn misread(arguments: &[OsString], definition: impl FnOnce() -> clap::Command) -> Option<Misread> {
    let has_dash = |argument: &OsString| argument.to_str().is_some_and(|text| text.starts_with(DASHES));
    if !arguments.iter().any(has_dash) {
        return None;
    }
    let definition = definition();
    let arguments = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    let mut command = None;
    for argument in arguments.take_while(|argument| *argument != "--") {
        command = command.or_else(|| definition.find_subcommand(argument));
        let name = argument.trim_start_matches(DASHES);
        if name.len() == argument.len() {
            continue;
        }
        let name = name.trim_start_matches('-').split('=').next().unwrap_or_default();
        let mut options = command.into_iter().chain([&definition]).flat_map(clap::Command::get_arguments);
        if name.len() > 1 && options.any(|option| option.get_long() == Some(name)) {
            return Some(Misread { argument: argument.to_owned(), option: name.to_owned() });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    #[test]
    fn a_dash_before_the_name_of_an_option_is_found() {
        let option = |line: &str| {
            let arguments: Vec<_> = line.split(' ').map(OsString::from).collect();
            misread(&arguments, Cli::command).map(|found| found.option)
        };
        for line in [
            "udpchatctl send bob hello ——every 1s",
            "udpchatctl send bob hello —every=1s",
            "udpchatctl send bob －－every 1s",
            "udpchatctl send bob –-every 1s",
        ] {
            assert_eq!(option(line).as_deref(), Some("every"), "{line}");
        }
        assert_eq!(option("udpchatctl ——json status").as_deref(), Some("json"));
        assert_eq!(option("udpchatctl inbox ——follow").as_deref(), Some("follow"));
        // Text stays text.
        for line in [
            "udpchatctl send bob ——完",
            "udpchatctl send bob —— every",
            "udpchatctl send bob -- ——every",
            "udpchatctl send bob ——follow",
            "udpchatctl send bob a——every",
            "udpchatctl send bob —",
        ] {
            assert_eq!(option(line), None, "{line}");
        }
    }
}
