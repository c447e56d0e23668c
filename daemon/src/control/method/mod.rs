//! The methods of the control socket: one file each, with a function from the parameters to the result.
//!
//! Belongs here: what a method does. Does not belong here: the types of its parameters and its result, which are those of
//! `udpchat_api::call`, and what several methods share.

mod acknowledge;
mod cancel;
mod consumers;
mod held;
mod inbox;
mod peers;
mod read_marks;
mod recode;
mod reload;
mod self_test;
pub(super) mod send;
mod status;
mod stop;
mod subscribe;
mod talkers;
mod targets;
mod unsubscribe;
mod version;

use serde::Serialize;
use serde::de::DeserializeOwned;
use udpchat_api::call::{
    AckParams, AcknowledgeParams, Call, CancelParams, ConsumersParams, HeldParams, InboxParams, PeersParams,
    RecodeParams, ReloadParams, RemoveMarkParams, SelfTestParams, SetMarkParams, StatusParams, StopParams,
    SubscribeParams, TalkersParams, TargetsParams, UnsubscribeParams, VersionParams,
};
use udpchat_api::rpc::Request;
use udpchat_api::{ErrorKind, ErrorObject};

use super::context::Context;
use super::response::success_line;
pub(crate) use status::status;

/// The methods, for the error of an unknown one.
const METHODS: &str = "version, send, held, cancel, inbox, ack, consumers, set_mark, remove_mark, recode, subscribe, unsubscribe, peers, talkers, targets, status, self_test, acknowledge, reload, stop";

/// Calls the method of a request, and returns the response as a line. `send` is not among them: its response is prepared
/// while other requests are handled ([`send`]).
pub(super) async fn call(context: &mut Context, request: &mut Request) -> Result<Vec<u8>, ErrorObject> {
    match request.method.as_str() {
        AckParams::METHOD => run(context, request, read_marks::ack).await,
        AcknowledgeParams::METHOD => run(context, request, acknowledge::call).await,
        CancelParams::METHOD => run(context, request, cancel::call).await,
        ConsumersParams::METHOD => run(context, request, consumers::call).await,
        HeldParams::METHOD => run(context, request, held::call).await,
        InboxParams::METHOD => run(context, request, inbox::call).await,
        PeersParams::METHOD => run(context, request, peers::call).await,
        RecodeParams::METHOD => run(context, request, recode::call).await,
        ReloadParams::METHOD => run(context, request, reload::call).await,
        RemoveMarkParams::METHOD => run(context, request, read_marks::remove).await,
        SelfTestParams::METHOD => run(context, request, self_test::call).await,
        SetMarkParams::METHOD => run(context, request, read_marks::set).await,
        StatusParams::METHOD => run(context, request, status::call).await,
        StopParams::METHOD => run(context, request, stop::call).await,
        SubscribeParams::METHOD => run(context, request, subscribe::call).await,
        TalkersParams::METHOD => run(context, request, talkers::call).await,
        TargetsParams::METHOD => run(context, request, targets::call).await,
        UnsubscribeParams::METHOD => run(context, request, unsubscribe::call).await,
        VersionParams::METHOD => run(context, request, version::call).await,
        method => {
            let text = format!("unknown method `{method}`");
            Err(ErrorObject::new(ErrorKind::UnknownMethod, text).hint(METHODS))
        }
    }
}

async fn run<P>(
    context: &mut Context,
    request: &mut Request,
    method: impl AsyncFnOnce(&mut Context, P) -> Result<P::Answer, ErrorObject>,
) -> Result<Vec<u8>, ErrorObject>
where
    P: Call<Answer: Serialize> + DeserializeOwned,
{
    let params = context.parameters(request).await?;
    let line = success_line(request.id.as_ref(), &method(context, params).await?)?;
    context.shrink_memory(line.len());
    Ok(line)
}
