//! The method `targets`: the destinations of messages, with the members of lists. Nothing is sent.

use std::sync::Arc;

use udpchat_api::call::{TargetsAnswer, TargetsParams};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::control::context::Context;
use crate::send::targets;

/// How many destinations a request may name.
const MAX_NAMED: usize = 64;

pub(super) async fn call(context: &mut Context, params: TargetsParams) -> Result<TargetsAnswer, ErrorObject> {
    if !(1..=MAX_NAMED).contains(&params.to.len()) {
        let text = format!("`to` must name 1 to {MAX_NAMED} destinations");
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    let daemon = Arc::clone(context.daemon());
    Ok(TargetsAnswer { targets: targets(&daemon, &params.to).await? })
}
