# SPDX-License-Identifier: GPL-2.0-or-later
"""The systems under measurement: conntrackd, flyrep, and none at all.

Each has a start and a stop for both firewalls, tells how many flows the peer
holds, and makes the peer take over. Where the peer holds them differs:
conntrackd in a cache of its own unless told to inject, flyrep in the kernel.
"""
import http.client
import json
import os
import socket
import struct
import subprocess
import time

from ground import on, run, spawn, until

DIR = "/run/bench"
STARTED = 60
ADDRESS = {"a": "10.9.9.1", "b": "10.9.9.2"}
PEER = {"a": "b", "b": "a"}

# Tuned: what its manual and years of use recommend for many flows, on the same
# link. Its realtime priority is taken back: on one processor it would starve the
# traffic, and flyrep has none.
CONNTRACKD = """
Sync {{
	Mode FTFW {{
		ResendQueueSize 524288
		PurgeTimeout 5
		DisableExternalCache {inject}
	}}
	UDP {{
		IPv4_address {own}
		IPv4_Destination_Address {peer}
		Port 3780
		Interface sync0
		SndSocketBuffer 4194304
		RcvSocketBuffer 4194304
		Checksum on
	}}
}}
General {{
	HashSize 524288
	HashLimit 4000000
	LogFile {dir}/{node}.log
	LockFile {dir}/{node}.lock
	UNIX {{
		Path {dir}/{node}.ctl
	}}
	NetlinkBufferSize 8388608
	NetlinkBufferSizeMaxGrowth 33554432
	Filter From Kernelspace {{
		Protocol Accept {{
			TCP
			UDP
			ICMP
		}}
		Address Ignore {{
			IPv4_address 127.0.0.1
			IPv4_address 10.9.9.1
			IPv4_address 10.9.9.2
		}}
	}}
}}
"""
CONNTRACKD_STATS_CACHE = 29  # what `conntrackd -s cache` asks for

FLYREP = """
replication {{
  node_id = "{node}"
  {where}
  secret_key = "correct-horse-battery-staple-0123456789"
  state_dir = "{dir}"
  api {{ socket = "{dir}/{node}.sock" }}
  {more}
}}
"""
FLYREP_WHERE = {
    "a": 'mode = "primary"\n  listen_addr = "10.9.9.1:9001"\n'
         '  peers = [ { id = "b", address = "10.9.9.2:9001", role = "replica" } ]',
    "b": 'mode = "replica"\n  primary_addr = "10.9.9.1:9001"',
}


class Nothing:
    """No replication: what the flows cost by themselves."""

    name = "none"
    is_in_kernel = False
    has_audit = False

    def __init__(self, ground):
        self.ground = ground
        self.procs = {}

    def start(self, node):
        pass

    def start_pair(self):
        pass

    def stop(self):
        for node in list(self.procs):
            self.kill(node)
        self.ground.flush()

    def kill(self, node):
        proc = self.procs.pop(node)
        proc.kill()
        proc.wait()

    def pid(self, node):
        return self.procs[node].pid

    def is_equal(self):
        """What the systems themselves say of their peers; most of them nothing."""
        return True

    def is_met(self):
        """There is a session. None: there are none, or nothing tells."""
        return None

    def forget(self, node):
        """What a node keeps on its disk."""

    def operations(self):
        """Records that the peer has applied so far, None: nobody counts them."""
        return None

    def held(self):
        """Flows that the peer holds."""
        return self.ground.flows("a")

    def check(self, node):
        if self.procs[node].poll() is not None:
            with open(f"{DIR}/{node}.log", encoding="utf-8") as f:
                raise RuntimeError(f"{self.name} died on {node}: {f.read()[-2000:]}")


