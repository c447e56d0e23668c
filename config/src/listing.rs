//! Shows settings as a list, and tells what changed between two of them.

use std::fmt::{Display, Write as _};
use std::path::Path;

use crate::{PeerName, Setting, Settings};

impl Settings {
    /// Lists every value as key, value in TOML, and origin, in the order of the default file.
    pub fn listing(&self) -> Vec<(String, String, String)> {
        let mut list = vec![
            line("listen", &self.listen, quote_all(&self.listen)),
            line("groups", &self.groups, quote_all(&self.groups)),
            line("data_dir", &self.data_dir, quote_path(&self.data_dir)),
            line("receive_buffer", &self.receive_buffer, quote(&self.receive_buffer.value)),
            line("socket", &self.socket, quote_path(&self.socket)),
            line("inbox.max_size", &self.inbox.max_size, quote(&self.inbox.max_size.value)),
            line("inbox.max_age", &self.inbox.max_age, quote(&self.inbox.max_age.value)),
            line("text.encoding", &self.text.encoding, quote(&self.text.encoding.value)),
            line("text.fallback", &self.text.fallback, quote(&self.text.fallback.value)),
            line("log.level", &self.log.level, quote(&self.log.level.value)),
            line("log.format", &self.log.format, quote(&self.log.format.value)),
            line(
                "log.messages_per_second",
                &self.log.messages_per_second,
                self.log.messages_per_second.to_string(),
            ),
            line("access.allow", &self.access.allow, quote_all(&self.access.allow)),
            line("access.deny", &self.access.deny, quote_all(&self.access.deny)),
            line("control.read", &self.control.read, quote_all(&self.control.read)),
            line("control.send", &self.control.send, quote_all(&self.control.send)),
            line("control.admin", &self.control.admin, quote_all(&self.control.admin)),
            line("metrics.listen", &self.metrics.listen, quote(&self.metrics.listen.value)),
        ];
        for (name, peer) in &self.peers {
            let table = format!("peers.{}", key_of(name));
            list.push(line(&format!("{table}.address"), &peer.address, quote(&peer.address.value)));
            if let Some(encoding) = &peer.encoding {
                list.push(line(&format!("{table}.encoding"), encoding, quote(&encoding.value)));
            }
        }
        list
    }

    /// Lists the keys whose values differ in `new` and that only a restart can apply.
    ///
    /// All others (`groups`, `peers`, `access`, `control`, `text`, `inbox`, `log.level`, `log.messages_per_second`) apply at a reload.
    pub fn changed_needing_restart(&self, new: &Self) -> Vec<&'static str> {
        let comparisons = [
            ("listen", differs(&self.listen, &new.listen)),
            ("data_dir", differs(&self.data_dir, &new.data_dir)),
            ("receive_buffer", differs(&self.receive_buffer, &new.receive_buffer)),
            ("socket", differs(&self.socket, &new.socket)),
            ("log.format", differs(&self.log.format, &new.log.format)),
            ("metrics.listen", differs(&self.metrics.listen, &new.metrics.listen)),
        ];
        comparisons.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}

/// Compares values alone: that a value now comes from elsewhere is no change.
fn differs<T: PartialEq>(old: &Setting<T>, new: &Setting<T>) -> bool {
    old.value != new.value
}

fn line<T>(key: &str, setting: &Setting<T>, value: String) -> (String, String, String) {
    (key.to_owned(), value, setting.origin.to_string())
}

fn quote_path(path: &Path) -> String {
    quote(&path.display())
}

fn quote_all<T: Display>(values: &[T]) -> String {
    let quoted: Vec<_> = values.iter().map(|value| quote(value)).collect();
    format!("[{}]", quoted.join(", "))
}

