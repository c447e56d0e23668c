//! Opens everything that a daemon needs, in order, and starts nothing.

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tracing::warn;
use udpchat_api::socket::Listener as ControlListener;
use udpchat_config::{Origin, Settings};

use crate::clock;
use crate::configuration::{Configuration, warn_of_doubts};
use crate::control::socket::{ControlSocket, SocketError};
use crate::control::{Control, MAX_TURNS, Rules, look_up};
use crate::failure::Failure;
use crate::health::Health;
use crate::inbox::bounced_peers::BouncedPeers;
use crate::inbox::inflight::InflightJournal;
use crate::inbox::kept::KeptView;
use crate::inbox::learned_encodings::LearnedEncodings;
use crate::inbox::queue::Queue;
use crate::inbox::reader::Reader;
use crate::inbox::writer::{self, Writer};
use crate::log::Logging;
use crate::metrics;
use crate::net::interface_names::InterfaceNames;
use crate::net::interfaces::CurrentAddresses;
use crate::net::multicast::Groups;
use crate::net::socket;
use crate::net::socket::Listener;
use crate::peers::Peers;
use crate::receive::Limits;
use crate::service::data_dir::DataDir;
use crate::service::systemd::Inherited;
use crate::service::watchdog::Watchdog;
use crate::signals::Signals;
use crate::state::Daemon;

/// The number of threads that may block: for reads of clients, for look-ups of names, for look-ups of the encoding of a message to
/// send, and for short calls that must not wait behind those (`status`, `ack`, `reload`, the log of messages).
const MAX_BLOCKING_THREADS: usize = MAX_TURNS + MAX_LOOKUPS + MAX_ENCODING_LOOKUPS + MAX_SHORT_CALLS;
const MAX_LOOKUPS: usize = 4;
/// They wait for each other in any case: they share what they remember of the log.
const MAX_ENCODING_LOOKUPS: usize = 1;
const MAX_SHORT_CALLS: usize = 2;

/// The bound sockets.
pub(super) struct Sockets {
    listeners: Vec<Arc<Listener>>,
    metrics: Option<metrics::Endpoint>,
    /// With what is wrong with the groups that they name.
    rules: (Rules, Option<String>),
    control_socket: ControlSocket,
    control_listener: ControlListener,
}

impl Sockets {
    /// Takes over the inherited sockets, and binds the others.
    pub(super) fn open(
        runtime: &Runtime,
        settings: &Settings,
        inherited: Inherited,
    ) -> Result<Self, Failure> {
        let listeners = socket::open_all(settings, inherited.udp)?;
        let metrics = metrics::Endpoint::bind(settings)?;
        let rules = look_up(settings);
        let (control_socket, control_listener) =
            open_control(runtime, settings, inherited.control, &rules.0)?;
        Ok(Self { listeners, metrics, rules, control_socket, control_listener })
    }
}

/// A daemon with everything opened and no thread running.
pub(super) struct Opened {
    pub(super) daemon: Arc<Daemon>,
    pub(super) control: Arc<Control>,
    pub(super) writer: Writer,
    pub(super) watchdog: Watchdog,
    pub(super) metrics: Option<metrics::Endpoint>,
    pub(super) control_listener: ControlListener,
}

/// Opens the inbox and its journal, and joins all parts to a daemon.
pub(super) fn open(
    configuration: Configuration,
    sockets: Sockets,
    logging: Logging,
    data_dir: &Arc<DataDir>,
) -> Result<Opened, Failure> {
    let Sockets { listeners, metrics, rules, control_socket, control_listener } = sockets;
    let settings = configuration.current();
    warn_of_doubts(&settings);
    let mut watchdog = Watchdog::of_process();
    let queue = Arc::new(Queue::default());
    let reader = Arc::new(Reader::new(&settings.data_dir));
    let learned = Arc::new(LearnedEncodings::default());
    let bounced_peers = Arc::new(BouncedPeers::default());
    let health = Arc::new(Health::default());
    let addresses = Arc::new(CurrentAddresses::default());
    let names = Arc::new(InterfaceNames::default());
    let groups =
        Groups::new(&settings, &listeners, Arc::clone(&addresses), Arc::clone(&names), Arc::clone(&health));
    let groups = Arc::new(groups);
    let kept = Arc::new(KeptView::default());
    let limits = Arc::new(Limits::new(&settings, Arc::clone(&names)));
    apply_reloads(&configuration, &groups, &limits, &logging, &queue);
    let parts = writer::Parts {
        data_dir: Arc::clone(data_dir),
        queue: Arc::clone(&queue),
        reader: Arc::clone(&reader),
        learned: Arc::clone(&learned),
        bounced_peers: Arc::clone(&bounced_peers),
        health: Arc::clone(&health),
        settings: configuration.subscribe(),
        heartbeat: watchdog.heartbeat("the writer of the inbox"),
        kept: Arc::clone(&kept),
        interfaces: Arc::clone(&names),
    };
    let open_journal = || InflightJournal::open(&settings.data_dir, &health);
    let (writer, commits, journal) = Writer::open(parts, open_journal)?;
    carry_over(journal, &listeners, &queue);
    let daemon = Arc::new(Daemon {
        started: clock::from_ns(clock::now_ns()),
        listeners,
        socket: control_socket.path().to_owned(),
        metrics: metrics.as_ref().map(|endpoint| endpoint.local),
        queue,
        reader,
        commits,
        kept,
        bounced_peers,
        peers: Peers::new(configuration.subscribe(), names, learned),
        groups,
        addresses,
        denied: Arc::default(),
        limits,
        self_tests: Arc::default(),
        health,
        logging,
        lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        encoding_lookups: Arc::new(Semaphore::new(MAX_ENCODING_LOOKUPS)),
        stopping: watch::Sender::new(false),
        configuration,
    });
    let control = Control::new(Arc::clone(&daemon), rules, control_socket);
    Ok(Opened { daemon, control, writer, watchdog, metrics, control_listener })
}

/// Creates the runtime, which has no threads yet, and installs the signal handlers.
pub(super) fn prepare_runtime() -> io::Result<(Runtime, Signals)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build()?;
    let entered = runtime.enter();
    let signals = Signals::catch()?;
    drop(entered);
    Ok((runtime, signals))
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
    let Some(listener) = handed_over else {
        return ControlSocket::bind(configured, rules).map_err(|error| error.with_origin(&configured.origin));
    };
    let taken = ControlSocket::adopt(listener, rules)?;
    if configured.origin != Origin::Default && configured.value != taken.0.path() {
        warn!("the service manager hands over a control socket; `socket` of the configuration is not used");
    }
    Ok(taken)
}

/// Registers the parts that must apply a reload before it ends.
fn apply_reloads(
    configuration: &Configuration,
    groups: &Arc<Groups>,
    limits: &Arc<Limits>,
    logging: &Logging,
    queue: &Arc<Queue>,
) {
    let (groups, limits) = (Arc::clone(groups), Arc::clone(limits));
    let (logging, queue) = (logging.clone(), Arc::clone(queue));
    configuration.on_reload(move |settings| {
        groups.configure(settings);
        limits.configure(settings);
        logging.set_level(*settings.log.level);
        // The writer sleeps until entries arrive; it must apply new limits now.
        queue.wake();
    });
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
