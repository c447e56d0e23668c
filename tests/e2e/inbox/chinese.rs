//! The commands that read, in a Chinese locale.

use std::path::Path;

use serde_json::Value;

use crate::support::{Daemon, Peer, ctl_without_daemon, new_folder};

/// The commands whose help is checked.
const COMMANDS: [&str; 8] = ["inbox", "ack", "consumers", "wait", "peers", "recode", "export", "replay"];

fn having_received() -> (Daemon, Peer) {
    let (daemon, peer) = (Daemon::start(), Peer::new());
    daemon.receive_from(&peer, [&b"\xc4\xe3\xba\xc3"[..], b"", b"one\ntwo"]);
    (daemon, peer)
}

/// Returns output with the times of entries and the address of the peer replaced.
fn without_changing_parts(text: &str, daemon: &Daemon, peer: &Peer) -> String {
    let times =
        daemon.entries().into_iter().map(|entry| entry["at"].as_str().unwrap()[..19].replace('T', " "));
    times.fold(text.replace(&peer.name(), "PEER"), |text, time| text.replace(&time, "TIME"))
}

/// Returns how many columns a line takes; each Chinese character takes two.
fn columns(line: &str) -> usize {
    line.chars().map(|character| if character > '\u{2e80}' { 2 } else { 1 }).sum()
}

#[test]
fn entries_notes_and_tables_are_in_chinese() {
    let (daemon, peer) = having_received();
    let ran = daemon.ctl_in_chinese(&["inbox", "--consumer", "机器人"]);
    let expected = "#1  TIME  < PEER  你好\n#2  TIME  < PEER  （空）\n#3  TIME  < PEER  one\n  | two\n";
    assert_eq!(without_changing_parts(&ran.stdout, &daemon, &peer), expected);
    assert!(
        ran.stderr.starts_with("注意：消费者 `机器人` 是新的：从最旧的条目 #1 开始，共有 3 条消息；"),
        "{ran:?}"
    );
    let ran = daemon.ctl_in_chinese(&["ack", "2", "--consumer", "机器"]);
    assert_eq!(ran.stdout, "已读到 #2，1 条消息未读\n");
    assert!(ran.stderr.starts_with("注意：消费者 `机器` 是新的"), "{ran:?}");
    let expected = "消费者  用户  已读到  未读\n机器    -         #2     1\n机器人  -         #3     0\n";
    assert_eq!(daemon.ctl_in_chinese(&["consumers"]).ok(), expected);
    let set = daemon.ctl_in_chinese(&["consumers", "机器", "--set", "oldest"]).ok();
    assert_eq!(set, "全部未读，下一个是 #1；3 条消息未读\n");
    let peers = without_changing_parts(&daemon.ctl_in_chinese(&["peers"]).ok(), &daemon, &peer);
    assert!(peers.starts_with("名称  地址 ") && peers.contains(" 已记住  TIME "), "{peers}");
    let hex = daemon.ctl_in_chinese(&["inbox", "--hex", "1"]).ok();
    assert!(hex.lines().next().unwrap().ends_with("  4 字节  gb18030  你好"), "{hex}");
}

#[test]
fn results_and_errors_are_in_chinese() {
    let (daemon, peer) = having_received();
    let table: [(&[&str], i32, &[&str]); 9] = [
        (&["inbox", "9"], 1, &["错误：没有条目 #9：最新的条目是 #3\n", "提示：用 `udpchatctl inbox -n 20`"]),
        (&["inbox", "--since", "soon"], 2, &["错误：无效的时间 'soon'\n", "提示：例如 22:00"]),
        (&["inbox", "--start", "soon"], 2, &["的值 'soon' 无效：应为 `oldest`、`now` 或条目 id\n"]),
        (&["inbox", "0"], 2, &["条目 id 从 1 开始"]),
        (&["inbox", "--from", "nobody.invalid"], 2, &["错误：`nobody.invalid` 不是已配置的对端"]),
        (&["consumers", "bot"], 1, &["错误：消费者 `bot` 没有已读标记\n"]),
        (&["wait", "--timeout", "20ms", "--grep", "x"], 4, &["错误：20 毫秒内没有收到匹配 `x` 的消息\n"]),
        (&["recode", "--as", "gbk"], 2, &["错误：没有选择消息\n", "提示：指定条目 id"]),
        (
            &["replay", "--file", "/no/such", "--to", "bob"],
            1,
            &["错误：无法读取 /no/such\n", "文件或目录不存在"],
        ),
    ];
    for (args, code, texts) in table {
        daemon.ctl_in_chinese(args).fails(code, texts);
    }
    let recoded = daemon.ctl_in_chinese(&["recode", "--as", "big5", "1", "--dry-run"]).ok();
    assert!(
        recoded.contains("\n  + big5 (指定)") && recoded.ends_with("1 条消息将按 big5 解码\n"),
        "{recoded}"
    );
    let file = daemon.path("x.pcap").display().to_string();
    daemon.ctl_in_chinese(&["export", "--format", "pcap", "-o", &file]).ok();
    let to = peer.name();
    let replayed = daemon.ctl_in_chinese(&["replay", "--file", &file, "--speed", "max", "--to", &to]).ok();
    assert!(replayed.starts_with(&format!("已向 {to} 发送 3 条消息，用时 ")), "{replayed}");
}

#[test]
fn json_notes_are_english() {
    let (daemon, _peer) = having_received();
    let ran = daemon.ctl_in_chinese(&["--json", "inbox", "--consumer", "bot"]);
    let note: Value = serde_json::from_str(&ran.stderr).unwrap();
    let message = note["note"]["message"].as_str().unwrap();
    assert!(message.starts_with("consumer `bot` is new: it begins at the oldest entry, #1"), "{message}");
}

#[test]
fn help_fits_80_columns_in_both_languages() {
    let folder = new_folder();
    let environment = |language| {
        [("HOME", folder.path()), ("COLUMNS", Path::new("80")), ("UDPCHAT_LANG", Path::new(language))]
    };
    for command in COMMANDS {
        for (language, words) in [("en", ["Usage: ", "\nExamples:\n"]), ("zh", ["用法：", "\n示例：\n"])]
        {
            let help = ctl_without_daemon(&[command, "--help"], &environment(language)).ok();
            assert!(words.iter().all(|word| help.contains(word)), "{help}");
            for line in help.lines() {
                assert!(columns(line) <= 80, "{command} {language}: {line}");
            }
        }
    }
}
