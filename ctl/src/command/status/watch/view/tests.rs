//! The states of the screen as text.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};

use udpchat_api::call::WatchedPeer;
use udpchat_locale::{Language, with_language};

use super::super::fit::LABEL_WIDTH;
use super::super::model::tests::TestWatch;
use crate::command::status::watch::view::*;

/// Returns the cells of a screen of this size.
fn drawn(model: &Model, width: u16, height: u16, colour: bool) -> Buffer {
    let theme = Theme { colour, zone: TimeZone::UTC };
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, &theme)).unwrap();
    terminal.backend().buffer().clone()
}

/// Returns the lines of a screen without trailing blanks.
fn rendered(model: &Model, width: u16, height: u16) -> String {
    let buffer = drawn(model, width, height, true);
    let lines = buffer.content().chunks(usize::from(width)).map(|cells| {
        let (mut line, mut hidden) = (String::new(), 0);
        for symbol in cells.iter().map(Cell::symbol) {
            // The cell after a wide character is not displayed.
            if hidden == 0 {
                line.push_str(symbol);
                hidden = Span::raw(symbol).width();
            }
            hidden = hidden.saturating_sub(1);
        }
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

/// Two minutes of rising and falling traffic from two peers.
fn busy() -> TestWatch {
    let mut watch = TestWatch::new();
    for second in 0..120_u64 {
        let wave = 40 * (30 - second.abs_diff(60).min(30));
        watch.advance(&[("10.0.0.7:40001", 60 + wave), ("张三@192.168.43.159:8080", 9)], |_| {});
    }
    watch
}

#[test]
fn a_busy_daemon() {
    let expected = "\
udpchatd ok  up 3h 2m  [::]:7788                                        13:02:10

received  69/s   6.7 KiB/s   peak 1,269/s   45,280 total
              ▁▂▃▄▅▆█▆▅▄▃▂▁
      ▁▂▃▄▅▆▇███████████████▇▆▅▄▃▂▁
▃▄▅▆▇███████████████████████████████▇▆▅▄▃▂▁
████████████████████████████████████████████▇▆▅▄▃▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
stored    69/s   peak 1,269/s   45,278 total
              ▁▂▃▄▅▆█▆▅▄▃▂▁
      ▁▂▃▄▅▆▇███████████████▇▆▅▄▃▂▁
▃▄▅▆▇███████████████████████████████▇▆▅▄▃▂▁
████████████████████████████████████████████▇▆▅▄▃▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁

lost      kernel 0   queue full 0   denied 2   log lines 0
waiting   0 queued   queue 0 B of 16.0 MiB   index 0 behind
          write-ahead log 4.0 MiB
inbox     45,281 entries   4.3 MiB / 4.0 GiB   5 unread   3 sent

senders of the last 10 s
      60/s  87 %  ■■■■■■■■■   10.0.0.7:40001
     9.0/s  13 %  ■■          张三  192.168.43.159:8080


q quit   every 1s
";
    assert_eq!(rendered(&busy().model, 80, 24), expected);
}

#[test]
fn a_narrow_and_low_screen() {
    let expected = "\
udpchatd ok  up 3h 2m  [::]:7788
received  69/s   6.7 KiB/s   peak 469/s
█▆▅▃▂▁
██████▇▆▅▃▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂
stored    69/s   peak 469/s
█▆▅▃▂▁
██████▇▆▅▃▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂
lost      kernel 0   queue full 0
          denied 2   log lines 0
waiting   0 queued
          queue 0 B of 16.0 MiB
          index 0 behind
          write-ahead log 4.0 MiB
inbox     45,281 entries
          4.3 MiB / 4.0 GiB   5 unread
          3 sent
senders of the last 10 s
      60/s  87 %  10.0.0.7:40001
     9.0/s  13 %  张三  192.168.43.159:8
q quit   every 1s
";
    assert_eq!(rendered(&busy().model, 40, 20), expected);
}

#[test]
fn a_tiny_screen() {
    let expected = "\
udpchatd ok  up 3h 2
lost      kernel 0
          queue full
          denied 2
          log lines
";
    assert_eq!(rendered(&busy().model, 20, 5), expected);
}

#[test]
fn before_the_first_message() {
    let expected = "\
udpchatd ok  up 3h 2m  [::]:7788                                        13:02:10

received  -/s   peak 0/s   1,000 total




stored    -/s   peak 0/s   998 total





lost      kernel 0   queue full 0   denied 2   log lines 0
waiting   0 queued   queue 0 B of 16.0 MiB   index 0 behind
          write-ahead log 4.0 MiB
inbox     1,001 entries   4.3 MiB / 4.0 GiB   5 unread   3 sent

senders of the last 10 s
  no messages



q quit   every 1s
";
    assert_eq!(rendered(&TestWatch::new().model, 80, 24), expected);
}

/// A daemon that loses messages, with more problems than fit.
fn in_trouble() -> TestWatch {
    let mut watch = busy();
    watch.advance(&[("10.0.0.7:40001", 50_000)], |next| {
        next.state = State::Degraded;
        next.problems = (1..=5).map(|number| format!("problem \u{1b}[31m {number}")).collect();
        (next.kernel_drops, next.dropped.queue_full, next.log_lines_lost) = (37, 4_000, 12);
        (next.queued, next.queue.bytes, next.index.behind, next.sent.failed) = (65_000, 16_000_000, 9_216, 2);
    });
    watch
}

#[test]
fn a_daemon_that_loses_messages() {
    let expected = "\
udpchatd degraded  up 3h 2m  [::]:7788                                  13:02:10
problem \\u{1b}[31m 1
problem \\u{1b}[31m 2
problem \\u{1b}[31m 3
and 2 more: see `udpchatctl status`
received  50,000/s   4.8 MiB/s   peak 50,000/s   95,280 total
                                                                               █
                                                                               █
                                                                               █
stored    50,000/s   peak 50,000/s   95,278 total
                                                                               █
                                                                               █
                                                                               █
lost      kernel 37 +37   queue full 4,000 +4,000   denied 2   log lines 12 +12
waiting   65,000 queued   queue 15.3 MiB of 16.0 MiB   index 9,216 behind
          write-ahead log 4.0 MiB
inbox     95,281 entries   4.3 MiB / 4.0 GiB   5 unread   3 sent   2 not sent
senders of the last 10 s
   5,054/s 100 %  ■■■■■■■■■■  10.0.0.7:40001
     8.1/s   0 %              张三  192.168.43.159:8080



q quit   every 1s
";
    assert_eq!(rendered(&in_trouble().model, 80, 24), expected);
}

#[test]
fn a_lost_daemon_and_a_restarted_one() {
    let mut watch = busy();
    for _ in 0..20 {
        watch.disconnect("no daemon was found");
    }
    let expected = "\
udpchatd gone  up 3h 2m  [::]:7788                                      13:02:10
no daemon was found; trying again; values are from the last answer
received  -/s   peak 1,269/s   45,280 total
█▇▆▆▅▅▄▄▃▃▂▂▁▁
████████████████▇▇▆▆▅▅▄▄▃▃▂▂▁▁
stored    -/s   peak 1,269/s   45,278 total
█▇▆▆▅▅▄▄▃▃▂▂▁▁
████████████████▇▇▆▆▅▅▄▄▃▃▂▂▁▁
lost      kernel 0   queue full 0   denied 2   log lines 0
waiting   0 queued   queue 0 B of 16.0 MiB   index 0 behind
          write-ahead log 4.0 MiB
inbox     45,281 entries   4.3 MiB / 4.0 GiB   5 unread   3 sent
senders of the last 10 s


q quit   every 1s
";
    assert_eq!(rendered(&watch.model, 80, 16), expected);
    watch.advance(&[("10.0.0.7:40001", 60)], |next| next.pid += 1);
    let back = rendered(&watch.model, 80, 16);
    assert!(back.starts_with("udpchatd ok  up 3h 2m"), "{back}");
    assert!(back.contains("\nthe daemon restarted, and its counters started at 0\n"), "{back}");
}

#[test]
fn a_silent_daemon_and_one_without_senders() {
    let mut watch = busy();
    watch.model.tick(std::time::Duration::from_secs(130));
    watch.model.talkers = None;
    let shown = rendered(&watch.model, 80, 24);
    assert!(shown.starts_with("udpchatd silent"), "{shown}");
    assert!(shown.contains("\nno answer for 10 s; values are from the last answer\n"), "{shown}");
    assert!(shown.contains("\nthis daemon does not report senders\n"), "{shown}");
}

#[test]
fn bounces_held_messages_and_silent_peers_are_shown() {
    let mut watch = busy();
    watch.advance(&[], |next| {
        (next.sent.bounced, next.held.messages) = (1_234, 2);
        let silent_since = Some(next.at);
        next.watched_peers = (0..9)
            .map(|number| WatchedPeer { name: format!("p\u{1b}{number}"), last_heard: None, silent_since })
            .collect();
        next.watched_peers[0].silent_since = None;
    });
    let shown = rendered(&watch.model, 80, 24);
    let expected = "\
inbox     45,281 entries   4.3 MiB / 4.0 GiB   5 unread   3 sent   1,234 bounced
          2 held
peers     p\\u{1b}1 silent   p\\u{1b}2 silent   p\\u{1b}3 silent   p\\u{1b}4 silent
          p\\u{1b}5 silent   p\\u{1b}6 silent   and 2 more
";
    assert!(shown.contains(expected), "{shown}");
    assert!(!rendered(&busy().model, 80, 24).contains("peers"));
}

/// The colours of the characters of a screen.
fn colours(buffer: &Buffer) -> Vec<Color> {
    let mut colours: Vec<Color> = buffer.content().iter().map(|cell| cell.fg).collect();
    colours.sort_unstable_by_key(ToString::to_string);
    colours.dedup();
    colours
}

#[test]
fn a_recent_loss_is_highlighted_without_colour_too() {
    for colour in [true, false] {
        let buffer = drawn(&in_trouble().model, 80, 24, colour);
        let text: String = buffer.content().iter().map(Cell::symbol).collect();
        let at = text.chars().take_while(|character| *character != '+').count();
        let cell = &buffer.content()[at];
        assert!(cell.modifier.contains(Modifier::REVERSED | Modifier::BOLD), "{cell:?}");
        assert_eq!(cell.fg, if colour { Color::Red } else { Color::Reset });
    }
    assert_eq!(colours(&drawn(&in_trouble().model, 80, 24, false)), [Color::Reset]);
    assert!(colours(&drawn(&busy().model, 80, 24, true)).len() > 2);
}

#[test]
fn screens_of_any_size_are_drawn() {
    let watch = in_trouble();
    for width in [0, 1, 2, 9, 10, 11, 39, 80, 200, 1_000] {
        for height in (0..30).chain([60, 200]) {
            drawn(&watch.model, width, height, true);
        }
    }
}

/// Returns the lines below the first one, in which most words are those of other commands.
fn below_the_head(model: &Model, width: u16, height: u16) -> String {
    let screen = rendered(model, width, height);
    let (head, below) = screen.split_once('\n').unwrap();
    assert!(head.starts_with("udpchatd ") && head.contains("已运行 "), "{head}");
    below.to_owned()
}

#[test]
fn screens_in_chinese() {
    with_language(Language::Chinese, || {
        let mut lost = busy();
        lost.disconnect("没有找到守护进程：/run/user/1000/udpchat/control.sock（没有该套接字）；用 `udpchatd` 启动守护进程");
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!("zh_trouble", below_the_head(&in_trouble().model, 80, 24));
            insta::assert_snapshot!("zh_lost", below_the_head(&lost.model, 80, 24));
            insta::assert_snapshot!("zh_narrow", below_the_head(&lost.model, 40, 20));
        });
    });
}

#[test]
fn labels_are_narrower_than_their_column_in_both_languages() {
    for language in [Language::English, Language::Chinese] {
        with_language(language, || {
            for label in
                [tr!("received"), tr!("stored"), tr!("lost"), tr!("waiting"), tr!("inbox"), tr!("peers")]
            {
                assert!(Span::raw(label).width() < LABEL_WIDTH, "{label}");
            }
        });
    }
}

proptest::proptest! {
    #[test]
    fn received_text_is_drawn_only_as_safe_text(text in r"(\PC|[\x00-\x9f]|\u{202e}|\u{200d}|\u{301}|一|😀){0,200}") {
        let mut watch = busy();
        let who = format!("{}@{}", text.replace('@', ""), text.replace('@', ""));
        watch.advance(&[(&who, 10_000)], |next| next.problems = vec![text.clone()]);
        watch.disconnect(&text);
        watch.advance(&[(&who, 10_000)], |_| {});
        for width in [13, 40, 80] {
            let buffer = drawn(&watch.model, width, 24, true);
            for cell in buffer.content() {
                // A joiner stands in the cell of the character before it.
                let is_unsafe = |c: char| {
                    udpchat_api::safe::is_unsafe(c) && !matches!(c, '\u{200c}' | '\u{200d}')
                };
                proptest::prop_assert!(!cell.symbol().contains(is_unsafe), "{cell:?}");
            }
        }
    }
}