/// Writes a TOML basic string, with everything escaped that is not visible.
fn quote(value: &impl Display) -> String {
    let mut quoted = String::from("\"");
    for character in value.to_string().chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\'' => quoted.push(character),
            // More than one character long: not printable.
            _ if character.escape_debug().len() > 1 => {
                // Writing into a String cannot fail.
                let _ = write!(quoted, "\\U{:08X}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// Writes a peer's name as a TOML key: bare if it can be.
fn key_of(name: &PeerName) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.as_str().bytes().all(is_bare) { name.to_string() } else { quote(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encoding, Origin, Peer};

    fn settings() -> Settings {
        let mut settings = Settings::default_in("/d/a\"b");
        let origin = Origin::File { path: "/c.toml".into(), line: 7 };
        for (name, address, encoding) in
            [("bob", "1.2.3.4:80", None), ("小明", "1.2.3.5", Some(Encoding::GBK))]
        {
            let address = Setting::new(address.parse().unwrap(), origin.clone());
            let encoding = encoding.map(|encoding| Setting::new(encoding, origin.clone()));
            settings.peers.insert(name.parse().unwrap(), Peer { address, encoding });
        }
        settings
    }

    #[test]
    fn every_value_is_listed_as_toml_with_its_origin() {
        let listing = settings().listing();
        let shown: Vec<_> = listing.iter().map(|(k, v, o)| format!("{k} = {v} # {o}")).collect();
        let expected = r#"listen = ["[::]:7788"] # default
groups = [] # default
data_dir = "/d/a\"b" # default
receive_buffer = "8MiB" # default
socket = "/d/a\"b/control.sock" # default
inbox.max_size = "4GiB" # default
inbox.max_age = "" # default
text.encoding = "utf-8" # default
text.fallback = "gb18030" # default
log.level = "info" # default
log.format = "text" # default
log.messages_per_second = 100 # default
access.allow = [] # default
access.deny = [] # default
control.read = [] # default
control.send = [] # default
control.admin = [] # default
metrics.listen = "" # default
peers.bob.address = "1.2.3.4:80" # /c.toml:7
peers."小明".address = "1.2.3.5" # /c.toml:7
peers."小明".encoding = "gbk" # /c.toml:7"#;
        assert_eq!(shown.join("\n"), expected);
    }

    #[test]
    fn a_listing_is_a_configuration_file() {
        let mut settings = settings();
        settings.data_dir.value = "/odd/\u{1b}\u{202e}\\'x".into();
        let text: String = settings.listing().iter().map(|(k, v, _)| format!("{k} = {v}\n")).collect();
        let layer = crate::file::parse(&text, Path::new("/x")).unwrap();
        assert_eq!(layer.data_dir.unwrap().value, settings.data_dir.value);
        assert_eq!(layer.peers.len(), 2);
    }

    #[test]
    fn each_key_that_needs_a_restart_is_named() {
        let old = settings();
        let mut new = old.clone();
        assert!(old.changed_needing_restart(&new).is_empty());
        new.listen.value.push("127.0.0.1:1".parse().unwrap());
        new.data_dir.value = "/e".into();
        new.receive_buffer.value = "1MiB".parse().unwrap();
        new.socket.value = "/s".into();
        new.log.format.value = crate::LogFormat::Json;
        new.metrics.listen.value = "127.0.0.1:1".parse().unwrap();
        assert_eq!(
            old.changed_needing_restart(&new),
            ["listen", "data_dir", "receive_buffer", "socket", "log.format", "metrics.listen"]
        );
    }

    #[test]
    fn what_a_reload_applies_and_a_new_origin_need_no_restart() {
        let old = settings();
        let mut new = old.clone();
        new.listen.origin = Origin::Flag("--listen");
        new.groups.value.push("239.1.2.3".parse().unwrap());
        new.peers.clear();
        new.access.deny.value.push("10.0.0.0/8".parse().unwrap());
        new.control.read.value.push("users".parse().unwrap());
        new.text.encoding.value = Encoding::GBK;
        new.inbox.max_size.value = "1GiB".parse().unwrap();
        new.inbox.max_age.value = "1d".parse().unwrap();
        new.log.level.value = crate::LogLevel::Debug;
        new.log.messages_per_second.value = 1;
        assert!(old.changed_needing_restart(&new).is_empty());
    }
}
