//! The limits of open files, `RLIMIT_NOFILE`, and of their sizes, `RLIMIT_FSIZE`.
//!
//! Without a descriptor the daemon can neither accept a client nor read the inbox. So it raises the limit as far as it may,
//! and does not start if that is not enough.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::warn;
use udpchat_config::{size_limit, size_limit_hint};

/// How many files the daemon needs with few clients: the databases, timers, pipes, and connections of the readers.
const FILES_OF_THE_DAEMON: u64 = 40;

/// How many files a listening socket needs: itself, and what its thread waits on.
const FILES_OF_A_LISTENER: u64 = 2;

/// Describes a limit that is too low to start.
#[derive(Debug, thiserror::Error)]
#[error("the process may open {limit} files; the daemon needs at least {needed}")]
pub(crate) struct FileLimitError {
    limit: u64,
    needed: u64,
}

impl FileLimitError {
    /// Returns a hint what to do next.
    pub(crate) fn hint(&self) -> String {
        format!(
            "`ulimit -n 1024` raises the limit, under systemd `LimitNOFILE=1024`; {} is the least",
            self.needed
        )
    }
}

/// Raises the limit as far as this process may. Warns if it does not suffice for all connections.
///
/// # Errors
/// Fails if it does not even suffice for the daemon.
pub(crate) fn raise(listeners: usize, connections: usize) -> Result<(), FileLimitError> {
    // An unknown limit is no reason not to start.
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    let is_raised = soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    let limit = if is_raised { hard } else { soft };
    let needed = FILES_OF_THE_DAEMON + FILES_OF_A_LISTENER * listeners as u64;
    if limit < needed {
        return Err(FileLimitError { limit, needed });
    }
    if limit < needed + connections as u64 {
        warn!(
            "the process may open {limit} files, which is not enough for {connections} connections to the control socket; \
             `ulimit -n 1024` raises the limit, under systemd `LimitNOFILE=1024`"
        );
    }
    Ok(())
}

/// Warns if the inbox may become larger than this process may make a file.
pub(crate) fn check_size(max_bytes: u64) {
    if size_limit().is_some_and(|limit| limit < max_bytes)
        && let Some(hint) = size_limit_hint()
    {
        warn!("the inbox cannot reach its `max_size` of {max_bytes} bytes: {hint}");
    }
}
