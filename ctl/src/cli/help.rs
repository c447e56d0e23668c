//! What the help texts say below the options.

/// Below `udpchatctl --help`.
pub(super) const MAIN: &str = "\
Examples:
  udpchatctl send 192.168.43.159:8080 hello
  udpchatctl inbox
  udpchatctl inbox --follow
  udpchatctl chat bob
  udpchatctl reply '#812' thanks
  udpchatctl export -o inbox.jsonl
  udpchatctl status
  udpchatctl doctor

Data goes to standard output, everything else to standard error.

Exit codes:
  0  done          1  failed                  2  wrong use        3  no daemon
  4  timed out     5  could not be sent       6  not permitted

Environment:
  UDPCHAT_SOCKET   the daemon's control socket
  NO_COLOR         no colour, if it is not empty";

/// Below `send --help`.
pub(super) const SEND: &str = "\
A message goes out as it is: nothing is added to it, and nothing is taken away. What `echo` writes ends with a \
line end; `printf` and `echo -n` leave it out. Standard input must be UTF-8; `--file -` sends any bytes. \
A TEXT that begins with `-` goes behind `--`.
TO may be a broadcast address or a multicast group, with the interface behind it where no route tells it.

Examples:
  udpchatctl send bob hello world
  udpchatctl send '[fd00::2]:8080' -e gbk 你好
  udpchatctl send 192.168.43.255 who is there
  udpchatctl send ff02::1%eth0 who is there
  printf 'two\\nlines' | udpchatctl send bob
  udpchatctl send bob --hex 'c4 e3 ba c3'
  udpchatctl send bob --escape 'a\\tb\\x00'
  udpchatctl send bob --file letter.txt --split
  tail -f /var/log/syslog | udpchatctl send bob --lines
  udpchatctl send bob -- --not-a-flag";

/// Below `reply --help`.
pub(super) const REPLY: &str = "\
The message goes out of the address that the entry was sent to, as far as the daemon knows it.

Examples:
  udpchatctl reply 812 thanks
  udpchatctl reply '#812' --file answer.bin";

/// Below `ask --help`.
pub(super) const ASK: &str = "\
Prints the text of the answer and nothing else; with --json the whole entry. An answer is what comes from the very \
address and port that the message went to, after it went out. It stays unread for `inbox`. With --anyone, what is \
sent to many and comes back to its sender is none. \
Exits with 4 if no answer came in time, with 5 if the message could not be sent.

Examples:
  udpchatctl ask bob 'what time is it?'
  temperature=$(udpchatctl ask sensor:9000 'T?' --timeout 500ms)
  udpchatctl ask 192.168.1.255:7788 'who is there?' --anyone -c 100 --timeout 2s
  udpchatctl --json ask plc --hex '01 03 00 00' | jq -r .raw";

/// Below `wait --help`.
pub(super) const WAIT: &str = "\
Prints the messages as `inbox` does, and leaves the read marks alone. With --from, from any port if PEER is an address \
without one. Exits with 4 if the time is up; what has come until then is printed.

Examples:
  udpchatctl wait
  udpchatctl wait --from bob --grep '^done' --timeout 10m && make install
  udpchatctl --json wait -c 10 | jq -r .text
  id=$(udpchatctl --json send bob start | jq .id); udpchatctl wait --from bob --after $id";

/// Below `inbox --help`.
pub(super) const INBOX: &str = "\
Without history flags: prints what came in since the last time, oldest first, and counts it as read once it is \
written. With -a, -r or any flag that says which entries: prints history, the last 20 of those unless -n or -a says \
otherwise, oldest first unless -r, both directions unless --direction; nothing counts as read.

T is a time (2026-11-22 14:00, 2026-11-22, RFC 3339), a span back from now (90s, 10m, 2h, 1h30m, 3d, 2w), now, \
today or yesterday (their midnights).

Lines begin with the entry's id: `<` came in, `>` went out, `!` means that messages are missing there. Lines of a \
message after its first begin with `  | `. Controls and marks that are not shown appear as \\u{..}. \
--hex changes nothing about --json, whose `raw` always has the bytes.

Examples:
  udpchatctl inbox
  udpchatctl inbox --follow
  udpchatctl inbox -n 50 --from bob
  udpchatctl inbox --all --since yesterday --grep 'error|warn'
  udpchatctl --json inbox --consumer backup";

/// Below `export --help`.
pub(super) const EXPORT: &str = "\
Without a filter: everything up to the newest entry of now, oldest first, gaps included. Nothing counts as read. \
T is a time or a span back from now, as `inbox` takes it.

In a capture each message is an IP packet with the addresses and the time of the entry, as microseconds allow. An \
address of ours that is not known is written as 0.0.0.0 or ::. Gaps, and what the kernel refused to send, are no \
packets; they are counted on standard error.

Examples:
  udpchatctl export > inbox.jsonl
  udpchatctl export --from bob --since yesterday -o bob.jsonl
  udpchatctl export --grep error | jq -r .text
  udpchatctl export --format pcap -o inbox.pcap
  udpchatctl export --format pcap -n 1000 | tshark -r -";

/// Below `replay --help`.
pub(super) const REPLAY: &str = "\
Sends the bytes of received messages again, through the daemon and from its port, in their order and at their pace. \
--direction out or both sends what was sent. Gaps are skipped. What arrives meanwhile is not replayed. \
T of --since and --until is a time or a span back from now, as `inbox` takes it.

A message that the kernel refuses to send does not stop the others; the exit status is 5 then.

