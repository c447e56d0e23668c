//! `export`: writes entries to standard output or a file, as JSON lines or as a capture of UDP packets.

mod pcap;

use udpchat_api::{Entry, RawInboxAnswer};

use self::pcap::Capture;
use super::Context;
use super::filter::Filter;
use super::pages::Pages;
use crate::cli::{ExportArgs, Format};
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, Progress, Reached, Sink, counted};

/// Runs `export`.
pub(crate) async fn run(context: Context<'_>, arguments: &ExportArgs) -> Result<()> {
    let filter = Filter::of(&arguments.filter, crate::time::now)?;
    let to_stdout = arguments.output.as_deref().is_none_or(|path| path.as_os_str() == "-");
    let to_screen = to_stdout && context.output.is_terminal();
    if to_screen && arguments.format == Format::Pcap {
        return Err(CtlError::usage("a capture is binary data, and standard output is a terminal")
            .hint("`-o FILE` writes a file; or pipe it, for example into `tshark -r -`"));
    }
    let client = context.connect().await?;
    let sink = Sink::open(arguments.output.as_deref())?;
    let pages = Pages::select(client, &filter, arguments.filter.number).await?;
    let form = match arguments.format {
        Format::Jsonl => Form::Lines,
        Format::Pcap => Form::Packets(Capture::new(pages.listen_port())),
    };
    let output = context.output;
    let progress = Progress::begin(output.is_watched() && !to_screen, "entry");
    Export { pages, sink, form, output, progress, is_whole: filter.is_open(), entries: 0 }.run().await
}

/// What entries are written as.
enum Form {
    Lines,
    Packets(Capture),
}

struct Export<'a> {
    pages: Pages,
    sink: Sink,
    form: Form,
    output: &'a mut Output,
    progress: Progress,
    /// Whether every entry of the span is wanted, so that its ids say how many must come.
    is_whole: bool,
    entries: u64,
}

impl Export<'_> {
    async fn run(mut self) -> Result<()> {
        match self.pages().await {
            Err(error) if self.entries > 0 => {
                let written = counted(self.entries, "entry");
                return Err(error.within(format!("the export is incomplete: it ends after {written}")));
            }
            done => done?,
        }
        drop(self.progress);
        let missing = self.pages.span().ids().saturating_sub(self.entries);
        if self.is_whole && missing > 0 {
            let missing = counted(missing, "entry");
            let what = format!("{missing} of those that were there at the start went away meanwhile");
            self.output.warning(&what, "`udpchatctl status` tells about the inbox");
        }
        let is_worth_a_note = matches!(&self.form, Form::Packets(capture) if capture.has_left_out());
        if is_worth_a_note || self.output.is_watched() {
            self.output.note(&summary(&self.form, self.entries));
        }
        Ok(())
    }

    async fn pages(&mut self) -> Result<()> {
        if let Form::Packets(_) = self.form {
            self.sink.write(self.output, &pcap::file_header())?;
        }
        while let Some(page) = self.pages.next().await? {
            match &mut self.form {
                Form::Lines => self.sink.write(self.output, page.entries.as_bytes())?,
                Form::Packets(capture) => self.sink.write(self.output, &packets(capture, &page)?)?,
            }
            self.entries += page.entries.count();
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
        let entry: Entry = serde_json::from_slice(entry).map_err(|error| {
            CtlError::new(Exit::Failed, "protocol", "the daemon's answer holds something that is no entry")
                .caused_by(&error)
        })?;
        capture.add(&entry, &mut packets);
    }
    Ok(packets)
}

fn summary(form: &Form, entries: u64) -> String {
    match form {
        Form::Lines => counted(entries, "entry"),
        Form::Packets(capture) => capture.summary(),
    }
}
