//! `udpchatd`: the daemon that holds a UDP port, keeps what arrives, and serves the control socket.
//!
//! This file is the order in which things start and stop. The way of the data: `receive` moves datagrams from
//! the kernel into the queue of the `inbox`, whose writer makes them durable; `control` and `message_log` read
//! them from there; `send` puts what goes out on record in the same log.

mod backup;
mod clock;
mod control;
mod encoding;
mod error;
mod health;
mod inbox;
mod index;
mod index_thread;
mod log;
mod message_log;
mod metrics;
mod net;
mod peers;
mod receive;
mod send;
mod service;
mod signals;
mod state;
mod status_line;

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tracing::{info, warn};
use udpchat_api::socket::Listener as ControlListener;
use udpchat_config::{ConfigError, Environment, Flags, Origin, Settings};

use control::socket::{ControlSocket, SocketError};
use control::{Control, Rules};
use inbox::file::OpenError;
use inbox::inflight::Ledger;
use inbox::learned_encodings::Speech;
use inbox::queue::Queue;
use inbox::reader::Reader;
use inbox::writer::{self, Writer};
use log::Logging;
use net::interfaces::Changes;
use net::platform::InterfaceMonitor;
use net::socket;
use net::socket::{ListenError, Listener};
use service::lock::{DATA_DIR_LOCK, Lock, LockError};
use service::systemd::{InheritError, Inherited};
use service::watchdog::Watchdog;
use signals::Signals;
use state::Daemon;

/// Threads for readers of the inbox and for resolving names; more wait their turn.
const MAX_BLOCKING_THREADS: usize = 8;

/// How many of those threads names may take: readers always have the others.
const MAX_LOOKUPS: usize = 4;

/// Exit codes beside 0.
const FAILED: u8 = 1;
const WRONG_USE: u8 = 2;

