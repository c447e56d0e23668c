//! Starts and stops the parts of the daemon in order.
//!
//! Everything is opened before any thread runs ([`mod@open`]), so that a failed start leaves nothing behind. The daemon stops
//! in the order of the data ([`mod@serve`]): reception, the writer, the readers. Only `main` may depend on this folder.

mod check;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod listing;
mod open;
mod serve;

use std::path::Path;
use std::sync::Arc;

use udpchat_config::{Environment, Flags, LogFormat, Settings};

use self::open::{Sockets, open, prepare_runtime};
use self::serve::serve;
use crate::configuration::Configuration;
use crate::control::MAX_CONNECTIONS;
use crate::failure::{Failure, system};
use crate::inbox::writer::retention::limit_default_size;
use crate::log::Logging;
use crate::service::data_dir::{self, DataDir};
use crate::service::directory;
use crate::service::file_limit;
use crate::service::lock::LockError;
use crate::service::systemd::Inherited;
use crate::{backup, recover, service};

/// Runs the daemon until it is stopped, or performs `--check-config`, `--backup` or `--recover`. Sets the format in which a
/// failure of the daemon is reported, once the configuration says it.
pub(crate) fn run(flags: &Flags, log_format: &mut LogFormat) -> Result<(), Failure> {
    let (overrides, environment) = (flags.overrides.clone(), Environment::of_process());
    let mut settings = Settings::load_whole(&overrides, &environment)?;
    if flags.check_config() {
        return check::run(&settings);
    }
    if let Some(file) = flags.backup() {
        let (runtime, signals) = prepare_runtime().map_err(system("cannot start"))?;
        return Ok(backup::run(runtime, signals, &settings.data_dir, file)?);
    }
    if flags.recover().is_none() {
        *log_format = *settings.log.format;
    }
    let inherited = Inherited::take()?;
    let (runtime, signals) = prepare_runtime().map_err(system("cannot start"))?;
    let (logging, _written_at_the_end) = Logging::start(*settings.log.level, *settings.log.format);
    file_limit::raise(settings.listen.len().max(inherited.udp.len()), MAX_CONNECTIONS)?;
    // All files created from here on are private to this user.
    service::umask::restrict_to_owner();
    let data_dir = settings.data_dir.value.clone();
    // Locked until the end.
    let locked = Arc::new(take_data_dir(&data_dir)?);
    if let Some(file) = flags.recover() {
        return Ok(recover::run(&data_dir, file)?);
    }
    limit_default_size(&mut settings, &data_dir);
    file_limit::check_size(settings.inbox.max_size.bytes());
    let sockets = Sockets::open(&runtime, &settings, inherited)?;
    let opened = open(Configuration::new(settings, overrides, environment), sockets, logging, &locked)?;
    serve(opened, runtime, signals)
}

/// Creates the data directory, private to this user, and locks it for this process.
fn take_data_dir(path: &Path) -> Result<DataDir, Failure> {
    let shown = path.display().to_string();
    let error = |source| Failure::DataDir { path: shown.clone(), source };
    data_dir::create(path).map_err(error)?;
    if let Some(danger) = directory::danger(path, directory::Use::Data).map_err(error)? {
        return Err(Failure::UnsafeDataDir { path: shown, danger });
    }
    DataDir::take(path).map_err(|error| match error {
        LockError::Held { holder } => Failure::DataDirHeld { path: shown, holder },
        LockError::Io(source) => Failure::DataDir { path: shown, source },
    })
}
