//! Mistakes in the configuration file, in variables and in flags.

use tempfile::TempDir;

use crate::support::{Daemon, Refused, new_folder};

use super::{bare, folder_with};

#[track_caller]
fn assert_mistake(config: &str, line: u32, message: &str, hint: &str) {
    let folder = folder_with(config);
    assert_reported(&folder, &Daemon::refused(folder.path(), &["--check-config"]), line, message, hint);
}

#[track_caller]
fn assert_reported(folder: &TempDir, refused: &Refused, line: u32, message: &str, hint: &str) {
    let Refused { code, stderr } = refused;
    let (what, advice) = stderr.split_once("hint: ").unwrap_or((stderr, ""));
    let place = format!("error: {}:{line}:", folder.path().join("config.toml").display());
    assert_eq!(*code, Some(2), "{stderr}");
    assert!(what.starts_with(&place) && what.contains(message) && advice.contains(hint), "{stderr}");
}

#[test]
fn a_mistake_prevents_the_start_and_creates_nothing() {
    let folder = folder_with("\nlisen = []");
    let refused = Daemon::refused(folder.path(), &["--listen", "127.0.0.1:0"]);
    assert_reported(&folder, &refused, 2, "unknown key `lisen`", "`listen`");
    assert!(!folder.path().join("data").exists() && !folder.path().join("s").exists());
}