class Conntrackd(Nothing):
    """@inject: into the peer's kernel at once, instead of its cache."""

    def __init__(self, ground, inject):
        super().__init__(ground)
        self.name = "conntrackd, injecting" if inject else "conntrackd"
        self.is_in_kernel = inject

    def start(self, node):
        os.makedirs(DIR, exist_ok=True)
        conf = f"{DIR}/{node}.conf"
        with open(conf, "w", encoding="ascii") as f:
            f.write(CONNTRACKD.format(inject="On" if self.is_in_kernel else "Off",
                                      own=ADDRESS[node], peer=ADDRESS[PEER[node]],
                                      dir=DIR, node=node))
        for left in ("ctl", "lock"):
            if os.path.exists(f"{DIR}/{node}.{left}"):
                os.unlink(f"{DIR}/{node}.{left}")
        self.procs[node] = spawn(node, "conntrackd", "-C", conf,
                                 log=f"{DIR}/{node}.log")
        if not until(lambda: self.answers(node), STARTED):
            raise RuntimeError(f"conntrackd on {node} does not answer")
        run("chrt", "-o", "-p", "0", str(self.pid(node)))

    def start_pair(self):
        self.start("a")
        self.start("b")

    def answers(self, node):
        self.check(node)
        try:
            return self.cached(node, "internal") >= 0
        except OSError:
            return False

    def cached(self, node, which):
        """Entries of its cache, "internal" or "external"; -1 if it has none."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{DIR}/{node}.ctl")
            s.sendall(struct.pack("i", CONNTRACKD_STATS_CACHE))
            said = b""
            while more := s.recv(8192):
                said += more
        part = said.decode().partition(f"cache:{which}")[2]
        words = part.partition("active objects:")[2].split()
        return int(words[0]) if words else -1

    def known(self):
        return self.cached("a", "internal")

    def held(self):
        return self.ground.flows("b") if self.is_in_kernel else self.cached("b", "external")

    def order(self, node, *letters):
        for letter in letters:
            on(node, "conntrackd", "-C", f"{DIR}/{node}.conf", letter)

    def fetch(self):
        """What a fresh peer is told to do; flyrep needs no telling."""
        self.order("b", "-n")

    def resync(self):
        """Send all of it again."""
        self.order("b", "-n")

    def is_resyncing(self):
        """Nothing tells."""
        return None

    def take_over(self):
        """The orders of primary-backup.sh; with the first the flows are in the kernel.

        Where they are there already it has no orders to give that matter.
        """
        if self.is_in_kernel:
            return {}
        begin = time.monotonic()
        self.order("b", "-c")
        usable = time.monotonic()
        self.order("b", "-f", "-R", "-B")
        return {"usable_s": usable - begin, "script_s": time.monotonic() - begin}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Flyrep(Nothing):
    """@more: configuration beyond what it cannot do without."""

    is_in_kernel = True
    has_audit = True

    def __init__(self, ground, build, name, more):
        super().__init__(ground)
        self.build = build
        self.name = name
        self.more = more
        self.resync_id = None

    def start(self, node):
        os.makedirs(f"{DIR}/{node}", exist_ok=True)
        if not os.path.exists("/sys/module/flyrep"):
            run("insmod", os.environ["FLYREP_KO"])
        conf = f"{DIR}/{node}.hcl"
        with open(conf, "w", encoding="ascii") as f:
            f.write(FLYREP.format(node=node, where=FLYREP_WHERE[node],
                                  dir=f"{DIR}/{node}", more=self.more))
        os.chmod(conf, 0o600)
        self.procs[node] = spawn(node, f"{self.build}/flyrepd", "-c", conf,
                                 log=f"{DIR}/{node}.log")
        if not until(lambda: self.answers(node), STARTED):
            raise RuntimeError(f"flyrepd on {node} does not answer")

    def start_pair(self):
        self.start("a")
        self.start("b")
        if not until(lambda: self.status("a")["sync_state"] == "in_sync", STARTED):
            raise RuntimeError("flyrep: the peers do not meet")

    def stop(self):
        super().stop()
        if os.path.exists("/sys/module/flyrep"):
            run("rmmod", "flyrep")
        for node in ("a", "b"):
            self.forget(node)

    def forget(self, node):
        """What a node keeps on its disk."""
        subprocess.run(["rm", "-rf", f"{DIR}/{node}"], check=True)

    def answers(self, node):
        self.check(node)
        try:
            self.status(node)
            return True
        except OSError:
            return False

    @staticmethod
    def ask(node, method, path, **body):
        """A call of its API; the answer."""
        c = UnixConnection(f"{DIR}/{node}/{node}.sock")
        c.request(method, f"/api/replication/{path}", json.dumps(body) if body else None)
        answer = c.getresponse()
        said = json.loads(answer.read())
        c.close()
        if answer.status >= 300:
            raise RuntimeError(f"flyrep: {path}: {said}")
        return said

    def status(self, node):
        return self.ask(node, "GET", "status")["status"]

    def calls(self, node):
        """How many its API was asked for so far."""
        return self.ask(node, "GET", "stats")["stats"]["api"]["requests"]

    def is_equal(self):
        """Met, nothing under way, and the last audit found no difference."""
        status = self.status("a")
        return status["sync_state"] == "in_sync" and \
            not any(p["backlog_changes"] for p in status["peers"])

    def is_met(self):
        return self.status("a")["connected"]

    def is_encrypted(self):
        """As it says; see also measure.encryption()."""
        return not any("NOT ENCRYPTED" in w for n in ("a", "b")
                       for w in self.status(n)["warnings"])

    def operations(self):
        said = json.loads(on("b", f"{self.build}/flyrep", "--json", "kernel", "status"))
        return sum(said["counters"][f"inject_{what}"]
                   for what in ("inserted", "updated", "replaced", "deleted"))

    def resync(self):
        self.resync_id = self.ask("a", "POST", "resync")["id"]

    def is_resyncing(self):
        said = self.ask("a", "GET", f"resync/{self.resync_id}")
        if said["state"] == "failed":
            raise RuntimeError(f"flyrep: resync: {said['error']}")
        return said["state"] != "done"

    def validate(self, deep):
        """Compare with the peer by digests; @deep: these with the peer's kernel before."""
        said = self.ask("a", "POST", "validate", deep=deep)
        if not said["equal"]:
            raise RuntimeError(f"flyrep: not equal: {said}")

    def known(self):
        return self.status("a")["tables"][0]["entries"]

    def held(self):
        return self.ground.flows("b")

    def fetch(self):
        pass

    def take_over(self):
        begin = time.monotonic()
        run(f"{self.build}/flyrep", "--socket", f"{DIR}/b/b.sock", "role", "primary")
        took = time.monotonic() - begin
        return {"usable_s": took, "script_s": took}
