//! The destinations of a message to several, with the members of lists.

use std::collections::HashSet;
use std::sync::Arc;

use udpchat_api::call::{self, SendParams};
use udpchat_api::{ErrorKind, ErrorObject};

use super::payload::encoding_towards;
use super::target::find;
use crate::state::Daemon;

/// How many destinations a request may have, with the members of the lists that it names.
const MAX_TARGETS: usize = 1_024;

/// Finds the destinations that `names` name, with the members of lists; each one once.
pub(crate) async fn targets(
    daemon: &Arc<Daemon>,
    names: &[String],
) -> Result<Vec<call::Target>, ErrorObject> {
    let configured = daemon.peers.configured();
    let mut wanted = Vec::with_capacity(names.len());
    for name in names {
        match configured.list(name) {
            Some(members) => {
                wanted.extend(members.iter().map(|member| (member.to_string(), Some(name.clone()))));
            }
            None => wanted.push((name.clone(), None)),
        }
    }
    if wanted.len() > MAX_TARGETS {
        let text = format!("{} destinations; at most {MAX_TARGETS} are allowed", wanted.len());
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    let (mut seen, mut found) = (HashSet::new(), Vec::new());
    for (to, list) in wanted {
        let params = SendParams { to: Some(to.clone()), ..SendParams::default() };
        let target = find(daemon, &params).await?;
        if !seen.insert((target.peer, target.interface)) {
            continue;
        }
        let (encoding, _) = encoding_towards(daemon, &target).await;
        // A host name is resolved once: its address is used from now on. What names an interface stays as it is.
        let keeps = configured.by_name(&to).is_some() || to.contains('%');
        let to = if keeps { to } else { target.peer.to_string() };
        found.push(call::Target { to, peer: target.peer, encoding: encoding.to_string(), list });
    }
    Ok(found)
}
