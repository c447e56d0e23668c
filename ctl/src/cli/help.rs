//! What the help texts say below the options.

/// Below `udpchatctl --help`.
pub(super) const MAIN: &str = "\
Examples:
  udpchatctl send 192.168.43.159:8080 hello
  udpchatctl inbox
  udpchatctl inbox --follow
  udpchatctl reply '#812' thanks
  udpchatctl export -o inbox.jsonl
  udpchatctl status

Data goes to standard output, everything else to standard error.

Exit codes:
  0  done          1  failed                  2  wrong use        3  no daemon
  4  timed out     5  could not be sent       6  not permitted

Environment:
  UDPCHAT_SOCKET   the daemon's control socket
  NO_COLOR         no colour, if it is not empty";

/// Below `send --help`.
pub(super) const SEND: &str = "\
A message goes out as it is: nothing is added to it, and nothing is taken away. What `echo` writes ends with a
line end; `printf` and `echo -n` leave it out. Standard input must be UTF-8; `--file -` sends any bytes.
A TEXT that begins with `-` goes behind `--`.

Examples:
  udpchatctl send bob hello world
  udpchatctl send '[fd00::2]:8080' -e gbk 你好
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

/// Below `inbox --help`.
pub(super) const INBOX: &str = "\
Without history flags: prints what came in since the last time, oldest first, and counts it as read once it is
written. With -a, -r or any flag that says which entries: prints history, the last 20 of those unless -n or -a says
otherwise, oldest first unless -r, both directions unless --direction; nothing counts as read.

T is a time (2026-11-22 14:00, 2026-11-22, RFC 3339), a span back from now (90s, 10m, 2h, 1h30m, 3d, 2w), now,
today or yesterday (their midnights).

Lines begin with the entry's id: `<` came in, `>` went out, `!` means that messages are missing there. Lines of a
message after its first begin with `  | `. Controls and marks that are not shown appear as \\u{..}.
--hex changes nothing about --json, whose `raw` always has the bytes.

Examples:
  udpchatctl inbox
  udpchatctl inbox --follow
  udpchatctl inbox -n 50 --from bob
  udpchatctl inbox --all --since yesterday --grep 'error|warn'
  udpchatctl --json inbox --consumer backup";

/// Below `export --help`.
pub(super) const EXPORT: &str = "\
Without a filter: everything up to the newest entry of now, oldest first, gaps included. Nothing counts as read.
T is a time or a span back from now, as `inbox` takes it.

In a capture each message is an IP packet with the addresses and the time of the entry, as microseconds allow. An
address of ours that is not known is written as 0.0.0.0 or ::. Gaps, and what the kernel refused to send, are no
packets; they are counted on standard error.

Examples:
  udpchatctl export > inbox.jsonl
  udpchatctl export --from bob --since yesterday -o bob.jsonl
  udpchatctl export --grep error | jq -r .text
  udpchatctl export --format pcap -o inbox.pcap
  udpchatctl export --format pcap -n 1000 | tshark -r -";

/// Below `replay --help`.
pub(super) const REPLAY: &str = "\
Sends the bytes of received messages again, through the daemon and from its port, in their order and at their pace.
--direction out or both sends what was sent. Gaps are skipped. What arrives meanwhile is not replayed.
T of --since and --until is a time or a span back from now, as `inbox` takes it.

A message that the kernel refuses to send does not stop the others; the exit status is 5 then.

Examples:
  udpchatctl replay --to 192.168.43.7:7788
  udpchatctl replay --from bob --since 2h --to test-bench --speed 10
  udpchatctl replay -n 1000 --to 127.0.0.1:9999 --speed max
  udpchatctl replay --to bob --max-pause 1s
  udpchatctl replay --file inbox.jsonl --to 127.0.0.1:9999";

/// Below `peers --help`.
pub(super) const PEERS: &str = "\
ENCODING is what a message to the peer would be sent in, and BY is what chose it. MESSAGES counts those in the part
of the inbox that was looked at, UNREAD those of them that `inbox` has not printed yet.";

/// Below `status --help`.
pub(super) const STATUS: &str = "\
Exits with 0 also where the state is degraded. The counters run from the start of the daemon and balance:
received = stored + queued + dropped.

--watch ends with q or Ctrl-C. Its plots show the last minutes, the newest on the right, both in one scale. A daemon that
goes away is waited for; only at the beginning it must be there. Into a pipe or a file it writes a line for each
interval, with --json the object that `status --json` prints.

Examples:
  udpchatctl status
  udpchatctl --json status | jq .inbox.unread
  udpchatctl status --watch
  udpchatctl --json status --watch --interval 10s >> status.jsonl";
