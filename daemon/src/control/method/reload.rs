//! The method `reload`: reads the configuration again, as SIGHUP does.

use std::sync::Arc;

use udpchat_api::call::ReloadAnswer;
use udpchat_api::{ErrorKind, ErrorObject};

use crate::control::audit;
use crate::control::credentials::Caller;
use crate::state::{Daemon, refusal};

pub(crate) async fn call(daemon: &Arc<Daemon>, caller: &Caller) -> Result<ReloadAnswer, ErrorObject> {
    audit::asked(daemon, caller, "reload").await;
    let again = Arc::clone(daemon);
    let reloaded = tokio::task::spawn_blocking(move || again.reload()).await;
    match reloaded.map_err(|panic| ErrorObject::new(ErrorKind::Internal, panic.to_string()))? {
        Ok(keys) => Ok(ReloadAnswer { needs_restart: keys.into_iter().map(str::to_owned).collect() }),
        Err(error) => {
            Err(ErrorObject::new(ErrorKind::BadConfiguration, refusal(&error)).hint_if(error.hint()))
        }
    }
}
