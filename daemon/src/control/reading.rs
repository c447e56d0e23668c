//! Reads of clients that may take long: each takes a turn of its user, and memory for its result.
//!
//! The turn and the memory go with the thread that reads. A client that disconnects meanwhile frees neither before the
//! read ends.

use std::sync::Arc;

use udpchat_api::ErrorObject;

use super::memory::{Account, Charge, Running};
use crate::inbox::InboxError;
use crate::inbox::reader::Reader;
use crate::state::Daemon;

/// Reads from the inbox when the user has a turn. The result takes at most `bytes` of memory, which stay charged until the
/// returned charge is dropped. The connection counts as working until [`Running`] is dropped.
///
/// # Errors
/// Fails with `busy` if there is no turn or no memory in time, and if the inbox cannot be read.
pub(super) async fn read<T: Send + 'static>(
    daemon: &Arc<Daemon>,
    account: &Arc<Account>,
    bytes: usize,
    read: impl FnOnce(&Reader) -> Result<T, InboxError> + Send + 'static,
) -> Result<(T, Charge, Running), ErrorObject> {
    let turn = account.user.turn().await?;
    let memory = account.charge(bytes).await?;
    let running = account.begin_work();
    let read = move |reader: &Reader| {
        let _until_read = turn;
        Ok((read(reader)?, memory, running))
    };
    Ok(daemon.read(read).await?)
}
