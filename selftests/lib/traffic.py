#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections that notice when a firewall forgets them.

  traffic.py serve HURRY            TCP downloads on 5001, UDP echoes on 5002
  traffic.py download HOST BYTES RATE PROGRESS
  traffic.py datagrams HOST INTERVAL PROGRESS HURRY

Both families. A download is pseudo-random bytes with their SHA-256 behind them;
the client compares. It comes at RATE bytes a second, beyond its half at an
eighth of that, and as fast as it can once the file HURRY exists. The datagrams are questions, one every INTERVAL seconds,
each answered once, all from one port, until HURRY exists and 20 more were
answered. A client keeps how far it is in the file PROGRESS (bytes, or answers),
gives up when nothing has arrived for STALL seconds ($STALL, 30), and ends with
one line of JSON; its exit code is 0 when the whole came through.
"""
import hashlib
import json
import os
import random
import selectors
import socket
import struct
import sys
import threading
import time

TCP_PORT = 5001
UDP_PORT = 5002
CHUNK = 4096
DIGEST_LEN = 32
STALL = float(os.environ.get("STALL", "30"))


def send_download(conn, hurry):
    """Serve one request: two integers, how many bytes and how many a second."""
    size, rate = struct.unpack("!QQ", conn.recv(16, socket.MSG_WAITALL))
    source = random.Random(size)
    digest = hashlib.sha256()
    begin, sent = time.monotonic(), 0
    while sent < size:
        chunk = source.randbytes(min(CHUNK, size - sent))
        digest.update(chunk)
        conn.sendall(chunk)
        sent += len(chunk)
        due = (sent + 7 * max(0, sent - size / 2)) / rate
        ahead = due - (time.monotonic() - begin)
        if ahead > 0 and not os.path.exists(hurry):
            time.sleep(ahead)  # the pace, not a wait for anything
    conn.sendall(digest.digest())
    conn.close()


def serve_tcp(listener, hurry):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve_one, args=(conn, hurry), daemon=True).start()


def serve_one(conn, hurry):
    try:
        send_download(conn, hurry)
    except OSError as error:
        print("server:", error, file=sys.stderr)


def serve(hurry):
    listener = socket.create_server(
        ("", TCP_PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    echo = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    echo.bind(("", UDP_PORT))
    threading.Thread(target=serve_tcp, args=(listener, hurry), daemon=True).start()
    print("serving", flush=True)
    while True:
        data, source = echo.recvfrom(2048)
        echo.sendto(data, source)


class Progress:
    """Tells in a file how far we are, and remembers the longest silence."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="ascii")
        self.count = 0
        self.gap = 0.0
        self.last = time.monotonic()

    def add(self, count):
        now = time.monotonic()
        self.gap = max(self.gap, now - self.last)
        self.last = now
        self.count += count
        self.file.seek(0)
        self.file.write(f"{self.count}\n")
        self.file.flush()

    def result(self, is_fine, **more):
        print(json.dumps({"ok": is_fine, "count": self.count,
                          "longest_gap_ms": round(self.gap * 1000), **more}))
        return 0 if is_fine else 1


def download(host, size, rate, path):
    size, progress = int(size), Progress(path)
    digest = hashlib.sha256()
    tail = b""
    try:
        conn = socket.create_connection((host, TCP_PORT), timeout=STALL)
        conn.sendall(struct.pack("!QQ", size, int(rate)))
        while progress.count < size:
            data = conn.recv(min(65536, size - progress.count))
            if not data:
                break
            digest.update(data)
            progress.add(len(data))
        tail = conn.recv(DIGEST_LEN, socket.MSG_WAITALL)
    except OSError as error:
        return progress.result(False, error=str(error))
    is_same = progress.count == size and tail == digest.digest()
    return progress.result(is_same, sha256=digest.hexdigest())


def datagrams(host, interval, path, hurry):
    interval = float(interval)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.connect((host, UDP_PORT))
    sock.setblocking(False)
    progress = Progress(path)
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ)
    sent, due, seen, enough = 0, time.monotonic(), set(), None
    while enough is None or progress.count < enough:
        now = time.monotonic()
        if now - progress.last > STALL:
            return progress.result(False, sent=sent, error="no answer")
        if now >= due:
            try:
                sock.send(struct.pack("!Q", sent))
            except OSError:
                pass  # an ICMP error of an earlier one
            sent, due = sent + 1, due + interval
            if enough is None and os.path.exists(hurry):
                enough = progress.count + 20
        if selector.select(max(0, due - now)):
            try:
                number = struct.unpack("!Q", sock.recv(64))[0]
            except OSError:
                continue
            if number not in seen:
                seen.add(number)
                progress.add(1)
    return progress.result(True, sent=sent)


VERBS = {"serve": serve, "download": download, "datagrams": datagrams}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in VERBS:
        sys.exit(__doc__)
    sys.exit(VERBS[sys.argv[1]](*sys.argv[2:]))
