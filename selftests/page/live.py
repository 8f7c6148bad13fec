# SPDX-License-Identifier: GPL-2.0-or-later
"""A real agent on loopback, as far as there can be one without its module: it says so, and serves
the page and the API over TCP, with a token."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

TOKEN = "a-token-of-the-test-0123456789abcdef"
CONFIG = """replication {{
  node_id = "live"
  mode = "primary"
  listen_addr = "127.0.0.1:{ports[0]}"
  peers = [ {{ id = "gone", address = "127.0.0.1:{ports[1]}", role = "replica" }} ]
  secret_key = "correct-horse-battery-staple-0123456789"
  state_dir = "{home}"
  api {{
    socket = "{home}/api.sock"
    listen = "127.0.0.1:{ports[2]}"
    token_file = "{home}/token"
  }}
}}
"""


def free_ports(n):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Live:
    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="page-live-"))
        ports = free_ports(3)
        self.url = f"http://127.0.0.1:{ports[2]}/"
        (self.home / "token").write_text(f"ops {TOKEN}\n")
        (self.home / "flyrep.hcl").write_text(CONFIG.format(home=self.home, ports=ports))
        for name in ("token", "flyrep.hcl"):
            os.chmod(self.home / name, 0o600)
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [os.environ.get("BUILD", "build") + "/flyrepd", "-c", self.home / "flyrep.hcl"],
            stdout=subprocess.DEVNULL, stderr=open(self.home / "log", "w", encoding="utf-8"))
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(self.url, timeout=5).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        log = (self.home / "log").read_text()
        self.close()
        raise AssertionError("the agent does not answer: " + log)

    def stop(self, on):
        """Keep it from answering, or let it go on."""
        self.process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)
