//! The daemon's counters over HTTP for Prometheus, if `metrics.listen` is set.
//!
//! It has no authentication. Therefore it listens on loopback only and serves numbers and names of the configuration only: no text and no address of a
//! peer. It has no timer and no thread of its own, and does not slow down the data path: a scrape reads what `status` reads.
//!
//! Belongs here: HTTP. Does not belong here: the metrics themselves, which `udpchat_api::metrics` makes of a status.

mod http;
mod request;

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tracing::info;
use udpchat_api::{DEFAULT_CONSUMER, MetricsFormat, metrics};
use udpchat_config::{Origin, Settings};

use crate::accept::Accepting;
use crate::control::status;
use crate::health::Component;
use crate::state::Daemon;

/// How many connections may be open at once. Further ones wait in the kernel's backlog, which is bounded too (128, set by
/// the standard library).
const MAX_CONNECTIONS: usize = 16;

/// How long a connection keeps its place without a complete request while others wait for one. A scraper sends its request at
/// once.
const PLACE_TIME: Duration = Duration::from_millis(100);

/// The endpoint: bound, and not yet accepting connections.
#[derive(Debug)]
pub(crate) struct Endpoint {
    listener: TcpListener,
    /// The bound address, with its real port.
    pub(crate) local: SocketAddr,
}

/// Describes why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics on TCP {address}, which `metrics.listen` sets ({origin})")]
pub(crate) struct BindError {
    address: SocketAddr,
    origin: Origin,
    source: io::Error,
}

impl BindError {
    /// Returns a hint what to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        let port = self.address.port();
        match self.source.kind() {
            io::ErrorKind::AddrInUse => Some(format!(
                "another program holds TCP port {port}: `ss -ltnp 'sport = :{port}'` names it; set another port in \
                 `metrics.listen`, or \"\" for no metrics"
            )),
            io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 require privileges; set another port in `metrics.listen`".to_owned())
            }
            io::ErrorKind::AddrNotAvailable => {
                Some(format!("this machine has no address {}; `ip address` lists them", self.address.ip()))
            }
            _ => None,
        }
    }
}

impl Endpoint {
    /// Binds the configured address; returns none if there is none.
    pub(crate) fn bind(settings: &Settings) -> Result<Option<Self>, BindError> {
        let Some(address) = settings.metrics.listen.socket_address() else { return Ok(None) };
        let origin = &settings.metrics.listen.origin;
        let failed = |source| BindError { address, origin: origin.clone(), source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        Ok(Some(Self { listener, local }))
    }

    /// Starts to serve, until the runtime ends. Must be called within the runtime.
    pub(crate) fn start(self, daemon: Arc<Daemon>) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        info!("metrics are at http://{}/metrics", self.local);
        tokio::spawn(async move { accept(&daemon, &listener).await });
        Ok(())
    }
}

/// Accepts connections, up to the limit.
async fn accept(daemon: &Arc<Daemon>, listener: &tokio::net::TcpListener) {
    let mut places = Places::new();
    let renderer = Renderer { daemon: Arc::clone(daemon), turn: Arc::default() };
    let mut accepting =
        Accepting::new(&daemon.health, Component::Metrics, "cannot accept connections for metrics");
    while let Some(place) = places.free().await {
        let Some((stream, _)) = accepting.next(listener.accept()).await else { continue };
        let (renderer, has_request) = (renderer.clone(), Arc::<AtomicBool>::default());
        let is_complete = Arc::clone(&has_request);
        let task = tokio::spawn(async move {
            let render = |format| {
                is_complete.store(true, Ordering::Relaxed);
                renderer.render(format)
            };
            http::serve(stream, render).await;
            drop(place);
        });
        places.take(has_request, task.abort_handle());
    }
}

/// The places for connections. One without a complete request has to leave when another connection needs its place.
struct Places {
    free: Arc<Semaphore>,
    /// The connections without a complete request, oldest first, and some that have one by now.
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    since: Instant,
    has_request: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Places {
    fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(MAX_CONNECTIONS)), waiting: VecDeque::new() }
    }

    /// Waits for a free place.
    async fn free(&mut self) -> Option<OwnedSemaphorePermit> {
        loop {
            self.waiting.retain(|connection| {
                !connection.has_request.load(Ordering::Relaxed) && !connection.task.is_finished()
            });
            let oldest = self.waiting.front().map(|connection| connection.since + PLACE_TIME);
            let oldest_is_over = async {
                match oldest {
                    Some(end) => sleep_until(end).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                // The semaphore is never closed.
                place = Arc::clone(&self.free).acquire_owned() => return place.ok(),
                () = oldest_is_over => if let Some(oldest) = self.waiting.pop_front()
                    && !oldest.has_request.load(Ordering::Relaxed)
                {
                    oldest.task.abort();
                }
            }
        }
    }

    fn take(&mut self, has_request: Arc<AtomicBool>, task: AbortHandle) {
        self.waiting.push_back(Waiting { since: Instant::now(), has_request, task });
    }
}

/// Renders the metrics.
#[derive(Clone)]
struct Renderer {
    daemon: Arc<Daemon>,
    /// Serialises scrapes, so that they take at most one of the threads that read the inbox.
    turn: Arc<Mutex<()>>,
}

impl Renderer {
    async fn render(&self, format: MetricsFormat) -> String {
        let _turn = self.turn.lock().await;
        metrics::of_status(&status(&self.daemon, DEFAULT_CONSUMER.to_owned()).await, format)
    }
}
