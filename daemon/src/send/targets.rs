//! The destinations of a message to several, with the members of lists.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use udpchat_api::call::{self, SendParams};
use udpchat_api::{ErrorKind, ErrorObject};

use super::payload::{encoding_towards, look_up_until};
use super::target::{find, split_port};
use crate::peers::Configured;
use crate::state::Daemon;

/// How many destinations a request may have, with the members of the lists that it names.
const MAX_TARGETS: usize = 1_024;

/// A destination as it is written.
pub(crate) struct Wanted {
    to: String,
    /// The list that it is a member of.
    list: Option<String>,
    /// Whether it is the name of a peer.
    is_name: bool,
}

/// Returns the destinations that `names` name, with the members of lists, each notation once.
pub(crate) fn expand(configured: &Configured, names: &[String]) -> Result<Vec<Wanted>, ErrorObject> {
    let (mut seen, mut wanted) = (HashSet::new(), Vec::with_capacity(names.len()));
    let mut add = |to: String, list: Option<&String>| {
        if seen.insert(to.clone()) {
            let is_name = configured.by_name(&to).is_some();
            wanted.push(Wanted { to, list: list.cloned(), is_name });
        }
    };
    for name in names {
        match configured.list(name) {
            Some(members) => members.iter().for_each(|member| add(member.to_string(), Some(name))),
            None => add(name.clone(), None),
        }
    }
    if wanted.len() > MAX_TARGETS {
        let text = format!("{} destinations; at most {MAX_TARGETS} are allowed", wanted.len());
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    Ok(wanted)
}

/// Finds the destinations; each one once, even if it is written in several ways.
pub(crate) async fn targets(
    daemon: &Arc<Daemon>,
    wanted: Vec<Wanted>,
) -> Result<Vec<call::Target>, ErrorObject> {
    let (mut seen, mut found) = (HashSet::new(), Vec::with_capacity(wanted.len()));
    for Wanted { to, list, is_name } in wanted {
        let params = SendParams { to: Some(to.clone()), ..SendParams::default() };
        let target = find(daemon, &params).await?;
        if !seen.insert((target.peer, target.interface)) {
            continue;
        }
        // A host name is resolved once: its address is used from now on. What names an interface stays as it is.
        let keeps = is_name || to.contains('%');
        let has_port = split_port(&to)?.1.is_some();
        let to = match target.peer {
            _ if keeps => to,
            // A message can be held for any port of an address. An interface stands behind an address with a port only.
            SocketAddr::V6(v6) if v6.scope_id() != 0 => target.peer.to_string(),
            _ if has_port => target.peer.to_string(),
            _ => target.peer.ip().to_string(),
        };
        found.push((to, target, list));
    }
    let (until, mut targets) = (look_up_until(), Vec::with_capacity(found.len()));
    for (to, target, list) in found {
        let (encoding, _) = encoding_towards(daemon, &target, until).await;
        targets.push(call::Target { to, peer: target.peer, encoding: encoding.to_string(), list });
    }
    Ok(targets)
}
