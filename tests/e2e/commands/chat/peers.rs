//! The list of peers: names after a reload, silent peers, lists of the configuration.

use std::fs;
use std::time::Duration;

use crate::support::{Daemon, Peer, Tmux, eventually_within};

use super::Chat;

/// How long a notice of the shortest `silent_after`, 10 s, may take on a machine that has other work.
const SILENT_WITHIN: Duration = Duration::from_secs(30);

fn reload(daemon: &Daemon, config: &str) {
    fs::write(daemon.path("config.toml"), config).unwrap();
    assert_eq!(daemon.ctl(&["reload"]).ok(), "reloaded\n");
}

#[test]
fn names_change_with_the_configuration() {
    let Some(chat) = Chat::start(80, 24) else { return };
    let address = chat.bob.address();
    chat.bob_sends("hello");
    chat.tmux.shows("< hello");
    chat.tmux.type_in("half a text");
    chat.tmux.shows("> half a text");
    reload(&chat.daemon, &format!("[peers.robert]\naddress = '{address}'\n"));
    chat.tmux.press(&["F2"]);
    chat.tmux.until("the new name", |screen| screen.starts_with("robert"));
    chat.tmux.press(&["Escape"]);
    let header = format!("│ robert  {address}");
    let screen = chat.tmux.until("the conversation", |screen| {
        screen.contains(&header) && screen.contains("< hello") && screen.contains("> half a text")
    });
    assert!(!screen.contains("bob"), "{screen}");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob_receives(), "half a text");
    // A message is enough to learn the next name.
    reload(&chat.daemon, &format!("[peers.bobby]\naddress = '{address}'\n"));
    chat.bob_sends("again");
    chat.tmux.until("the next name", |screen| screen.starts_with("bobby") && screen.contains("< again"));
}

#[test]
fn a_silent_peer_is_marked_until_it_is_heard() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let (bob, sensor) = (Peer::new(), Peer::at("127.0.0.6:0"));
    let (bobs, sensors) = (bob.address(), sensor.address());
    let config = format!(
        "[peers.bob]\naddress = '{bobs}'\n[peers.sensor]\naddress = '{sensors}'\nsilent_after = '10s'\n\
         [peers.lab]\nmembers = ['bob', 'sensor']\n"
    );
    let chat = Chat { tmux, daemon: Daemon::start_with(&config, &[]), bob };
    chat.tmux.shell(&chat.command("bob"));
    chat.tmux.shows("sensor");
    chat.tmux.press(&["F2"]);
    chat.tmux.type_in("lab");
    chat.tmux.shows("a list of peers");
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("`lab` is a list of peers; a chat has one peer");
    eventually_within(SILENT_WITHIN, "the mark", || {
        chat.tmux.screen().contains("sensor silent").then_some(())
    });
    sensor.send(chat.daemon.address(), "22.5");
    chat.tmux.until("no mark", |screen| screen.contains("sensor") && !screen.contains("silent"));
}
