//! `export`: writes entries to standard output or a file, as JSON lines, as a capture file of UDP packets or as a table.

mod csv;
mod pcap;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use udpchat_api::call::DirectionFilter;
use udpchat_api::{Entry, EntryLines, Gap, RawInboxAnswer};
use udpchat_locale::{Language, language, tr};

use self::csv::Table;
use self::pcap::Capture;
use super::condition::WhereArgs;
use super::context::Context;
use super::filter::{Filter, FilterArgs, KindArgs};
use super::pages::Pages;
use super::removed::note_removed;
use super::senders;
use super::wanted_number::{WantedNumber, distinct, names};
use crate::connect::newest_id;
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, Progress, Reached, Sink, counted};

const HELP: &str = "\
Without a filter: every entry that exists now, oldest first, gaps included; notices only with --notices. No entry is marked as read. \
T is a time or a duration back from now, as for `inbox`.

In a capture file each message is an IP packet with the addresses and the time of the entry, in microseconds. Where the local \
address is unknown, it is 0.0.0.0 or `::`. Gaps, and messages that the kernel refused to send, have no packet; they are \
counted on standard error.

A table (csv) has the columns id, at, direction, peer, name, bytes, text, delivery (of sent messages: sent, answered, \
bounced or not_sent) and error, which says why, or with --fields at, peer, name and these \
numbers of received messages, as `inbox --where` finds them; where one occurs again in a message, another line begins. A \
place in the bytes takes a name for its column in front: temp=@6:i16/10. \
--direction out selects the numbers of sent messages, both those of all. Spreadsheets \
execute a cell that begins with =, +, - or @: these get a `'` in front at the beginning of a text or a line, and behind a \
semicolon or a tab. Control characters appear as \\u{..}. The line end behind a text is left out. With --raw, texts stay as \
they are. Excel reads a table as UTF-8 only with --bom; other programs would take the mark for a part of the first name.

Examples:
  udpchatctl export > inbox.jsonl
  udpchatctl export --from bob --since yesterday -o bob.jsonl
  udpchatctl export --grep error | jq -r .text
  udpchatctl export --where 'temp > 30' --since today -o hot.csv
  udpchatctl export -o inbox.pcap
  udpchatctl export -o inbox.csv
  udpchatctl export --format csv --fields temp,hum --from sensor7 -S 1d
  udpchatctl export --format csv --fields temp=@6:i16/10,@-2:u16le --from plc
  udpchatctl export --format pcap -n 1000 | tshark -r -";

/// Write entries to a file or a pipe, all or a selection
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = HELP)]
pub(crate) struct ExportArgs {
    /// `jsonl`: one entry per line, as `inbox --json` prints it; `pcap`: messages as UDP packets; `csv`: messages as a
    /// table [default: pcap or csv if FILE is named so, otherwise jsonl]
    #[arg(long, value_name = "FORMAT", value_enum, ignore_case = true, hide_possible_values = true)]
    pub(crate) format: Option<Format>,
    /// Write to FILE instead of standard output and replace it when the export is complete; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// With csv: these numbers instead of the texts, for example temp,hum or, in the bytes, temp=@6:i16/10; a full-width comma
    /// separates, too
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) fields: Vec<String>,
    /// With jsonl: notices too
    #[arg(long, conflicts_with = "conditions")]
    pub(crate) notices: bool,
    /// With csv: leave texts as they are; otherwise `'` stands before what a spreadsheet would execute
    #[arg(long)]
    pub(crate) raw: bool,
    /// With csv: begin with a byte order mark, without which Excel takes UTF-8 for another encoding
    #[arg(long)]
    pub(crate) bom: bool,
    /// With csv: local times to the millisecond, as spreadsheets read them, instead of UTC
    #[arg(long)]
    pub(crate) local_time: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) conditions: WhereArgs,
    #[command(flatten)]
    pub(crate) kinds: KindArgs,
}

/// The formats that `export` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON, one entry per line
    Jsonl,
    /// A capture file, for Wireshark and similar programs
    Pcap,
    /// A table, for spreadsheets
    Csv,
}

