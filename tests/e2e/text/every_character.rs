//! Every character of every encoding: what is sent is read back as the same character, by the codec of the WHATWG standard
//! and by Python's codec of the same name, or it is refused; and no character is refused without need.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use udpchat_config::Encoding;
use udpchat_text::encode;

use crate::support::{available, new_folder, scaled};

/// Returns Python's name of an encoding.
fn python_codec(name: &str) -> String {
    match name {
        "utf-16le" => "utf_16_le".to_owned(),
        "utf-16be" => "utf_16_be".to_owned(),
        "iso-2022-jp" => "iso2022_jp".to_owned(),
        "iso-8859-8-i" => "iso8859_8".to_owned(),
        "ibm866" => "cp866".to_owned(),
        "macintosh" => "mac_roman".to_owned(),
        "x-mac-cyrillic" => "mac_cyrillic".to_owned(),
        name => name.replace("windows-", "cp").replace("iso-8859-", "iso8859_").replace('-', "_"),
    }
}

/// For each encoding: decodes what may be sent, and what was refused although the encoding has bytes for it; prints what reads as
/// another character, and what was refused and would be read as it is meant. Controls and characters of private use may be
/// refused.
const PYTHON: &str = r#"
import sys, unicodedata
def load(path):
    with open(path + ".bytes", "rb") as sent, open(path + ".txt", "rb") as meant:
        return sent.read(), meant.read().decode("utf-8").split("\n")
def names(characters):
    return [f"U+{ord(a):04X}" for a in characters[:20]]
for line in sys.stdin:
    codec, path = line.rstrip("\n").split(" ", 1)
    sent, meant = load(path)
    read = sent.decode(codec, "replace").split("\n")
    if read != meant:
        wrong = [a for a, b in zip(meant, read) if a != b]
        print(codec, "reads otherwise:", len(meant), len(read), len(wrong), names(wrong))
    sent, meant = load(path + "-refused")
    read = [one.decode(codec, "replace") for one in sent.split(b"\n")]
    known = [a for a, b in zip(meant, read) if a == b and a and unicodedata.category(a) not in ("Cc", "Co")]
    if known:
        print(codec, "reads what was refused:", len(known), names(known))
"#;

/// What becomes of the characters that an encoding has, a line each.
#[derive(Default)]
struct Repertoire {
    sendable: String,
    refused: String,
    /// The refused ones, as the codec of the standard encodes them and reads them back.
    refused_bytes: Vec<u8>,
}

impl Repertoire {
    fn of(encoding: Encoding) -> Self {
        let mut all = Self::default();
        let mut one = [0; 4];
        for character in characters() {
            let character = &*character.encode_utf8(&mut one);
            if encode(character, encoding).is_ok() {
                all.sendable.extend([character, "\n"]);
                continue;
            }
            let (bytes, _, is_unknown) = encoding.encoding().encode(character);
            // The standard's encoders replace some characters by similar ones.
            let (read, _) = encoding.encoding().decode_without_bom_handling(&bytes);
            if !is_unknown && read == character {
                all.refused.extend([character, "\n"]);
                all.refused_bytes.extend(bytes.iter().chain(b"\n"));
            }
        }
        all
    }
}

/// Returns the characters that are tried, without the line feed, which separates them: all that any encoding but UTF-8, UTF-16
/// and GB 18030 has, and of the rest some.
fn characters() -> impl Iterator<Item = char> {
    let planes_of_older_encodings = ('\0'..='\u{ffff}').chain('\u{20000}'..='\u{2ffff}');
    let others = ('\u{10000}'..='\u{1ffff}').chain('\u{30000}'..=char::MAX);
    let all = planes_of_older_encodings.chain(others.step_by(scaled(64, 1)));
    all.filter(|character| *character != '\n')
}

#[test]
fn every_character_sent_reads_the_same_elsewhere() {
    if !available("python3") {
        return;
    }
    let folder = new_folder();
    let mut python = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut requests = python.stdin.take().unwrap();
    for name in Encoding::NAMES {
        let encoding: Encoding = name.parse().unwrap();
        let all = Repertoire::of(encoding);
        let sent = encode(&all.sendable, encoding).unwrap();
        let read = encoding.encoding().decode_without_bom_handling_and_without_replacement(&sent);
        assert!(read.as_deref() == Some(&*all.sendable), "the standard's {name} reads something else");
        let write = |end: &str, content: &[u8]| {
            fs::write(folder.path().join(format!("{name}{end}")), content).unwrap();
        };
        write(".txt", all.sendable.as_bytes());
        write(".bytes", &sent);
        write("-refused.txt", all.refused.as_bytes());
        write("-refused.bytes", &all.refused_bytes);
        writeln!(requests, "{} {}", python_codec(name), folder.path().join(name).display()).unwrap();
    }
    drop(requests);
    let output = python.wait_with_output().unwrap();
    let differences = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && differences.is_empty(), "{differences}");
}
