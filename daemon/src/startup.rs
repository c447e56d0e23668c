//! Starts and stops the parts of the daemon in order.
//!
//! Everything is opened before any thread runs, so that a failed start leaves nothing behind. The daemon stops in the
//! order of the data: reception, the writer, the readers. Only `main` may depend on this file.

use std::fs::DirBuilder;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tracing::{info, warn};
use udpchat_api::socket::Listener as ControlListener;
use udpchat_config::{Environment, Flags, Origin, Settings};

use crate::configuration::Configuration;
use crate::control::socket::{ControlSocket, SocketError};
use crate::control::{Control, Rules};
use crate::failure::{Failure, system};
use crate::inbox::inflight::InflightJournal;
use crate::inbox::learned_encodings::LearnedEncodings;
use crate::inbox::queue::Queue;
use crate::inbox::reader::Reader;
use crate::inbox::writer::retention::limit_default_size;
use crate::inbox::writer::{self, Writer};
use crate::log::Logging;
use crate::net::interfaces::Changes;
use crate::net::platform::InterfaceMonitor;
use crate::net::socket;
use crate::net::socket::Listener;
use crate::service::lock::{DATA_DIR_LOCK, Lock, LockError};
use crate::service::systemd::Inherited;
use crate::service::watchdog::Watchdog;
use crate::signals::Signals;
use crate::state::Daemon;
use crate::{
    backup, clock, control, health, index_thread, message_log, metrics, net, peers, receive, service,
    signals, status_line,
};

/// The number of threads for reading the inbox and resolving names; further calls wait.
const MAX_BLOCKING_THREADS: usize = 8;

/// The maximum number of those threads that resolve names; the others stay free for readers.
const MAX_LOOKUPS: usize = 4;

/// Runs the daemon until it is stopped, or performs `--check-config` or `--backup`.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    let (overrides, environment) = (flags.overrides.clone(), Environment::of_process());
    let mut settings = Settings::load(&overrides, &environment)?;
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
    // All files created from here on are private to this user.
    service::umask::restrict_to_owner();
    let data_dir = settings.data_dir.value.clone();
    let _data_lock = take_data_dir(&data_dir)?;
    limit_default_size(&mut settings, &data_dir);
    let listeners = socket::open_all(&settings, inherited.udp)?;
    let metrics = metrics::Endpoint::bind(&settings)?;
    let rules = control::look_up(&settings);
    let (control_socket, control_listener) = open_control(&runtime, &settings, inherited.control, &rules)?;

    let configuration = Configuration::new(settings, overrides, environment);
    let settings = configuration.current();
    let mut watchdog = Watchdog::of_process();
    let queue = Arc::new(Queue::default());
    let reader = Arc::new(Reader::new(&data_dir));
    let learned = Arc::new(LearnedEncodings::default());
    let health = Arc::new(health::Health::default());
    let addresses = Arc::new(net::interfaces::CurrentAddresses::default());
    let groups = Arc::new(net::multicast::Groups::new(
        &settings,
        &listeners,
        Arc::clone(&addresses),
        Arc::clone(&health),
    ));
    apply_reloads(&configuration, &groups, &logging, &queue);
    let lookups = Arc::new(tokio::sync::Semaphore::new(MAX_LOOKUPS));
    let parts = writer::Parts {
        data_dir: data_dir.clone(),
        queue: Arc::clone(&queue),
        reader: Arc::clone(&reader),
        learned: Arc::clone(&learned),
        health: Arc::clone(&health),
        settings: configuration.subscribe(),
        heartbeat: watchdog.heartbeat("the writer of the inbox"),
        still_working: Box::new(service::systemd::still_starting),
    };
    let (writer, commits, journal) = Writer::open(parts, || InflightJournal::open(&data_dir, &health))?;
    carry_over(journal, &listeners, &queue);
    let daemon = Arc::new(Daemon {
        started: clock::from_ns(clock::now_ns()),
        listeners,
        socket: control_socket.path().to_owned(),
        metrics: metrics.as_ref().map(|endpoint| endpoint.local),
        queue,
        reader,
        commits,
        peers: peers::Peers::new(configuration.subscribe(), learned),
        groups,
        addresses,
        denied: Arc::default(),
        self_tests: Arc::default(),
        health,
        logging,
        lookups: Arc::clone(&lookups),
        stopping: watch::Sender::new(false),
        configuration,
    });
    let control = Control::new(Arc::clone(&daemon), rules, control_socket.file(), lookups);
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

/// Registers the parts that must apply a reload before it ends.
fn apply_reloads(
    configuration: &Configuration,
    groups: &Arc<net::multicast::Groups>,
    logging: &Logging,
    queue: &Arc<Queue>,
) {
    let (groups, logging, queue) = (Arc::clone(groups), logging.clone(), Arc::clone(queue));
    configuration.on_reload(move |settings| {
        groups.configure(settings);
        logging.set_level(*settings.log.level);
        // The writer sleeps until entries arrive; it must apply new limits now.
        queue.wake();
    });
}

/// A daemon with everything opened and no thread running.
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

/// Creates the runtime, which has no threads yet, and installs the signal handlers.
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

/// Starts the threads, serves until the daemon stops, and stops in the order of the data: reception,
/// then the writer, then the readers.
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

    let message_log = runtime.spawn(message_log::follow(Arc::clone(&daemon), daemon.commits.clone()));
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
    // The daemon owns the sender, so the channel cannot close before a stop is requested.
    let mut stopping = daemon.stopping.subscribe();
    let _stopped = stopping.wait_for(|stopping| *stopping).await.is_ok();
    control.abort();
    Ok(())
}

/// Joins the groups, and keeps them joined while interfaces come and go.
fn keep_groups(daemon: &Daemon) -> io::Result<()> {
    let groups = &daemon.groups;
    // Started before the first update, so that no change is missed.
    let monitor = InterfaceMonitor::start();
    groups.update(Changes::default());
    match monitor {
        Ok(monitor) => {
            let groups = Arc::clone(groups);
            // The thread waits for the kernel until the process ends.
            service::threads::spawn("interfaces", move || groups.follow(monitor)).map(drop)
        }
        Err(error) => {
            groups.cannot_monitor(&error);
            Ok(())
        }
    }
}

/// Waits until the last messages are logged, and closes the connections.
fn finish(control: &Control, runtime: Runtime, message_log: tokio::task::JoinHandle<()>) {
    const LAST_LINES_WAIT: std::time::Duration = std::time::Duration::from_secs(2);
    runtime.block_on(async {
        // A timeout, because the inbox may be unreadable.
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
        settings: daemon.configuration.subscribe(),
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

/// Continues the counters of the previous daemon: reports what it lost, and what the kernel has dropped since.
fn carry_over(mut journal: InflightJournal, listeners: &[Arc<Listener>], queue: &Queue) {
    for listener in listeners {
        journal.resume(&listener.drops);
    }
    let lost = queue.carry_over(journal);
    if lost > 0 {
        warn!(
            lost,
            "the previous daemon ended before it had stored everything: {lost} datagrams are lost; the inbox has a gap \
             for them"
        );
    }
}

/// Adopts the control socket that the service manager passes, or creates the configured one.
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

/// Creates the data directory, private to this user, and locks it for this process.
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

/// Logs that the daemon is ready, and warns about small receive buffers.
fn announce(daemon: &Daemon) {
    let settings = daemon.configuration.boot();
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

/// Prints every setting with its value and origin.
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
    writeln!(io::stderr(), "the configuration is valid")
}