Examples:
  udpchatctl replay --to 192.168.43.7:7788
  udpchatctl replay --from bob --since 2h --to test-bench --speed 10
  udpchatctl replay -n 1000 --to 127.0.0.1:9999 --speed max
  udpchatctl replay --to bob --max-pause 1s
  udpchatctl replay --file inbox.jsonl --to 127.0.0.1:9999";

/// Below `recode --help`.
pub(super) const RECODE: &str = "\
Bytes never change: the messages are shown in ENC from now on, wherever they are read and searched. Each takes some 50 \
bytes more of the inbox's room. Without \
--direction, only messages that came in. T is a time or a span back from now, as `inbox` takes it. \
What --remember says counts until later messages prove something else; an encoding in the configuration counts for \
more.

Examples:
  udpchatctl recode --as gbk --from bob --since yesterday --dry-run
  udpchatctl recode --as gbk --from bob --since yesterday --remember
  udpchatctl recode --as big5 812 820-831
  udpchatctl recode --as auto --all";

/// Below `completions --help`.
pub(super) const COMPLETIONS: &str = "\
Completes subcommands, flags and encodings, and asks the daemon for peers and the ids of messages.

Examples:
  source <(udpchatctl completions bash)
  udpchatctl completions bash > ~/.local/share/bash-completion/completions/udpchatctl
  udpchatctl completions zsh > ~/.zfunc/_udpchatctl
  udpchatctl completions fish > ~/.config/fish/completions/udpchatctl.fish";

/// Below `man --help`.
pub(super) const MAN: &str = "\
Examples:
  udpchatctl man | man -l -
  udpchatctl man udpchat.toml | man -l -
  udpchatctl man udpchatd > /usr/local/share/man/man8/udpchatd.8";

/// Below `chat --help`.
pub(super) const CHAT: &str = "\
Peers with their unread messages on the left, the conversation on the right, what you write below it. F1 shows all
keys; Enter sends, Alt+Enter or Ctrl+J breaks the line, F2 chooses whom to talk to, F3 what to send in, PageUp scrolls
back through the whole inbox, Ctrl+Q quits.

A message goes to where the peer's last one came from. What was not sent stays on the screen with the reason, and ↑
brings its text back. If the daemon ends, the chat says so and goes on when it is back.

Opening a conversation clears its count of unread messages, in this chat. The common read mark, which `inbox` goes
by, is one for all peers: the chat moves it only when no peer has unread messages left.

Examples:
  udpchatctl chat
  udpchatctl chat bob
  udpchatctl chat 192.168.43.159:8080 -e gbk";

/// Below `peers --help`.
pub(super) const PEERS: &str = "\
Who was heard last comes first. ENCODING is what a message to the peer would be sent in, and BY is what chose it. \
MESSAGES counts those in the newest 100,000 entries, UNREAD those of them that `inbox` has not printed yet. What does not \
fit on a terminal is left out; other programs get the whole table, with times instead of how long ago.

Examples:
  udpchatctl peers
  udpchatctl peers | grep gbk
  udpchatctl --json peers | jq -r 'select(.unread > 0) | .name // .address'";

/// Below `doctor --help`.
pub(super) const DOCTOR: &str = "\
A line for each thing that was looked at: ok, warning (it may be in the way) or problem (it is), with a hint below.
Works without a daemon too, and then says who holds the port. Run by root it sees more: the rules of firewalls, and
the programs of other users.

Nothing is sent to anybody else, also not to PEER: the daemon sends datagrams to itself only, which are in no counter
and not in the inbox. Exits with 1 if there is a problem, with 0 if there are warnings only.

Examples:
  udpchatctl doctor
  udpchatctl doctor bob
  udpchatctl --json doctor | jq -r 'select(.level != \"ok\").seen'";

/// Below `status --help`.
pub(super) const STATUS: &str = "\
Exits with 0 also where the state is degraded. The counters run from the start of the daemon and balance: \
received = stored + queued + dropped.

--watch ends with q or Ctrl-C. Its plots show the last minutes, the newest on the right, both in one scale. A daemon that \
goes away is waited for; only at the beginning it must be there. Into a pipe or a file it writes a line for each \
interval, with --json the object that `status --json` prints.

--format prometheus is what the text-file collector of Prometheus' node exporter reads, openmetrics is the standard that \
grew out of it. If the daemon does not answer, both say `udpchat_up 0` and nothing else, the error is on standard \
error, and the exit code is that of the error, as always. FILE is never seen half written; its name must end with \
.prom for the collector.

Examples:
  udpchatctl status
  udpchatctl --json status | jq .inbox.unread
  udpchatctl status --format prometheus -o /var/lib/prometheus/node-exporter/udpchat.prom
  udpchatctl status --watch
  udpchatctl --json status --watch --interval 10s >> status.jsonl";

/// Below `reload --help`.
pub(super) const RELOAD: &str = "\
A configuration that is refused changes nothing. Keys that only a restart can change are named.

Examples:
  udpchatctl reload
  udpchatd --check-config && udpchatctl reload";

/// Below `stop --help`.
pub(super) const STOP: &str = "\
What has arrived is stored first.

Examples:
  udpchatctl stop
  udpchatctl --socket /run/udpchat/control.sock stop";

/// Below `version --help`.
pub(super) const VERSION: &str = "\
Examples:
  udpchatctl version
  udpchatctl --json version | jq -r .udpchatd";

/// Below `-h`, where all that stands below `--help` is left out.
pub(super) fn short(command: &str) -> String {
    let space = if command.is_empty() { "" } else { " " };
    format!("`udpchatctl{space}{command} --help` tells more, with examples.")
}
