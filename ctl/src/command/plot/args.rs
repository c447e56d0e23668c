//! The arguments of `plot`.

use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCandidates;
use udpchat_locale::tr;

use super::series::{LONGEST_SPAN, SHORTEST_SPAN};
use crate::command::completions::candidates;
use crate::command::condition::WhereArgs;
use crate::command::filter::ContentArgs;

const HELP: &str = "\
Numbers are read from the text of received messages, line by line: name=value and name:value, JSON, columns of numbers \
(named 1, 2, ...), teleplot (>name:time:value|g) and NMEA. 0x1F is 31. Times, dates, addresses and versions are no \
numbers, nor is a whole number behind a name with a comma and a digit behind it (21,5). Each of several with the same name \
is drawn. Messages that are shown as hex digits have no names of numbers. In binary frames a place stands for the name, with a \
name for the legend in front if you like: temp=@6:i16/10 is the number at byte 6 (the first byte is 0, the last one -1), signed, \
of 16 bits, divided by 10. The types are u8 to u64, i8 to i64, f32 and f64; `le` behind it is for the least significant byte \
first; *0.1 multiplies. Without a FIELD, the first six numbers with names that arrive are drawn. \
Several peers have a curve each. What exists since the time of -S comes first, then what arrives. A curve has \
a break where nothing came for more than five times the usual pause, which is the upper quartile of all pauses. A burst of \
messages that look like one point counts as one message.

Keys: space holds and continues, + and - zoom in and out, 1 to 6 hide and show a curve, q quits. On a terminal without \
UTF-8 the curves are ASCII characters.

In a pipe, in a file and with --json, each number is a line: time, peer, name and value, with tabs between them.

Examples:
  udpchatctl plot
  udpchatctl plot temp,hum --from sensor7 -S 10m
  udpchatctl plot temp -S 08:00 -U 09:00
  udpchatctl plot temp=@6:i16/10,@-2:u16le --from plc
  udpchatctl plot temp=@6:i16/10 --where '@0:u16 = 43605' --from plc
  udpchatctl --json plot temp | jq .value
  udpchatctl plot -S today | grep temp";

/// Plot the numbers in messages, or print them
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = HELP)]
pub(crate) struct PlotArgs {
    /// The names of the numbers, for example temp, acc.x or 1, or their places in the bytes, for example temp=@6:i16/10; commas
    /// may stand between them [default: the first that arrive]
    #[arg(value_name = "FIELD")]
    pub(crate) fields: Vec<String>,
    /// Only messages from PEER: a peer's name, an address, a network or a host; may be repeated
    #[arg(long, value_name = "PEER", add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) from: Vec<String>,
    /// Begin with what arrived at or after the time T, for example 10m or 22:00 [default: the span; in a pipe, now]
    #[arg(short = 'S', long, value_name = "T", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// End with what arrived before the time T, and do not wait for more
    #[arg(short = 'U', long, value_name = "T", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    #[command(flatten)]
    pub(crate) content: ContentArgs,
    #[command(flatten)]
    pub(crate) conditions: WhereArgs,
    /// How much time the plot shows, for example 30s or 10m; a number alone is seconds [default: since the time of -S, otherwise 1m]
    #[arg(long, value_name = "T", value_parser = span)]
    pub(crate) span: Option<Duration>,
}

/// Parses `--span`.
fn span(text: &str) -> Result<Duration, String> {
    let span = crate::time::span(text)?;
    match (SHORTEST_SPAN..=LONGEST_SPAN).contains(&span) {
        true => Ok(span),
        false => Err(tr!("expected 1s to 24h").to_owned()),
    }
}
