//! Options and commands that other programs have, or that a user expects: what does their work here.

use std::ffi::OsStr;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use udpchat_config::{Network, when};
use udpchat_locale::tr;

/// Returns what does the work of an option or a command that there is not; `command` is the one that was used, with
/// `udpchatctl` in front.
pub(crate) fn instead_of(error: &clap::Error, command: Option<&str>) -> Option<String> {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    let unknown = word(ContextKind::InvalidSubcommand).or_else(|| word(ContextKind::InvalidArg));
    let command = command.and_then(|command| command.strip_prefix("udpchatctl "));
    // A blank parts a date from its time, unless both are in quotes.
    let is_time = match error.kind() {
        ErrorKind::UnknownArgument => word(ContextKind::InvalidArg),
        ErrorKind::ValueValidation => word(ContextKind::InvalidValue),
        _ => None,
    };
    if is_time.is_some_and(when::is_time_of_day) {
        return Some(tr!("a time with a blank needs quotes: `--since '2026-11-28 17:58'`").to_owned());
    }
    let of_command = match (error.kind(), command) {
        (ErrorKind::UnknownArgument, Some(command)) => {
            word(ContextKind::InvalidArg).and_then(|word| of_argument(word, command))
        }
        (ErrorKind::ArgumentConflict, Some("replay")) => of_file(error),
        (ErrorKind::ArgumentConflict, Some("inbox")) => of_consumer(error),
        (ErrorKind::InvalidValue, Some("man")) => Some(
            tr!("the commands are in the page `udpchatctl`, and in `udpchatctl COMMAND --help`").to_owned(),
        ),
        (ErrorKind::ArgumentConflict, Some("send" | "ask" | "reply")) => of_size(error),
        _ => None,
    };
    let of_word = || unknown.and_then(known_word).map(str::to_owned);
    // A word of other programs is hardly a peer.
    let of_peer = || match error.kind() {
        ErrorKind::UnknownArgument => of_peer(word(ContextKind::InvalidArg)?, command?),
        _ => None,
    };
    of_command.or_else(of_word).or_else(of_peer)
}

/// Returns what does the work of a command, or of a flag of any command, that other programs have.
fn known_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "history" | "log" | "list" | "ls" | "show" => tr!("`udpchatctl inbox --all` prints all entries"),
        "read" | "recv" | "receive" | "接收" | "收" | "收件箱" => {
            tr!("`udpchatctl inbox` prints what is new")
        }
        "tail" | "follow" | "listen" | "monitor" | "watch" | "监听" => {
            tr!("`udpchatctl inbox --follow` prints what arrives")
        }
        "ping" | "request" | "询问" | "查询" => {
            tr!("`udpchatctl ask TO TEXT` sends a message and waits for the answer")
        }
        "write" | "echo" | "msg" | "message" | "发送" | "发" | "发消息" => {
            tr!("`udpchatctl send TO TEXT` sends a message")
        }
        "broadcast" | "广播" => {
            tr!("`udpchatctl send 255.255.255.255 TEXT` sends to every host of the network")
        }
        "start" | "run" | "daemon" | "启动" => tr!("`udpchatd` is the daemon"),
        "restart" | "kill" | "quit" | "停止" | "重启" => {
            tr!("`udpchatctl stop` ends the daemon; `udpchatd` starts it")
        }
        "聊天" => tr!("`udpchatctl chat` opens a full screen for conversations"),
        "状态" => tr!("`udpchatctl status` shows the state of the daemon"),
        "对端" => tr!("`udpchatctl peers` lists the peers"),
        "帮助" => tr!("`udpchatctl --help` lists the commands"),
        "config" | "check" => tr!("`udpchatd --check-config` checks the configuration"),
        "backup" => tr!("`udpchatd --backup FILE` writes a copy of the inbox"),
        "hold" => tr!("`udpchatctl send TO TEXT --when-seen` holds a message until its peer sends one"),
        "search" | "grep" | "find" => tr!("`udpchatctl inbox --grep RE` searches the inbox"),
        "--port" | "-p" => {
            tr!(
                "write a port behind its host, HOST:PORT; `udpchatd --listen PORT` sets the daemon's own port"
            )
        }
        "--host" | "--to" => {
            tr!("write the destination behind the command: `udpchatctl send HOST:PORT TEXT`")
        }
        _ => return None,
    })
}

