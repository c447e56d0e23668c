//! Reads which modules a Rust file imports or names: a small parser for `use` declarations and paths.
//!
//! It parses only the syntax that this project uses. Comments, strings and code for unit tests do not count.

use std::iter::Peekable;
use std::str::Chars;

/// What a file imports and names.
#[derive(Default)]
pub(super) struct Source {
    pub(super) uses: Vec<Use>,
    /// Paths outside `use` declarations, such as `schema::open` or `crate::health::Place`.
    pub(super) paths: Vec<Vec<String>>,
    /// All words outside `use` declarations.
    pub(super) words: Vec<String>,
    /// Modules that are compiled for unit tests alone.
    pub(super) test_modules: Vec<String>,
}

/// One name that a `use` declaration brings in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Use {
    /// As it is written; the last segment is `*` where all names are meant.
    pub(super) path: Vec<String>,
    /// The name under which it is known in the file.
    pub(super) name: String,
    pub(super) is_public: bool,
}

impl Source {
    pub(super) fn parse(text: &str) -> Self {
        let mut source = Self::default();
        let tokens = source.without_tests(&tokens(text));
        let mut rest = &tokens[..];
        while let Some((token, behind)) = rest.split_first() {
            let before = tokens.len() - rest.len();
            rest = behind;
            if token == "use" && behind[0] != "<" {
                let is_public = before > 0 && ["pub", ")"].contains(&&*tokens[before - 1]);
                rest = source.read_use(behind, &[], is_public);
            } else if token == "pub" && behind[0] == "(" {
                rest = &behind[group(behind).len()..];
            } else if is_word(token) {
                source.words.push(token.clone());
                let is_head = before == 0 || !["::", "."].contains(&&*tokens[before - 1]);
                if is_head && behind.first().is_some_and(|next| next == "::") {
                    source.paths.push(path(&tokens[before..]));
                }
            }
        }
        source
    }

    /// Leaves out what is compiled for unit tests alone.
    fn without_tests(&mut self, tokens: &[String]) -> Vec<String> {
        let mut kept = Vec::new();
        let mut rest = tokens;
        while let Some(token) = rest.first() {
            let attribute =
                if rest.starts_with(&["#".to_owned(), "[".to_owned()]) { group(&rest[1..]) } else { &[] };
            if attribute.get(1).is_some_and(|word| word == "cfg") && attribute.contains(&"test".to_owned()) {
                let item = item(&rest[1 + attribute.len()..]);
                if let Some(at) = item.iter().position(|word| word == "mod") {
                    self.test_modules.push(item[at + 1].clone());
                }
                rest = &rest[1 + attribute.len() + item.len()..];
            } else {
                kept.push(token.clone());
                rest = &rest[1..];
            }
        }
        kept
    }

    /// Reads a tree of `use` behind a prefix, and returns what follows it.
    fn read_use<'a>(&mut self, mut rest: &'a [String], prefix: &[String], is_public: bool) -> &'a [String] {
        let mut path = prefix.to_vec();
        loop {
            let token = &rest[0];
            rest = &rest[1..];
            match token.as_str() {
                "::" => continue,
                "{" => {
                    while rest[0] != "}" {
                        rest = self.read_use(rest, &path, is_public);
                        rest = rest.strip_prefix(&[",".to_owned()]).unwrap_or(rest);
                    }
                    return &rest[1..];
                }
                "self" if !path.is_empty() => break,
                _ => path.push(token.clone()),
            }
            if rest[0] != "::" {
                break;
            }
        }
        let mut name = path.last().unwrap().clone();
        if rest[0] == "as" {
            name.clone_from(&rest[1]);
            rest = &rest[2..];
        }
        self.uses.push(Use { path, name, is_public });
        rest
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|character: char| character.is_alphanumeric() || character == '_')
}

/// Reads the path at the beginning of some tokens.
fn path(tokens: &[String]) -> Vec<String> {
    let mut path = vec![tokens[0].clone()];
    let mut pairs = tokens[1..].chunks_exact(2);
    path.extend(
        pairs.by_ref().map_while(|pair| (pair[0] == "::" && is_word(&pair[1])).then(|| pair[1].clone())),
    );
    path
}

