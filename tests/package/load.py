"""Numbered datagrams into a port, and whether an export of the inbox holds each of them once.

load.py send ADDRESS PORT RATE   sends RATE datagrams a second until SIGTERM, then prints how many
load.py missing COUNT            reads `udpchatctl export` from standard input; ends with 1 unless 0 to COUNT-1 are in it, once each
"""

import base64
import collections
import json
import signal
import socket
import sys
import time

MARK = b"load "


def send(address, port, rate):
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # On a connected socket the send after a datagram to a closed port fails; that datagram is lost.
    sender.connect((address, port))
    began, number, refused = time.monotonic(), 0, 0
    while not stopping:
        due = int((time.monotonic() - began) * rate)
        while number < due:
            try:
                sender.send(MARK + b"%d" % number)
                number += 1
            except ConnectionRefusedError:
                refused += 1
        time.sleep(0.001)
    # An error for the last datagram arrives a moment later.
    time.sleep(0.1)
    refused += sender.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
    print(number)
    if refused:
        print(f"the port was closed {refused} times", file=sys.stderr)


def missing(count):
    seen = collections.Counter()
    for line in sys.stdin:
        entry = json.loads(line)
        if entry["type"] == "gap":
            print("a gap:", line.strip())
            continue
        payload = base64.b64decode(entry["raw"])
        if payload.startswith(MARK):
            seen[int(payload[len(MARK):])] += 1
    lost = [number for number in range(count) if number not in seen]
    twice = [number for number, times in seen.items() if times > 1]
    print(f"{count} sent, {len(lost)} lost, {len(twice)} there more than once", lost[:5], twice[:5])
    return 1 if lost or twice or len(seen) != count else 0


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        sys.exit(missing(int(sys.argv[2])))
