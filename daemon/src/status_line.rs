//! Reports the daemon's condition to the service manager: readiness, a status line, and the watchdog.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::service::systemd;
use crate::service::watchdog::Watchdog;
use crate::state::Daemon;

/// Reports until the daemon stops: that it is ready, its status line whenever it changes, and that it makes progress.
pub(crate) async fn report(daemon: Arc<Daemon>, watchdog: Watchdog) {
    let mut problems = daemon.health.changes();
    let reported = Mutex::new(status_line(&daemon));
    systemd::ready(&reported.lock());
    let report_if_new = || {
        let now = status_line(&daemon);
        let mut reported = reported.lock();
        if now != *reported {
            systemd::status(&now);
            *reported = now;
        }
    };
    let follow = async {
        while problems.changed().await.is_ok() {
            report_if_new();
        }
    };
    // The counters of the line are updated only when something else wakes the process.
    tokio::join!(watchdog.run(report_if_new), follow);
}

/// Describes the daemon's condition in a line.
fn status_line(daemon: &Daemon) -> String {
    let listen: Vec<_> = daemon.listeners.iter().map(|listener| listener.local.to_string()).collect();
    let books = daemon.queue.books_and(|| 0);
    let lost = books.kernel_drops + books.dropped.queue_full;
    let counters = format!("{} messages stored, {lost} lost", books.stored);
    let text = match daemon.health.problems().as_slice() {
        [] => format!("Receiving on {}: {counters}", listen.join(" ")),
        [problem] => format!("Degraded: {problem} ({counters})"),
        [problem, others @ ..] => format!("Degraded: {problem}, and {} more ({counters})", others.len()),
    };
    udpchat_api::safe::one_line(&text).into_owned()
}