impl Format {
    /// Returns the format that the name of a file promises; JSON lines if it promises none.
    ///
    /// # Errors
    /// It promises one that this program does not write.
    fn of_file(file: Option<&Path>) -> Result<Self> {
        let extension = file.and_then(Path::extension).and_then(OsStr::to_str).map(str::to_ascii_lowercase);
        match extension.as_deref() {
            Some("pcap" | "cap" | "dmp") => Ok(Self::Pcap),
            Some("csv") => Ok(Self::Csv),
            Some(format @ ("xlsx" | "xls" | "ods" | "pcapng")) => {
                Err(CtlError::usage(tr!("`export` writes no {format} files", format)).hint(match format {
                    "pcapng" => tr!("name it .pcap"),
                    _ => tr!(
                        "name it .csv, which spreadsheets open; Excel needs --bom for other than ASCII text"
                    ),
                }))
            }
            _ => Ok(Self::Jsonl),
        }
    }
}

/// Runs `export`.
pub(crate) async fn run(context: Context<'_>, arguments: &ExportArgs) -> Result<()> {
    arguments.kinds.check(&arguments.conditions)?;
    let mut filter = Filter::of(&arguments.filter, crate::time::now)?
        .of_kinds(&arguments.kinds)
        .of_conditions(&arguments.conditions);
    let has_notices = arguments.notices || arguments.kinds.name_notices();
    let fields = wanted(&arguments.fields)?;
    if !fields.is_empty() {
        // The table has no column for the direction.
        filter.direction.get_or_insert(DirectionFilter::In);
    }
    let format = match arguments.format {
        Some(format) => format,
        None => Format::of_file(arguments.output.as_deref())?,
    };
    let to_stdout = arguments.output.as_deref().is_none_or(|path| path.as_os_str() == "-");
    let to_screen = to_stdout && context.output.is_terminal();
    if to_screen && format == Format::Pcap {
        return Err(CtlError::usage(tr!("a capture file is binary data, and standard output is a terminal"))
            .hint(tr!("write it to a file with `-o FILE`, or pipe it, for example into `tshark -r -`")));
    }
    if format != Format::Csv && (arguments.raw || arguments.bom || arguments.local_time || !fields.is_empty())
    {
        return Err(CtlError::usage(tr!("--fields, --raw, --bom and --local-time belong to `--format csv`")));
    }
    if format != Format::Jsonl && has_notices {
        return Err(CtlError::usage(tr!("notices belong to `--format jsonl`")));
    }
    let mut client = context.connect().await?;
    senders::resolve(&mut client, &mut filter.from).await?;
    senders::resolve(&mut client, &mut filter.not_from).await?;
    let (_, knows_notices) = newest_id(&mut client).await?;
    // Where every entry is exported, notices are read in any case: an id that is missing is that of a removed entry.
    let is_every_entry = filter.is_open() && arguments.filter.number.is_none();
    filter.notices = knows_notices && (has_notices || is_every_entry);
    note_removed(&mut client, context.output, &filter).await;
    if to_screen {
        context.output.use_pager();
    }
    let sink = Sink::open(arguments.output.as_deref())?;
    let pages = Pages::select(client, &filter, arguments.filter.number).await?;
    let form = match format {
        Format::Jsonl => Form::Lines,
        Format::Pcap => Form::Packets(Capture::new(pages.listen_port())),
        // What others have sent is made safe before it reaches a terminal.
        Format::Csv => {
            let zone = arguments.local_time.then(crate::time::local_zone);
            Form::Table(Table::new(fields, arguments.raw && !to_screen, zone))
        }
    };
    if let Some(note) = note_on_file(arguments, format) {
        context.output.note(&note);
    }
    let output = context.output;
    let progress = Progress::new(output.is_watched() && !to_screen, "entry");
    Export {
        pages,
        sink,
        form,
        output,
        progress,
        is_whole: filter.is_open() && (filter.notices || !knows_notices),
        has_notices,
        has_bom: arguments.bom && !to_screen,
        is_for_excel: arguments.output.as_deref().and_then(Path::extension).is_some(),
        is_ascii: true,
        entries: 0,
        notices: 0,
        missing: 0,
        removed: 0,
    }
    .run()
    .await
}