fn of_argument(word: &str, command: &str) -> Option<String> {
    let text = match (command, word.split('=').next().unwrap_or_default()) {
        ("replay", to) if is_destination(to) => {
            return Some(tr!("`--to {to}` names the destination", to));
        }
        ("replay", file) if !file.starts_with('-') => {
            return Some(tr!("`--file {file}` replays a file", file));
        }
        ("replay", "--host") => return Some(tr!("`--to {to}` names the destination", to = "HOST:PORT")),
        ("export", format) if is_format(format) => {
            return Some(tr!("`--format {format}` chooses the format", format = format.to_lowercase()));
        }
        ("export", file) if is_file(file) => return Some(tr!("`-o {file}` writes to a file", file)),
        ("wait", time) if when::duration(time).is_some() => {
            return Some(tr!("`--timeout {time}` gives up after a time", time));
        }
        ("held", number) if is_number(number) => {
            return Some(tr!("`--cancel {number}` cancels a held message", number));
        }
        ("held", "cancel" | "delete" | "rm") => tr!("`--cancel NUMBER` cancels a held message"),
        ("send" | "ask" | "reply", "--crlf" | "--newline" | "--line-end") => {
            tr!("`--eol crlf` ends the message with a line end")
        }
        (
            "send",
            "--repeat" | "--times" | "--loop" | "--interval" | "--period" | "--delay" | "--resend" | "-n"
            | "-i",
        ) => tr!(
            "`--every 1s -c 10` sends ten times, one message each second; without -c until it is interrupted"
        ),
        ("ask", "--every" | "--repeat" | "--interval" | "--period" | "--loop") => {
            tr!(
                "`udpchatctl send TO --every T` sends again and again, and `udpchatctl inbox -f --from TO` prints the answers"
            )
        }
        ("send", "--hold" | "--held" | "--queue" | "--later") | ("ask", "--when-seen") => {
            tr!("`udpchatctl send TO TEXT --when-seen` holds a message until its peer sends one")
        }
        ("ask", "--wait" | "-w" | "-W" | "-t") => tr!("`--timeout T` waits for an answer for T at most"),
        ("send", "--wait" | "--timeout" | "-w" | "-W" | "-t") => {
            tr!("`--confirm T` waits for a report up to T; `udpchatctl ask TO TEXT` waits for an answer")
        }
        ("send" | "ask" | "reply", "--crc" | "--crc16" | "--crc32" | "--checksum" | "--sum" | "--modbus") => {
            tr!("`--append SUM` adds a checksum, for example `--append crc16-modbus`")
        }
        ("send" | "ask" | "reply", "--bytes" | "--binary" | "--raw" | "-x") => {
            tr!("`--hex '01 e4'` sends bytes; `--file PATH` those of a file")
        }
        ("export", "--hex") => {
            tr!(
                "`raw` of each line has the bytes in base64; `udpchatctl --json inbox -a --hex` adds hex digits"
            )
        }
        ("export", "--csv") => tr!("`--format csv` writes a table"),
        ("export", "--pcap") => tr!("`--format pcap` writes packets"),
        ("inbox", "--tail" | "--last" | "--limit" | "--lines") => tr!("`-n N` prints the last N entries"),
        (
            "inbox" | "wait" | "plot" | "export" | "replay" | "recode",
            "--peer" | "--host" | "--src" | "--source",
        ) => {
            tr!("`--from PEER` selects the messages of a peer")
        }
        ("inbox" | "export" | "recode", "--to" | "--dst") => {
            tr!("`--direction out --from PEER` selects what was sent to a peer")
        }
        ("inbox", "--format" | "--csv" | "--pcap") => {
            tr!(
                "`udpchatctl export --format csv` writes a table, `--format pcap` packets; `-F FORM` prints lines of any form"
            )
        }
        // Of `-20` the parser names `-2`.
        ("inbox", number) if is_digit_flag(number) => tr!("`-n N` prints the last N entries"),
        ("inbox", "--text") => tr!("without --hex the text is printed; `--grep RE` searches in it"),
        ("inbox", "--bounced") => tr!("`--delivery bounced` prints what bounced"),
        _ => return None,
    };
    Some(text.to_owned())
}

