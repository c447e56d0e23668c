//! The language of `udpchatd`, and of its answers in `udpchatctl`: Chinese for people in a Chinese locale. The log, the protocol
//! and what programs read are English.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Completed, Daemon, Refused, command_in, finish, text_command_in};

use super::folder_with;

/// Runs a daemon that must not start, in a Chinese locale.
fn refused(config: &str, flags: &[&str]) -> Refused {
    let folder = folder_with(config);
    Daemon::refused_by(text_command_in(folder.path()).env("LANG", "zh_CN.UTF-8").args(flags))
}

#[track_caller]
fn assert_shown(refused: Refused, code: i32, lines: &[&str]) {
    let Refused { code: found, stderr } = refused;
    assert_eq!(found, Some(code), "{stderr}");
    let mut rest = stderr.as_str();
    for line in lines {
        let at = rest.find(line).unwrap_or_else(|| panic!("no `{line}`: {stderr}"));
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn mistakes_in_toml_are_shown_in_chinese() {
    let nested = format!("a = {}", "[".repeat(200));
    let mistakes = [
        "[peers.李雷]",
        "= 1",
        "a = b",
        "a = \"",
        "a = '",
        "a = '''",
        "a = \"\"\"",
        r#"a = "\q""#,
        r#"a = "\u12""#,
        "a = 1.2.3",
        "a = 1.",
        "a = 1e",
        "a = .5",
        "a = inf1",
        "a = truee",
        "a = 01",
        "a = 1__0",
        "a = 0b2",
        "a = 0xg",
        "a = 0X1",
        "a = +0x1",
        "a = --1",
        "a = 2026-13-40",
        "a = 25:00",
        "a = 1979-05-27T07:32:00X",
        "[a",
        "[[a]",
        "a = [1",
        "a = {b=1",
        "a == 1",
        "a = {b=1 c=2}",
        "a = {b=1\nc=2}",
        "a = [1,,2]",
        "a = {,}",
        "a = ['a' 'b']",
        "a = [=]",
        "a = 1 b = 2",
        "a = ]",
        "a = }",
        "]",
        "}",
        "a = 1 # \u{1}",
        "a = 1\rb",
        "'''a''' = 1",
        "\"\"\"a\"\"\" = 1",
        "a",
        "a = 1\na = 2",
        &nested,
    ];
    for mistake in mistakes {
        let Refused { code, stderr } = refused(mistake, &["--check-config"]);
        let shown = stderr.lines().next().unwrap_or_default().split(": ").skip(1).collect::<String>();
        // What stands in backquotes is of the file.
        let words: String = shown.split('`').step_by(2).collect();
        let mut words = words.split(|c: char| !c.is_ascii_alphabetic());
        let english = words.find(|word| word.len() > 1 && *word != "Unicode");
        assert!(code == Some(2) && !shown.is_empty() && english.is_none(), "{mistake}: {stderr}");
    }
    let hint = "提示：名称中有 A-Z、a-z、0-9、- 和 _ 以外的字符时要加引号：[peers.\"李雷\"]";
    assert_shown(refused("[peers.李雷]", &[]), 2, &["配置项名称中有不允许的字符\n", hint]);
}

#[test]
fn errors_at_the_start_are_chinese() {
    let mistake = "[text]\nfallback = 'gbkk'";
    assert_shown(
        refused(mistake, &[]),
        2,
        &["错误：/", "config.toml:2:12: 未知的编码 `gbkk`\n", "^^^", "\n提示：是否想写 `gbk`？"],
    );
    assert_shown(
        refused("\nlisten = ['1.2.3.4:x']", &[]),
        2,
        &["端口 `x` 不是数字\n", "提示：写 IP 地址和端口"],
    );
    assert_shown(
        refused("lisen = []", &["--check-config"]),
        2,
        &["未知的配置项 `lisen`", "提示：是否想写 `listen`？"],
    );
    let unknown = "[control]\nread = ['nosuchgroup']";
    assert_shown(
        refused(unknown, &["--check-config"]),
        2,
        &["错误：配置中有不能授予权限的用户组：", "用户组 `nosuchgroup` 不存在"],
    );
    assert_shown(
        refused("", &["－－system"]),
        2,
        &["错误：`－－system` 中的破折号不是连字符\n提示：用半角连字符写成 `--system`\n"],
    );
    let address = ["--listen", "192.0.2.1:9"];
    assert_shown(
        refused("", &address),
        1,
        &["错误：无法监听 UDP 192.0.2.1:9\n  原因：无法使用该地址\n提示：本机没有地址 192.0.2.1"],
    );
    assert_shown(
        refused("", &["--recover", "/nonexistent"]),
        1,
        &["错误：无法读取 /nonexistent\n  原因：文件或目录不存在"],
    );
    assert_shown(
        refused("", &["--lisen", "x"]),
        2,
        &["错误：无法识别的参数 '--lisen'", "提示：有相近的参数：'--listen'", "见 `udpchatd --help`"],
    );
}

#[test]
fn help_and_a_valid_configuration_are_chinese() {
    let folder = folder_with("");
    let run = |flag: &str, language: &str| {
        let mut command = text_command_in(folder.path());
        command.env("UDPCHAT_LANG", language).arg(flag).stdout(Stdio::piped());
        let output = command.output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (help, _) = run("--help", "zh");
    assert!(help.contains("\n选项：\n") && help.contains("检查配置文件是否有效"), "{help}");
    assert!(!help.contains("Prints") && !help.contains("Examples"), "{help}");
    assert!(run("--help", "en").0.contains("\nOptions:\n"));
    let (values, valid) = run("--check-config", "zh");
    assert_eq!(valid, "配置有效\n");
    let without_comments = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.rsplit_once("  # ").expect(line).0.to_owned()).collect()
    };
    let english = run("--check-config", "en").0;
    assert_eq!(without_comments(&values), without_comments(&english), "the values are a configuration file");
    assert!(values.contains("  # 默认\n") && english.contains("  # default\n"), "{values}");
    assert!(values.contains("  # 命令行选项 --") || values.contains("  # 环境变量 "), "{values}");
}

/// Runs `udpchatctl` in a Chinese locale.
fn ctl(daemon: &Daemon, args: &[&str]) -> Completed {
    finish(daemon.ctl_command(args).env("UDPCHAT_LANG", "zh"), b"")
}

#[test]
fn answers_of_the_daemon_are_shown_in_chinese() {
    let daemon = Daemon::start_with("[peers.bob]\naddress = 'fe80::1%nosuch0'", &[]);
    let table: [(&[&str], i32, &[&str]); 8] = [
        (
            &["send", "bob", "hi"],
            5,
            &["错误：对端 `bob` 所在的网络接口 `nosuch0` 现在不存在\n提示：`ip link` 列出网络接口\n"],
        ),
        (
            &["send", "127.0.0.1:9", "-e", "gbk", "😀"],
            5,
            &["错误：gbk 无法表示 `😀`（U+1F600）\n提示：如果对端能解码，`-e gb18030`"],
        ),
        (&["send", "127.0.0.1:99999", "hi"], 2, &["错误：端口 99999 超出范围，应为 1 到 65535\n"]),
        (
            &["send", "127.0.0.1:9", "--escape", "\\q"],
            2,
            &["错误：未知的转义 `\\q`", "以及 \\u 加花括号中的数字"],
        ),
        (&["reply", "9", "hi"], 1, &["错误：条目 9 不存在\n提示：`udpchatctl inbox -n 20` 列出条目"]),
        (
            &["inbox", "--grep", "("],
            2,
            &["`grep`：正则表达式无效：括号没有闭合\n提示：反斜杠使后面的字符按原样匹配：`\\[`"],
        ),
        (&["inbox", "--consumer", "a/b"], 2, &["错误：`consumer` 须为 1 到 64 个字母、数字或 `-_.@:`"]),
        (&["ack", "9"], 2, &["错误：`id` 为 9，但最新的条目是 #0"]),
    ];
    for (args, code, texts) in table {
        ctl(&daemon, args).fails(code, texts);
    }
    // Programs get English.
    let english = ctl(&daemon, &["--json", "reply", "9", "hi"]);
    let error: Value = serde_json::from_str(&english.stderr).unwrap();
    assert!(error.to_string().contains("entry 9 does not exist"), "{error}");
    let answer = daemon.rpc().error("send", json!({ "reply_to": 9, "text": "hi" }));
    assert_eq!(answer["message"], "entry 9 does not exist");
}

#[test]
fn the_log_is_english_in_a_chinese_locale() {
    let folder = folder_with("listen = ['127.0.0.1:0']\ngroups = ['239.1.2.3%nosuch0']");
    let mut command = command_in(folder.path());
    let mut daemon = Daemon::start_by(folder, command.env("LANG", "zh_CN.UTF-8"));
    let log = daemon.log().join("\n");
    assert!(log.contains("group 239.1.2.3%nosuch0 is not joined") && log.is_ascii(), "{log}");
    let status = daemon.status();
    assert_eq!(status["state"], "degraded");
    assert!(status["problems"][0].as_str().unwrap().is_ascii(), "{status}");
}
