//! Shared by the end-to-end tests, the service tests and the benchmarks: a running daemon, the client, peers, and waiting
//! with a time limit. Code that only one area uses belongs in that area.

mod background;
pub(crate) mod clock;
mod ctl;
mod daemon;
mod delay;
mod guard;
mod icmp;
mod injection;
mod manager;
mod network;
mod other_user;
mod peer;
pub(crate) mod proc;
mod process;
mod rpc;
mod running;
mod tmux;
pub(crate) mod tool;
mod view;

pub(crate) use background::Background;
pub(crate) use ctl::{Completed, command as ctl_command, ctl_without_daemon, finish};
pub(crate) use daemon::{Daemon, Refused};
pub(crate) use daemon::{command_in, new_folder, read_lines, text_command_in, with_paths};
pub(crate) use delay::Delay;
pub(crate) use guard::Guard;
pub(crate) use icmp::Forger;
pub(crate) use injection::Injection;
pub(crate) use manager::Manager;
pub(crate) use network::{Host, Network};
pub(crate) use other_user::{Account, OtherUser};
pub(crate) use peer::{Peer, closed};
use process::Process;
pub(crate) use rpc::Rpc;
pub(crate) use running::Running;
pub(crate) use tmux::Tmux;
pub(crate) use tool::{available, can_mount, has_ipv6, is_root, missing, path_with_programs};
pub(crate) use view::{id, ids, raw, texts};

use std::time::{Duration, Instant};

/// The time limit of waiting for an event. Only a failing test reaches it, so it is long: the machine may be busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Calls `ask` repeatedly until it returns a value, and fails the test at the time limit.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    eventually_within(DEADLINE, what, ask)
}

/// Does the same with another time limit.
#[track_caller]
pub(crate) fn eventually_within<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < limit, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Chooses between the figure of the everyday test and that of the full campaign.
pub(crate) fn scaled(everyday: usize, full: usize) -> usize {
    match std::env::var("UDPCHAT_CAMPAIGN") {
        Ok(campaign) if campaign == "full" => full,
        _ => everyday,
    }
}
