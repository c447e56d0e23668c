//! The arguments of `send` for a message that is held until its peer sends one.

use std::time::Duration;

use clap::Args;
use udpchat_api::call::SendParams;
use udpchat_locale::tr;

use crate::error::{CtlError, Result};

/// The longest time for which the daemon holds a message.
const LONGEST: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Whether the message is held.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct HoldArgs {
    /// Hold the message until the peer sends one, and send it then: for devices that sleep. `udpchatctl held` lists what is held
    #[arg(long, conflicts_with = "every")]
    pub(crate) when_seen: bool,
    /// With --when-seen: hold it for T at most, for example 12h or 2d [default: 7d]
    #[arg(long = "for", value_name = "T", requires = "when_seen", value_parser = time_to_hold)]
    pub(crate) hold_for: Option<Duration>,
}

impl HoldArgs {
    /// Refuses `--for` without `--when-seen`: the parser lets it pass with `--every`, which excludes `--when-seen`.
    pub(super) fn check(&self) -> Result<()> {
        match self.hold_for {
            Some(_) if !self.when_seen => Err(CtlError::usage(tr!("--for goes with --when-seen only"))
                .hint(tr!("`-c N` says how often --every sends"))),
            _ => Ok(()),
        }
    }

    /// Returns the parameters of a message without its text and destination.
    pub(super) fn params(&self) -> SendParams {
        let for_seconds = self.hold_for.map(|time| time.as_secs());
        SendParams { when_seen: self.when_seen, for_seconds, ..SendParams::default() }
    }
}

/// Parses a time for which a message can be held.
fn time_to_hold(text: &str) -> std::result::Result<Duration, String> {
    let time = crate::time::span(text)?;
    match (Duration::from_secs(1)..=LONGEST).contains(&time) {
        true => Ok(time),
        false => Err(tr!("expected 1s to 90 days; a number alone is seconds").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_held_for_a_second_to_ninety_days() {
        for (text, expected) in [
            ("1s", Some(1)),
            ("2d", Some(172_800)),
            ("1d12h", Some(129_600)),
            ("90d", Some(7_776_000)),
            ("2w", Some(1_209_600)),
            ("91d", None),
            ("500ms", None),
            ("soon", None),
        ] {
            assert_eq!(time_to_hold(text).ok().map(|time| time.as_secs()), expected, "{text}");
        }
    }
}
