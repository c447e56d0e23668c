//! Renders messages that are held until their peers send one.

use jiff::tz::TimeZone;
use udpchat_api::call::HeldMessage;
use udpchat_api::safe;
use udpchat_locale::tr;

use super::format::local_time;

/// Renders the receipt of a message that is held now, as one line.
pub(super) fn as_receipt(message: &HeldMessage, zone: &TimeZone) -> String {
    let HeldMessage { held, to, until, encoding, .. } = message;
    let (peer, time) = (safe::one_line(to), local_time(*until, zone));
    let shown = match encoding {
        None => tr!("held {number} for {peer}, until {time}", number = held, peer, time),
        Some(encoding) => {
            let encoding = safe::one_line(encoding);
            tr!("held {number} for {peer} in {encoding}, until {time}", number = held, peer, encoding, time)
        }
    };
    format!("{shown}\n")
}
