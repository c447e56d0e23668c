//! The method `stop`: stops the daemon, as SIGTERM does.

use udpchat_api::ErrorObject;
use udpchat_api::call::{Empty, StopParams};

use crate::control::context::Context;

pub(super) async fn call(context: &mut Context, _: StopParams) -> Result<Empty, ErrorObject> {
    context.control.audit.asked(&context.client, "stop").await;
    context.stop();
    Ok(Empty {})
}
