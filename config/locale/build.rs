//! Makes a sorted table of the catalogues in `po/`, so that a program finds a translation without parsing anything.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=po");
    let (mut texts, mut shapes) = (BTreeMap::new(), BTreeMap::new());
    for file in catalogues(Path::new("po"))? {
        let catalogue = polib::po_file::parse(&file)?;
        for message in catalogue.messages() {
            let (text, translation) = (message.msgid(), message.msgstr()?);
            if translation.is_empty() || message.is_fuzzy() {
                return Err(format!("{}: no final translation of {text:?}", file.display()).into());
            }
            let earlier = shapes.insert(shape(text), shape(translation));
            if earlier.is_some_and(|earlier| earlier != shape(translation)) {
                return Err(
                    format!("{}: two translations of what looks like {text:?}", file.display()).into()
                );
            }
            let earlier = texts.insert(text.to_owned(), translation.to_owned());
            if earlier.is_some_and(|earlier| earlier != translation) {
                return Err(format!("{}: two translations of {text:?}", file.display()).into());
            }
        }
    }
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("chinese.rs"), source(&texts)?)?;
    Ok(())
}

/// Returns the catalogue as a Rust expression: all texts in one, and where each begins and its translation.
fn source(texts: &BTreeMap<String, String>) -> Result<String, std::fmt::Error> {
    let (mut all, mut places) = (String::new(), String::new());
    for (text, translation) in texts {
        writeln!(places, "        ({}, {}),", all.len(), all.len() + text.len())?;
        all.push_str(text);
        all.push_str(translation);
    }
    Ok(format!("Catalogue {{\n    texts: {all:?},\n    places: &[\n{places}    ],\n}}\n"))
}

/// Returns a text without the names of its placeholders: a finished text does not show them.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    let mut is_name = false;
    for character in text.chars() {
        is_name &= character != '}';
        if !is_name {
            shape.push(character);
        }
        is_name |= character == '{';
    }
    shape
}

fn catalogues(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "po") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
