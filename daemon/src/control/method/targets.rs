//! The method `targets`: the destinations of messages, with the members of lists. Nothing is sent.

use std::sync::Arc;

use udpchat_api::call::{TargetsAnswer, TargetsParams};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::control::context::Context;
use crate::send::targets;

/// How many destinations a request may name.
const MAX_NAMED: usize = 64;

/// How much memory a destination takes at most, in bytes, also in the line of the response.
const BYTES_OF_A_TARGET: usize = 1_024;

pub(super) async fn call(context: &mut Context, params: TargetsParams) -> Result<TargetsAnswer, ErrorObject> {
    if !(1..=MAX_NAMED).contains(&params.to.len()) {
        let text = format!("`to` must name 1 to {MAX_NAMED} destinations");
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    let daemon = Arc::clone(context.daemon());
    let configured = daemon.peers.configured();
    let members = |name: &String| configured.list(name).map_or(1, <[_]>::len);
    context.charge(BYTES_OF_A_TARGET * params.to.iter().map(members).sum::<usize>()).await?;
    Ok(TargetsAnswer { targets: targets(&daemon, &params.to).await? })
}
