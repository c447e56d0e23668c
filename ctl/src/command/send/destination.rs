//! The destinations of a message: one, those that a list or several names mean, or where a message went before.

use std::net::SocketAddr;

use udpchat_api::call::{InboxParams, SendParams, StatusParams, Target, TargetsParams};
use udpchat_api::{Client, ClientError, Direction, Entry, ErrorKind};
use udpchat_config::check_port_sign;
use udpchat_locale::tr;

use super::args::MessageArgs;
use super::form::FormArgs;
use super::hold::HoldArgs;
use super::last_port;
use super::payload::Payload;
use crate::error::{CtlError, Exit, Result};

/// Where a message goes, as the arguments say.
#[derive(Clone, Copy, Debug)]
pub(in crate::command) enum To<'a> {
    /// To what TO names; with `is_last_port` to the port that the last message from there came from.
    Named { to: &'a str, is_last_port: bool },
    /// To the source of an entry.
    SourceOf(u64),
}

impl To<'_> {
    /// Finds the destinations; a message that is `alone` is refused by `send` itself.
    pub(super) async fn find(
        self,
        client: &mut Client,
        alone: bool,
        hold: &HoldArgs,
        (form, message): (&FormArgs, &MessageArgs),
    ) -> Result<Vec<Destination>> {
        match self {
            Self::Named { to, is_last_port } => all(client, to, alone, is_last_port, hold).await,
            Self::SourceOf(id) => {
                let needs_encoding = form.needs_encoding(message) && !message.hex;
                Ok(vec![source_of(client, id, needs_encoding).await?])
            }
        }
    }
}

/// A destination.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// `to` or `reply_to`.
    pub(super) params: SendParams,
    /// Its name, for people.
    pub(super) shown: String,
    /// The encoding of text for it, if known.
    pub(super) encoding: Option<String>,
    /// The address whose last port a loop looks up again; none if the port is fixed.
    pub(super) heard_at: Option<SocketAddr>,
}

impl Destination {
    fn of(target: Target, hold: &HoldArgs) -> Self {
        let params = SendParams { to: Some(target.to.clone()), ..hold.params() };
        Self { params, shown: target.to, encoding: Some(target.encoding), heard_at: None }
    }
}

/// Finds the destinations that TO names, before anything is sent. A message that is `alone` is refused by `send` itself, which knows
/// its text: the destination may stand behind it.
///
/// # Errors
/// One of several is unknown, which is an error of usage.
pub(super) async fn all(
    client: &mut Client,
    to: &str,
    alone: bool,
    is_last_port: bool,
    hold: &HoldArgs,
) -> Result<Vec<Destination>> {
    check_port_sign(to).map_err(CtlError::of_value)?;
    let names: Vec<String> = to.split(',').map(|name| name.trim().to_owned()).collect();
    let is_one = names.len() == 1;
    let answer = client.call(&TargetsParams { to: names }).await;
    if let (Ok(answer), true) = (&answer, is_last_port) {
        return at_last_ports(client, &answer.targets).await;
    }
    match answer {
        // A host name stays, so that a note can name it.
        Ok(answer) if is_one && matches!(&answer.targets[..], [only] if only.list.is_none()) => {
            let shown = to.to_owned();
            let only = answer.targets.into_iter().map(|target| Destination::of(target, hold));
            Ok(only.map(|found| Destination { shown: shown.clone(), ..found }).collect())
        }
        Ok(answer) => Ok(answer.targets.into_iter().map(|target| Destination::of(target, hold)).collect()),
        // An older daemon has no lists.
        Err(ClientError::Refused(error))
            if is_one && (alone || error.data.kind == ErrorKind::UnknownMethod) =>
        {
            let params = SendParams { to: Some(to.to_owned()), ..hold.params() };
            Ok(vec![Destination { params, shown: to.to_owned(), encoding: None, heard_at: None }])
        }
        Err(error) => {
            let error = CtlError::from(error);
            let is_of_one = !is_one && error.exit() == Exit::NotSent;
            Err(if is_of_one { error.with_exit(Exit::Usage) } else { error })
        }
    }
}

