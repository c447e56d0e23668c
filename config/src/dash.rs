//! Options with a dash that is no hyphen, as Chinese keyboards and word processors make it of two hyphens: `——every`.
//! A command that takes text would send it.

use std::ffi::OsString;

/// Em dash, en dash, horizontal bar, minus sign, full-width hyphen.
const DASHES: [char; 5] = ['—', '–', '―', '−', '－'];

/// An argument, and the option that was meant.
#[derive(Debug, PartialEq, Eq)]
pub struct Misread {
    /// As it was written.
    pub argument: String,
    /// With its hyphens.
    pub option: String,
}

/// Finds an argument that would be an option of the command with hyphens instead of its dashes.
pub fn misread(arguments: &[OsString], definition: impl FnOnce() -> clap::Command) -> Option<Misread> {
    let has_dash = |argument: &OsString| argument.to_str().is_some_and(|text| without_dashes(text).is_some());
    if !arguments.iter().any(has_dash) {
        return None;
    }
    let definition = definition();
    let arguments = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    let mut command = None;
    for argument in arguments.take_while(|argument| *argument != "--") {
        command = command.or_else(|| definition.find_subcommand(argument));
        let Some(name) = without_dashes(argument) else { continue };
        let name = name.split('=').next().unwrap_or_default();
        let commands = command.into_iter().chain([&definition]);
        if let Some(option) =
            commands.flat_map(clap::Command::get_arguments).find_map(|known| option(known, name))
        {
            return Some(Misread { argument: argument.to_owned(), option });
        }
        if let Some(option) = option_of_parser(name) {
            return Some(Misread { argument: argument.to_owned(), option });
        }
    }
    None
}

/// Returns an argument without the dashes and hyphens in front; none if there are only hyphens.
fn without_dashes(argument: &str) -> Option<&str> {
    let behind = argument.trim_start_matches('-');
    behind
        .starts_with(DASHES)
        .then(|| behind.trim_start_matches(|sign| sign == '-' || DASHES.contains(&sign)))
}

/// Returns an option with its hyphens if a name is that of it: a long one, or a letter, which a number may follow.
fn option(known: &clap::Arg, name: &str) -> Option<String> {
    if name.len() > 1 && known.get_long() == Some(name) {
        return Some(format!("--{name}"));
    }
    let number = name.strip_prefix(known.get_short()?)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("-{name}"))
}

/// Returns an option that every command has without defining it.
fn option_of_parser(name: &str) -> Option<String> {
    match name {
        "help" | "version" => Some(format!("--{name}")),
        "h" | "V" => Some(format!("-{name}")),
        _ => None,
    }
}
