//! The daemon's counters over HTTP, if the configuration asks for it: who may connect, and how many at once.
//!
//! Nobody is asked who they are, so it listens on loopback only, and what it shows is figures: no text, no address of a peer.
//! It has no timer and no thread of its own, and takes nothing from the way of the data: a scrape asks what `status` asks.

mod http;
mod request;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::sleep;
use tracing::info;
use udpchat_api::{MetricsFormat, metrics};
use udpchat_config::Settings;

use crate::control;
use crate::health::Place;
use crate::state::Daemon;

/// How many connections may be open at once. More of them wait in the kernel, whose queue is bounded too (128, by the
/// standard library).
const MAX_CONNECTIONS: usize = 16;

/// How long to wait after accepting failed, for want of file descriptors, say.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Where metrics are served: bound, with nobody accepting yet.
#[derive(Debug)]
pub(crate) struct Endpoint {
    listener: TcpListener,
    /// The address it is bound to, with its real port.
    pub(crate) local: SocketAddr,
}

/// Why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics on TCP {address}, which `metrics.listen` asks for")]
pub(crate) struct BindError {
    address: SocketAddr,
    source: io::Error,
}

impl BindError {
    /// Returns what to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        let port = self.address.port();
        match self.source.kind() {
            io::ErrorKind::AddrInUse => Some(format!(
                "another program holds TCP port {port}: `ss -ltnp 'sport = :{port}'` names it; `metrics.listen` takes \
                 another, and \"\" serves none"
            )),
            io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 are for privileged users; `metrics.listen` takes another".to_owned())
            }
            io::ErrorKind::AddrNotAvailable => {
                Some(format!("this machine has no address {}; `ip address` lists them", self.address.ip()))
            }
            _ => None,
        }
    }
}

impl Endpoint {
    /// Binds the address of the configuration, if there is one.
    pub(crate) fn bind(settings: &Settings) -> Result<Option<Self>, BindError> {
        let Some(address) = settings.metrics.listen.socket_address() else { return Ok(None) };
        let failed = |source| BindError { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        Ok(Some(Self { listener, local }))
    }

    /// Serves until the runtime ends, in which this is to be called.
    pub(crate) fn start(self, daemon: Arc<Daemon>) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        info!("metrics are at http://{}/metrics", self.local);
        tokio::spawn(async move { accept(&daemon, &listener).await });
        Ok(())
    }
}

/// Accepts connections, as long as there are places.
async fn accept(daemon: &Arc<Daemon>, listener: &tokio::net::TcpListener) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let figures = Figures { daemon: Arc::clone(daemon), turn: Arc::default() };
    // It is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                daemon.health.clear(Place::Metrics);
                let figures = figures.clone();
                tokio::spawn(async move {
                    http::serve(stream, |format| figures.render(format)).await;
                    drop(place);
                });
            }
            Err(error) => {
                let problem = format!("cannot accept connections for metrics: {error}");
                daemon.health.report(Place::Metrics, problem);
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

/// What is served.
#[derive(Clone)]
struct Figures {
    daemon: Arc<Daemon>,
    /// Whoever holds it asks the inbox: metrics take one of the threads for reading at most.
    turn: Arc<Mutex<()>>,
}

impl Figures {
    async fn render(&self, format: MetricsFormat) -> String {
        let _turn = self.turn.lock().await;
        metrics::of_status(&control::method::status::call(&self.daemon).await, format)
    }
}