/// Returns what is not expected of the file that is written.
fn note_on_file(arguments: &ExportArgs, format: Format) -> Option<String> {
    let path = arguments.output.as_deref()?;
    let extension = path.extension().and_then(OsStr::to_str)?.to_ascii_lowercase();
    match format {
        Format::Jsonl if arguments.format.is_none() && !OF_LINES.contains(&&*extension) => {
            let path = path.display();
            Some(tr!(
                "{path} gets a line of JSON for each entry; `udpchatctl inbox -a > {path}` writes text",
                path
            ))
        }
        _ => None,
    }
}

/// How files with lines of JSON are named.
const OF_LINES: [&str; 4] = ["jsonl", "ndjson", "json", "log"];

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads `--fields`.
fn wanted(fields: &[String]) -> Result<Vec<WantedNumber>> {
    if names(fields).any(str::is_empty) {
        let message = tr!("--fields has an empty name");
        return Err(
            CtlError::usage(message).hint(tr!("write the names with commas between them: `temp,hum`"))
        );
    }
    distinct(names(fields))
}

/// The format with its state.
enum Form {
    Lines,
    Packets(Capture),
    Table(Table),
}

struct Export<'a> {
    pages: Pages,
    sink: Sink,
    form: Form,
    output: &'a mut Output,
    progress: Progress,
    /// Whether every entry of the span is exported, so that its ids give the expected number.
    is_whole: bool,
    /// Whether a table begins with a byte order mark.
    has_bom: bool,
    /// Whether a table is written to a file that a spreadsheet may open.
    is_for_excel: bool,
    /// Whether a table has no other characters than those of ASCII.
    is_ascii: bool,
    /// Whether notices are exported.
    has_notices: bool,
    entries: u64,
    /// How many of them are notices that are not exported.
    notices: u64,
    /// How many ids the gaps of missing entries stand for, besides their own.
    missing: u64,
    /// How many entries retention has removed during the export, according to their gaps.
    removed: u64,
}

impl Export<'_> {
    async fn run(mut self) -> Result<()> {
        match self.pages().await {
            Err(error) if self.entries > self.notices => {
                let entries = written(&self.form, self.entries - self.notices);
                let what = match self.sink.unfinished() {
                    Some(path) => {
                        let path = path.display();
                        tr!("the export ended after {entries}: {path} is unchanged", entries, path)
                    }
                    None => tr!("the export is incomplete: it ends after {entries}", entries),
                };
                return Err(error.within(what));
            }
            done => done?,
        }
        let is_to_a_file = !matches!(self.sink, Sink::Stdout);
        let on_mark = self.note_on_mark();
        self.sink.finish()?;
        drop(self.progress);
        let missing = self.pages.span().ids().saturating_sub(self.entries + self.missing) + self.removed;
        if self.is_whole && missing > 0 {
            let entries = counted(missing, "entry");
            let what = tr!("{entries} removed from the inbox during the export", entries);
            self.output.warning(&what, tr!("`udpchatctl status` shows the size limits of the inbox"));
        }
        let is_worth_a_note = match &self.form {
            Form::Lines => false,
            Form::Packets(capture) => capture.has_left_out(),
            Form::Table(table) => table.has_left_out(),
        };
        if is_worth_a_note || self.output.is_watched() {
            self.output.note(&summary(&self.form, self.entries - self.notices));
        } else if self.entries == 0 && !self.is_whole && is_to_a_file {
            self.output.note(tr!("no entry matches"));
        }
        let of_fields = match &self.form {
            Form::Table(table) => table.note_on_fields(),
            Form::Lines | Form::Packets(_) => None,
        };
        for note in self.pages.note().into_iter().chain(of_fields).chain(on_mark) {
            self.output.note(&note);
        }
        Ok(())
    }

    /// Returns a note on a table that Excel misreads: without a mark it takes it for one in the encoding of the system, which in a
    /// Chinese one shows other characters. A mark would disturb other programs, so it is the user's choice.
    fn note_on_mark(&self) -> Option<String> {
        let is_misread = matches!(self.form, Form::Table(_)) && !self.has_bom && !self.is_ascii;
        (is_misread && self.is_for_excel && language() == Language::Chinese)
            .then(|| tr!("Excel reads this table as UTF-8 only with --bom").to_owned())
    }

    async fn pages(&mut self) -> Result<()> {
        match &self.form {
            Form::Lines => {}
            Form::Packets(_) => self.sink.write(self.output, &pcap::file_header())?,
            Form::Table(table) => {
                let bom: &[u8] = if self.has_bom { BYTE_ORDER_MARK } else { b"" };
                let header = table.header();
                self.is_ascii = header.is_ascii();
                self.sink.write(self.output, &[bom, &header].concat())?;
            }
        }
        while let Some(page) = self.pages.next().await? {
            match &mut self.form {
                Form::Lines if self.has_notices => self.sink.write(self.output, page.entries.as_bytes())?,
                Form::Lines => {
                    let (lines, notices) = without_notices(&page.entries);
                    self.notices += notices;
                    self.sink.write(self.output, &lines)?;
                }
                Form::Packets(capture) => self.sink.write(self.output, &packets(capture, &page)?)?,
                Form::Table(table) => {
                    let rows = rows(table, &page)?;
                    self.is_ascii &= rows.is_ascii();
                    self.sink.write(self.output, &rows)?;
                }
            }
            if let Sink::Stdout = self.sink {
                self.output.check_reader()?;
            }
            self.entries += page.entries.count();
            if self.is_whole {
                for gap in page.entries.iter().filter_map(gap) {
                    let others = gap.first_id.map_or(0, |first| gap.id.saturating_sub(first));
                    self.missing += others;
                    self.removed += if gap.reason == "retention" { others + 1 } else { 0 };
                }
            }
            self.progress.show(&self.reached(page.next));
        }
        Ok(())
    }

    fn reached(&self, cursor: u64) -> Reached {
        let span = self.pages.span();
        if self.is_whole {
            return Reached { done: self.entries, total: Some(span.ids()), ..Reached::default() };
        }
        let looked_at = Some((cursor.saturating_sub(span.after), span.ids()));
        Reached { done: self.entries, looked_at, ..Reached::default() }
    }
}

