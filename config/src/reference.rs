//! The reference of the configuration file, read from the annotated default file, the only place that explains keys.
//!
//! In that file a comment belongs to the key after it. A key without a fixed default is itself a comment. The table of
//! a peer is a comment as a whole; a list before it explains its keys.

use crate::defaults::DEFAULT_FILE;
use crate::settings::paths_and_examples;

/// A table of the file, or the keys before the first table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TableReference {
    /// Its name; empty before the first table. `NAME` is a placeholder for the name of a peer.
    pub name: String,
    /// Its description; may be empty.
    pub text: String,
    /// Its keys, in the order of the file.
    pub keys: Vec<KeyReference>,
}

/// A key of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KeyReference {
    /// Its name within the table.
    pub name: String,
    /// Its default, as TOML; `None` if the text describes it.
    pub default: Option<String>,
    /// An example of a value, as TOML.
    pub example: String,
    /// Its description.
    pub text: String,
}

/// Returns every table with every key, in the order of the default file.
pub fn reference() -> Vec<TableReference> {
    let mut reader = Reader::default();
    // The first paragraph is about the file itself.
    for line in DEFAULT_FILE.lines().skip_while(|line| !line.is_empty()) {
        reader.read(line);
    }
    reader.tables.retain(|table| !table.keys.is_empty());
    reader.tables
}

#[derive(Default)]
struct Reader {
    tables: Vec<TableReference>,
    /// The comment that no key has followed yet.
    comment: Vec<String>,
}

impl Reader {
    fn read(&mut self, line: &str) {
        let is_comment = line.starts_with('#');
        let text = line.strip_prefix("# ").or(line.strip_prefix('#')).unwrap_or(line);
        if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            self.table(name);
        } else if let Some((key, value)) =
            text.split_once(" = ").filter(|(key, _)| self.example(key).is_some())
        {
            let default = (!is_comment).then(|| value.to_owned());
            self.key(key, default);
        } else if is_comment && !text.is_empty() {
            self.comment.push(text.to_owned());
        }
    }

    fn table(&mut self, name: &str) {
        let name = match name.split_once('.') {
            Some((parent, _)) => format!("{parent}.NAME"),
            None => name.to_owned(),
        };
        // A comment before the header of a table with defaults belongs to the previous key.
        let text = if name.ends_with(".NAME") { std::mem::take(&mut self.comment) } else { Vec::new() };
        self.tables.push(TableReference { name, text: text.join("\n"), keys: Vec::new() });
    }

    fn key(&mut self, name: &str, default: Option<String>) {
        let example = self.example(name).unwrap_or_default().to_owned();
        let mut text = std::mem::take(&mut self.comment);
        if self.tables.is_empty() {
            self.tables.push(TableReference::default());
        }
        let Some(table) = self.tables.last_mut() else { return };
        if text.is_empty() {
            text = take_definition(&mut table.text, name);
        }
        let text = text.join("\n");
        table.keys.push(KeyReference { name: name.to_owned(), default, example, text });
    }

    /// Returns the example of a key of the current table, `None` if there is no such key.
    fn example(&self, name: &str) -> Option<&'static str> {
        let path = match self.tables.last() {
            Some(TableReference { name: table, .. }) if !table.is_empty() => format!("{table}.{name}"),
            _ => name.to_owned(),
        };
        paths_and_examples().find(|(known, _)| *known == path).map(|(_, example)| example)
    }
}

/// Removes the line `name: ...` and its indented continuation lines from a text, and returns them.
fn take_definition(text: &mut String, name: &str) -> Vec<String> {
    let (mut taken, mut left, mut inside) = (Vec::new(), Vec::new(), false);
    for line in text.lines() {
        let begins = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        inside = begins.is_some() || (inside && line.starts_with(' '));
        match begins {
            Some(rest) => taken.push(rest.to_owned()),
            None if inside => taken.push(line.trim_start().to_owned()),
            None => left.push(line),
        }
    }
    *text = left.join("\n");
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_explained_in_the_order_of_the_file() {
        let reference = reference();
        let paths: Vec<String> = reference
            .iter()
            .flat_map(|table| {
                let dot = if table.name.is_empty() { "" } else { "." };
                table.keys.iter().map(move |key| format!("{}{dot}{}", table.name, key.name))
            })
            .collect();
        assert_eq!(paths, paths_and_examples().map(|(path, _)| path).collect::<Vec<_>>());
        for key in reference.iter().flat_map(|table| &table.keys) {
            assert!(key.text.ends_with('.') && !key.example.is_empty(), "{key:?}");
        }
    }

    #[test]
    fn texts_and_defaults_are_those_of_the_file() {
        let reference = reference();
        let key = |table: usize, key: usize| &reference[table].keys[key];
        assert_eq!(key(0, 0).default.as_deref(), Some(r#"["[::]:7788"]"#));
        assert!(key(0, 0).text.starts_with("Where to receive:"));
        assert_eq!((key(0, 2).name.as_str(), &key(0, 2).default), ("data_dir", &None));
        assert_eq!(
            key(1, 1).text,
            "How long entries are kept, for example \"90d\" or \"12h\". Empty: only max_size limits them."
        );
        let [.., peers, lists] = &reference[..] else { panic!("{reference:?}") };
        assert!(lists.text.starts_with("A list of peers") && lists.keys[0].name == "members", "{lists:?}");
        assert_eq!(peers.name, "peers.NAME");
        assert!(
            peers.text.starts_with("A peer: a name") && !peers.text.contains("address:"),
            "{}",
            peers.text
        );
        assert!(peers.keys[1].text.ends_with("such as \"01 e4\"."), "{:?}", peers.keys[1]);
    }
}
