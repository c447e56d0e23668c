//! The command line: its flags, and its help and errors in the user's language.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use udpchat_api::safe::one_line;
use udpchat_config::Flags;
use udpchat_locale::{Language, help, language, tr, translated};

/// The exit code of wrong use.
const WRONG_USE: u8 = 2;

/// Parses the arguments, of which the first one is the name of the program. Prints help, the version or what is wrong with
/// them, and returns the exit code.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Flags, ExitCode> {
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
        (_, language) => {
            // The error quotes arguments: it is made again of arguments that are safe to show.
            let safe = arguments.iter().map(|argument| one_line(&argument.to_string_lossy()).into_owned());
            let error = Flags::of(safe).err().unwrap_or(error);
            let _printed = match language {
                Language::English => error.print(),
                Language::Chinese => {
                    io::stderr().write_all(translated_error(&error.render().to_string()).as_bytes())
                }
            };
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

/// Translates an error of clap, line by line.
fn translated_error(text: &str) -> String {
    let line = |line: &str| {
        let trimmed = line.trim_start();
        let rest = |prefix| trimmed.strip_prefix(prefix).map(translated);
        if let Some(message) = rest("error: ") {
            tr!("{label} {message}", label = tr!("error:"), message)
        } else if let Some(hint) = rest("tip: ").or_else(|| rest("hint: ")) {
            tr!("hint: {hint}", hint)
        } else if let Some(usage) = trimmed.strip_prefix("Usage: ") {
            format!("{}{}", translated("Usage:"), help::with_words(usage))
        } else {
            translated(line).into_owned()
        }
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use udpchat_locale::with_language;

    use super::*;

    fn error_of(arguments: &[&str]) -> String {
        let error = Flags::of([&["udpchatd"], arguments].concat()).unwrap_err().render().to_string();
        with_language(Language::Chinese, || translated_error(&error))
    }

    #[test]
    fn errors_of_the_command_line_are_chinese() {
        let text = error_of(&["--listen", "127.0.0.1:70000"]);
        assert!(
            text.starts_with("错误：'--listen <ADDR>' 的值 '127.0.0.1:70000' 无效：端口 70000 超出范围"),
            "{text}"
        );
        assert!(text.contains("\n提示：写 IP 地址和端口"), "{text}");
        let text = error_of(&["--lisen", "127.0.0.1:70000"]);
        assert!(text.starts_with("错误：无法识别的参数 '--lisen'\n"), "{text}");
        assert!(
            text.contains("\n提示：有相近的参数：'--listen'\n") && text.contains("\n用法：udpchatd"),
            "{text}"
        );
        assert!(text.ends_with("'--help'。\n"), "{text}");
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
