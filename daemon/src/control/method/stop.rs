//! The method `stop`: stops the daemon, as SIGTERM does.

use udpchat_api::call::{StopAnswer, StopParams};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::control::context::Context;

pub(super) async fn call(context: &mut Context, params: StopParams) -> Result<StopAnswer, ErrorObject> {
    let unstorable = context.daemon().unstorable();
    if let Some(number) = unstorable.filter(|_| params.unless_losing) {
        return Err(losing(number));
    }
    context.control.audit.asked(&context.client, "stop").await;
    context.stop();
    Ok(StopAnswer { unstorable, socket_activated: !context.control.socket.is_own() })
}

fn losing(number: u64) -> ErrorObject {
    let text = match number {
        1 => "not stopped: 1 message in memory cannot be stored now and would be lost".to_owned(),
        _ => format!("not stopped: {number} messages in memory cannot be stored now and would be lost"),
    };
    ErrorObject::new(ErrorKind::InboxUnavailable, text)
        .hint("`udpchatctl status` shows the problem; once it is solved, they are stored")
}
