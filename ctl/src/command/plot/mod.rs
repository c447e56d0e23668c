//! `plot`: draws the numbers that messages hold, or prints them.
//!
//! On a terminal it is a full screen: `feed` reads history and then what arrives, `series` keeps it in bounded memory,
//! `view` draws it with the dots of `canvas`. Otherwise it prints a line for each number (`lines`).

mod args;
mod canvas;
mod feed;
mod head;
mod lines;
mod pauses;
mod period;
mod scene;
mod screen;
mod series;
mod view;

use udpchat_api::call::DirectionFilter;
use udpchat_locale::tr;

pub(crate) use self::args::PlotArgs;
use self::feed::Feed;
use self::period::Period;
use super::context::Context;
use super::filter::Filter;
use super::senders;
use super::wanted_number::{distinct, names};
use crate::connect::check_read_permission;
use crate::error::{CtlError, Result};
use crate::terminal;

/// Runs `plot`.
pub(crate) async fn run(context: Context<'_>, arguments: &PlotArgs) -> Result<()> {
    let is_screen = context.output.is_for_a_person();
    if is_screen && !terminal::supports_full_screen() {
        return Err(CtlError::usage(tr!("this terminal cannot show a plot"))
            .hint(tr!("`udpchatctl plot | cat` prints the numbers")));
    }
    let period = Period::of(arguments, is_screen, &crate::time::now())?;
    // A comma may also stand before a blank, which ends an argument.
    let fields = distinct(names(&arguments.fields).filter(|name| !name.is_empty()))?;
    let mut client = context.connect().await?;
    check_read_permission(&mut client).await?;
    let mut from = arguments.from.clone();
    senders::resolve(&mut client, &mut from).await?;
    let filter = Filter {
        from,
        direction: Some(DirectionFilter::In),
        grep: arguments.content.pattern(),
        contains: arguments.content.grep_hex.clone(),
        ..Filter::default()
    };
    let filter = filter.of_conditions(&arguments.conditions);
    let feed = Feed::new(context.socket.clone(), filter, fields, (period.since, period.until));
    match is_screen {
        true => screen::run(context.output, feed, client, &period).await,
        false => lines::run(context.output, feed, client).await,
    }
}
