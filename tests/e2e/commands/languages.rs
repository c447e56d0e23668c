//! The language of `udpchatctl`: Chinese in a Chinese locale, English elsewhere and for programs.

use std::path::Path;

use crate::support::{Completed, Daemon, ctl_without_daemon, new_folder};

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
}

#[test]
fn an_error_of_the_daemon_is_in_chinese_for_people() {
    let daemon = Daemon::start();
    let args = ["send", "nobody", "x"];
    daemon.ctl_in_chinese(&args).fails(5, &["错误：没有名为 `nobody` 的对端，也没有叫这个名字的主机"]);
    let json = daemon.ctl_in_chinese(&["--json", "send", "nobody", "x"]);
    assert!(json.stderr.contains("no peer is called `nobody`"), "{json:?}");
}
