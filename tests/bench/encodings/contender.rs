//! Other detectors of encodings, asked about the same bytes: chardetng alone, Python's charset-normalizer, uchardet.
//!
//! A message counts as right if it is right in the encoding that they name.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::process::{Command, Stdio};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use udpchat_config::Encoding;

use super::case::Case;
use super::tally::Tally;

/// How many files one process of uchardet gets.
const MAX_FILES: usize = 500;

/// Reads messages in hexadecimal digits, a line each, and prints the encoding of each.
const CHARSET_NORMALIZER: &str = "
import sys
from charset_normalizer import from_bytes
for line in sys.stdin:
    best = from_bytes(bytes.fromhex(line)).best()
    print(best.encoding if best else '-')
";

/// A detector.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// Names the encoding of each message; none if the detector is not installed.
    ask: fn(&[Case]) -> Option<Vec<String>>,
}

pub(crate) const ALL: [Contender; 3] = [
    Contender { name: "chardetng", ask: chardetng },
    Contender { name: "charset-normalizer", ask: charset_normalizer },
    Contender { name: "uchardet", ask: uchardet },
];

impl Contender {
    /// Returns the share that it reads right, for each list of messages. It is asked about all at once: a process for each
    /// list would take longer than the answers.
    pub(crate) fn shares(&self, lists: &[Vec<Case>]) -> Vec<String> {
        let Some(names) = (self.ask)(&lists.concat()) else {
            return vec!["not installed".to_owned(); lists.len()];
        };
        let mut names = names.into_iter();
        lists.iter().map(|cases| share(cases, &mut names)).collect()
    }
}

fn share(cases: &[Case], names: &mut impl Iterator<Item = String>) -> String {
    let mut tally = Tally::default();
    for case in cases {
        // The names of some that we do not have are those of no speaker here.
        let encoding = names.next().and_then(|name| name.parse::<Encoding>().ok());
        let read = encoding.map(|encoding| encoding.encoding().decode(&case.bytes).0);
        tally.count(read.is_some_and(|read| case.is_right(&read)), String::new);
    }
    tally.share()
}

#[expect(clippy::unnecessary_wraps, reason = "one of several")]
fn chardetng(cases: &[Case]) -> Option<Vec<String>> {
    let name = |case: &Case| {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(&case.bytes, true);
        detector.guess(None, Utf8Detection::Allow).name().to_owned()
    };
    Some(cases.iter().map(name).collect())
}

fn charset_normalizer(cases: &[Case]) -> Option<Vec<String>> {
    let mut lines = String::new();
    for case in cases {
        for byte in &case.bytes {
            // Writing to a string cannot fail.
            let _written = write!(lines, "{byte:02x}");
        }
        lines.push('\n');
    }
    let python = Command::new("python3")
        .args(["-c", CHARSET_NORMALIZER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut python = python.ok()?;
    let mut input = python.stdin.take()?;
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let mut answers = String::new();
    python.stdout.take()?.read_to_string(&mut answers).ok()?;
    // Without the module it ends before it has read all.
    let _written = writer.join().ok()?;
    python.wait().ok()?.success().then(|| answers.lines().map(str::to_owned).collect())
}

fn uchardet(cases: &[Case]) -> Option<Vec<String>> {
    let folder = tempfile::tempdir().ok()?;
    let mut names = Vec::new();
    for cases in cases.chunks(MAX_FILES) {
        // With one file alone it does not print the name of the file.
        let files = (0..=cases.len()).map(|number| folder.path().join(number.to_string()));
        let mut command = Command::new("uchardet");
        for (file, case) in files.zip(cases.iter().chain(cases.first())) {
            std::fs::write(&file, &case.bytes).ok()?;
            command.arg(file);
        }
        let output = command.output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let encoding = |line: &str| line.rsplit(": ").next().unwrap_or_default().to_owned();
        names.extend(text.lines().take(cases.len()).map(encoding));
    }
    Some(names)
}
