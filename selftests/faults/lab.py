# SPDX-License-Identifier: GPL-2.0-or-later
"""Lab: nodes of network namespaces, an agent on each, and what can be done to them.

All of it in one guest, as root. A node is a namespace at a bridge of its own for the seed, an
agent in it, and a state directory. Commands are run by entering the namespace first, which saves
an emulated guest a process each.
"""
import ctypes
import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager

from history import ABSENT, KEYS

CLONE_NEWNET = 0x40000000
NFT_OUTPUT_JSON = 1 << 4
POLL_S = 0.1
UNLOADED = 30                       # s: a dump of an agent, which holds the module, is over
SMALL_DISK = "size=4m"
FULL = "full"                       # the file that fills a state directory
MODULES = ["nf_conntrack", "nf_conntrack_netlink", "nf_nat", "bridge", "veth", "nf_tables",
           "nft_ct", "nft_chain_nat", "nft_nat", "sch_netem"]
OF_THE_KERNEL = ("op", "origin", "id", "stamp", "age_us")
RULES = """
    table inet fw {
        map bad { type ipv4_addr : mark; flags dynamic; }
        chain judge {
            type filter hook prerouting priority filter;
            ct state invalid drop
        }
    }
"""

libc = ctypes.CDLL(None, use_errno=True)
libnftables = ctypes.CDLL("libnftables.so.1")
libnftables.nft_ctx_new.restype = ctypes.c_void_p
libnftables.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
libnftables.nft_ctx_get_error_buffer.restype = ctypes.c_char_p


def check(rc, what):
    """Of a call of libc."""
    if rc:
        raise OSError(ctypes.get_errno(), what)


