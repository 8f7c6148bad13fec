#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An FTP session that lasts, active mode (RFC 959), IPv4.

  ftp.py serve                 on port 21; one file, of one line
  ftp.py session HOST FIFO     logs in; for each line read from FIFO opens a data
                               connection and prints what came; ends with FIFO

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

    ask("")
    ask("USER anonymous")
    with open(fifo) as lines:
        for _ in lines:
            with socket.socket() as listener:
                listener.bind((control.getsockname()[0], 0))
                listener.listen(1)
                listener.settimeout(PATIENCE)
                ip, port = listener.getsockname()
                ask(f"PORT {ip.replace('.', ',')},{port >> 8},{port & 255}")
                ask("RETR x")
                data, _ = listener.accept()
                with data:
                    data.settimeout(PATIENCE)
                    print(data.makefile("rb").read().decode().strip(), flush=True)
                ask("")


if sys.argv[1] == "serve":
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("", 21), Server) as server:
        print("serving", flush=True)
        server.serve_forever()
session(sys.argv[2], sys.argv[3])
