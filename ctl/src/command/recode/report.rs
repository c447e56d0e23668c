//! The result of `recode`, as text and as JSON.

use std::collections::BTreeSet;

use serde::Serialize;
use udpchat_api::call::{Reading, Recoded};
use udpchat_api::safe;
use udpchat_config::Encoding;
use udpchat_locale::tr;
use unicode_width::UnicodeWidthStr;

use crate::error::Result;
use crate::output::style::{DIM, Palette};
use crate::output::{Output, chosen_by, counted, encoding_key, grouped};

/// The encoding that undoes an earlier recode.
const AUTO: &str = "auto";

/// The result of `recode`, or of a dry run.
#[derive(Debug, Serialize)]
pub(crate) struct RecodeReport {
    #[serde(rename = "as")]
    encoding: String,
    dry_run: bool,
    /// Whether the encoding is to be remembered.
    #[serde(skip)]
    pub(crate) remember: bool,
    /// How many messages are decoded differently now.
    pub(crate) recoded: u64,
    /// How many matched.
    pub(crate) matched: u64,
    /// How many peers have another remembered encoding now.
    pub(crate) remembered: u64,
    /// The names of peers whose encoding is configured, which decides.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) configured: BTreeSet<String>,
    /// The names of peers that are configured without a port, though only one of their ports was selected: with `--remember`, the
    /// messages of all their ports are read in the encoding.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) whole_hosts: BTreeSet<String>,
    /// The first messages, in a dry run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) examples: Vec<Recoded>,
    /// Given ids that no message has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) missing: Vec<u64>,
}

