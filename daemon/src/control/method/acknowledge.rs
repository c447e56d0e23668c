//! The method `acknowledge`: clears the problems that are events, such as that a damaged inbox was moved away.

use udpchat_api::ErrorObject;
use udpchat_api::call::{AcknowledgeAnswer, AcknowledgeParams};

use crate::control::context::Context;

pub(super) async fn call(
    context: &mut Context,
    _: AcknowledgeParams,
) -> Result<AcknowledgeAnswer, ErrorObject> {
    context.control.audit.asked(&context.client, "acknowledge problems").await;
    Ok(AcknowledgeAnswer { acknowledged: context.daemon().health.acknowledge() })
}
