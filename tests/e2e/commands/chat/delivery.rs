//! Marks behind sent messages.

use super::Chat;

/// An address of this host where no program listens.
const CLOSED: &str = "127.0.0.77:9";

/// Returns the line of the screen that has a text.
fn line_with<'a>(screen: &'a str, text: &str) -> &'a str {
    screen.lines().find(|line| line.contains(text)).unwrap_or_default()
}

#[test]
fn an_answered_message_is_marked() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.tmux.type_in("are you there?");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob_receives(), "are you there?");
    chat.tmux.until("the mark", |screen| line_with(screen, "> are you there?").ends_with('·'));
    chat.bob_sends("yes");
    chat.tmux.until("the answer", |screen| line_with(screen, "> are you there?").ends_with('✓'));
}

#[test]
fn a_bounced_message_is_marked_and_sent_again() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.tmux.press(&["F2"]);
    chat.tmux.type_in(CLOSED);
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("What you type is sent to");
    chat.tmux.type_in("ping");
    chat.tmux.press(&["Enter"]);
    let screen = chat.tmux.until("the bounce", |screen| line_with(screen, "> ping").ends_with('✗'));
    assert!(screen.contains("bounced: port unreachable, says 127.0.0.77; F6 again"), "{screen}");
    chat.tmux.press(&["F6"]);
    let bounces =
        |screen: &str| screen.lines().filter(|line| line.contains("> ping") && line.ends_with('✗')).count();
    chat.tmux.until("the second bounce", |screen| bounces(screen) == 2);
}
