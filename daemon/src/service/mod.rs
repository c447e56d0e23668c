//! What a long-running service needs: the service manager, the watchdog, locks and threads.

pub(crate) mod backup_mark;
pub(crate) mod lock;
pub(crate) mod systemd;
pub(crate) mod threads;
pub(crate) mod watchdog;
