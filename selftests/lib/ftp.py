#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An FTP session that lasts, active mode (RFC 959), IPv4.

  ftp.py serve                 on port 21; one file, of one line
  ftp.py session HOST FIFO     logs in and does what the lines of FIFO say: "port"
                               announces where a data connection may come to, "retr"
                               has it opened and prints what came, "get" is both;
                               ends with FIFO

Who opens the data connection is the server: through source NAT that works only
while a helper reads what the client says.
"""
import socket
import socketserver
import sys

LINE = b"as it was\r\n"
PATIENCE = 30


class Server(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        peer = None
        self.say("220 ready")
        for line in self.rfile:
            verb, _, rest = line.decode().strip().partition(" ")
            if verb == "PORT":
                n = [int(part) for part in rest.split(",")]
                peer = (".".join(map(str, n[:4])), n[4] << 8 | n[5])
                self.say("200 noted")
            elif verb == "RETR":
                self.say("150 here it comes")
                # From port 20, as servers do
                with socket.socket() as data:
                    data.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    data.bind(("", 20))
                    data.settimeout(PATIENCE)
                    data.connect(peer)
                    data.sendall(LINE)
                self.say("226 done")
            else:
                self.say("230 as you like")


def session(host, fifo):
    control = socket.create_connection((host, 21), PATIENCE)
    answers = control.makefile("rb")

    def ask(text):
        if text:
            control.sendall(text.encode() + b"\r\n")
        answer = answers.readline().decode()
        if not answer.startswith(("1", "2")):
            sys.exit(f"{text}: {answer!r}")

    def port():
        listener = socket.create_server((control.getsockname()[0], 0))
        listener.settimeout(PATIENCE)
        ip, number = listener.getsockname()
        ask(f"PORT {ip.replace('.', ',')},{number >> 8},{number & 255}")
        return listener

    def retr(listener):
        ask("RETR x")
        data, _ = listener.accept()
        with listener, data:
            data.settimeout(PATIENCE)
            print(data.makefile("rb").read().decode().strip(), flush=True)
        ask("")

    ask("")
    ask("USER anonymous")
    listener = None
    with open(fifo) as lines:
        for line in lines:
            if line.strip() in ("port", "get"):
                listener = port()
            if line.strip() in ("retr", "get"):
                retr(listener)


if sys.argv[1] == "serve":
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("", 21), Server) as server:
        print("serving", flush=True)
        server.serve_forever()
session(sys.argv[2], sys.argv[3])