/// Returns destinations at the ports that their last messages came from.
async fn at_last_ports(client: &mut Client, targets: &[Target]) -> Result<Vec<Destination>> {
    // Also what came long ago.
    let params = last_port::params(client, targets, None).await?;
    let destination = |(target, params): (&Target, SendParams)| Destination {
        params,
        shown: target.to.clone(),
        encoding: Some(target.encoding.clone()),
        heard_at: Some(target.peer),
    };
    Ok(targets.iter().zip(params).map(destination).collect())
}

/// Returns the message of an entry, and where it goes.
pub(super) async fn again(
    client: &mut Client,
    id: u64,
    to: Option<To<'_>>,
    hold: &HoldArgs,
) -> Result<(Payload, Vec<Destination>)> {
    let entry = entry(client, id).await?;
    let oldest = match &entry {
        Some(_) => 0,
        None => client.call(&StatusParams {}).await?.inbox.oldest_id,
    };
    let message = match entry {
        Some(Entry::Message(message)) => message,
        Some(Entry::Gap(_)) => return Err(CtlError::usage(tr!("#{id} is a gap, which has no message", id))),
        Some(Entry::Notice(_)) => {
            return Err(CtlError::usage(tr!("#{id} is a notice, which has no message", id)));
        }
        None if id < oldest => {
            let hint = tr!(
                "`inbox.max_size` and `inbox.max_age` of the configuration limit how long entries are kept"
            );
            let text = tr!("there is no entry #{id}: the oldest is #{oldest}", id, oldest);
            return Err(CtlError::new(Exit::Failed, "no_such_entry", text).hint(hint));
        }
        None => {
            let hint = tr!("`udpchatctl inbox -n 20` lists entries with their ids");
            return Err(CtlError::failed(tr!("entry {id} does not exist", id)).hint(hint));
        }
    };
    let payload = Payload::Bytes(message.raw.0);
    if let Some(To::Named { to, .. }) = to {
        return Ok((payload, all(client, to, false, false, hold).await?));
    }
    if message.direction == Direction::In {
        let hint = tr!("name a destination: `udpchatctl send TO --again {id}`", id);
        return Err(CtlError::usage(tr!("#{id} was received, not sent", id)).hint(hint));
    }
    let shown = message.name.unwrap_or_else(|| message.peer.to_string());
    // What is held goes to where its peer is then, from the address that it speaks to.
    let params = match hold.when_seen {
        true => SendParams { to: Some(shown.clone()), ..hold.params() },
        false => SendParams { reply_to: Some(id), ..SendParams::default() },
    };
    Ok((payload, vec![Destination { params, shown, encoding: None, heard_at: None }]))
}

/// Reads an entry, if there is one with this id.
async fn entry(client: &mut Client, id: u64) -> std::result::Result<Option<Entry>, ClientError> {
    let page = InboxParams { after: Some(id.saturating_sub(1)), limit: Some(1), ..InboxParams::default() };
    Ok(client.call(&page).await?.entries.into_iter().find(|entry| entry.id() == id))
}

/// Returns the source of an entry, with its encoding if that is needed: `send` itself says what is wrong with an entry.
async fn source_of(client: &mut Client, id: u64, needs_encoding: bool) -> Result<Destination> {
    let params = SendParams { reply_to: Some(id), ..SendParams::default() };
    let source = Destination { params, shown: format!("#{id}"), encoding: None, heard_at: None };
    if !needs_encoding {
        return Ok(source);
    }
    let found = async {
        let Some(Entry::Message(message)) = entry(client, id).await? else { return Ok(None) };
        let shown = message.peer.to_string();
        let targets = client.call(&TargetsParams { to: vec![shown.clone()] }).await?.targets;
        Ok(targets.into_iter().next().map(|target| (shown, target.encoding)))
    };
    match found.await {
        Ok(Some((shown, encoding))) => Ok(Destination { shown, encoding: Some(encoding), ..source }),
        Ok(None) => Ok(source),
        // A user who may only send can reply; an older daemon does not tell encodings.
        Err(ClientError::Refused(error))
            if matches!(error.data.kind, ErrorKind::NotPermitted | ErrorKind::UnknownMethod) =>
        {
            Ok(source)
        }
        Err(error) => Err(error.into()),
    }
}
