//! The method `reload`: reads the configuration again, as SIGHUP does.

use std::sync::Arc;

use udpchat_api::call::{ReloadAnswer, ReloadParams};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::configuration::refusal;
use crate::control::context::Context;
use crate::health::Component;

pub(super) async fn call(context: &mut Context, _: ReloadParams) -> Result<ReloadAnswer, ErrorObject> {
    context.control.audit.asked(&context.client, "reload").await;
    let daemon = Arc::clone(context.daemon());
    let reloaded = tokio::task::spawn_blocking(move || daemon.reload()).await;
    match reloaded.map_err(|panic| ErrorObject::new(ErrorKind::Internal, panic.to_string()))? {
        Ok(keys) => Ok(ReloadAnswer {
            needs_restart: keys.into_iter().map(str::to_owned).collect(),
            groups: context.daemon().health.problem(Component::UserGroups),
            notes: context.daemon().configuration.current().doubts(),
        }),
        Err(error) => {
            Err(ErrorObject::new(ErrorKind::BadConfiguration, refusal(&error)).hint_if(error.hint()))
        }
    }
}
