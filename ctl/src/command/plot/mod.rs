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
use udpchat_api::safe;
use udpchat_locale::tr;

pub(crate) use self::args::PlotArgs;
use self::feed::Feed;
use self::period::Period;
use super::context::Context;
use super::filter::{Filter, pattern};
use super::senders;
use super::wanted_number::WantedNumber;
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
    let fields = fields(&arguments.fields)?;
    let mut client = context.connect().await?;
    check_read_permission(&mut client).await?;
    let mut from = arguments.from.clone();
    senders::resolve(&mut client, &mut from).await?;
    let filter = Filter {
        from,
        direction: Some(DirectionFilter::In),
        grep: arguments.grep.as_deref().map(|grep| pattern(grep, arguments.ignore_case)),
        contains: arguments.grep_hex.clone(),
        ..Filter::default()
    };
    let filter = filter.of_conditions(&arguments.conditions);
    let feed = Feed::new(context.socket.clone(), filter, fields, (period.since, period.until));
    match is_screen {
        true => screen::run(context.output, feed, client, &period).await,
        false => lines::run(context.output, feed, client).await,
    }
}

/// Returns the numbers, between which commas may stand, also those of Chinese keyboards.
fn fields(arguments: &[String]) -> Result<Vec<WantedNumber>> {
    let names = arguments.iter().flat_map(|names| names.split([',', '，', '、'])).map(str::trim);
    let mut fields: Vec<WantedNumber> = Vec::new();
    for name in names.filter(|name| !name.is_empty()) {
        let field: WantedNumber = name.parse().map_err(CtlError::usage)?;
        match fields.iter().find(|known| known.heading() == field.heading()) {
            None => fields.push(field),
            Some(known) if *known == field => {}
            Some(_) => return Err(same_name(field.heading())),
        }
    }
    Ok(fields)
}

/// Returns the error of two different numbers that would be one curve.
fn same_name(name: &str) -> CtlError {
    let name = safe::one_line(name);
    let hint = tr!("give the place another name in front, for example {name}2=@6:i16", name);
    CtlError::usage(tr!("two FIELDs have the name `{name}`", name)).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_a_name_of_its_own() {
        let fields = |text: &str| fields(&[text.to_owned()]);
        for (text, count) in [("temp,hum", 2), ("temp,temp", 1), ("@0:u8,@0:u8", 1), ("t=@0:u8,u=@0:u8", 2)] {
            assert_eq!(fields(text).unwrap().len(), count, "{text}");
        }
        for text in ["temp=@5:i16,temp", "t=@5:i16,t=@6:i16"] {
            let CtlError::Failed(failure) = fields(text).unwrap_err() else { panic!("{text}") };
            assert!(failure.message.starts_with("two FIELDs have the name `t"), "{}", failure.message);
        }
    }
}
