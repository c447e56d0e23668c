//! A port that stands behind its host as a word of its own, as other programs take it: it is a part of the text.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};
use serde::Serialize;
use udpchat_api::Client;
use udpchat_locale::tr;

use super::MessageArgs;
use super::known_peers::KnownPeers;
use crate::command::context::Context;
use crate::error::{CtlError, Result};
use crate::output::Output;

/// The least port that a number alone is taken for: programs without privileges use ports from here on.
const FIRST_USUAL_PORT: u16 = 1024;

/// The destination that a number at the beginning of the text may belong to.
#[derive(Debug, PartialEq)]
struct Meant {
    /// The host, in brackets where a port can follow only so.
    host: String,
    port: u16,
    /// Whether the host is an address; otherwise it may be the name of a peer.
    is_address: bool,
}

impl Meant {
    /// Returns it if the text begins with a number that could be a port, and the destination has none.
    fn of(to: &str, message: &MessageArgs) -> Option<Self> {
        let first = message.text.first().filter(|_| !message.hex)?;
        let is_number = !first.starts_with('0') && first.bytes().all(|byte| byte.is_ascii_digit());
        let port = first.parse().ok().filter(|_| is_number)?;
        let bare = to.strip_prefix('[').and_then(|to| to.strip_suffix(']')).unwrap_or(to);
        let is_address = bare.split('%').next().is_some_and(|ip| ip.parse::<IpAddr>().is_ok());
        if (bare.contains(':') && !is_address) || bare.contains(',') {
            return None;
        }
        let host = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
        Some(Self { host, port, is_address })
    }

    /// Returns whether the host is, or may be, a configured peer, which has its port.
    async fn has_port(&self, client: &mut Client, known: &mut KnownPeers) -> bool {
        if self.is_address {
            return false;
        }
        // Without the role to read, the names are unknown.
        let Some(answer) = known.get(client).await else { return true };
        answer.peers.iter().any(|peer| peer.name.as_ref() == Some(&self.host))
            || answer.lists.iter().any(|list| list.name == self.host)
    }
}

/// Refuses `send HOST PORT TEXT`: the port would be sent as text.
///
/// # Errors
/// The arguments look like that.
pub(in crate::command) async fn refuse_port(
    context: &Context<'_>,
    command: &str,
    to: &str,
    message: &MessageArgs,
) -> Result<()> {
    let meant = Meant::of(to, message).filter(|_| message.text.len() > 1);
    let Some(meant) = meant else { return Ok(()) };
    let mut known = KnownPeers::default();
    if !meant.is_address && meant.has_port(&mut context.connect().await?, &mut known).await {
        return Ok(());
    }
    let Meant { host, port, .. } = meant;
    let error = CtlError::usage(tr!("the port belongs to the destination: {host}:{port}", host, port));
    Err(error.hint(tr!(
        "write `udpchatctl {command} {host}:{port} TEXT`; to send {port} as text, put all of the text in quotes",
        command,
        host,
        port
    )))
}

/// The note about standard input that was not read, in JSON.
#[derive(Serialize)]
struct InputUnread<'a> {
    message: &'a str,
    kind: &'static str,
}

/// Prints a note after `echo TEXT | udpchatctl send HOST PORT`, which has sent the number. Such a number is usually the
/// message, such as a counter, and in a loop of a shell the pipe holds the lines of the loop.
pub(in crate::command) async fn note_unread_input(
    client: &mut Client,
    known: &mut KnownPeers,
    output: &mut Output,
    to: &str,
    message: &MessageArgs,
) {
    let is_alone = |meant: &Meant| message.text.len() == 1 && meant.port >= FIRST_USUAL_PORT;
    let Some(meant) = Meant::of(to, message).filter(is_alone) else { return };
    if !has_piped_input() || meant.has_port(client, known).await {
        return;
    }
    let Meant { host, port, .. } = meant;
    let message = &tr!(
        "{port} was sent as the text, and standard input was not read; a port stands behind its host: {host}:{port}",
        port,
        host
    );
    output.note_with(message, &InputUnread { message, kind: "input_unread" });
}

/// Prints a note after `send bob ann,10.0.0.9:9000 TEXT`, which has sent the second destination as text: if the first of several
/// words is the name of a peer or a list, an address with a port, or several of them with commas between them.
pub(in crate::command) async fn note_destination_in_text(
    client: &mut Client,
    known: &mut KnownPeers,
    output: &mut Output,
    message: &MessageArgs,
) {
    let first = message.text.first().filter(|_| message.text.len() > 1 && !message.hex);
    let Some(word) = first.filter(|_| output.has_notes()) else { return };
    let parts: Vec<&str> = word.split(',').collect();
    let is_written = parts.iter().all(|part| part.parse::<SocketAddr>().is_ok());
    // Without the role to read, the names are unknown.
    let is_named = !is_written
        && known.get(client).await.is_some_and(|answer| {
            let is_name = |part: &str| {
                answer.peers.iter().any(|peer| peer.name.as_deref() == Some(part))
                    || answer.lists.iter().any(|list| list.name == part)
            };
            parts.iter().all(|part| is_name(part) || part.parse::<SocketAddr>().is_ok())
        });
    if is_written || is_named {
        output.note(&tr!(
            "`{word}`, which names a destination, was sent as a part of the text; several destinations stand in one word, with commas \
             between them and no spaces",
            word
        ));
    }
}

/// Returns whether standard input is a pipe that holds something to read.
fn has_piped_input() -> bool {
    let stdin = io::stdin();
    let is_pipe = fstat(&stdin)
        .is_ok_and(|found| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO);
    let mut polled = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    is_pipe
        && poll(&mut polled, PollTimeout::ZERO).is_ok()
        && polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_port_behind_its_host_is_meant() {
        let meant = |to: &str, text: &str| {
            let message = MessageArgs { text: vec![text.to_owned()], ..MessageArgs::default() };
            Meant::of(to, &message).map(|meant| (meant.host, meant.port, meant.is_address))
        };
        let host = |host: &str, is_address| Some((host.to_owned(), 9000, is_address));
        assert_eq!(meant("10.0.0.7", "9000"), host("10.0.0.7", true));
        assert_eq!(meant("::1", "9000"), host("[::1]", true));
        assert_eq!(meant("[fe80::1%eth0]", "9000"), host("[fe80::1%eth0]", true));
        assert_eq!(meant("node.lan", "9000"), host("node.lan", false));
        for (to, text) in [
            ("10.0.0.7:1", "9000"),
            ("[::1]:1", "9000"),
            ("10.0.0.7", "09000"),
            ("::1", "90000"),
            ("::1", "-1"),
        ] {
            assert_eq!(meant(to, text), None, "{to} {text}");
        }
    }
}
