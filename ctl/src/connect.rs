//! Connects to the daemon: tries the sockets in order, and reports why each one failed.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::time::sleep;
use udpchat_api::call::{InboxParams, Order, VersionParams};
use udpchat_api::{Client, ClientError, Entry, ErrorKind};
use udpchat_config::{Environment, control_socket_candidates};
use udpchat_locale::{tr, translated};

use crate::error::{CtlError, Exit, Result};
use crate::process::living_name;
use crate::socket_access::SocketAccess;
use crate::systemd;

/// How long a daemon may take to end after it has closed its connections, and how often that is checked.
const ENDING: Duration = Duration::from_secs(3);
const ENDING_CHECK: Duration = Duration::from_millis(50);

/// Why no socket could be opened.
enum Unreachable {
    /// No daemon answers: the sockets that were tried, with why each failed, and the process id of a daemon that lives nevertheless.
    NoDaemon {
        sockets: Vec<PathBuf>,
        tried: String,
        living: Option<String>,
    },
    /// A daemon has closed its connections, but has not ended: its process id, if it is known.
    Ending(Option<String>),
    Failed(ClientError),
}

/// Connects to the first daemon that answers: `--socket`, `UDPCHAT_SOCKET`, the user's own, the system's.
///
/// # Errors
/// The exit code is 6 if the user may not open a socket and no other daemon answers, 3 if none answers at all.
pub(crate) async fn connect(explicit: Option<&Path>) -> Result<Client> {
    open(explicit).await.map_err(CtlError::from)
}

/// Connects again; returns the id after which entries follow as well: `after`, or 0 if the inbox is another one, with lower ids.
///
/// # Errors
/// As [`connect`], and if the daemon does not answer.
pub(crate) async fn connect_after(explicit: Option<&Path>, after: u64) -> Result<(Client, u64)> {
    let mut client = connect(explicit).await?;
    // `status` answers with 0 where the inbox cannot be read.
    let (newest, _) = newest_id(&mut client).await?;
    Ok((client, if newest < after { 0 } else { after }))
}

/// Returns the id of the newest entry, 0 if there is none, and whether the daemon knows notices: one of an earlier release
/// refuses the parameter.
pub(crate) async fn newest_id(client: &mut Client) -> Result<(u64, bool)> {
    let newest =
        |notices| InboxParams { order: Some(Order::Desc), limit: Some(1), notices, ..InboxParams::default() };
    let (answer, knows_notices) = match client.call(&newest(true)).await {
        Err(ClientError::Refused(error)) if error.data.kind == ErrorKind::InvalidParams => {
            (client.call(&newest(false)).await?, false)
        }
        answer => (answer?, true),
    };
    Ok((answer.entries.first().map_or(0, Entry::id), knows_notices))
}

/// Explains a lost connection by what any command would report now: if no daemon answers any more, that is the last cause,
/// and its hint is the hint. Message, kind and exit code stay as they are, and so do other errors.
pub(crate) async fn explain_lost(explicit: Option<&Path>, error: CtlError) -> CtlError {
    let mut failure = match error {
        CtlError::Failed(failure) if failure.is_lost => failure,
        CtlError::Failed(failure) if failure.kind == "silent" => {
            let sockets = control_socket_candidates(&Environment::of_process(), explicit);
            let error = CtlError::Failed(failure);
            return match systemd::is_service(&sockets) {
                true => error.hint(tr!("`systemctl status udpchatd` shows whether the daemon runs, and why it ended; if it runs, it hangs: restart it")),
                false => error,
            };
        }
        other => return other,
    };
    let answers = tr!("a daemon answers again; its log shows why the connection ended");
    match find_again(explicit).await {
        Ok(()) => failure.hint = Some(answers.to_owned()),
        Err(CtlError::Failed(now)) => {
            failure.causes.push(now.message);
            failure.causes.extend(now.causes);
            failure.hint = now.hint;
        }
        Err(CtlError::ReaderGone) => {}
    }
    CtlError::Failed(failure)
}

