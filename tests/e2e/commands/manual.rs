//! The manual pages, shown by man(1).

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use unicode_width::UnicodeWidthStr;

use crate::support::{Tmux, available, ctl_without_daemon};

/// Shows a page in a language on 80 columns; fails the test if anything in it deserves a warning.
#[track_caller]
fn shown(page: &str, language: &str) -> Option<String> {
    if !available("man") || !available("groff") {
        return None;
    }
    let source = ctl_without_daemon(&["man", page], &[("UDPCHAT_LANG", Path::new(language))]).ok();
    let mut man = Command::new("man")
        .args(["--warnings=w", "-l", "-"])
        .env("LC_ALL", "C.UTF-8")
        .env("MANWIDTH", "80")
        .env_remove("MANROFFOPT")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    man.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    let output = man.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{page}");
    assert!(output.status.success(), "{page}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_terminal_gets_the_page_and_not_its_source() {
    let Some(terminal) = Tmux::start(80, 24) else { return };
    let (bin, folder) = (env!("CARGO_BIN_EXE_udpchatctl"), terminal.path("bin"));
    fs::create_dir(&folder).unwrap();
    let man = folder.join("man");
    fs::write(
        &man,
        "#!/bin/sh\nread -r first && echo \"man $* shows $first\" && while read -r rest; do :; done\n",
    )
    .unwrap();
    fs::set_permissions(&man, Permissions::from_mode(0o755)).unwrap();
    terminal.shell(&format!("PATH={} {bin} man udpchatd; echo code $?", folder.display()));
    terminal.shows("code 0");
    assert!(terminal.screen().contains("man -l - shows .ie"), "{}", terminal.screen());
    // Without that program, the source is better than nothing.
    terminal.shell(&format!("clear; PATH= {bin} man udpchatd; echo code $?"));
    terminal.shows("code 0");
    terminal.shows(".SH \"SEE ALSO\"");
}

#[test]
fn man_shows_every_page_without_a_warning() {
    let pages = [
        ("udpchatctl", "User Commands", ["udpchatctl send bob hello world", "GLOBAL OPTIONS", "EXIT CODES"]),
        (
            "udpchatd",
            "System Administration",
            ["--check-config", "SIGHUP reads the configuration", "udpchatctl(1)"],
        ),
        (
            "udpchat.toml",
            "File Formats",
            ["max_size = \"4GiB\"", "[peers.NAME]", "encoding, for example \"gbk\""],
        ),
    ];
    for (page, manual, texts) in pages {
        let Some(shown) = shown(page, "en") else { return };
        let (first, last) = (shown.lines().next().unwrap(), shown.trim_end().lines().last().unwrap());
        assert!(first.contains(manual) && last.starts_with("udpchat "), "{shown}");
        for text in texts {
            assert!(shown.contains(text), "{page} lacks {text}:\n{shown}");
        }
        // Commands and flags are there as they are typed.
        assert!(
            !shown.contains('\u{2010}') && !shown.contains('\u{2212}') && !shown.contains('\u{2019}'),
            "{shown}"
        );
    }
}

#[test]
fn man_shows_every_page_in_chinese() {
    let pages = [
        (
            "udpchatctl",
            ["\n名称\n       udpchatctl - 通过", "\n       udpchatctl [选项] <命令>\n", "\n全局选项\n"],
        ),
        ("udpchatd", ["\n概要\n       udpchatd [选项]\n", "\n文件\n", "\n另见\n"]),
        (
            "udpchat.toml",
            ["udpchat.toml - udpchatd 的配置\n", "\n顶层配置项\n", "\n              接收消息的地址："],
        ),
    ];
    let mut widths = Vec::new();
    for (page, texts) in pages {
        let Some(shown) = shown(page, "zh") else { return };
        for text in texts {
            assert!(shown.contains(text), "{page} lacks {text}:\n{shown}");
        }
        // The indentation of a paragraph and of an explanation. Examples have another one, and are not wrapped.
        let indentation = |line: &str| line.len() - line.trim_start().len();
        let text = shown.lines().filter(|line| [7, 14].contains(&indentation(line)));
        widths.extend(text.map(|line| (line.width(), line.to_owned())));
    }
    let widest = widths.into_iter().max().unwrap();
    assert!((77..=80).contains(&widest.0), "{widest:?}");
}

#[test]
fn udpchatctl_is_the_default_page_without_a_daemon() {
    let own = ctl_without_daemon(&["man"], &[]).ok();
    assert_eq!(own, ctl_without_daemon(&["man", "udpchatctl"], &[]).ok());
    ctl_without_daemon(&["man", "nothing"], &[]).fails(2, &["udpchat.toml"]);
}
