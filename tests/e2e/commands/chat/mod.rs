//! `udpchatctl chat`: the full-screen conversation, in a real terminal, with real daemons and peers.

mod delivery;
mod history;
mod peers;
mod terminal;
mod writing;

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Daemon, Peer, Tmux};

/// A chat in a terminal, with bob and a daemon in which bob is configured.
struct Chat {
    tmux: Tmux,
    daemon: Daemon,
    bob: Peer,
}

impl Chat {
    /// Starts a chat with bob; returns none where there is no tmux.
    fn start(columns: u16, rows: u16) -> Option<Self> {
        Self::after(columns, rows, |_, _| ())
    }

    /// Starts a chat with bob after something has happened.
    fn after(columns: u16, rows: u16, before: impl FnOnce(&Daemon, &Peer)) -> Option<Self> {
        let tmux = Tmux::start(columns, rows)?;
        let bob = Peer::new();
        let daemon = Daemon::start_with(&format!("[peers.bob]\naddress = '{}'\n", bob.address()), &[]);
        before(&daemon, &bob);
        let chat = Self { tmux, daemon, bob };
        chat.tmux.shell(&format!("{}; echo ended with $?", chat.command("bob")));
        chat.tmux.until("the chat", |screen| screen.contains("(default)") || columns < 40);
        Some(chat)
    }

    /// Returns the command line of a chat; its process id is left in a file.
    fn command(&self, arguments: &str) -> String {
        let program = env!("CARGO_BIN_EXE_udpchatctl");
        let (socket, pid) = (self.daemon.socket(), self.tmux.path("pid"));
        let (socket, pid) = (socket.display(), pid.display());
        format!("sh -c 'echo $$ > {pid}; exec {program} --socket {socket} chat {arguments}'")
    }

    fn pid(&self) -> i32 {
        fs::read_to_string(self.tmux.path("pid")).unwrap().trim().parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Makes bob send a text.
    fn bob_sends(&self, text: &str) {
        self.bob.send(self.daemon.address(), text);
    }

    /// Waits for the next datagram that bob gets, as text.
    #[track_caller]
    fn bob_receives(&self) -> String {
        String::from_utf8(self.bob.receive().0).unwrap()
    }
}
