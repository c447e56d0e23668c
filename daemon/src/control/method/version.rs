//! The method `version`: the versions of the daemon and of the protocol.

use udpchat_api::ErrorObject;
use udpchat_api::call::{VersionAnswer, VersionParams};

use crate::control::context::Context;

pub(super) async fn call(_: &mut Context, _: VersionParams) -> Result<VersionAnswer, ErrorObject> {
    Ok(VersionAnswer { version: env!("CARGO_PKG_VERSION").to_owned(), protocol: udpchat_api::PROTOCOL })
}
