# SPDX-License-Identifier: GPL-2.0-or-later
"""Stands where an agent would: gives the page of the tree and answers that live agents gave.

What is real: the three files of the page, the policy that the agent sends with them (read from
agent/asset.c), the answers in answers/ (recorded by selftests/page/record). What is not: this HTTP
server, and that the answers stay as they are. bats/page.bats holds both to live agents.
"""
import copy
import http.server
import json
import pathlib
import re
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = {"/": ("page.html", "text/html; charset=utf-8"),
         "/page.css": ("page.css", "text/css; charset=utf-8"),
         "/page.js": ("page.js", "text/javascript; charset=utf-8")}
API = "/api/replication/"


def answer(name):
    """One of answers/: its HTTP status and its body."""
    kept = json.loads((ROOT / "selftests/page/answers" / f"{name}.json").read_text())
    return [kept["status"], kept["body"]]


def policy():
    source = (ROOT / "agent/asset.c").read_text()
    return re.search(r'#define PAGE_POLICY \\\n\s*"([^"]*)"', source)[1]


class Agent:
    def __init__(self):
        self.lock = threading.Lock()
        self.port = 0
        self.begin()
        handler = type("Handler", (Handler,), {"agent": self})
        self.server = Server(("127.0.0.1", self.port), handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def begin(self):
        """A pair in step, asked by its writer's operator."""
        self.answers = {"status": answer("status"), "lag": answer("lag"),
                        "conflicts": answer("no-conflicts")}
        self.posts = {}
        self.token = None
        self.is_silent = False
        self.seen = []

    def says(self, what, name, change=None):
        """From now on the answer to @what is that one, changed by a function if there is one."""
        self.answers[what] = copy.deepcopy(answer(name))
        if change:
            change(self.answers[what][1])

    def count(self, path):
        return sum(1 for _, p, _, _ in self.seen if p == API + path)

    def posted(self):
        """What was sent to it: path and body of each."""
        return [(p[len(API):], b) for m, p, b, _ in self.seen if m == "POST"]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A page that was left does not wait for its answer."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    agent = None

    def log_message(self, *args):  # pylint: disable=arguments-differ
        pass

    def send(self, status, kind, data, page_policy="default-src 'none'"):
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(data))),
                            ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
                            ("Content-Security-Policy", page_policy)):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def send_json(self, status, body):
        self.send(status, "application/json", json.dumps(body).encode())

    def api(self, method):
        agent, path = self.agent, self.path.split("?")[0]
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        bearer = self.headers.get("Authorization")
        agent.seen.append((method, path, body, bearer))
        if agent.is_silent:
            self.close_connection = True
            return
        if agent.token and bearer != "Bearer " + agent.token:
            self.send_json(401, {"error": "unauthorized", "details": "a token is needed"})
            return
        answers = agent.posts if method == "POST" else agent.answers
        status, json_body = answers.get(path[len(API):],
                                        (404, {"error": "not found", "details": path}))
        self.send_json(status, json_body)

    def do_GET(self):
        if self.path.startswith(API):
            self.api("GET")
        elif self.path in FILES:
            name, kind = FILES[self.path]
            self.send(200, kind, (ROOT / "agent/assets" / name).read_bytes(), policy())
        else:
            self.send_json(404, {"error": "not found", "details": self.path})

    def do_POST(self):
        self.api("POST")
