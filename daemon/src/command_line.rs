//! The command line: its flags, and its help and errors in the user's language.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use udpchat_api::safe::one_line;
use udpchat_config::{Flags, Misread, misread};
use udpchat_locale::{Language, help, language, tr, translated};

/// The exit code of wrong use.
const WRONG_USE: u8 = 2;

/// Parses the arguments, of which the first one is the name of the program. Prints help, the version or what is wrong with
/// them, and returns the exit code.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Flags, ExitCode> {
    if let Some(misread) = misread(arguments, Flags::definition) {
        let _printed = io::stderr().write_all(described_dash(misread).as_bytes());
        return Err(ExitCode::from(WRONG_USE));
    }
    let error = match Flags::of(arguments) {
        Ok(flags) => return Ok(flags),
        Err(error) => error,
    };
    // If printing fails, that cannot be reported in any other way.
    match (error.kind(), language()) {
        (ErrorKind::DisplayHelp, Language::Chinese) => {
            let _printed = io::stdout().write_all(translated_help(arguments).as_bytes());
            Err(ExitCode::SUCCESS)
        }
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, _) => {
            let _printed = error.print();
            Err(ExitCode::SUCCESS)
        }
        _ => {
            // The error quotes arguments: it is made again of arguments that are safe to show.
            let safe: Vec<_> =
                arguments.iter().map(|argument| one_line(&argument.to_string_lossy()).into_owned()).collect();
            let error = Flags::of(&safe).err().unwrap_or(error);
            let _printed = io::stderr().write_all(described(&error, &safe).as_bytes());
            Err(ExitCode::from(WRONG_USE))
        }
    }
}

/// Returns the help that the arguments ask for.
fn translated_help(arguments: &[OsString]) -> String {
    let definition = help::prepared(help::translated(Flags::definition()));
    let shown = definition.try_get_matches_from(arguments).err();
    shown.map(|shown| help::finished(&shown.render().to_string())).unwrap_or_default()
}

/// Describes an option with a dash that is no hyphen.
fn described_dash(misread: Misread) -> String {
    let Misread { argument, option } = misread;
    let argument = one_line(&argument);
    let message = tr!("`{argument}` has a dash that is no hyphen", argument);
    let message = tr!("{label} {message}", label = tr!("error:"), message);
    let hint = tr!("write `{option}` with hyphens", option);
    format!("{message}\n{}\n", tr!("hint: {hint}", hint))
}

/// Describes an error of clap as every other error of this program: what is wrong, and what to do.
fn described(error: &clap::Error, arguments: &[String]) -> String {
    let text = error.render().to_string();
    // clap separates the message, its tip, the usage and the pointer to --help by empty lines. A hint of a value stands in
    // a line of its own below the message.
    let mut paragraphs = text.trim().split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let (message, hint) =
        first.split_once("\nhint: ").map_or((first, None), |(message, hint)| (message, Some(hint)));
    let message = in_one_line(message.trim_start_matches("error: "));
    let tip = paragraphs.find_map(|paragraph| paragraph.trim().strip_prefix("tip: ").map(in_one_line));
    let own = known_word(error, arguments);
    let hint = own.or_else(|| hint.map(|hint| translated(&in_one_line(hint)).into_owned()));
    let hint = hint.or_else(|| tip.map(|tip| translated(&tip).into_owned()));
    let help = tr!("see `{command} --help`", command = "udpchatd");
    let hint = match hint {
        Some(tip) => tr!("{tip}; {help}", tip, help),
        None => help,
    };
    let message = tr!("{label} {message}", label = tr!("error:"), message = translated(&message));
    format!("{message}\n{}\n", tr!("hint: {hint}", hint))
}

