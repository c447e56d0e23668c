//! What the help texts say below the options.

/// Below `udpchatctl --help`.
pub(super) const MAIN: &str = "\
Examples:
  udpchatctl send 192.168.43.159:8080 hello
  udpchatctl inbox
  udpchatctl inbox --follow
  udpchatctl reply '#812' thanks
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
written. With any of -n, -a, --from, --direction, -S, -U, --grep, -r: prints history, the last 20 entries unless
-n or -a says otherwise, oldest first unless -r, both directions unless --direction; nothing counts as read.

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

/// Below `peers --help`.
pub(super) const PEERS: &str = "\
ENCODING is what a message to the peer would be sent in, and BY is what chose it. MESSAGES counts those in the part
of the inbox that was looked at, UNREAD those of them that `inbox` has not printed yet.";

/// Below `status --help`.
pub(super) const STATUS: &str = "\
Exits with 0 also where the state is degraded. The counters run from the start of the daemon and balance:
received = stored + queued + dropped.";
