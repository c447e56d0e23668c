//! What several fuzz targets share.

use std::path::Path;

use tempfile::TempDir;
use udpchat_api::safe::{find_unsafe, is_unsafe};

/// Fails if a text for people has a character that is not safe to show in one line.
#[track_caller]
pub fn assert_safe(text: &str) {
    assert_eq!(find_unsafe(text), None, "unsafe character in {text:?}");
}

/// Fails if a line of JSON has an unsafe character that is not escaped.
#[track_caller]
pub fn assert_safe_json(line: &str) {
    let found = line.chars().find(|character| is_unsafe(*character));
    assert_eq!(found, None, "unsafe character in {line:?}");
}

/// Fails if a text of several lines has a character that is not safe to show.
#[track_caller]
pub fn assert_safe_lines(text: &str) {
    text.split('\n').for_each(assert_safe);
}

/// Undoes the escaping of text that was made safe for one line.
pub fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(r"\u{") {
        let (before, escape) = rest.split_at(at);
        let (code, behind) = escape[3..].split_once('}').expect("the end of an escape");
        let character = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
        out.push_str(before);
        out.push(character.expect("a character"));
        rest = behind;
    }
    out + rest
}

/// Creates a folder in memory where the system has such a file system: most targets write a file in each run.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a folder for temporary files")
}

/// Takes the parts of an input one after the other; at its end, zeros and empty parts.
#[derive(Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Takes a byte.
    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    /// Takes a little-endian number.
    pub fn word(&mut self) -> u32 {
        let mut word = [0; 4];
        let taken = self.bytes(4);
        word[..taken.len()].copy_from_slice(taken);
        u32::from_le_bytes(word)
    }

    /// Takes up to this many bytes.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Takes a part whose length comes first.
    pub fn part(&mut self) -> &'a [u8] {
        let length = self.byte();
        self.bytes(length.into())
    }
}