def wait_until(seconds, condition):
    """Poll; whether it came true in time. The clock is one that nobody sets."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def command(*args, text=None):
    """Run it. Return: exit code, standard output, standard error."""
    p = subprocess.run(args, input=text, stdin=None if text else subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=60, check=False)
    return p.returncode, p.stdout, p.stderr


def nft(text, is_json=False):
    """As `nft -f -` in the network this process is in, without another one; as command()."""
    ctx = ctypes.c_void_p(libnftables.nft_ctx_new(0))
    libnftables.nft_ctx_buffer_output(ctx)
    libnftables.nft_ctx_buffer_error(ctx)
    libnftables.nft_ctx_output_set_flags(ctx, NFT_OUTPUT_JSON if is_json else 0)
    rc = libnftables.nft_run_cmd_from_buffer(ctx, text.encode())
    said = (libnftables.nft_ctx_get_output_buffer(ctx).decode(),
            libnftables.nft_ctx_get_error_buffer(ctx).decode())
    libnftables.nft_ctx_free(ctx)
    return rc, *said


def must(*args, text=None):
    """Run what cannot fail unless the lab is broken; its output."""
    rc, out, err = command(*args, text=text)
    if rc:
        raise RuntimeError(f"{' '.join(args)}: exit code {rc}: {err.strip()}")
    return out


def load_module():
    """flyrep.ko, after those it needs."""
    if not os.path.exists("/sys/module/flyrep"):
        must("insmod", os.environ["FLYREP_KO"])


def reload_module():
    """Away and back, under everybody who uses it. Not while an agent is in the middle of a dump."""
    if not wait_until(UNLOADED, lambda: command("rmmod", "flyrep")[0] == 0):
        must("rmmod", "flyrep")
    load_module()


def flow_arguments(what, port, state):
    """Of conntrack, for one of the flows; state: None where none is told."""
    args = [what, "-p", "tcp", "-s", "10.1.0.2", "-d", "10.2.0.2", "--sport", str(port),
            "--dport", "80"]
    if state:
        args += ["--state", state, "-t", "3600"]
    return args + (["-u", "ASSURED,SEEN_REPLY"] if what == "-I" else [])


class Node:
    """A namespace and its agent."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.ns = f"{lab.name}-{name}"
        self.host = f"10.9.9.{lab.history.nodes.index(name) + 1}"
        self.dir = f"{lab.dir}/{name}"
        self.socket = f"{lab.dir}/{name}.sock"
        self.agent = None           # Popen
        self.is_wanted = False      # the agent: should run
        self.may_exit = False       # its disk was full while it ran
        self.is_slow = False

    # --- namespace

    def create(self):
        """With nothing in its tables, as after a boot; its address on the wire stays the same."""
        must("ip", "netns", "add", self.ns)
        must("ip", "-n", f"{self.lab.name}-wire", "-b", "-", text=f"""
            link add {self.name}-sync type veth peer name sync0 netns {self.ns}
            link set {self.name}-sync master sync
            link set {self.name}-sync up
        """)
        must("ip", "-n", self.ns, "-b", "-", text=f"""
            link set lo up
            link set sync0 address 02:00:0a:09:09:{self.host.rsplit(".", 1)[1].zfill(2)} up
            addr add {self.host}/24 dev sync0
        """)
        # Nothing is tracked unless a rule asks for it.
        with self.inside():
            rc, _, err = nft(RULES)
        if rc:
            raise RuntimeError(f"the rules of {self.name}: {err}")

    def delete(self):
        """As when its power fails: the agent is gone, and all its kernel had."""
        self.kill()
        command("ip", "netns", "delete", self.ns)
        # The namespace goes when the kernel finds the time; its end of the wire must be gone.
        command("ip", "-n", f"{self.lab.name}-wire", "link", "del", f"{self.name}-sync")

    @contextmanager
    def inside(self):
        """This process is in its network; so are those it starts."""
        fd = os.open(f"/run/netns/{self.ns}", os.O_RDONLY)
        try:
            check(libc.setns(fd, CLONE_NEWNET), "setns")
            yield
        finally:
            check(libc.setns(self.lab.home, CLONE_NEWNET), "setns")
            os.close(fd)

    def run(self, *args, text=None):
        """A command in its network; as command()."""
        with self.inside():
            return command(*args, text=text)

    # --- agent

    def configure(self):
        """The file of its agent."""
        h = self.lab.history
        is_first = self.name == h.nodes[0]
        lines = [f'node_id = "{self.name}"', 'secret_key = "correct-horse-battery-staple-0123456789"',
                 f'state_dir = "{self.dir}"', f'api {{ socket = "{self.socket}" }}',
                 'conntrack { min_state = "all" }', f"ring = {h.ring}",
                 'recovery { audit_interval = "1s" }']
        if h.is_shared:
            lines += [f'mode = "{h.mode}"', self.listen(), self.peers("peer"), self.rules()]
        elif is_first:
            lines += ['mode = "primary"', self.listen(), self.peers("replica")]
        else:
            lines += ['mode = "replica"', f'primary_addr = "{self.lab.first().host}:9001"']
        lines.append('data = { dhcp_leases = true, dns_records = true, learning_state = true, '
                     'configuration = true, nft_sets = ["inet/fw/bad"] }')
        os.makedirs(self.dir, exist_ok=True)
        with open(f"{self.dir}.hcl", "w", encoding="utf-8") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write("replication {\n" + "".join(f"  {x}\n" for x in lines) + "}\n")

    def listen(self):
        return f'listen_addr = "{self.host}:9001"'

    def peers(self, role):
        others = ", ".join(f'{{ id = "{n.name}", address = "{n.host}:9001", role = "{role}" }}'
                           for n in self.lab.nodes.values() if n is not self)
        return f"peers = [ {others} ]"

    def rules(self):
        priorities = ", ".join(f"{n} = {100 - 10 * i}"
                               for i, n in enumerate(self.lab.history.nodes))
        extra = f", priorities = {{ {priorities} }}" if self.lab.history.strategy == "priority" else ""
        return f'conflict_resolution = {{ strategy = "{self.lab.history.strategy}"{extra} }}'

    def start(self):
        """Does not wait for it."""
        self.is_wanted = True
        self.may_exit = os.path.exists(f"{self.dir}/{FULL}")
        with self.inside(), open(f"{self.dir}.log", "ab") as log:
            log.write(b"--- start\n")
            log.flush()
            self.agent = subprocess.Popen([f"{self.lab.build}/flyrepd", "-c", f"{self.dir}.hcl"],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        """SIGKILL, until it is gone. It must have been there to be killed, but for a full disk."""
        self.is_wanted = False
        if not self.agent:
            return
        self.check_agent()
        self.agent.kill()
        self.agent.wait()
        self.agent = None

    def signal(self, number):
        if self.agent and self.agent.poll() is None:
            self.agent.send_signal(number)

    def check_agent(self):
        """An agent that ended unasked is a failure, unless it could not write its state."""
        rc = self.agent.poll() if self.agent else None
        if rc is not None and not (rc > 0 and self.may_exit):
            raise AgentDied(f"the agent of {self.name} ended by itself: {rc}")

    def keep_running(self):
        """What systemd does: after a failure it is started again."""
        self.check_agent()
        if self.is_wanted and self.agent.poll() is not None:
            self.start()

    def log_tail(self, n=15):
        try:
            with open(f"{self.dir}.log", encoding="utf-8", errors="replace") as f:
                return f.read().splitlines()[-n:]
        except FileNotFoundError:
            return []

    def api(self, path, body=None):
        """
        What `flyrep --json` asks for, without its process; with a body it is posted. None: it does
        not answer.
        """
        text = "" if body is None else json.dumps(body)
        head = f"{'POST' if text else 'GET'} /api/replication/{path} HTTP/1.0\r\n"
        if text:
            head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(5)
                s.connect(self.socket)
                s.sendall(f"{head}\r\n{text}".encode())
                answer = b"".join(iter(lambda: s.recv(1 << 16), b""))
            return json.loads(answer.split(b"\r\n\r\n", 1)[1])
        except (OSError, ValueError, IndexError):
            return None

    def role(self, role):
        """Whether `flyrep role` did it, once the agent answers."""
        wait_until(30, lambda: self.api("status"))
        return command(f"{self.lab.build}/flyrep", "--socket", self.socket, "role", role)

    # --- faults

    def link(self, state):
        must("ip", "-n", self.ns, "link", "set", "sync0", state)

    def netem(self, *args):
        """A bad line out of it; "off": a good one."""
        if args == ("off",):
            if self.is_slow:
                must("tc", "-n", self.ns, "qdisc", "del", "dev", "sync0", "root")
        else:
            must("tc", "-n", self.ns, "qdisc", "replace", "dev", "sync0", "root", "netem", *args)
        self.is_slow = args != ("off",)

    def fill(self):
        """Until not a byte more goes to its state directory."""
        self.may_exit = True
        with open(f"{self.dir}/{FULL}", "wb", buffering=0) as f:
            for size in (1 << 16, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError as e:
                    if e.errno != errno.ENOSPC:
                        raise

    def lose_disk(self):
        """Nothing is left in its state directory."""
        for entry in os.scandir(self.dir):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)

    def free(self):
        if os.path.exists(f"{self.dir}/{FULL}"):
            os.unlink(f"{self.dir}/{FULL}")

    # --- its tables: commands that write, and listings

    def flow(self, what, port, state=None):
        return self.run("conntrack", *flow_arguments(what, port, state))

    def flows_at_once(self, what, ports, state):
        """Of all these ports, in one process."""
        lines = [" ".join(flow_arguments(what, p, state if what == "-I" else None)) for p in ports]
        path = f"{self.lab.dir}/flows"
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        return self.run("conntrack", "-R", path)

    def item(self, verb, table, *fields):
        sub = ["lease", verb] if table == "lease" else ["record", verb, table]
        return self.run(f"{self.lab.build}/flyrep", *sub, *fields)

    def elements(self, changes, there):
        """Write {element: value}, ABSENT deletes, in one transaction; @there: what it is to find."""
        lines = [f"delete element inet fw bad {{ {e} }}" for e in changes if e in there]
        lines += [f"create element inet fw bad {{ {e} : {value} }}"
                  for e, value in changes.items() if value is not ABSENT]
        if not lines:
            return 1, "", "nothing to delete"
        with self.inside():
            return nft("\n".join(lines))

    def flush(self):
        with self.inside():
            return nft("flush map inet fw bad")

    def flows(self):
        """{source port: (state, all else that must be the same)} of all flows to port 80."""
        rc, out, err = self.run("conntrack", "-L", "-p", "tcp", "--dport", "80")
        if rc:
            raise RuntimeError(f"conntrack -L on {self.name}: {err}")
        found = {}
        for line in out.splitlines():
            m = re.match(r"tcp +6 \d+ (\S+) (src=\S+ dst=\S+ sport=(\d+) .*?) use=", line)
            found[int(m[3])] = (m[1], m[2])
        return found

    def items(self, table):
        """[item, ...] as `flyrep record list` tells them, but for what is the kernel's own."""
        rc, out, err = self.run(f"{self.lab.build}/flyrep", "--json", "record", "list", table)
        if rc:
            raise RuntimeError(f"record list {table} on {self.name}: {err}{out}")
        found = [{k: v for k, v in item.items() if k not in OF_THE_KERNEL}
                 for item in json.loads(out)]
        return sorted(found, key=str)

    def map(self):
        """{element: value}"""
        with self.inside():
            rc, out, err = nft("list map inet fw bad", is_json=True)
        if rc:
            raise RuntimeError(f"nft list on {self.name}: {err}")
        found = [x["map"].get("elem", []) for x in json.loads(out)["nftables"] if "map" in x]
        return {e: int(value) for e, value in found[0]}


class AgentDied(Exception):
    """An agent ended though nobody had killed it."""


class Lab:
    """The nodes of a history."""

    def __init__(self, history):
        self.history = history
        self.build = os.environ.get("BUILD", "build")
        self.name = f"fr{os.getpid()}s{history.seed}"
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.clock_s = 0            # the guest's, ahead of the right one
        self.dir = tempfile.mkdtemp(prefix=f"{self.name}.")
        self.nodes = {}
        for n in history.nodes:
            self.nodes[n] = Node(self, n)

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def up(self):
        must("ip", "netns", "add", f"{self.name}-wire")
        must("ip", "-n", f"{self.name}-wire", "-b", "-", text="""
            link add sync type bridge forward_delay 0 stp_state 0 mcast_snooping 0
            link set sync up
        """)
        for n in self.nodes.values():
            n.create()
            n.configure()
            if self.history.has_small_disk:
                check(libc.mount(b"state", n.dir.encode(), b"tmpfs", 0, SMALL_DISK.encode()),
                      "mount")
            n.start()

    def __exit__(self, *_):
        self.jump(-self.clock_s)
        for n in self.nodes.values():
            if n.agent:
                n.agent.kill()
                n.agent.wait()
            command("ip", "netns", "delete", n.ns)
            libc.umount2(n.dir.encode(), 2)
        command("ip", "netns", "delete", f"{self.name}-wire")
        shutil.rmtree(self.dir, ignore_errors=True)
        os.close(self.home)

    def first(self):
        return self.nodes[self.history.nodes[0]]

    def jump(self, seconds):
        """Somebody sets the clock: that of the guest, so of all nodes."""
        if seconds:
            time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)
        self.clock_s += seconds

    def mend(self):
        """Whatever is wrong with the nodes, it is not any more."""
        for n in self.nodes.values():
            n.free()
            n.link("up")
            n.netem("off")
            n.signal(signal.SIGCONT)
            if not n.is_wanted:
                n.start()

    def listings(self):
        """{table: {node: what its kernel lists}}"""
        found = {}
        for t in KEYS:
            read = {"conntrack": Node.flows, "nft_set": Node.map}.get(
                t, lambda n, t=t: n.items(t))
            found[t] = {name: read(n) for name, n in self.nodes.items()}
        return found

    # --- what the agents say

    def statuses(self):
        """{node: what its agent says of itself, None: nothing}"""
        for n in self.nodes.values():
            n.keep_running()
        return {name: (n.api("status") or {}).get("status") for name, n in self.nodes.items()}

    @staticmethod
    def out_of_step(answers):
        """What statuses() say that is not yet well, in a line; None: all have heard all."""
        for name, s in answers.items():
            if not s:
                return f"{name} does not answer"
        for name, s in answers.items():
            if s["sync_state"] != "in_sync":
                return f"{name} is {s['sync_state']}"
            for p in s["peers"]:
                if p["backlog_changes"]:
                    return f"{name} has {p['backlog_changes']} changes for {p['id']}"
        return None

    def differing_digest(self, answers):
        """Likewise; None: all have the same."""
        digests = {n: {t["table"]: t["digest"] for t in s["tables"]} for n, s in answers.items()}
        first = digests[self.history.nodes[0]]
        for name, s in answers.items():
            for table, digest in digests[name].items():
                is_own = self.history.is_shared and table in ("conntrack", "expectation")
                if not is_own and digest != first[table]:
                    return f"{table} is not the same on {name}"
            for p in s["peers"] if self.history.is_shared else []:
                if not p["held"]["tables"]:
                    return f"{name} has not heard {p['id']}"
                for t in p["held"]["tables"]:
                    if digests[p["id"]][t["table"]] != t["digest"]:
                        return f"{name} does not hold all of {t['table']} of {p['id']}"
        return None

    def conflicts(self):
        """All that any node lists."""
        found = []
        for n in self.nodes.values():
            found += (n.api("conflicts") or {}).get("conflicts", [])
        return found