#[test]
fn an_unknown_group_of_users_fails_the_check_and_not_the_start() {
    let folder = folder_with("[control]\nread = ['nosuchgroup']");
    let Refused { code, stderr } = Daemon::refused(folder.path(), &["--check-config"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("control.read: group `nosuchgroup` is unknown") && stderr.contains("getent"),
        "{stderr}"
    );
    let daemon = Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let status = daemon.status();
    assert_eq!(status["state"], "degraded", "it runs, and says so");
    assert!(status["problems"].to_string().contains("group `nosuchgroup` is unknown"), "{status}");
}

#[test]
fn an_unknown_key_is_refused_with_a_suggestion() {
    assert_mistake("\nlisen = []", 2, "unknown key `lisen`", "`listen`");
    assert_mistake("[log]\n\nlevle = 'info'", 3, "unknown key `levle` in [log]", "`level`");
    assert_mistake("[peers.bob]\nport = 3", 2, "unknown key `port` in [peers.bob]", "`address`");
}

#[test]
fn a_wrong_type_is_refused_with_an_example() {
    assert_mistake("listen = '[::]:1'", 1, "expected a list", "listen = [");
    assert_mistake("\n[inbox]\nmax_age = 90", 3, "expected a span of time", "90d");
    assert_mistake("[peers]\nbob = '1.2.3.4'", 2, "expected a table", "[peers.bob]");
}

#[test]
fn each_invalid_value_is_refused_with_a_hint() {
    for (config, line, message, hint) in [
        ("listen = ['localhost:1']", 1, "is a host name", "[::]:7788"),
        ("listen = ['1.2.3.4:70000']", 1, "port 70000 is out of range", "[::]:7788"),
        ("receive_buffer = 'big'", 1, "`big` is not a size", "8MiB"),
        ("[inbox]\nmax_size = '4 apples'", 2, "`4 apples` is not a size", "4GiB"),
        ("[inbox]\nmax_age = 'long'", 2, "`long`", "90d"),
        ("[text]\nencoding = 'gbkk'", 2, "unknown encoding `gbkk`", "`gbk`"),
        ("[text]\nfallback = 'foo'", 2, "unknown encoding `foo`", "gb18030"),
        ("[log]\nlevel = 'loud'", 2, "unknown log level `loud`", "error, warn, info"),
        ("[log]\nformat = 'xml'", 2, "unknown log format `xml`", "text, json"),
        ("[log]\nmessages_per_second = -1", 2, "a whole number from 0", "100"),
        ("[access]\nallow = ['lan']", 2, "`lan` is not a network", "192.168.0.0/16"),
        ("[access]\ndeny = ['1.2.3.4/33']", 2, "is not a network", "192.168.0.0/16"),
        ("[peers.bob]\naddress = 'bob.lan'", 2, "is a host name", "udpchatctl send"),
        ("[peers.bob]\naddress = '1.2.3.4:0'", 2, "port 0", "192.168"),
        ("[peers.'a b']\naddress = '1.2.3.4'", 1, "contains white space", "letters"),
        ("data_dir = 'inbox'", 1, "is not absolute", "leading `/`"),
        ("socket = '~/s'", 1, "is not absolute", "not expanded"),
    ] {
        assert_mistake(config, line, message, hint);
    }
}

#[test]
fn conflicting_values_are_refused_with_a_hint() {
    for (config, line, message, hint) in [
        ("\nlisten = []", 2, "no address to listen on", "leave `listen` out"),
        ("listen = ['[::]:1', '[::]:1']", 1, "[::]:1 is given twice", "leave one"),
        ("receive_buffer = '1KiB'", 1, "receive_buffer 1KiB is out of range", "8MiB"),
        ("[inbox]\nmax_size = '1KiB'", 2, "inbox.max_size 1KiB is too small", "4GiB"),
        ("[text]\nfallback = 'utf-16le'", 2, "text.fallback cannot be utf-16le", "encoding ="),
        (
            "[peers.a]\naddress='1.2.3.4:5'\n[peers.b]\naddress='1.2.3.4:5'",
            4,
            "same address 1.2.3.4:5",
            "keep one",
        ),
        ("[peers.a]\nencoding='gbk'", 1, "peer `a` has no address", "address ="),
    ] {
        assert_mistake(config, line, message, hint);
    }
}

#[test]
fn a_syntax_error_is_refused_with_a_hint() {
    assert_mistake("\n\nlisten = ", 3, "", "key = value");
    assert_mistake("[inbox]\nmax_size = 4GiB", 2, "", "quotes");
    assert_mistake("listen = []\nlisten = []", 2, "duplicate key", "`listen` is in line 1 already");
    assert_mistake("[peers.小明]", 1, "", r#"[peers."小明"]"#);
}

#[test]
fn a_named_configuration_file_must_exist() {
    let folder = new_folder();
    let missing = folder.path().join("config.toml");
    let refused = Daemon::refused(folder.path(), &[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let texts = [missing.to_str().unwrap(), "no such file", "hint: ", "--config"];
    assert!(texts.iter().all(|text| refused.stderr.contains(text)), "{refused:?}");
    let named = bare(folder.path()).env("UDPCHAT_CONFIG", &missing).arg("--check-config").output().unwrap();
    assert_eq!(named.status.code(), Some(2));
    assert!(String::from_utf8(named.stderr).unwrap().contains(missing.to_str().unwrap()));
}

#[test]
fn invalid_variables_and_flags_are_refused_by_name() {
    let folder = new_folder();
    for (variable, value) in [("UDPCHAT_LISTEN", "127.0.0.1:70000"), ("UDPCHAT_LOG", "loud")] {
        let output = bare(folder.path()).env(variable, value).arg("--check-config").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(&format!("environment {variable}")) && stderr.contains("hint: "), "{stderr}");
    }
    for flag in [&["--listen", "localhost:1"], &["--log-level", "loud"], &["--log-format", "xml"]] {
        let output = bare(folder.path()).args(flag).arg("--check-config").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(flag.iter().all(|word| stderr.contains(word)) && stderr.contains("hint: "), "{stderr}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_listed_in_its_order() {
    let config = "lisen = []\n[text]\nencoding = 'ansi'\n[inbox]\nmax_age = 7\nmax_size = 'x'\n[peers.bob]\naddress = '::::'\n";
    let places = [(1, 1), (3, 12), (5, 11), (6, 12), (8, 11)];
    let listed = |config: &str| Daemon::refused(folder_with(config).path(), &["--check-config"]).stderr;
    let found = listed(config);
    let errors: Vec<_> = found.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), places.len(), "{found}");
    for (error, (line, column)) in errors.iter().zip(places) {
        assert!(error.contains(&format!("config.toml:{line}:{column}: ")), "{found}");
    }
    // Rules are checked once all values are valid.
    let found = listed("listen = []\n[inbox]\nmax_size = '1KiB'\n[peers.bob]\nencoding = 'gbk'\n");
    for text in ["no address to listen on", "is too small", "peer `bob` has no address"] {
        assert_eq!(found.matches(text).count(), 1, "{found}");
    }
}
