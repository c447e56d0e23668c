//! The method `reload`: reads the configuration again, as SIGHUP does.

use std::sync::Arc;

use bytesize::ByteSize;
use udpchat_api::call::{ReloadAnswer, ReloadParams};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::configuration::refusal;
use crate::control::context::Context;
use crate::health::Component;
use crate::inbox::kept::{MAX_HELD, To};
use crate::state::Daemon;

pub(super) async fn call(context: &mut Context, _: ReloadParams) -> Result<ReloadAnswer, ErrorObject> {
    context.control.audit.asked(&context.client, "reload").await;
    let daemon = Arc::clone(context.daemon());
    // A lower limit begins to remove entries at once.
    let inbox_bytes = daemon.read(|reader| Ok(reader.size_bytes())).await.unwrap_or_default();
    let reloaded = tokio::task::spawn_blocking(move || daemon.reload()).await;
    match reloaded.map_err(|panic| ErrorObject::new(ErrorKind::Internal, panic.to_string()))? {
        Ok(keys) => {
            let daemon = context.daemon();
            Ok(ReloadAnswer {
                needs_restart: keys.into_iter().map(str::to_owned).collect(),
                groups: daemon.health.problem(Component::UserGroups),
                notes: notes(daemon, inbox_bytes),
            })
        }
        Err(error) => {
            Err(ErrorObject::new(ErrorKind::BadConfiguration, refusal(&error)).hint_if(error.hint()))
        }
    }
}

/// Returns what is valid and probably not meant, messages included that are held for names which are gone.
fn notes(daemon: &Daemon, inbox_bytes: u64) -> Vec<String> {
    let settings = daemon.configuration.current();
    let mut notes = settings.doubts();
    if settings.files.is_empty() {
        notes.push(
            "no configuration file was read: the defaults, the environment and the command line apply"
                .to_owned(),
        );
    }
    let most_bytes = settings.inbox.max_size.bytes();
    if inbox_bytes > most_bytes {
        let [size, most] = [inbox_bytes, most_bytes].map(|bytes| ByteSize::b(bytes).display().iec());
        notes.push(format!(
            "the inbox has {size}, more than its limit of {most}: the oldest entries may be removed"
        ));
    }
    let configured = daemon.peers.configured();
    let held = daemon.kept.held_after(0, MAX_HELD);
    let is_gone = |name: &&String| configured.by_name(name).is_none();
    let gone: Vec<&String> = held
        .iter()
        .filter_map(|row| match &row.to {
            To::Name(name) => Some(name).filter(is_gone),
            To::Address(_) | To::OnInterface(..) => None,
        })
        .collect();
    if let Some(name) = gone.first() {
        let number = gone.len();
        notes.push(format!(
            "messages are held for peers that are no longer configured: {number}, the first for `{name}`"
        ));
    }
    notes
}