impl RecodeReport {
    /// Creates an empty report; `encoding` is as the user wrote it, and reported under the name that decoded messages have.
    pub(crate) fn new(encoding: &str, dry_run: bool) -> Self {
        let name = encoding.parse::<Encoding>().map(|encoding| encoding.for_reading().to_string());
        Self {
            encoding: name.unwrap_or_else(|_| encoding.to_owned()),
            dry_run,
            remember: false,
            recoded: 0,
            matched: 0,
            remembered: 0,
            configured: BTreeSet::new(),
            whole_hosts: BTreeSet::new(),
            examples: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Prints the report.
    pub(super) fn print(&self, output: &mut Output) -> Result<()> {
        if output.is_json() {
            return output.json(self);
        }
        output.text(&examples(self, output.palette()))?;
        output.done(&summary(self))?;
        for name in &self.configured {
            let (name, key) = (safe::one_line(name), encoding_key(name));
            output.note(&tr!(
                "nothing is remembered of {name}: {key} in the configuration decides",
                name,
                key
            ));
        }
        for name in self.whole_hosts.difference(&self.configured) {
            output.note(&tr!(
                "--remember is for all ports of {name}, which is configured without one; so are messages to it",
                name = safe::one_line(name)
            ));
        }
        Ok(())
    }
}

/// Renders the messages of a dry run, each decoded as before and as after.
fn examples(report: &RecodeReport, palette: Palette) -> String {
    report.examples.iter().map(|recoded| example(recoded, palette)).collect()
}

fn example(Recoded { id, before, after }: &Recoded, palette: Palette) -> String {
    let label = |reading: &Reading| {
        format!("{} ({})", safe::one_line(&reading.encoding), chosen_by(reading.encoding_by))
    };
    let (was, becomes) = (label(before), label(after));
    let width = was.width().max(becomes.width());
    let line = |sign: char, label: &str, reading: &Reading| {
        let padding = width - label.width();
        let label = palette.paint(DIM, &format!("{sign} {label}{:padding$}", ""));
        format!("  {label}  {}\n", safe::one_line(safe::without_trailer(&reading.text)))
    };
    format!("#{id}\n{}{}", line('-', &was, before), line('+', &becomes, after))
}

/// Returns a sentence on what was done, or would be done.
fn summary(report: &RecodeReport) -> String {
    let RecodeReport { recoded, matched, remembered, dry_run, .. } = report;
    if *matched == 0 {
        return match report.remember {
            true => tr!(
                "no message matches; a peer that has sent nothing gets its encoding in the configuration: `[peers.NAME] encoding`"
            ),
            false => tr!("no message matches"),
        }
        .to_owned();
    }
    let messages = counted(*recoded, "message");
    let encoding = safe::one_line(&report.encoding);
    let mut parts = vec![match (&*encoding, *dry_run) {
        (AUTO, false) => tr!("{messages} recoded by the usual rules", messages),
        (AUTO, true) => tr!("{messages} would be recoded by the usual rules", messages),
        (encoding, false) => tr!("{messages} recoded as {encoding}", messages, encoding),
        (encoding, true) => tr!("{messages} would be recoded as {encoding}", messages, encoding),
    }];
    if matched > recoded {
        parts.push(tr!("{messages} unchanged", messages = counted(matched - recoded, "message")));
    }
    let shown = report.examples.len() as u64;
    if shown > 0 && *recoded > shown {
        parts.push(tr!("only the first {shown} are shown", shown).to_owned());
    }
    match *remembered {
        0 => {}
        1 if encoding == AUTO => parts.push(tr!("1 peer forgotten").to_owned()),
        peers if encoding == AUTO => parts.push(tr!("{peers} peers forgotten", peers = grouped(peers))),
        1 => parts.push(tr!("1 peer remembered").to_owned()),
        peers => parts.push(tr!("{peers} peers remembered", peers = grouped(peers))),
    }
    parts.join(tr!("; "))
}

#[cfg(test)]
mod tests {
    use udpchat_locale::{Language, with_language};

    use super::*;
    use udpchat_api::EncodingBy;

    fn report(encoding: &str, dry_run: bool, recoded: u64, matched: u64) -> RecodeReport {
        RecodeReport { recoded, matched, ..RecodeReport::new(encoding, dry_run) }
    }

    #[test]
    fn the_summary_is_one_sentence() {
        for (report, text) in [
            (report("gbk", false, 1, 1), "1 message recoded as gbk"),
            (report("gbk", false, 1_200, 1_203), "1,200 messages recoded as gbk; 3 messages unchanged"),
            (report("auto", false, 2, 2), "2 messages recoded by the usual rules"),
            (report("gbk", true, 2, 2), "2 messages would be recoded as gbk"),
            (report("auto", true, 2, 2), "2 messages would be recoded by the usual rules"),
            (report("gbk", false, 0, 0), "no message matches"),
        ] {
            assert_eq!(summary(&report), text);
        }
        let remembering = RecodeReport { remembered: 1, ..report("gbk", false, 3, 3) };
        assert_eq!(summary(&remembering), "3 messages recoded as gbk; 1 peer remembered");
        for (remembered, text) in [(1, "1 peer forgotten"), (1_000, "1,000 peers forgotten")] {
            let forgetting = RecodeReport { remembered, ..report("auto", false, 3, 3) };
            assert_eq!(summary(&forgetting), format!("3 messages recoded by the usual rules; {text}"));
        }
        let chinese = with_language(Language::Chinese, || summary(&report("gbk", true, 2, 5)));
        assert_eq!(chinese, "2 条消息将按 gbk 解码；3 条消息不变");
    }

    #[test]
    fn examples_show_both_texts_safe_and_aligned() {
        let reading = |text: &str, encoding: &str, encoding_by| Reading {
            text: text.to_owned(),
            encoding: encoding.to_owned(),
            encoding_by,
        };
        let before = reading("\u{1b}x\r\n", "utf-8", EncodingBy::Remembered);
        let after = reading("你好\n", "gbk", EncodingBy::Given);
        let report = RecodeReport {
            examples: vec![Recoded { id: 7, before, after }],
            ..RecodeReport::new("gbk", true)
        };
        let expected = "#7\n  - utf-8 (remembered)  \\u{1b}x\n  + gbk (given)         你好\n";
        assert_eq!(examples(&report, Palette::new(false)), expected);
        let expected = "#7\n  - utf-8 (已记住)  \\u{1b}x\n  + gbk (指定)      你好\n";
        let chinese = with_language(Language::Chinese, || examples(&report, Palette::new(false)));
        assert_eq!(chinese, expected);
    }
}