fn packets(capture: &mut Capture, page: &RawInboxAnswer) -> Result<Vec<u8>> {
    let mut packets = Vec::with_capacity(page.entries.as_bytes().len() / 2);
    for entry in page.entries.iter() {
        let entry: Entry = serde_json::from_str(entry).map_err(|error| invalid(&error))?;
        capture.add(&entry, &mut packets);
    }
    Ok(packets)
}

fn rows(table: &mut Table, page: &RawInboxAnswer) -> Result<Vec<u8>> {
    let mut rows = Vec::with_capacity(page.entries.as_bytes().len() / 2);
    for entry in page.entries.iter() {
        table.add(entry, &mut rows).map_err(|error| invalid(&error))?;
    }
    Ok(rows)
}

fn invalid(error: &serde_json::Error) -> CtlError {
    CtlError::new(Exit::Failed, "protocol", tr!("the answer of the daemon contains an invalid entry"))
        .caused_by(error)
}

/// Returns the lines of a page that are no notices, and how many of those there are.
fn without_notices(entries: &EntryLines) -> (Cow<'_, [u8]>, u64) {
    let notices = entries.iter().filter(|entry| is_notice(entry)).count() as u64;
    if notices == 0 {
        return (Cow::Borrowed(entries.as_bytes()), 0);
    }
    let lines = entries.iter().filter(|entry| !is_notice(entry)).flat_map(|entry| [entry, "\n"]);
    (Cow::Owned(lines.collect::<String>().into_bytes()), notices)
}

fn is_notice(entry: &str) -> bool {
    // The daemon writes the type first.
    entry.starts_with(r#"{"type":"notice""#)
}

/// Returns an entry that is a gap.
fn gap(entry: &str) -> Option<Gap> {
    // The daemon writes the type first.
    if !entry.starts_with(r#"{"type":"gap""#) {
        return None;
    }
    match serde_json::from_str(entry) {
        Ok(Entry::Gap(gap)) => Some(gap),
        _ => None,
    }
}

/// Returns the number of what was written; `entries` is that of the entries without notices that are left out.
fn written(form: &Form, entries: u64) -> String {
    match form {
        Form::Lines => counted(entries, "entry"),
        Form::Packets(capture) => capture.written(),
        Form::Table(table) => table.written(),
    }
}

/// Returns what was written and, in a capture file or a table, what was left out.
fn summary(form: &Form, entries: u64) -> String {
    match form {
        Form::Lines => written(form, entries),
        Form::Packets(capture) => capture.summary(),
        Form::Table(table) => table.summary(),
    }
}
