//! Each kind of mistake in a configuration file, and its message.

use std::fs;

use super::*;
use crate::{Encoding, LogLevel, Setting};

fn parse(text: &str, path: &Path) -> Result<Settings, ConfigError> {
    let mut settings = Settings::default_in("/d");
    apply(&mut settings, text, path).into_iter().next().map_or(Ok(settings), Err)
}

/// Parses a text that has a mistake and returns line, column, the text shown and the hint.
fn mistake(text: &str) -> (u32, u32, String, String) {
    let error = parse(text, Path::new("/etc/x.toml")).unwrap_err();
    let (shown, hint) = (error.to_string(), error.hint().expect("every mistake has a hint"));
    let ConfigError::Malformed { line, column, .. } = error else { panic!("{error:?}") };
    assert!(shown.starts_with(&format!("/etc/x.toml:{line}:{column}: ")), "{shown}");
    assert!(shown.contains("^"), "{shown}");
    assert!(!shown.contains(&hint) && !shown.contains("hint:"), "{shown}");
    (line, column, shown, hint)
}

fn assert_mistakes(table: &[(&str, u32, u32, &str, &str)]) {
    for (text, line, column, message, hint) in table {
        let found = mistake(text);
        assert_eq!((found.0, found.1), (*line, *column), "{text}: {}", found.2);
        assert!(found.2.contains(message), "{text}: {}", found.2);
        assert!(found.3.contains(hint), "{text}: {}", found.3);
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    assert_mistakes(&[
        ("\nlisen = []", 2, 1, "unknown key `lisen`", "did you mean `listen`?"),
        ("[inbox]\n\nmax_sise = 3", 3, 1, "unknown key `max_sise` in [inbox]", "did you mean `max_size`?"),
        ("[log]\nlisten = []", 2, 1, "unknown key `listen` in [log]", "top of the file"),
        ("max_size = '1GiB'", 1, 1, "unknown key `max_size`", "below [inbox]"),
        (
            "[peers.bob]\nport = 3",
            2,
            1,
            "unknown key `port` in [peers.bob]",
            "`address`, `encoding`, `limit`, `bytes`",
        ),
        ("a = 1\n[logs]\nlevel = 'x'", 1, 1, "unknown key `a`", "the keys here are `listen`"),
        ("[logs]\nlevel = 'x'", 1, 2, "unknown key `logs`", "did you mean `log`?"),
        ("inbox.max_sise = 3", 1, 7, "unknown key `max_sise` in [inbox]", "`max_size`"),
    ]);
}

#[test]
fn a_wrong_type_is_refused_with_an_example() {
    assert_mistakes(&[
        ("listen = '[::]:1'", 1, 10, "expected a list", r#"listen = ["[::]:7788"]"#),
        ("listen = [1]", 1, 11, "expected an address", r#"listen = ["[::]:7788"]"#),
        ("groups = '239.1.2.3'", 1, 10, "expected a list", r#"groups = ["239.1.2.3", "ff02::1%eth0"]"#),
        ("data_dir = 3", 1, 12, "expected a path", "data_dir = "),
        ("receive_buffer = true", 1, 18, "expected a size", r#"receive_buffer = "8MiB""#),
        ("receive_buffer = -1", 1, 18, "expected a size", r#"receive_buffer = "8MiB""#),
        ("[inbox]\nmax_age = 90", 2, 11, "expected a span of time", r#"max_age = "90d""#),
        ("[text]\nencoding = 1", 2, 12, "expected the name of an encoding", "encoding ="),
        ("[log]\nlevel = 1", 2, 9, "expected a log level", "level ="),
        ("[log]\nformat = 1", 2, 10, "expected a log format", "format ="),
        ("[log]\nmessages_per_second = 'x'", 2, 23, "a whole number from 0", "messages_per_second = 100"),
        ("[log]\nmessages_per_second = -1", 2, 23, "a whole number from 0", "messages_per_second = 100"),
        ("[log]\nmessages_per_second = 4294967296", 2, 23, "a whole number from 0", "= 100"),
        ("[access]\nallow = '10.0.0.0/8'", 2, 9, "expected a list", "allow = ["),
        ("[control]\nread = 'users'", 2, 8, "expected a list", r#"read = ["udpchat"]"#),
        ("[control]\nadmin = [true]", 2, 10, "expected the name of a group", r#"admin = ["udpchat-admin"]"#),
        ("[control]\nadmin = [-1]", 2, 10, "expected the name of a group", "admin = ["),
        ("[peers.bob]\naddress = 3", 2, 11, "expected an address", "192.168.43.159:8080"),
        ("inbox = 3", 1, 9, "expected a table", "[inbox]"),
        ("inbox = ['1GiB']", 1, 9, "expected a table", "[inbox]"),
        ("peers = []", 1, 9, "expected a table", "[peers.bob]"),
        ("[peers]\nbob = '1.2.3.4'", 2, 7, "expected a table", "[peers.bob]"),
        ("[listen]\na = 1", 1, 1, "expected a list, found a table", "listen = ["),
    ]);
}

#[test]
fn a_bad_value_is_refused_with_its_own_hint() {
    assert_mistakes(&[
        ("listen = ['1.2.3.4:1', '1.2.3.4:70000']", 1, 24, "port 70000 is out of range", "[::]:7788"),
        ("listen = [\n'1.2.3.4:1',\n'localhost:1']", 3, 1, "is a host name", "[::]:7788"),
        ("groups = ['192.168.1.5']", 1, 11, "is not a multicast address", "ff02::1%eth0"),
        ("data_dir = '~/inbox'", 1, 12, "is not absolute", "not expanded"),
        ("socket = 'a.sock'", 1, 10, "`a.sock` is not absolute", "leading `/`"),
        ("receive_buffer = 'big'", 1, 18, "`big` is not a size", "8MiB"),
        ("[inbox]\nmax_age = '-1d'", 2, 11, "not more than zero", "90d"),
        ("[text]\nfallback = 'foo'", 2, 12, "unknown encoding `foo`", "gb18030"),
        ("[log]\nlevel = 'loud'", 2, 9, "unknown log level `loud`", "choose one of error"),
        ("[log]\nformat = 'xml'", 2, 10, "unknown log format `xml`", "text, json"),
        ("[access]\ndeny = ['lan']", 2, 9, "`lan` is not a network", "192.168.0.0/16"),
        ("[control]\nsend = ['a:b']", 2, 9, "`a:b` contains `:`", "number"),
        ("[control]\nsend = [4294967295]", 2, 9, "group 4294967295 is out of range", "number"),
        ("[peers.bob]\naddress = 'bob.lan'", 2, 11, "is a host name", "udpchatctl send"),
        ("[peers.bob]\naddress = '1.2.3.4:0'", 2, 11, "port 0", "192.168"),
        ("[peers.'a b']\naddress = '1.2.3.4'", 1, 8, "`a b` contains white space", "letters"),
        ("[peers]\n'-b' = {}", 2, 1, "starts with `-`", "letters"),
    ]);
}

#[test]
fn a_syntax_error_is_refused_with_an_example() {
    assert_mistakes(&[
        ("\n\nlisten = ", 3, 10, "", "key = value"),
        ("[inbox]\nmax_size = 4GiB", 2, 12, "", "text is in quotes"),
        ("[inbox\nmax_size = 1", 1, 7, "", "a line is a [table]"),
        (
            "listen = []\nlisten = []",
            2,
            1,
            "duplicate key",
            "`listen` is in line 1 already; keep one of them",
        ),
        ("[a]\n[peers.b]\n[peers.b] # b", 3, 8, "duplicate key", "`[peers.b]` is in line 2 already"),
        (
            "[log]\nlevel = 'x'\n[text]\nlevel = 1\nlevel = 2",
            5,
            1,
            "duplicate key",
            "`level` is in line 4 already",
        ),
        ("peers.b.x = 1\n[peers]\nb = 1", 2, 2, "duplicate key", "once"),
        ("[peers.小明]\naddress = '1.2.3.4'", 1, 8, "invalid unquoted key", r#"[peers."小明"]"#),
        ("[peers.李雷]\naddress = '1.2.3.4'", 1, 8, "invalid unquoted key\n", r#": [peers."李雷"]"#),
    ]);
}

#[test]
fn the_offending_line_is_shown_with_a_caret() {
    let (_, _, shown, _) = mistake("[log]\nlevel = 'loud'\nformat = 'text'");
    let expected = "/etc/x.toml:2:9: unknown log level `loud`\n  |\n2 | level = 'loud'\n  |         ^^^^^^";
    assert_eq!(shown, expected);
}

#[test]
fn every_value_has_the_line_of_its_origin() {
    let text = "listen = [\n'127.0.0.1:1']\n[log]\nlevel='warn'\n\n[peers.'小明']\naddress='1.2.3.4'\nencoding='gbk'";
    let settings = parse(text, Path::new("/x")).unwrap();
    let line = |line| Origin::File { path: "/x".into(), line };
    assert_eq!(settings.listen.origin, line(1));
    assert_eq!(settings.log.level, Setting::new(LogLevel::Warn, line(4)));
    let peer = &settings.peers["小明"];
    assert_eq!(peer.address.origin, line(7));
    assert_eq!(peer.encoding.as_ref().unwrap(), &Setting::new(Encoding::GBK, line(8)));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_accepted() {
    let settings = parse("\u{feff}# x\r\nreceive_buffer = 4_096\r\n", Path::new("/x")).unwrap();
    let buffer = settings.receive_buffer;
    assert_eq!(buffer.value.bytes(), 4096);
    assert_eq!(buffer.origin, Origin::File { path: "/x".into(), line: 2 });
    assert_eq!(mistake("\u{feff}# x\r\nlisten = 3\r\n").0, 2);
}

#[test]
fn only_a_named_file_must_exist() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.toml");
    assert!(read(&file, Presence::Optional).unwrap().is_none());
    let error = read(&file, Presence::Required).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read {}: no such file", file.display()));
    assert!(error.hint().unwrap().contains("--config"));

    fs::write(&file, "").unwrap();
    assert!(read(&file, Presence::Required).unwrap().is_some());
    assert!(read(&file.join("below"), Presence::Optional).unwrap().is_none());
}

#[test]
fn a_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for presence in [Presence::Optional, Presence::Required] {
        let error = read(directory.path(), presence).unwrap_err();
        assert!(error.to_string().ends_with(": it is a directory"), "{error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_link_to_nothing_and_a_pipe_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (link, pipe) = (directory.path().join("link.toml"), directory.path().join("pipe.toml"));
    std::os::unix::fs::symlink("/nowhere/config.toml", &link).unwrap();
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for presence in [Presence::Optional, Presence::Required] {
        for (path, reason) in
            [(&link, "a symbolic link to a file that does not exist"), (&pipe, "a named pipe")]
        {
            let error = read(path, presence).unwrap_err();
            assert!(error.to_string().ends_with(reason) && error.hint().is_some(), "{error}");
        }
    }
}

#[test]
fn a_denied_file_is_reported() {
    // Root, who may run the tests, may read every file.
    let error = unreadable(Path::new("/x"), &io::Error::from(io::ErrorKind::PermissionDenied));
    assert_eq!(error.to_string(), "cannot read /x: permission denied");
    assert!(!is_absence(&io::Error::from(io::ErrorKind::PermissionDenied)));
    let of_system =
        unreadable(Path::new("/etc/udpchat/config.toml"), &io::Error::from(io::ErrorKind::PermissionDenied));
    let hint = of_system.hint().unwrap();
    assert!(hint.contains("--system --check-config") && !hint.contains("chgrp"), "{hint}");
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gbk.toml");
    fs::write(&file, b"a = 1\n# \xc4\xe3\xba\xc3\n").unwrap();
    let error = read(&file, Presence::Optional).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read {}: line 2 is not UTF-8", file.display()));
    assert!(error.hint().unwrap().contains("UTF-8"));
}

#[test]
fn a_file_of_more_than_one_mebibyte_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("long.toml");
    let limit = usize::try_from(MAX_FILE_BYTES).unwrap();
    fs::write(&file, "\n".repeat(limit)).unwrap();
    assert!(read(&file, Presence::Optional).is_ok());
    fs::write(&file, "\n".repeat(limit + 1)).unwrap();
    let error = read(&file, Presence::Optional).unwrap_err();
    assert!(error.to_string().ends_with(": the file is too large"), "{error}");
    assert!(error.hint().unwrap().contains("1 MiB"));
}

#[test]
fn odd_documents_are_refused_with_a_hint() {
    let nested = format!("listen = {}", "[".repeat(100_000));
    let endless = format!("receive_buffer = [\"{}\"]", "x".repeat(100_000));
    for text in [
        "listen.a = 1",
        "[[inbox]]",
        "[[peers.bob]]",
        "[inbox.max_size.x]",
        "inbox.max_size.x = 1",
        "[log]\nlevel = 2026-01-01",
        "receive_buffer = nan",
        "receive_buffer = 1.5",
        "receive_buffer = 99999999999999999999",
        "[log]\nmessages_per_second = 99999999999999999999",
        "[peers.bob.address]",
        "'inbox.max_size' = '1GiB'",
        "[peers.bob]\n'NAME.address' = '1.2.3.4'",
        "'peers.NAME' = {}",
        "[inbox.inbox]\nmax_size = '1GiB'",
        "\u{1b}[31m = 1",
        "\"\\u001b[31m\" = 1",
        "\"\" = 1",
        "=",
        "[",
        "\"",
        "listen = [\"\"\"",
        &nested,
        &endless,
    ] {
        let (_, _, shown, _) = mistake(text);
        assert!(shown.len() < 2000 && !shown.contains('\u{1b}'), "{shown}");
    }
}
