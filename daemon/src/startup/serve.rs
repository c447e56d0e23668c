//! Runs an opened daemon, and stops it.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;
use tracing::{error, info, warn};
use udpchat_api::socket::Listener as ControlListener;

use super::open::Opened;
use crate::control::Control;
use crate::failure::{Failure, system};
use crate::net::socket::Listener;
use crate::service::watchdog::Watchdog;
use crate::signals::Signals;
use crate::state::Daemon;
use crate::{
    control, index_thread, message_log, metrics, problem_watch, receive, repair_thread, send, service,
    signals, status_line,
};

/// Starts the threads, serves until the daemon stops, and stops in the order of the data: reception,
/// then the writer, then the readers.
pub(super) fn serve(opened: Opened, runtime: Runtime, signals: Signals) -> Result<(), Failure> {
    let Opened { daemon, control, writer, mut watchdog, metrics, control_listener } = opened;
    let writer =
        service::threads::spawn("writer", move || writer.run()).map_err(system("cannot start the writer"))?;
    let stop = Arc::new(receive::Stop::new().map_err(system("cannot start reception"))?);
    let receivers =
        start_receivers(&daemon, &stop, &mut watchdog).map_err(system("cannot start reception"))?;

    let message_log = runtime.spawn(message_log::follow(Arc::clone(&daemon), daemon.commits.clone()));
    index_thread::start(Arc::clone(&daemon)).map_err(system("cannot start the index"))?;
    repair_thread::start(Arc::clone(&daemon)).map_err(system("cannot start the repair of the inbox"))?;
    let served =
        runtime.block_on(serve_clients(&control, &daemon, watchdog, signals, metrics, control_listener));
    service::systemd::stopping();
    control.socket.close();

    stop.stop();
    let whole = receivers.into_iter().map(JoinHandle::join).all(|ended| ended.is_ok());
    daemon.queue.close();
    daemon.listeners.iter().for_each(|listener| listener.close_reports());
    if let Some(queued) = daemon.unstorable() {
        error!(
            queued,
            "the inbox cannot be written: the queued messages are lost unless it can be within seconds"
        );
    }
    let given_up = writer.join().unwrap_or(0);
    finish(&control, &daemon, runtime, message_log);
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
    daemon.groups.keep_joined()?;
    announce(daemon);
    tokio::spawn(send::send_held(Arc::clone(daemon)));
    tokio::spawn(problem_watch::run(Arc::clone(daemon)));
    tokio::spawn(status_line::report(Arc::clone(daemon), watchdog));
    daemon.stop_requested().await;
    control.abort();
    Ok(())
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

pub(super) fn start_receivers(
    daemon: &Arc<Daemon>,
    stop: &Arc<receive::Stop>,
    watchdog: &mut Watchdog,
) -> io::Result<Vec<JoinHandle<()>>> {
    let rules = Arc::new(receive::Rules {
        settings: daemon.configuration.subscribe(),
        denied: Arc::clone(&daemon.denied),
        limits: Arc::clone(&daemon.limits),
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

/// Waits until the last messages are logged, and closes the connections.
fn finish(control: &Control, daemon: &Daemon, runtime: Runtime, message_log: tokio::task::JoinHandle<()>) {
    const LAST_LINES_WAIT: Duration = Duration::from_secs(2);
    runtime.block_on(async {
        // A timeout, because the inbox may be unreadable.
        let _logged = tokio::time::timeout(LAST_LINES_WAIT, message_log).await;
    });
    control.audit.conclude();
    daemon.health.conclude();
    runtime.shutdown_background();
}