/// Joins lines that clap has indented.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns what does the work of an argument that other programs have, or that `udpchatctl` has.
fn known_word(error: &clap::Error, arguments: &[String]) -> Option<String> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return None };
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let with_port = |port: Option<&str>| match port.filter(|port| is_port(port)) {
        Some(port) => tr!("`udpchatd --listen {port}` sets the port", port),
        None => tr!("`udpchatd --listen PORT` sets the port").to_owned(),
    };
    let behind = || {
        let at = arguments.iter().position(|argument| argument.starts_with(word.as_str()))?;
        let value = arguments[at].split_once('=').map(|(_, value)| value);
        value.or_else(|| arguments.get(at + 1).map(String::as_str))
    };
    Some(match word.as_str() {
        "--port" | "-p" => with_port(behind()),
        number if is_port(number) => with_port(Some(number)),
        "start" | "run" | "daemon" | "启动" => {
            tr!("`udpchatd` without a command starts the daemon").to_owned()
        }
        "stop" | "status" | "reload" | "send" | "inbox" | "doctor" | "peers" | "chat" => {
            tr!("`udpchatctl` has the commands: `udpchatctl {word}`", word)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use udpchat_locale::with_language;

    use super::*;

    fn error_of(arguments: &[&str]) -> String {
        let arguments: Vec<_> =
            [&["udpchatd"], arguments].concat().iter().map(|argument| (*argument).to_owned()).collect();
        described(&Flags::of(&arguments).unwrap_err(), &arguments)
    }

    #[test]
    fn errors_of_the_command_line_have_a_message_and_a_hint() {
        let help = "; see `udpchatd --help`\n";
        for (arguments, message, hint) in [
            (
                &["--port", "7788"][..],
                "unexpected argument '--port' found",
                "`udpchatd --listen 7788` sets the port",
            ),
            (
                &["--port=7788"],
                "unexpected argument '--port' found",
                "`udpchatd --listen 7788` sets the port",
            ),
            (&["-p"], "unexpected argument '-p' found", "`udpchatd --listen PORT` sets the port"),
            (&["-p", "7788"], "unexpected argument '-p' found", "`udpchatd --listen 7788` sets the port"),
            (&["7788"], "unexpected argument '7788' found", "`udpchatd --listen 7788` sets the port"),
            (
                &["start"],
                "unexpected argument 'start' found",
                "`udpchatd` without a command starts the daemon",
            ),
            (
                &["stop"],
                "unexpected argument 'stop' found",
                "`udpchatctl` has the commands: `udpchatctl stop`",
            ),
            (
                &["--lisen", "1"],
                "unexpected argument '--lisen' found",
                "a similar argument exists: '--listen'",
            ),
        ] {
            assert_eq!(error_of(arguments), format!("error: {message}\nhint: {hint}{help}"), "{arguments:?}");
        }
        let value = error_of(&["--listen", "127.0.0.1:70000"]);
        assert!(
            value.starts_with("error: invalid value '127.0.0.1:70000' for '--listen <ADDR>': port 70000 "),
            "{value}"
        );
        assert!(value.lines().count() == 2 && value.contains("\nhint: write an IP address"), "{value}");
        assert_eq!(error_of(&["x"]), "error: unexpected argument 'x' found\nhint: see `udpchatd --help`\n");
    }

    #[test]
    fn a_dash_that_is_no_hyphen_is_named() {
        let arguments = ["udpchatd", "－－data-dir=/tmp"].map(OsString::from);
        let misread = misread(&arguments, Flags::definition).unwrap();
        let described = with_language(Language::Chinese, || described_dash(misread));
        assert_eq!(
            described,
            "错误：`－－data-dir=/tmp` 中的破折号不是连字符\n提示：用半角连字符写成 `--data-dir`\n"
        );
    }

    #[test]
    fn errors_of_the_command_line_are_chinese() {
        let error_of = |arguments: &[&str]| with_language(Language::Chinese, || error_of(arguments));
        let text = error_of(&["--listen", "127.0.0.1:70000"]);
        assert!(
            text.starts_with("错误：'--listen <ADDR>' 的值 '127.0.0.1:70000' 无效：端口 70000 超出范围"),
            "{text}"
        );
        assert!(text.contains("\n提示：写 IP 地址和端口"), "{text}");
        let text = error_of(&["--lisen", "127.0.0.1:70000"]);
        let expected =
            "错误：无法识别的参数 '--lisen'\n提示：有相近的参数：'--listen'；见 `udpchatd --help`\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_help_is_chinese() {
        let help =
            with_language(Language::Chinese, || translated_help(&["udpchatd".into(), "--help".into()]));
        assert!(help.contains("用法：udpchatd [选项]") && help.contains("\n选项：\n"), "{help}");
        let english = Flags::definition().render_long_help().to_string();
        let is_a_sentence = |line: &&str| {
            let is_word = |word: &&str| word.len() > 1 && word.chars().all(char::is_alphabetic);
            line.split(' ').filter(is_word).count() > 4
        };
        for line in english.lines().filter(is_a_sentence) {
            assert!(!help.contains(line.trim()), "{line}");
        }
    }
}
