//! For whom a message is held, by the parameters of `send`.

use udpchat_api::call::SendParams;
use udpchat_api::{ErrorKind, ErrorObject};

use super::target::{Target, split_port};
use crate::inbox::kept::To;
use crate::state::Daemon;

/// How long a message is held if the request does not say it, and at most, in seconds.
const DEFAULT_SECONDS: u64 = 7 * 24 * 60 * 60;
const MAX_SECONDS: u64 = 90 * 24 * 60 * 60;

/// For whom a message is held, and how long.
pub(super) struct Holding {
    pub(super) to: To,
    pub(super) seconds: u64,
}

impl Holding {
    /// Returns what a request says about holding its message; none if it is to be sent.
    pub(super) fn of(
        daemon: &Daemon,
        params: &SendParams,
        target: &Target,
    ) -> Result<Option<Self>, ErrorObject> {
        let invalid = |text: String| ErrorObject::new(ErrorKind::InvalidParams, text);
        if !params.when_seen {
            return match params.for_seconds {
                None => Ok(None),
                Some(_) => Err(invalid("`for_seconds` goes with `when_seen` only".to_owned())),
            };
        }
        let seconds = params.for_seconds.unwrap_or(DEFAULT_SECONDS);
        if !(1..=MAX_SECONDS).contains(&seconds) {
            return Err(invalid(format!("`for_seconds` must be 1 to {MAX_SECONDS}")));
        }
        if daemon.addresses.get().is_multicast_or_broadcast(target.peer.ip()) {
            let text = format!("{} is a group or a broadcast address, which sends nothing", target.peer);
            return Err(invalid(text).hint("a message is held for one peer, until that sends something"));
        }
        Ok(Some(Self { to: destination(daemon, params, target)?, seconds }))
    }
}

/// Returns for whom a message is held: a peer by its name, or an address, with any port if none was given.
fn destination(daemon: &Daemon, params: &SendParams, target: &Target) -> Result<To, ErrorObject> {
    let mut address = target.peer;
    if let Some(to) = &params.to {
        if daemon.peers.configured().by_name(to).is_some() {
            return Ok(To::Name(to.clone()));
        }
        if split_port(to)?.1.is_none() {
            address.set_port(0);
        }
    }
    // An interface may come back with another number.
    Ok(To::Address(address).on(daemon.peers.configured().interface_of(address)))
}