/// Checks whether a daemon answers after a connection was lost. One that is ending closes its connections first; its end is
/// awaited.
///
/// # Errors
/// As [`connect`].
pub(crate) async fn find_again(explicit: Option<&Path>) -> Result<()> {
    let began = Instant::now();
    loop {
        let ending = match open(explicit).await {
            Ok(mut client) => match client.call(&VersionParams {}).await {
                Err(error) if error.is_lost() => None,
                _ => return Ok(()),
            },
            Err(Unreachable::NoDaemon { living: Some(pid), .. }) => Some(pid),
            // A daemon that ends removes the file of its socket first.
            Err(Unreachable::NoDaemon { sockets, .. })
                if began.elapsed() <= ENDING && systemd::without_file(&sockets).is_some() =>
            {
                None
            }
            Err(unreachable) => return Err(unreachable.into()),
        };
        if began.elapsed() > ENDING {
            return Err(Unreachable::Ending(ending).into());
        }
        sleep(ENDING_CHECK).await;
    }
}

async fn open(explicit: Option<&Path>) -> Result<Client, Unreachable> {
    let mut denied = None;
    let (mut tried, mut living) = (String::new(), None);
    let sockets = control_socket_candidates(&Environment::of_process(), explicit);
    for path in &sockets {
        match Client::connect(path).await {
            Ok(client) => return Ok(client),
            Err(ClientError::NoDaemon { path, source }) => {
                living = living.or_else(|| living_daemon(&path));
                note_tried(&mut tried, &path, &source);
            }
            Err(error @ ClientError::NotPermitted { .. }) => {
                denied.get_or_insert(error);
            }
            Err(error) => return Err(Unreachable::Failed(error)),
        }
    }
    Err(denied.map_or(Unreachable::NoDaemon { sockets, tried, living }, Unreachable::Failed))
}

impl From<Unreachable> for CtlError {
    fn from(unreachable: Unreachable) -> Self {
        match unreachable {
            Unreachable::NoDaemon { sockets, tried, living } => {
                no_daemon(&sockets, &tried, living.as_deref())
            }
            Unreachable::Ending(pid) => ending(pid),
            Unreachable::Failed(error @ ClientError::NotPermitted { .. }) => not_permitted(error),
            Unreachable::Failed(error) => error.into(),
        }
    }
}

/// Returns the process id of a daemon that lives although its socket is gone: the lock beside the socket holds it.
fn living_daemon(socket: &Path) -> Option<String> {
    const MAX_PID_BYTES: u64 = 16;
    let mut lock = socket.as_os_str().to_owned();
    lock.push(".lock");
    let mut pid = String::new();
    File::open(lock).ok()?.take(MAX_PID_BYTES).read_to_string(&mut pid).ok()?;
    let pid: u32 = pid.trim().parse().ok()?;
    let name = living_name(&Path::new("/proc").join(pid.to_string()))?;
    (name == "udpchatd").then(|| pid.to_string())
}

fn note_tried(tried: &mut String, path: &Path, source: &io::Error) {
    let separator = if tried.is_empty() { "" } else { tr!(", ") };
    let one = tr!("{path} ({obstacle})", path = path.display(), obstacle = obstacle(source));
    // Writing to a string cannot fail.
    let _ = write!(tried, "{separator}{one}");
}

/// Describes why no daemon answers at a socket.
pub(crate) fn obstacle(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::NotFound => tr!("no such socket").to_owned(),
        io::ErrorKind::ConnectionRefused => tr!("no process listens").to_owned(),
        _ => translated(&source.to_string()).into_owned(),
    }
}

fn no_daemon(sockets: &[PathBuf], tried: &str, living: Option<&str>) -> CtlError {
    if let Some(socket) = systemd::without_file(sockets).filter(|_| living.is_none()) {
        let text = tr!(
            "the file of the control socket {path} was removed, so no client can connect to the process that listens there",
            path = socket.display()
        );
        return CtlError::new(Exit::NoDaemon, "no_daemon", text).hint(systemd::how_to_make_again(socket));
    }
    match living {
        Some(pid) => {
            let text = tr!("the socket of udpchatd (process id {pid}) is gone", pid);
            CtlError::new(Exit::NoDaemon, "no_daemon", text).hint(tr!(
                "unless it is ending, it creates it again within 10 s, or at once after `kill -HUP {pid}`; tried {tried}",
                pid,
                tried
            ))
        }
        None => {
            CtlError::new(Exit::NoDaemon, "no_daemon", tr!("no daemon found at {sockets}", sockets = tried))
                .hint(tr!(
                    "{start}; `udpchatctl doctor` finds one that listens elsewhere",
                    start = systemd::how_to_start(sockets)
                ))
        }
    }
}

fn ending(pid: Option<String>) -> CtlError {
    let text = match pid {
        Some(pid) => tr!("udpchatd (process id {pid}) is ending", pid),
        None => tr!("the daemon is ending").to_owned(),
    };
    CtlError::new(Exit::NoDaemon, "no_daemon", text).hint(tr!("if this lasts, its log shows why"))
}

