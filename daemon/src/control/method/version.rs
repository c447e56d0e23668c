//! The method `version`.

use udpchat_api::call::VersionAnswer;

pub(crate) fn call() -> VersionAnswer {
    VersionAnswer { version: env!("CARGO_PKG_VERSION").to_owned(), protocol: udpchat_api::PROTOCOL }
}
