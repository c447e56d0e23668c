//! What the daemon needs as a service: the service manager, the watchdog, lock files, directories, the mark of a
//! backup, the umask, the limit of open files, threads.
//!
//! Belongs here: what depends on the operating system or the service manager and not on the rest of the daemon. Nothing
//! here imports another part; every part may import it.

pub(crate) mod accounts;
pub(crate) mod acl;
pub(crate) mod backup_mark;
pub(crate) mod data_dir;
pub(crate) mod directory;
pub(crate) mod file_limit;
pub(crate) mod lock;
pub(crate) mod systemd;
pub(crate) mod threads;
pub(crate) mod umask;
pub(crate) mod watchdog;
