//! What a shell offers when Tab is pressed: the words of the command line, and what the daemon knows.
//!
//! The shell runs this program with its own words; it must answer at once, and say nothing where no daemon runs.
//! No text that was received is ever offered.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::CommandFactory;
use clap_complete::CompletionCandidate;
use clap_complete::env::Shells;
use tokio::time::timeout;
use udpchat_api::Entry;
use udpchat_api::call::{Call, DirectionFilter, InboxParams, Order, Peer, PeersParams};
use udpchat_config::Encoding;

use crate::cli::{Cli, Shell};
use crate::connect;

/// The variable by which a shell's script says that it asks, and which shell it is.
const VARIABLE: &str = "_UDPCHATCTL_COMPLETE";

/// The shells that the library knows.
const SHELLS: Shells<'static> = Shells::builtins();

/// How long the daemon may take; then nothing of it is offered.
const DAEMON_WAIT: Duration = Duration::from_millis(200);

/// How many of the newest entries are looked at for peers.
const PEERS_WINDOW: u64 = 5_000;

/// How many messages are offered as those to reply to.
const MESSAGES: u32 = 20;

/// Has bash complete addresses, which it takes apart at their colons: the word is put together again, and of what is
/// offered the part goes into the line that stands behind the last colon.
const BASH_COLONS: &str = r#"
_udpchatctl() {
    local line="${COMP_LINE:0:COMP_POINT}"
    local word="${line##*[[:space:]]}"
    if [[ "$word" != *:* || "$COMP_WORDBREAKS" != *:* ]]; then
        _clap_complete_udpchatctl "$@"
        return
    fi
    local COMP_WORDS
    read -ra COMP_WORDS <<< "$line"
    local COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _clap_complete_udpchatctl "$1" "$word" ""
    COMPREPLY=("${COMPREPLY[@]#"${word%:*}:"}")
}
complete -o nospace -o bashdefault -o nosort -F _udpchatctl udpchatctl 2> /dev/null ||
    complete -o nospace -o bashdefault -F _udpchatctl udpchatctl
"#;

/// Has a script that zsh loads at the first Tab answer that one too.
const ZSH_AUTOLOADED: &str = r#"
if [ "$funcstack[1]" = "_udpchatctl" ]; then
    _clap_dynamic_completer_udpchatctl "$@"
fi
"#;

/// Returns the script that has a shell ask this program.
pub(crate) fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    if let Some(adapter) = SHELLS.completer(shell.name()) {
        let (name, program) = ("udpchatctl", "udpchatctl");
        // Writing to memory does not fail.
        drop(adapter.write_registration(VARIABLE, name, name, program, &mut script));
    }
    script.extend_from_slice(more(shell).as_bytes());
    script
}

/// Returns what the library's script for a shell lacks.
fn more(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => BASH_COLONS,
        Shell::Zsh => ZSH_AUTOLOADED,
        Shell::Fish => "",
    }
}

/// Returns the answer to a shell that asks; none if the program was not run by one.
pub(crate) fn answer(arguments: &[OsString]) -> Option<Vec<u8>> {
    let shell = std::env::var_os(VARIABLE).filter(|shell| !shell.is_empty())?;
    let words = words(arguments).to_vec();
    let folder = std::env::current_dir().ok();
    let (mut command, mut answer) = (Cli::command(), Vec::new());
    command.build();
    if let Some(adapter) = shell.to_str().and_then(|shell| SHELLS.completer(shell)) {
        // A line that makes no sense completes to nothing.
        drop(adapter.write_complete(&mut command, words, folder.as_deref(), &mut answer));
    }
    Some(answer)
}

/// Returns the words of the line that is being typed.
fn words(arguments: &[OsString]) -> &[OsString] {
    let end = arguments.iter().position(|argument| argument == "--");
    end.map_or(&[], |end| &arguments[end + 1..])
}

