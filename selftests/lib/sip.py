#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Registrations of SIP (RFC 3261) by UDP, IPv4.

  sip.py serve FIFO            for each line of FIFO answers one request
  sip.py session HOST FIFO     for each line of FIFO registers once more

Both end with FIFO.
"""
import socket
import sys

PORT = 5060
PATIENCE = 30


def request(here, there, number):
    return "\r\n".join((
        f"REGISTER sip:{there} SIP/2.0",
        f"Via: SIP/2.0/UDP {here}:{PORT};branch=z9hG4bK{number}",
        f"From: <sip:me@{there}>;tag=1",
        f"To: <sip:me@{there}>",
        f"Call-ID: 1@{here}",
        f"CSeq: {number} REGISTER",
        f"Contact: <sip:me@{here}:{PORT}>",
        "Expires: 3600",
        "Content-Length: 0",
        "", ""))


def serve(sock, lines):
    for _ in lines:
        text, peer = sock.recvfrom(2048)
        _, _, rest = text.partition(b"\r\n")
        sock.sendto(b"SIP/2.0 200 OK\r\n" + rest, peer)


def session(sock, host, lines):
    sock.connect((host, PORT))
    for number, _ in enumerate(lines, 1):
        sock.send(request(sock.getsockname()[0], host, number).encode())


with socket.socket(type=socket.SOCK_DGRAM) as udp, open(sys.argv[-1]) as fifo:
    udp.settimeout(PATIENCE)
    udp.bind(("", PORT))
    if sys.argv[1] == "serve":
        serve(udp, fifo)
    else:
        session(udp, sys.argv[2], fifo)
