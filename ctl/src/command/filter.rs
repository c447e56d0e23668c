//! Which entries are wanted: the filters that every command takes which reads history.

use jiff::{Timestamp, Zoned};
use udpchat_api::call::{DirectionFilter, InboxParams};

use crate::cli::FilterArgs;
use crate::error::Result;
use crate::time;

/// Which entries are wanted; how many of them is another matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Filter {
    pub(super) from: Option<String>,
    pub(super) direction: Option<DirectionFilter>,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) grep: Option<String>,
}

impl Filter {
    /// Reads the filters; `now` is asked only if a time is given.
    ///
    /// # Errors
    /// A time that is none.
    pub(super) fn of(arguments: &FilterArgs, now: impl Fn() -> Zoned) -> Result<Self> {
        let time = |text: &Option<String>| text.as_ref().map(|text| time::parse(text, &now())).transpose();
        Ok(Self {
            from: arguments.from.clone(),
            direction: arguments.direction.map(Into::into),
            since: time(&arguments.since)?,
            until: time(&arguments.until)?,
            grep: arguments.grep.clone(),
        })
    }

    /// Returns the question for a page.
    pub(super) fn page(&self) -> InboxParams {
        let Self { from, direction, since, until, grep } = self.clone();
        InboxParams { from, direction, since, until, grep, ..InboxParams::default() }
    }

    /// Tells whether every entry passes, so that ids alone say how many there are.
    pub(super) fn is_open(&self) -> bool {
        let Self { from, direction, since, until, grep } = self;
        let any_direction = matches!(direction, None | Some(DirectionFilter::Both));
        any_direction && from.is_none() && since.is_none() && until.is_none() && grep.is_none()
    }
}
