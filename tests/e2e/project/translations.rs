//! Each text for people has a translation in the catalogue, and each entry of the catalogue is of a text.

use std::collections::BTreeSet;
use std::fs;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::commands::sources;
use super::layering::root;

/// Where texts for people are.
const FOLDERS: [&str; 3] = ["config", "ctl", "daemon"];

/// Comments that mark texts of libraries, which are in no source of ours.
const FOREIGN: [&str; 2] = ["of clap", "of the system"];

/// The texts of the sources.
#[derive(Default)]
struct Texts {
    /// The first argument of each `tr!`.
    translated: BTreeSet<String>,
    /// All string literals and documentation comments, one after the other, without spaces.
    all: String,
}

impl Texts {
    fn read() -> Self {
        let mut texts = Self::default();
        let files = FOLDERS.iter().flat_map(|folder| sources(root().join(folder)));
        for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
            let source = fs::read_to_string(&file).unwrap();
            texts.add(source.parse().unwrap());
        }
        texts
    }

    fn add(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (place, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => {
                    let is_translated = group.delimiter() == Delimiter::Parenthesis
                        && place >= 2
                        && tokens[place - 2].to_string() == "tr"
                        && tokens[place - 1].to_string() == "!";
                    if let Some(text) =
                        group.stream().into_iter().next().filter(|_| is_translated).and_then(text)
                    {
                        self.translated.insert(text);
                    }
                    self.add(group.stream());
                }
                other => self.all.extend(text(other.clone()).map(|text| without_spaces(&text))),
            }
        }
    }
}

/// Returns the value of a string literal.
fn text(token: TokenTree) -> Option<String> {
    syn::parse2::<syn::LitStr>(token.into()).ok().map(|literal| literal.value())
}

fn without_spaces(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn every_text_has_a_translation() {
    let texts = Texts::read().translated;
    assert!(texts.len() > 20, "{texts:#?}");
    let missing: Vec<_> = texts.iter().filter(|text| !udpchat_locale::is_known(text)).collect();
    let entries: String = missing.iter().map(|text| format!("msgid {text:?}\nmsgstr \"\"\n\n")).collect();
    assert!(missing.is_empty(), "{} without a translation in config/locale/po:\n{entries}", missing.len());
}

#[test]
fn every_translation_is_of_a_text() {
    let texts = Texts::read().all;
    for file in sources(root().join("config/locale/po")) {
        let catalogue = polib::po_file::parse(&file).unwrap();
        let unused: Vec<_> = catalogue
            .messages()
            .filter(|message| !FOREIGN.contains(&message.extracted_comments().trim()))
            .map(|message| message.msgid().to_owned())
            .filter(|text| !texts.contains(&without_spaces(text)))
            .collect();
        assert!(unused.is_empty(), "{}: no text of the sources: {unused:#?}", file.display());
    }
}