/// Offers the peers: names, and addresses of those without.
pub(crate) fn peers() -> Vec<CompletionCandidate> {
    let peers =
        ask(&PeersParams { window: Some(PEERS_WINDOW) }).map(|answer| answer.peers).unwrap_or_default();
    let candidates = peers.into_iter().enumerate().map(|(place, peer)| {
        let Peer { name, address, encoding, .. } = peer;
        let (word, help) = match name {
            Some(name) => (name, format!("{address}, {encoding}")),
            None => (address, encoding),
        };
        CompletionCandidate::new(word).help(Some(help.into())).display_order(Some(place))
    });
    candidates.filter(|candidate| candidate.get_value().to_str().is_some_and(is_plain)).collect()
}

/// Offers the ids of the newest messages that came in, newest first.
pub(crate) fn messages() -> Vec<CompletionCandidate> {
    let newest = InboxParams {
        limit: Some(MESSAGES),
        direction: Some(DirectionFilter::In),
        order: Some(Order::Desc),
        ..InboxParams::default()
    };
    let Some(answer) = ask(&newest) else { return Vec::new() };
    let zone = crate::time::local_zone();
    let messages = answer.entries.into_iter().enumerate().filter_map(|(place, entry)| {
        let Entry::Message(message) = entry else { return None };
        let from = message.name.unwrap_or_else(|| message.peer.to_string());
        let help =
            format!("from {from}, {}", message.at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S"));
        let candidate = CompletionCandidate::new(message.id.to_string());
        Some(candidate.help(Some(help.into())).display_order(Some(place)))
    });
    messages.collect()
}

/// Offers the encodings that are met most often.
pub(crate) fn encodings() -> Vec<CompletionCandidate> {
    Encoding::COMMON.iter().map(CompletionCandidate::new).collect()
}

/// Offers what messages can be recoded as.
pub(crate) fn recodings() -> Vec<CompletionCandidate> {
    let mut all = encodings();
    all.push(CompletionCandidate::new("auto").help(Some("take back what was said before".into())));
    all
}

/// Tells whether a shell takes a word as it is. The others must be quoted, and not every shell does it.
fn is_plain(word: &str) -> bool {
    word.chars().all(|character| {
        character.is_alphanumeric()
            || matches!(character, '-' | '_' | '.' | ':' | '[' | ']' | '%' | '@' | '+')
    })
}

/// Asks the daemon that the line is for; none if there is none, or if it takes too long.
fn ask<C: Call>(params: &C) -> Option<C::Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let socket = socket(&std::env::args_os().collect::<Vec<_>>());
    let exchange = async {
        let mut client = connect::connect(socket.as_deref()).await.ok()?;
        client.call(params).await.ok()
    };
    runtime.block_on(async { timeout(DAEMON_WAIT, exchange).await.ok().flatten() })
}

/// Finds the socket that the line names.
fn socket(arguments: &[OsString]) -> Option<PathBuf> {
    let mut words = words(arguments).iter();
    while let Some(word) = words.next() {
        if word == "--socket" {
            return words.next().map(PathBuf::from);
        }
        if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--socket=")) {
            return Some(path.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &[&str]) -> Vec<OsString> {
        line.iter().map(Into::into).collect()
    }

    #[test]
    fn the_socket_is_taken_from_the_line_that_is_typed() {
        for line in [
            &["x", "--", "udpchatctl", "--socket", "/s", "send", ""][..],
            &["x", "--", "udpchatctl", "send", "--socket=/s", ""],
        ] {
            assert_eq!(socket(&arguments(line)), Some("/s".into()), "{line:?}");
        }
        for line in [&["x", "--socket", "/s"][..], &["x", "--", "udpchatctl", "--socket"]] {
            assert_eq!(socket(&arguments(line)), None, "{line:?}");
        }
    }

    #[test]
    fn what_a_shell_would_take_apart_is_not_offered() {
        for word in ["bob", "小明", "node-7_a.lan", "127.0.0.1:8080", "[fe80::1%3]:7788"] {
            assert!(is_plain(word), "{word}");
        }
        for word in ["$(reboot)", "a b", "a;b", "`x`", "a*", "~bob", "a&b", "!x", "a\\b", "a|b", "<a"] {
            assert!(!is_plain(word), "{word}");
        }
    }

    #[test]
    fn every_shell_has_a_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(script(shell)).unwrap();
            assert!(script.contains(VARIABLE) && script.contains("udpchatctl"), "{script}");
        }
    }
}
