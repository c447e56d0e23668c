//! Destinations that are not written as a destination: behind the bytes, with a space behind a comma, in quotes with the text; and
//! a number behind `-q`, as `nc` has it.

use std::ffi::OsString;
use std::net::Ipv6Addr;

use udpchat_config::DEFAULT_PORT;
use udpchat_locale::tr;

use super::args::{MessageArgs, argument_behind};
use super::payload::Payload;
use crate::error::{CtlError, Result};

/// The space of full width, which input methods write.
const WIDE_SPACE: char = '\u{3000}';

/// Refuses what cannot be a destination, with what is meant.
///
/// # Errors
/// The arguments look like that.
pub(in crate::command) fn check_order(command: &str, to: &str, message: &MessageArgs) -> Result<()> {
    check_quiet(std::env::args_os(), message)?;
    let is_hex = |text: &str| Payload::of_text(text.to_owned(), true).is_ok();
    if let Some(rest) = to.strip_suffix([',', '，'])
        && let Some(next) = message.text.first().filter(|_| !rest.is_empty())
    {
        let error = CtlError::usage(tr!("a destination is missing behind `{to}`", to));
        return Err(error.hint(tr!(
            "no space after the comma: `udpchatctl {command} {rest},{next} TEXT`",
            command,
            rest,
            next
        )));
    }
    if let Some((ip, port)) = with_port(to).filter(|(_, port)| *port == DEFAULT_PORT) {
        let error = CtlError::usage(tr!("`{to}` is an IPv6 address, or one with a port", to));
        return Err(error.hint(tr!(
            "write `[{ip}]:{port}` with the port, or `[{to}]` if the address ends so",
            ip,
            port,
            to
        )));
    }
    // Hex digits with a space are no name.
    let is_swapped = message.hex && to.contains(' ') && is_hex(to);
    if let Some(last) = message.text.iter().rfind(|word| is_swapped && !is_hex(word)) {
        let error = CtlError::usage(tr!("`{to}` is not a peer, host or address", to));
        return Err(error.hint(tr!(
            "the destination stands before the bytes: `udpchatctl {command} {last} --hex '{to}'`",
            command,
            last,
            to
        )));
    }
    let is_alone = message.text.is_empty() && message.file.is_none();
    // No name contains a space, and a shell does not separate words at one of full width.
    let is_one_word = is_alone || to.contains(WIDE_SPACE);
    let parts = to.split_once([' ', WIDE_SPACE]).filter(|(_, text)| is_one_word && !text.trim().is_empty());
    if let Some((peer, text)) = parts.filter(|_| !to.contains(',')) {
        let error = CtlError::usage(tr!("no peer is called `{to}`", to));
        let words: Vec<&str> = [text].into_iter().chain(message.text.iter().map(String::as_str)).collect();
        return Err(error.hint(tr!(
            "the destination is a word of its own: `udpchatctl {command} {peer} {text}`",
            command,
            peer,
            text = in_quotes(&words.join(" "))
        )));
    }
    Ok(())
}

/// Returns a text as a shell takes it for one word.
fn in_quotes(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Refuses the number of `nc -q 1`: here `-q` takes no value, so that the number would begin the text, and nothing would show it.
fn check_quiet(arguments: impl Iterator<Item = OsString>, message: &MessageArgs) -> Result<()> {
    let Some(number) = message.text.first().filter(|_| message.text.len() > 1) else { return Ok(()) };
    let is_number = number.bytes().all(|digit| digit.is_ascii_digit());
    let behind = argument_behind(arguments, &["-q", "--quiet"]);
    if !is_number || behind.is_none_or(|behind| *behind != **number) {
        return Ok(());
    }
    let text = in_quotes(&message.text.join(" "));
    Err(CtlError::usage(tr!("-q takes no value, so `{number}` would be a part of the text", number))
        .hint(tr!("leave {number} out, or put the text in quotes: `-q {text}`", number, text)))
}

/// Returns the address and the port of an IPv6 address that was perhaps written with its port, without the brackets: its last group
/// has only decimal digits, and the rest is an address, too.
pub(super) fn with_port(text: &str) -> Option<(Ipv6Addr, u16)> {
    text.parse::<Ipv6Addr>().ok()?;
    let (ip, port) = text.rsplit_once(':')?;
    Some((ip.parse().ok()?, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_behind_quiet_is_no_text() {
        let is_refused = |line: &str, text: &[&str]| {
            let message = MessageArgs {
                text: text.iter().map(|&word| word.to_owned()).collect(),
                ..MessageArgs::default()
            };
            check_quiet(line.split(' ').map(OsString::from), &message).is_err()
        };
        assert!(is_refused("udpchatctl send bob -q 1 get", &["1", "get"]));
        let line = ["send", "bob", "-q", "1", "it's"].map(OsString::from);
        let message = MessageArgs { text: vec!["1".to_owned(), "it's".to_owned()], ..MessageArgs::default() };
        let hint = check_quiet(line.into_iter(), &message).unwrap_err().into_failure().hint.unwrap();
        assert!(hint.ends_with(r"`-q '1 it'\''s'`"), "{hint}");
        for (line, text) in [
            ("udpchatctl send bob -q 1", &["1"][..]),
            ("udpchatctl send bob 1 get -q", &["1", "get"]),
            ("udpchatctl -q send bob 1 get", &["1", "get"]),
            ("udpchatctl send bob -q get 1", &["get", "1"]),
        ] {
            assert!(!is_refused(line, text), "{line}");
        }
    }

    #[test]
    fn what_is_no_destination_is_explained() {
        let hint = |to: &str, hex: bool, text: &[&str]| {
            let text = text.iter().map(|&word| word.to_owned()).collect();
            let message = MessageArgs { text, hex, ..MessageArgs::default() };
            check_order("ask", to, &message).err().and_then(|error| error.into_failure().hint)
        };
        for (to, hex, text, expected) in [
            ("01 03", true, &["board8"][..], "before the bytes: `udpchatctl ask board8 --hex '01 03'`"),
            ("board8,", false, &["board9", "X"], "`udpchatctl ask board8,board9 TEXT`"),
            ("board8 hi", false, &[], "`udpchatctl ask board8 'hi'`"),
            ("李雷　你好", false, &[], "`udpchatctl ask 李雷 '你好'`"),
            ("李雷　你", false, &["好", "吗"], "`udpchatctl ask 李雷 '你 好 吗'`"),
            ("李雷　it's", false, &["me"], r"`udpchatctl ask 李雷 'it'\''s me'`"),
            (
                "fd00:60::1:7788",
                false,
                &["x"],
                "write `[fd00:60::1]:7788` with the port, or `[fd00:60::1:7788]`",
            ),
        ] {
            assert!(hint(to, hex, text).unwrap().contains(expected), "{to}");
        }
        for (to, hex, text) in [
            ("board8", true, &["01 zz"][..]),
            ("a b", false, &["hi"]),
            ("bob, alice", false, &[]),
            ("01 03", true, &["02"]),
            ("[::1:7788]", false, &["x"]),
            ("[::1]:7788", false, &["x"]),
            ("fe80::211:22ff:fe33:4455", false, &["x"]),
            ("fd00::7788", false, &["x"]),
            ("李雷　", false, &["x"]),
        ] {
            assert_eq!(hint(to, hex, text), None, "{to}");
        }
    }
}