/// Returns the tokens from an opening bracket to the one that closes it.
fn group(tokens: &[String]) -> &[String] {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &tokens[..=at];
        }
    }
    tokens
}

/// Returns the tokens of an item, statement or field, with further attributes before it.
fn item(tokens: &[String]) -> &[String] {
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "{" => return &tokens[..at + group(&tokens[at..]).len()],
            ";" => return &tokens[..=at],
            "}" => return &tokens[..at],
            "(" | "[" => at += group(&tokens[at..]).len(),
            _ => at += 1,
        }
    }
    tokens
}

/// Splits a file into words, `::` and single characters, without comments, literals of text and lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '/' if rest.peek() == Some(&'/') => drop(rest.by_ref().find(|&next| next == '\n')),
            '/' if rest.peek() == Some(&'*') => skip_comment(&mut rest),
            '"' => skip_text(&mut rest),
            '\'' => skip_character_or_lifetime(&mut rest),
            ':' if rest.next_if_eq(&':').is_some() => tokens.push("::".to_owned()),
            _ if character.is_alphanumeric() || character == '_' => {
                let mut word = String::from(character);
                while let Some(next) = rest.next_if(|next| next.is_alphanumeric() || *next == '_') {
                    word.push(next);
                }
                match (word.as_str(), rest.peek()) {
                    ("r" | "br", Some('"' | '#')) => skip_raw_text(&mut rest),
                    ("b" | "c", Some('"')) => {}
                    _ => tokens.push(word),
                }
            }
            _ if character.is_whitespace() => {}
            _ => tokens.push(character.to_string()),
        }
    }
    tokens
}

fn skip_comment(rest: &mut Peekable<Chars<'_>>) {
    let mut last = ' ';
    rest.next();
    for character in rest {
        if (last, character) == ('*', '/') {
            return;
        }
        last = character;
    }
}

fn skip_text(rest: &mut Peekable<Chars<'_>>) {
    while let Some(character) = rest.next() {
        match character {
            '\\' => drop(rest.next()),
            '"' => return,
            _ => {}
        }
    }
}

fn skip_raw_text(rest: &mut Peekable<Chars<'_>>) {
    let mut hashes = 0;
    while rest.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    // Otherwise it is a raw name, such as `r#as`.
    if rest.next_if_eq(&'"').is_some() {
        while rest.by_ref().any(|character| character == '"') {
            if (0..hashes).all(|_| rest.next_if_eq(&'#').is_some()) {
                return;
            }
        }
    }
}

fn skip_character_or_lifetime(rest: &mut Peekable<Chars<'_>>) {
    if rest.next() == Some('\\') {
        rest.next();
        rest.by_ref().find(|&character| character == '\'');
    } else if rest.next_if_eq(&'\'').is_none() {
        while rest.next_if(|next| next.is_alphanumeric() || *next == '_').is_some() {}
    }
}

#[test]
fn imports_and_paths_are_read() {
    let source = Source::parse(
        r##"
        //! use crate::comment;
        use std::fs::{self, File};
        pub(crate) use child::Thing;
        pub(in crate::visible) struct S;
        use crate::{a::B as C, d::*};
        #[cfg(test)]
        mod tests { use crate::only_tests; }
        #[cfg(test)]
        mod more_tests;
        fn f<'a>(x: &'a str) -> char { health::Place::new(r#"use "crate::text"#, "crate::text"); crate::z::y; '\'' }
        "##,
    );
    let uses: Vec<_> =
        source.uses.iter().map(|one| (one.path.join("::"), &*one.name, one.is_public)).collect();
    let expected = [
        ("std::fs", "fs", false),
        ("std::fs::File", "File", false),
        ("child::Thing", "Thing", true),
        ("crate::a::B", "C", false),
        ("crate::d::*", "*", false),
    ];
    assert_eq!(uses, expected.map(|(path, name, is_public)| (path.to_owned(), name, is_public)));
    assert_eq!(source.paths, [vec!["health", "Place", "new"], vec!["crate", "z", "y"]]);
    assert_eq!(source.test_modules, ["tests", "more_tests"]);
}