/// Why the daemon does not start, or ends badly.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot use the data directory {path}")]
    DataDir { path: String, source: io::Error },
    #[error("the data directory {path} is in use by {holder}")]
    DataDirHeld { path: String, holder: String },
    #[error(transparent)]
    Inherit(#[from] InheritError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Metrics(#[from] metrics::BindError),
    #[error(transparent)]
    Inbox(#[from] OpenError),
    #[error(transparent)]
    Backup(#[from] backup::BackupError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("{0} entries could not be stored and are lost: the inbox could not be written up to the end")]
    GivenUp(usize),
    #[error("{what}")]
    System { what: &'static str, source: io::Error },
}

impl Failure {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::DataDir { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => Some(
                "it is read-only here: `--data-dir` takes another; under systemd `ReadWritePaths=` opens this one".to_owned(),
            ),
            Self::DataDir { .. } => {
                Some("`--data-dir` takes another; it must be writable for this user".to_owned())
            }
            Self::DataDirHeld { .. } => {
                Some("stop that one, or give this one its own `--data-dir`".to_owned())
            }
            Self::Inherit(error) => error.hint().map(str::to_owned),
            Self::Listen(error) => error.hint(),
            Self::Metrics(error) => error.hint(),
            Self::Inbox(error) => error.hint().map(str::to_owned),
            Self::Backup(error) => error.hint().map(str::to_owned),
            Self::Socket(error) => error.hint().map(str::to_owned),
            Self::GivenUp(_) | Self::System { .. } => None,
        }
    }

    fn exit_code(&self) -> u8 {
        if matches!(self, Self::Config(_)) { WRONG_USE } else { FAILED }
    }
}

/// Runs the daemon until it is told to stop; returns its exit status.
pub fn main() -> ExitCode {
    match run(&Flags::of_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(flags: &Flags) -> Result<(), Failure> {
    let (overrides, environment) = (flags.overrides.clone(), Environment::of_process());
    let settings = Settings::load(&overrides, &environment)?;
    if flags.check_config() {
        return print_settings(&settings).map_err(|source| Failure::System { what: "cannot print", source });
    }
    if let Some(file) = flags.backup() {
        let (runtime, signals) = prepare_runtime().map_err(system("cannot start"))?;
        return Ok(backup::run(runtime, signals, &settings.data_dir, file)?);
    }
    let inherited = Inherited::take()?;
    let (runtime, signals) = prepare_runtime().map_err(system("cannot start"))?;
    let (logging, _written_at_the_end) = Logging::start(*settings.log.level, *settings.log.format);
    // Whatever is made from here on is for this user alone.
    service::umask::restrict_to_owner();
    let _data_lock = take_data_dir(&settings.data_dir)?;
    let listeners = socket::open_all(&settings, inherited.udp)?;
    let metrics = metrics::Endpoint::bind(&settings)?;
    let rules = control::look_up(&settings);
    let (control_socket, control_listener) = open_control(&runtime, &settings, inherited.control, &rules)?;

    let settings = Arc::new(settings);
    let mut watchdog = Watchdog::of_process();
    let queue = Arc::new(Queue::default());
    let reader = Arc::new(Reader::new(&settings.data_dir));
    let speech = Arc::new(Speech::default());
    let health = Arc::new(health::Health::default());
    let addresses = Arc::new(net::interfaces::CurrentAddresses::default());
    let groups =
        net::multicast::Groups::new(&settings, &listeners, Arc::clone(&addresses), Arc::clone(&health));
    let (fallback, fallback_now) = watch::channel(*settings.text.fallback);
    let (limits, limits_now) = watch::channel(writer::retention::Limits::of(&settings));
    let lookups = Arc::new(tokio::sync::Semaphore::new(MAX_LOOKUPS));
    let parts = writer::Parts {
        data_dir: settings.data_dir.value.clone(),
        queue: Arc::clone(&queue),
        reader: Arc::clone(&reader),
        speech: Arc::clone(&speech),
        health: Arc::clone(&health),
        fallback: fallback_now,
        limits: limits_now,
        heartbeat: watchdog.heartbeat("the writer of the inbox"),
        still_working: Box::new(service::systemd::still_starting),
    };
    let (writer, progress, ledger) = Writer::open(parts, || Ledger::open(&settings.data_dir, &health))?;
    carry_over(ledger, &listeners, &queue);
    let daemon = Arc::new(Daemon {
        started: clock::from_ns(clock::now_ns()),
        listeners,
        socket: control_socket.path().to_owned(),
        metrics: metrics.as_ref().map(|endpoint| endpoint.local),
        queue,
        reader,
        progress,
        peers: peers::Peers::new(&settings, speech),
        access: Arc::new(receive::access::Access::new(&settings)),
        groups: Arc::new(groups),
        addresses,
        denied: Arc::default(),
        self_tests: Arc::default(),
        health,
        logging,
        lookups: Arc::clone(&lookups),
        reloading: Mutex::default(),
        fallback,
        limits,
        stopping: watch::Sender::new(false),
        settings: watch::Sender::new(Arc::clone(&settings)),
        boot: settings,
        overrides,
        environment,
    });
    let control = Control::new(Arc::clone(&daemon), rules, control_socket.file(), lookups);
    let control = Arc::new(control);
    serve(Started {
        daemon,
        control,
        writer,
        watchdog,
        runtime,
        signals,
        metrics,
        control_socket,
        control_listener,
    })
}

/// A daemon with everything opened and nothing running.
struct Started {
    daemon: Arc<Daemon>,
    control: Arc<Control>,
    writer: Writer,
    watchdog: Watchdog,
    runtime: Runtime,
    signals: Signals,
    metrics: Option<metrics::Endpoint>,
    control_socket: ControlSocket,
    control_listener: ControlListener,
}

/// Returns what makes a failure of the system out of an error.
fn system(what: &'static str) -> impl Fn(io::Error) -> Failure {
    move |source| Failure::System { what, source }
}

/// Makes the runtime, which has no thread of its own yet, and catches signals by it.
fn prepare_runtime() -> io::Result<(Runtime, Signals)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build()?;
    let entered = runtime.enter();
    let signals = Signals::catch()?;
    drop(entered);
    Ok((runtime, signals))
}

/// Starts the threads, serves until the daemon is told to stop, and stops in the order of the data: reception,
/// then the writer, then those who read.
fn serve(started: Started) -> Result<(), Failure> {
    let Started {
        daemon,
        control,
        writer,
        mut watchdog,
        runtime,
        signals,
        metrics,
        control_socket,
        control_listener,
    } = started;
    let writer =
        service::threads::spawn("writer", move || writer.run()).map_err(system("cannot start the writer"))?;
    let stop = Arc::new(receive::Stop::new().map_err(system("cannot start reception"))?);
    let receivers =
        start_receivers(&daemon, &stop, &mut watchdog).map_err(system("cannot start reception"))?;

    let message_log = runtime.spawn(message_log::follow(Arc::clone(&daemon), daemon.progress.clone()));
    index_thread::start(Arc::clone(&daemon)).map_err(system("cannot start the index"))?;
    let served =
        runtime.block_on(serve_clients(&control, &daemon, watchdog, signals, metrics, control_listener));
    service::systemd::stopping();
    drop(control_socket);

    stop.stop();
    let whole = receivers.into_iter().map(JoinHandle::join).all(|ended| ended.is_ok());
    daemon.queue.close();
    let given_up = writer.join().unwrap_or(0);
    finish(&control, runtime, message_log);
    served.map_err(system("cannot serve the control socket"))?;
    if given_up > 0 {
        return Err(Failure::GivenUp(given_up));
    }
    info!(clean = whole, "stopped");
    Ok(())
}

async fn serve_clients(
    control: &Arc<Control>,
    daemon: &Arc<Daemon>,
    watchdog: Watchdog,
    signals: Signals,
    metrics: Option<metrics::Endpoint>,
    listener: ControlListener,
) -> io::Result<()> {
    signals::handle(signals, Arc::clone(daemon));
    let control = tokio::spawn(control::serve(Arc::clone(control), listener));
    if let Some(endpoint) = metrics {
        endpoint.start(Arc::clone(daemon))?;
    }
    keep_groups(daemon)?;
    announce(daemon);
    tokio::spawn(status_line::report(Arc::clone(daemon), watchdog));
    // The sender lives in the daemon itself: this ends only by being told to stop.
    let mut stopping = daemon.stopping.subscribe();
    let _told = stopping.wait_for(|stopping| *stopping).await.is_ok();
    control.abort();
    Ok(())
}

/// Joins the groups, and keeps them joined while interfaces come and go.
fn keep_groups(daemon: &Daemon) -> io::Result<()> {
    let groups = &daemon.groups;
    // Before the first look, so that no change is missed.
    let monitor = InterfaceMonitor::start();
    groups.update(Changes::default());
    match monitor {
        Ok(monitor) => {
            let groups = Arc::clone(groups);
            // It waits for the kernel until the process ends.
            service::threads::spawn("interfaces", move || groups.follow(monitor)).map(drop)
        }
        Err(error) => {
            groups.cannot_monitor(&error);
            Ok(())
        }
    }
}

/// Lets the last messages be logged, and ends the connections.
fn finish(control: &Control, runtime: Runtime, message_log: tokio::task::JoinHandle<()>) {
    const LAST_LINES_WAIT: std::time::Duration = std::time::Duration::from_secs(2);
    runtime.block_on(async {
        // If the inbox cannot be read, these lines are not worth waiting for.
        let _logged = tokio::time::timeout(LAST_LINES_WAIT, message_log).await;
    });
    control.audit.conclude();
    runtime.shutdown_background();
}

fn start_receivers(
    daemon: &Arc<Daemon>,
    stop: &Arc<receive::Stop>,
    watchdog: &mut Watchdog,
) -> io::Result<Vec<JoinHandle<()>>> {
    let rules = Arc::new(receive::Rules {
        access: Arc::clone(&daemon.access),
        denied: Arc::clone(&daemon.denied),
        self_tests: Arc::clone(&daemon.self_tests),
        addresses: Arc::clone(&daemon.addresses),
        ports: daemon.listeners.iter().map(|listener| listener.local.port()).collect(),
    });
    let mut parts = |local| receive::thread::Parts {
        queue: Arc::clone(&daemon.queue),
        rules: Arc::clone(&rules),
        health: Arc::clone(&daemon.health),
        stop: Arc::clone(stop),
        heartbeat: watchdog.heartbeat(format!("reception on {local}")),
    };
    let start = |(number, listener): (_, &Arc<Listener>)| {
        receive::thread::start(number, Arc::clone(listener), parts(listener.local))
    };
    daemon.listeners.iter().enumerate().map(start).collect()
}

/// Goes on where the last daemon stopped: what was lost with it, and what the kernel has dropped since, is told.
fn carry_over(mut ledger: Ledger, listeners: &[Arc<Listener>], queue: &Queue) {
    for listener in listeners {
        ledger.resume(&listener.drops);
    }
    let lost = queue.carry_over(ledger);
    if lost > 0 {
        warn!(
            lost,
            "the last daemon ended before everything that it had received was stored: {lost} datagrams are lost, and a \
             gap in the log tells so"
        );
    }
}

/// Takes over the control socket that is handed over, or makes that of the configuration.
fn open_control(
    runtime: &Runtime,
    settings: &Settings,
    handed_over: Option<UnixListener>,
    rules: &Rules,
) -> Result<(ControlSocket, ControlListener), SocketError> {
    let _entered = runtime.enter();
    let configured = &settings.socket;
    let Some(listener) = handed_over else { return ControlSocket::bind(configured, rules) };
    let taken = ControlSocket::adopt(listener, rules)?;
    if configured.origin != Origin::Default && configured.value != taken.0.path() {
        warn!("the service manager hands over a control socket; `socket` of the configuration is not used");
    }
    Ok(taken)
}

/// Makes the data directory, for this user alone, and takes it for this process.
fn take_data_dir(path: &Path) -> Result<Lock, Failure> {
    let shown = path.display().to_string();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| Failure::DataDir { path: shown.clone(), source })?;
    Lock::take(&path.join(DATA_DIR_LOCK)).map_err(|error| match error {
        LockError::Held { holder } => Failure::DataDirHeld { path: shown, holder },
        LockError::Io(source) => Failure::DataDir { path: shown, source },
    })
}

/// Logs that the daemon serves, and what its user should know.
fn announce(daemon: &Daemon) {
    let settings = &daemon.boot;
    let asked = settings.receive_buffer.bytes();
    for listener in &daemon.listeners {
        let granted = listener.granted_bytes;
        if granted < asked {
            warn!(
                asked_bytes = asked,
                granted_bytes = granted,
                "the kernel grants a smaller receive buffer on {} than asked for; \
                 `sysctl net.core.rmem_max` is the limit",
                listener.local
            );
        }
    }
    let listen: Vec<_> = daemon.listeners.iter().map(|listener| listener.local.to_string()).collect();
    info!(
        listen = listen.join(" "),
        socket = %udpchat_api::safe::one_line(&daemon.socket.to_string_lossy()),
        data_dir = %udpchat_api::safe::one_line(&settings.data_dir.to_string_lossy()),
        pid = std::process::id(),
        "ready"
    );
}

/// Prints every setting, its value and where it came from.
fn print_settings(settings: &Settings) -> io::Result<()> {
    let listing = settings.listing();
    let width = |column: fn(&(String, String, String)) -> &String| {
        listing.iter().map(|row| column(row).chars().count()).max().unwrap_or(0)
    };
    let (keys, values) = (width(|row| &row.0), width(|row| &row.1));
    let mut out = io::stdout().lock();
    for (key, value, origin) in &listing {
        writeln!(out, "{key:keys$} = {value:values$}  # {origin}")?;
    }
    writeln!(io::stderr(), "the configuration is right")
}

/// Writes what went wrong to standard error: what, why, what to do next.
fn complain(failure: &Failure) {
    let mut text = format!("error: {}\n", error::chain(failure).join("\n  caused by: "));
    if let Some(hint) = failure.hint() {
        text += &format!("hint: {hint}\n");
    }
    let mut text = udpchat_api::safe::lines(&text).into_owned();
    if service::systemd::stderr_is_journal() {
        text = text.lines().map(|line| format!("<3>{line}\n")).collect();
    }
    // There is nobody left to tell if this fails.
    let _told = io::stderr().write_all(text.as_bytes());
}