/// Returns what takes a peer, for a word behind a command that takes none.
fn of_peer(word: &str, command: &str) -> Option<String> {
    Some(match (command, word) {
        (_, flag) if flag.starts_with('-') => return None,
        ("wait" | "export", peer) => tr!("`--from {peer}` selects the messages of a peer", peer),
        ("held", peer) => tr!("`--to {peer}` selects what is held for a peer", peer),
        ("peers", peer) => tr!(
            "`udpchatctl inbox --from {peer}` prints the messages of a peer, `udpchatctl doctor {peer}` checks it",
            peer
        ),
        _ => return None,
    })
}

/// Returns whether a word is a format of `export`, in any case of its letters.
fn is_format(word: &str) -> bool {
    ["jsonl", "csv", "pcap"].iter().any(|format| word.eq_ignore_ascii_case(format))
}

/// The extensions of files that an export is written to.
const EXTENSIONS: [&str; 9] = ["csv", "json", "jsonl", "ndjson", "pcap", "cap", "dmp", "txt", "xlsx"];

/// Returns whether a word looks like the name of a file and not like a host.
fn is_file(word: &str) -> bool {
    let extension = Path::new(word).extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    let is_known = extension.is_some_and(|extension| EXTENSIONS.contains(&&*extension));
    !word.starts_with('-') && (is_known || word.contains('/') && word.parse::<Network>().is_err())
}

/// Returns whether a word is a whole number.
fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|digit| digit.is_ascii_digit())
}

/// Returns whether a word looks like an address with a port.
fn is_destination(word: &str) -> bool {
    let port = word.rsplit_once(':').map(|(host, port)| (host.is_empty(), port.parse::<u16>()));
    matches!(port, Some((false, Ok(_)))) || word.parse::<std::net::IpAddr>().is_ok()
}

/// Returns whether a flag is a digit, as in `tail -20`.
fn is_digit_flag(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(is_number)
}

/// Returns how the size of `--split` is written: `--split 512 --file FILE` has the text 512.
fn of_size(error: &clap::Error) -> Option<String> {
    let text = error.to_string();
    let is_of_file = text.contains("--file") && text.contains("[TEXT]");
    is_of_file.then(|| tr!("a size stands behind `=`: `--split=512`").to_owned())
}

/// Returns what selects messages of a file, which `--file` cannot be combined with.
fn of_file(error: &clap::Error) -> Option<String> {
    let text =
        tr!("select messages when the file is written, for example with `udpchatctl export --from PEER`");
    is_conflict_of(error, "--file").then(|| text.to_owned())
}

/// Returns how to select messages for a consumer.
fn of_consumer(error: &clap::Error) -> Option<String> {
    let text = tr!(
        "a read mark passes every entry; select in what is printed, for example with `| jq 'select(.name == \"board\")'`, or wait \
         for the next one with `udpchatctl wait --after ID --from PEER`"
    );
    is_conflict_of(error, "--consumer").then(|| text.to_owned())
}

/// Returns whether an option is one of those that cannot be combined.
fn is_conflict_of(error: &clap::Error, option: &str) -> bool {
    let names = |kind| match error.get(kind) {
        Some(ContextValue::String(name)) => vec![name.clone()],
        Some(ContextValue::Strings(names)) => names.clone(),
        _ => Vec::new(),
    };
    let mut names = [ContextKind::InvalidArg, ContextKind::PriorArg].into_iter().flat_map(names);
    names.any(|name| name.starts_with(option))
}