fn not_permitted(error: ClientError) -> CtlError {
    let access = match &error {
        ClientError::NotPermitted { path, .. } => SocketAccess::of(path),
        _ => None,
    };
    let error = CtlError::from(error);
    match access {
        Some(access) => {
            error.hint(tr!("it belongs to {owner}: {advice}", owner = access.owner, advice = access.advice()))
        }
        None => error.hint(tr!("run this as the user that the daemon runs as, or ask the administrator")),
    }
}

/// Checks that the user has the role to read, before something happens that is useless without it. Returns whether the daemon
/// knows notices.
pub(crate) async fn check_read_permission(client: &mut Client) -> Result<bool> {
    newest_id(client).await.map(|(_, knows_notices)| knows_notices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> CtlError {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(connect(Some(path))).expect_err("no process listens there")
    }

    #[test]
    fn the_error_without_a_daemon_names_the_tried_sockets() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let failure = refusal(&path).into_failure();
        assert_eq!(failure.exit, Exit::NoDaemon);
        assert_eq!(failure.message, format!("no daemon found at {} (no such socket)", path.display()));
        assert_eq!(
            failure.hint.as_deref(),
            Some("start one with `udpchatd`; `udpchatctl doctor` finds one that listens elsewhere")
        );
    }

    #[test]
    fn a_lost_connection_is_explained_by_what_answers_now() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let explained = |error: CtlError| runtime.block_on(explain_lost(Some(&path), error)).into_failure();
        let now = refusal(&path).into_failure();
        let closed = "the daemon closed the connection";
        let lost = explained(CtlError::from(ClientError::Closed).at_line(3));
        assert_eq!((lost.message.as_str(), &lost.hint), (closed, &now.hint));
        assert_eq!(lost.causes, [now.message.as_str()]);
        assert_eq!((lost.kind.as_str(), lost.exit, lost.line), ("closed", Exit::Failed, Some(3)));
        assert_eq!(explained(CtlError::failed("x")).causes.len(), 0);
        let within = explained(CtlError::from(ClientError::Closed).within("half of it is done"));
        assert_eq!(within.message, "half of it is done");
        assert_eq!(within.causes, [closed, now.message.as_str()]);
        let broken = explained(ClientError::Io(io::Error::other("the wire broke")).into());
        assert_eq!(broken.message, "the connection to the daemon failed");
        assert_eq!(broken.causes, ["the wire broke", now.message.as_str()]);
    }

    /// Returns what a lost connection is explained by while the daemon at this socket is ending.
    fn found_while_ending(path: &Path) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime
            .block_on(find_again(Some(path)))
            .expect_err("the daemon does not answer")
            .into_failure()
            .message
    }

    #[test]
    fn a_daemon_without_a_socket_is_ending() {
        let directory = tempfile::tempdir().unwrap();
        // A process of that name, until its standard input ends.
        let mut daemon = std::process::Command::new("sh")
            .args(["-c", "printf udpchatd > /proc/$$/comm; echo; read -r _"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        daemon.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        let pid = daemon.id();
        std::fs::write(directory.path().join("s.lock"), pid.to_string()).unwrap();
        let found = found_while_ending(&directory.path().join("s"));
        daemon.wait().unwrap();
        assert_eq!(found, format!("udpchatd (process id {pid}) is ending"));
    }

    #[test]
    fn a_daemon_that_closes_every_connection_is_ending() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || listener.incoming().for_each(drop));
        assert_eq!(found_while_ending(&path), "the daemon is ending");
    }

    #[test]
    fn a_removed_file_of_a_socket_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let _held = std::os::unix::net::UnixListener::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let failure = refusal(&path).into_failure();
        assert_eq!(failure.exit, Exit::NoDaemon);
        assert!(
            failure.message.contains("control.sock was removed, so no client can connect"),
            "{failure:?}"
        );
        assert!(failure.hint.unwrap().contains("stop udpchatd.socket udpchatd.service"));
    }

    #[test]
    fn a_lock_of_another_program_is_no_daemon() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let lock = directory.path().join("control.sock.lock");
        for pid in [std::process::id().to_string(), "0".to_owned(), "x".to_owned()] {
            std::fs::write(&lock, pid).unwrap();
            assert_eq!(living_daemon(&path), None);
        }
    }

    #[test]
    fn a_stale_socket_counts_as_no_daemon() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(refusal(&path).exit(), Exit::NoDaemon);
    }
}
