//! The language of `udpchatctl`: Chinese in a Chinese locale, English elsewhere and for programs.

use std::fs;
use std::path::Path;

use unicode_width::UnicodeWidthStr;

use crate::support::{Completed, Daemon, Peer, ctl_without_daemon, new_folder};

/// Runs without a daemon in an environment with these variables.
fn run_with(variables: &[(&str, &str)], args: &[&str]) -> Completed {
    let folder = new_folder();
    let mut environment = vec![("HOME", folder.path())];
    environment.extend(variables.iter().map(|(name, value)| (*name, Path::new(*value))));
    ctl_without_daemon(args, &environment)
}

#[test]
fn a_chinese_locale_gets_chinese() {
    for variables in [&[("LANG", "zh_CN.UTF-8")][..], &[("LC_ALL", "C.UTF-8"), ("UDPCHAT_LANG", "zh")]] {
        run_with(variables, &["sned"]).fails(2, &["错误：没有命令 'sned'\n", "提示：有相近的命令：'send'"]);
        let help = run_with(variables, &["send", "-h"]).ok();
        assert!(help.contains("\n选项：\n") && help.contains("用法：udpchatctl send"), "{help}");
    }
}

#[test]
fn chinese_help_of_the_program_fits_into_80_columns() {
    let help = run_with(&[("UDPCHAT_LANG", "zh"), ("COLUMNS", "80")], &["--help"]).ok();
    for expected in
        ["通过监听 UDP 端口的守护进程", "用法：udpchatctl [选项] <命令>", "全局选项：", "\n退出码：\n"]
    {
        assert!(help.contains(expected), "{expected}: {help}");
    }
    assert_eq!(help.lines().find(|line| line.width() > 80), None);
}

#[test]
fn other_locales_get_english() {
    for locale in ["zh_CN.GBK", "zh_TW.UTF-8", "en_US.UTF-8"] {
        run_with(&[("LC_ALL", locale)], &["sned"]).fails(2, &["error: unrecognized subcommand 'sned'\n"]);
    }
    run_with(&[("LC_ALL", "zh_CN.UTF-8"), ("UDPCHAT_LANG", "en")], &["sned"]).fails(2, &["error: "]);
}

#[test]
fn json_is_english_in_every_locale() {
    let chinese = [("LC_ALL", "zh_CN.UTF-8")];
    let error = run_with(&chinese, &["--json", "sned"]);
    let english = run_with(&[], &["--json", "sned"]);
    assert!(error.stderr.starts_with("{\"error\":{\"message\":\"unrecognized"), "{error:?}");
    assert_eq!(error.stderr, english.stderr);

    let args = ["--socket", "/nox", "status", "--format", "json"];
    let error = run_with(&chinese, &args);
    assert!(error.stderr.starts_with("{\"error\":{\"message\":\"no daemon"), "{error:?}");
    assert_eq!(error.stderr, run_with(&[], &args).stderr);
}

#[test]
fn status_and_version_are_in_chinese() {
    let daemon = Daemon::start();
    let status = daemon.ctl_in_chinese(&["status"]).ok();
    for line in [
        "状态：           正常\n",
        &format!("进程号：         {}\n", daemon.pid()),
        &format!("监听地址：       {}\n", daemon.address()),
        "接收缓冲区：     请求 8.0 MiB，实际 ",
        "已接收：         0 个数据报，0 B\n",
        "丢弃：           0（访问列表拒绝 0，队列已满 0）\n",
        "索引：           无（条目太少，不需要索引）\n",
    ] {
        assert!(status.contains(line), "no {line:?} in {status}");
    }
    let labels = status.lines().map(|line| line.split('：').next().unwrap());
    assert!(labels.clone().all(|label| label.chars().all(|c| !c.is_ascii())), "{status}");
    assert!(daemon.ctl_in_chinese(&["version"]).ok().ends_with("\n协议 1\n"));
}

#[test]
fn help_about_help_is_in_chinese() {
    let help = run_with(&[("LC_ALL", "zh_CN.UTF-8")], &["help", "help"]).ok();
    assert!(help.contains("  [命令]...  要显示帮助的命令\n"), "{help}");
}

#[test]
fn mistakes_of_sending_are_explained_in_chinese() {
    let daemon = Daemon::start_with("[peers.bob]\naddress = '127.0.0.1:9'", &[]);
    for (args, code, texts) in [
        (&["send", "BOB", "x"][..], 5, &["错误：没有名为 `BOB` 的对端", "提示：是否想写 `bob`？\n"][..]),
        (&["send", "127.0.0.1", "9000", "x"], 2, &["错误：端口应写在目的地中：127.0.0.1:9000\n"]),
        (&["send", "bob", "--hex", "2 4"], 2, &["十六进制数字个数为奇数\n", "提示：一个字节为两位数字"]),
        (&["send", "bob", ""], 2, &["错误：消息为空\n", "提示：用 `--allow-empty` 发送空数据报\n"]),
        (
            &["send", "bob", "--split=", "x"],
            2,
            &["错误：'--split[=<BYTES>]' 的值为空：应为 16 至 65507 字节"],
        ),
        (
            &["send", "bob", "-e", "gkb", "x"],
            2,
            &["错误：未知的编码 `gkb`\n", "提示：是否想写 `gbk`？常用的编码有"],
        ),
    ] {
        daemon.ctl_in_chinese(args).fails(code, texts);
    }
    for (args, texts) in [
        (&["inbox", "-F", "{{time:%!}}"][..], &["时间格式 `%!` 无效；写法同 date(1)"][..]),
        (&["inbox", "-S", "昨晚"], &["20分钟前、今天、前天、11月22日、上午8点\n"]),
        (&["send", "bob", "——every"], &["`——every` 中的破折号", "用半角连字符写成 `--every`"]),
        (&["send", "-–help"], &["`-–help` 中的破折号", "用半角连字符写成 `--help`"]),
        (&["send", "“192.168.1.6”", "你好"], &["中有全角字符『“』", "请写 `192.168.1.6`"]),
    ] {
        daemon.ctl_in_chinese(args).fails(2, texts);
    }
    daemon
        .ctl_in_chinese(&["ask", "bob", "x"])
        .fails(5, &["错误：bob 没有监听端口 9：端口不可达（127.0.0.1 报告）\n"]);
    let mute = Peer::new();
    let ran = daemon.ctl_in_chinese(&["ask", &mute.name(), "x", "--timeout", "10ms"]);
    ran.fails(4, &["提示：用 `--timeout` 延长等待时间；迟到的应答在收件箱中\n"]);
}

#[test]
fn an_error_of_the_daemon_is_in_chinese_for_people() {
    let daemon = Daemon::start();
    let args = ["send", "nobody", "x"];
    daemon.ctl_in_chinese(&args).fails(5, &["错误：没有名为 `nobody` 的对端，也没有叫这个名字的主机"]);
    let json = daemon.ctl_in_chinese(&["--json", "send", "nobody", "x"]);
    assert!(json.stderr.contains("no peer is called `nobody`"), "{json:?}");
}

#[test]
fn reload_and_stop_confirm_in_chinese() {
    let daemon = Daemon::start_with("", &[]);
    fs::write(daemon.path("config.toml"), "receive_buffer = '4MiB'").unwrap();
    let reloaded = daemon.ctl_in_chinese(&["reload"]);
    assert!(reloaded.stderr.contains("以下配置项在重启后才生效：receive_buffer"), "{reloaded:?}");
    assert_eq!(reloaded.stdout, "已重新加载配置\n");
    assert_eq!(daemon.ctl_in_chinese(&["stop"]).ok(), "已停止\n");
}
