//! `recode`: corrects the encoding in which stored messages are decoded, in bounded steps.

mod args;
mod report;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use udpchat_api::Client;
use udpchat_api::call::{DirectionFilter, Peer, RecodeAnswer, RecodeParams, StatusParams};
use udpchat_locale::tr;

pub(crate) use self::args::RecodeArgs;
use self::report::RecodeReport;
use super::context::Context;
use super::filter::{Filter, Ids};
use super::pages::{Span, span};
use super::senders;
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, Progress, Reached, counted};

/// How many examples of a dry run are shown.
const MAX_EXAMPLES: usize = 5;

/// Runs `recode`.
pub(crate) async fn run(context: Context<'_>, arguments: &RecodeArgs) -> Result<()> {
    if !arguments.select_any() {
        return Err(CtlError::usage(tr!("no messages are selected"))
            .hint(tr!("give ids, a filter such as `--from PEER`, or `--all`")));
    }
    let mut filter = Filter::of(&arguments.filter, crate::time::now)?;
    // The encoding of a sent message is known, so sent messages are recoded only when ids or --direction select them.
    let direction = if arguments.ids.is_empty() { DirectionFilter::In } else { DirectionFilter::Both };
    filter.direction.get_or_insert(direction);
    let mut client = context.connect().await?;
    senders::resolve(&mut client, &mut filter.from).await?;
    senders::resolve(&mut client, &mut filter.not_from).await?;
    let spans = spans(&mut client, arguments, &filter).await?;
    let mut report = RecodeReport::new(&arguments.encoding, arguments.dry_run);
    report.remember = arguments.remember;
    if arguments.remember {
        report.whole_hosts = whole_hosts(&mut client, &filter.from).await?;
    }
    let progress = Progress::new(context.output.is_watched(), "message");
    let mut recode = Recode { client, params: params(arguments, filter), report, progress };
    for part in spans {
        recode.span(part).await?;
    }
    recode.conclude(context.output)
}

/// Returns the names of peers without a port in the configuration, of whose hosts an address with a port is selected.
async fn whole_hosts(client: &mut Client, from: &[String]) -> Result<BTreeSet<String>> {
    let of_ports = from.iter().filter_map(|from| Some(from.parse::<SocketAddr>().ok()?.ip()));
    let hosts: BTreeSet<IpAddr> = of_ports.collect();
    if hosts.is_empty() {
        return Ok(BTreeSet::new());
    }
    let peers = client.peers(Some(0)).await?.peers;
    let is_one = |peer: &Peer| peer.address.parse().is_ok_and(|host: IpAddr| hosts.contains(&host));
    Ok(peers.into_iter().filter(is_one).filter_map(|peer| peer.name).collect())
}

/// Returns the ids to examine.
async fn spans(client: &mut Client, arguments: &RecodeArgs, filter: &Filter) -> Result<Vec<Span>> {
    if arguments.ids.is_empty() {
        let inbox = client.call(&StatusParams {}).await?.inbox;
        return Ok(vec![span(client, filter, arguments.filter.number, &inbox).await?]);
    }
    let of_ids = |ids: &Ids| Span { after: ids.first - 1, last: ids.last };
    Ok(arguments.ids.iter().map(of_ids).collect())
}

fn params(arguments: &RecodeArgs, filter: Filter) -> RecodeParams {
    let Filter { from, not_from, direction, since, until, grep, contains, .. } = filter;
    RecodeParams {
        encoding: arguments.encoding.clone(),
        after: None,
        before: None,
        from,
        not_from,
        direction,
        since,
        until,
        grep,
        contains,
        remember: arguments.remember,
        dry_run: arguments.dry_run,
    }
}

struct Recode {
    client: Client,
    params: RecodeParams,
    report: RecodeReport,
    progress: Progress,
}

impl Recode {
    /// Recodes a span of ids in bounded steps.
    async fn span(&mut self, span: Span) -> Result<()> {
        let matched_before = self.report.matched;
        let mut after = span.after;
        while after < span.last {
            let before = span.last.saturating_add(1);
            let step = RecodeParams { after: Some(after), before: Some(before), ..self.params.clone() };
            let answer = self.client.call(&step).await.map_err(|error| self.incomplete(error.into()))?;
            let (next, more) = (answer.next, answer.more);
            self.add(answer);
            let looked_at = Some((next.saturating_sub(span.after), span.ids()));
            self.progress.show(&Reached { done: self.report.recoded, total: None, looked_at });
            if !more {
                break;
            }
            if next <= after {
                let stuck =
                    CtlError::failed(tr!("the daemon makes no progress after entry #{id}", id = after));
                return Err(self.incomplete(stuck));
            }
            after = next;
        }
        if span.ids() == 1 && self.params.from.is_empty() && self.report.matched == matched_before {
            self.report.missing.push(span.last);
        }
        Ok(())
    }

    fn add(&mut self, answer: RecodeAnswer) {
        let report = &mut self.report;
        report.matched += answer.matched;
        report.recoded += answer.recoded;
        report.remembered += answer.remembered;
        report.configured.extend(answer.configured);
        let room = MAX_EXAMPLES.saturating_sub(report.examples.len());
        report.examples.extend(answer.examples.into_iter().take(room));
    }

    /// Adds to an error how many messages were recoded before it.
    fn incomplete(&self, error: CtlError) -> CtlError {
        match self.report.recoded {
            0 => error,
            recoded => {
                error.within(tr!("recoding ended after {messages}", messages = counted(recoded, "message")))
            }
        }
    }

    fn conclude(self, output: &mut Output) -> Result<()> {
        let Self { report, progress, .. } = self;
        drop(progress);
        // If only unknown ids were given, the error below is enough.
        if report.missing.is_empty() || report.matched > 0 || output.is_json() {
            report.print(output)?;
        }
        output.flush()?;
        match report.missing.as_slice() {
            [] => Ok(()),
            [id, ..] => {
                Err(CtlError::new(Exit::Failed, "no_such_entry", tr!("there is no message #{id}", id))
                    .hint(tr!("`udpchatctl inbox -n 20` lists entries with their ids")))
            }
        }
    }
}
