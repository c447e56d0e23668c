//! Starts and stops the parts of the daemon in order.
//!
//! Everything is opened before any thread runs ([`mod@open`]), so that a failed start leaves nothing behind. The daemon stops
//! in the order of the data ([`mod@serve`]): reception, the writer, the readers. Only `main` may depend on this folder.

#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod open;
mod serve;

use std::io;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use udpchat_api::safe::one_line;
use udpchat_config::{Environment, Flags, Group, Interface, ListenAddress, Settings};
use udpchat_locale::tr;

use self::open::{Sockets, open, prepare_runtime};
use self::serve::serve;
use crate::configuration::Configuration;
use crate::control::{MAX_CONNECTIONS, Rules};
use crate::failure::{Failure, system};
use crate::inbox::writer::retention::limit_default_size;
use crate::log::Logging;
use crate::service::accounts;
use crate::service::data_dir::{self, DataDir};
use crate::service::directory;
use crate::service::file_limit;
use crate::service::lock::LockError;
use crate::service::systemd::Inherited;
use crate::{backup, recover, service};

/// Runs the daemon until it is stopped, or performs `--check-config`, `--backup` or `--recover`.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    let (overrides, environment) = (flags.overrides.clone(), Environment::of_process());
    let mut settings = Settings::load(&overrides, &environment)?;
    if flags.check_config() {
        return check_config(&settings);
    }
    if let Some(file) = flags.backup() {
        let (runtime, signals) = prepare_runtime().map_err(system("cannot start"))?;
        return Ok(backup::run(runtime, signals, &settings.data_dir, file)?);
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

/// Prints every setting, and fails if a group of users does not exist. Only this machine knows that, so the settings were valid
/// so far.
fn check_config(settings: &Settings) -> Result<(), Failure> {
    print_settings(settings).map_err(system("cannot print"))?;
    let (_rules, warnings) = Rules::of(settings, accounts::own_uid(), accounts::group_id);
    if !warnings.is_empty() {
        return Err(Failure::Groups(warnings));
    }
    let mut errors = io::stderr().lock();
    for note in missing_interfaces(settings) {
        let note = tr!("note: {note}", note = one_line(&note));
        writeln!(errors, "{note}").map_err(system("cannot print"))?;
    }
    writeln!(errors, "{}", tr!("the configuration is valid")).map_err(system("cannot print"))
}

/// Describes the interfaces that the settings name and this machine does not have now. They may appear later, so this is no
/// error of the configuration.
fn missing_interfaces(settings: &Settings) -> Vec<String> {
    let is_missing = |interface: &&Interface| interface.number().is_none();
    let listen = settings.listen.iter().filter_map(ListenAddress::interface).filter(is_missing);
    let listen = listen.map(|interface| {
        tr!(
            "`listen` names the interface `{interface}`, which this machine does not have now: the daemon does not start \
             without it",
            interface
        )
    });
    let groups = settings.groups.iter().filter_map(Group::interface).filter(is_missing);
    let groups = groups.map(|interface| {
        tr!(
            "`groups` names the interface `{interface}`, which this machine does not have now: the group is joined once it \
             is there",
            interface
        )
    });
    let peers = settings.peers.iter().filter_map(|(name, peer)| {
        let interface = peer.address.interface().filter(is_missing)?;
        Some(tr!(
            "peer `{name}` names the interface `{interface}`, which this machine does not have now: nothing can be sent to \
             it until then",
            name,
            interface
        ))
    });
    listen.chain(groups).chain(peers).collect()
}

/// Prints every setting with its value and origin.
fn print_settings(settings: &Settings) -> io::Result<()> {
    let listing = settings.listing();
    let width = |column: fn(&(String, String, String)) -> &String| {
        listing.iter().map(|row| column(row).chars().count()).max().unwrap_or(0)
    };
    let (keys, values) = (width(|row| &row.0), width(|row| &row.1));
    let mut out = io::stdout().lock();
    for (key, value, origin) in &listing {
        let line = format!("{key:keys$} = {value:values$}  # {origin}");
        writeln!(out, "{}", one_line(&line))?;
    }
    Ok(())
}
