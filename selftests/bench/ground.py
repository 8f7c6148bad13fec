# SPDX-License-Identifier: GPL-2.0-or-later
"""The ground both systems are measured on, in network namespaces of a guest.

    client ────── a ────── server
       eth0   lan0 wan0    eth0
                  │ sync0, 10.9.9.0/24
                  b

a forwards and tracks; b is its peer. The load is made by gen, see there; its
addresses lie in 10.64.0.0/10 and 10.128.0.0/9, and nobody answers for them but
gen. Replication's own traffic is not tracked. Firewall a has the queue that
counts what goes on the wire as the wire would: a large segment as the frames
it becomes.
"""
import ctypes
import json
import os
import re
import socket
import subprocess
import time
from contextlib import contextmanager, nullcontext

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
BUCKETS = 262144
ROOM = 4000000
NODES = ("client", "server", "a", "b")
FIFO = ("chrt", "-f", "99")  # as packets: they do not wait for a program

RULES = """
table inet bench {
	chain early {
		type filter hook prerouting priority raw;
		iifname "sync0" notrack
	}
	chain own {
		type filter hook output priority raw;
		oifname "sync0" notrack
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		iifname "lan0" ct state new accept
	}
}
"""

# A site behind one address.
NAT = """
table ip nat {
	chain postrouting {
		type nat hook postrouting priority srcnat;
		oifname "wan0" snat to 10.2.0.3
	}
}
"""

# What arrives on the sync link is lost.
OUTAGE = """
table netdev outage {
	chain early {
		type filter hook ingress device sync0 priority 0;
		drop
	}
}
"""

VALUES = """
net.ipv4.ip_forward = 1
net.ipv4.conf.all.rp_filter = 0
net.ipv4.conf.default.rp_filter = 0
net.netfilter.nf_conntrack_udp_timeout = 3600
net.netfilter.nf_conntrack_tcp_timeout_syn_recv = 600
net.netfilter.nf_conntrack_tcp_timeout_syn_sent = 600
"""

# What gen is told of each kind of load. The last three go over flows that are there.
LOADS = {"udp": ("-q",), "tcp": ("-t",), "syn": ("-t", "-q"),
         "answer": (), "establish": ("-t",), "close": ("-t", "-c")}

libc = ctypes.CDLL(None, use_errno=True)


def run(*argv, text=None):
    """Run a program to its end; what it printed, or an error that tells it."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: exit code {done.returncode}: "
                           f"{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def on(node, *argv, **more):
    """run() in the namespace of a node."""
    return run("ip", "netns", "exec", node, *argv, **more)


def spawn(node, *argv, log="/dev/null"):
    """A program left running in the namespace of a node; the process is its own."""
    with open(log, "ab") as out:
        return subprocess.Popen(("ip", "netns", "exec", node) + argv, stdout=out,
                                stderr=out, stdin=subprocess.DEVNULL)


def until(condition, seconds, pause=0.005):
    """Poll; the clock when it held, or None."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return None
        time.sleep(pause)
    return time.monotonic()


@contextmanager
def awake():
    """Never let the processor idle: when it does, a guest that counts instructions
    jumps to its next timer, and waiting for the host costs any time at all."""
    with subprocess.Popen(("chrt", "-i", "0", "sh", "-c", "while :; do :; done")) as spin:
        try:
            yield
        finally:
            spin.kill()


@contextmanager
def inside(node):
    """This thread in the namespace of a node; what it opens there stays there."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{node}", os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(there)
        os.close(home)


def open_in(node, path):
    """A file of /proc/sys/net as that namespace has it."""
    with inside(node):
        return os.open(path, os.O_RDONLY)


class Ground:
    """The four namespaces, and what can be read from them."""

    def __init__(self, gen):
        self.gen = gen
        self.first = self.lat_first = 0		# the flows that gen and lat make next
        run("modprobe", "-a", "nf_conntrack", "nf_conntrack_netlink", "veth",
            "nf_nat", "nf_tables", "nft_ct", "nft_chain_nat", "nft_nat")
        run("sysctl", "-qw", f"net.netfilter.nf_conntrack_max={ROOM}",
            f"net.netfilter.nf_conntrack_buckets={BUCKETS}",
            "kernel.printk=3")
        run("ip", "-b", "-", text="".join(f"netns add {n}\n" for n in NODES))
        self.link("client", "eth0", "a", "lan0")
        self.link("a", "wan0", "server", "eth0")
        self.link("a", "sync0", "b", "sync0")
        for node in ("a", "b"):
            on(node, "nft", "-f", "-", text=RULES)
            on(node, "sysctl", "-q", "-p", "-", text=VALUES)
            run("ip", "-n", node, "link", "set", "lo", "up")
        self.address("a", "10.1.0.3/24", "lan0")
        self.address("a", "10.2.0.3/24", "wan0")
        self.address("a", "10.9.9.1/24", "sync0")
        self.address("b", "10.9.9.2/24", "sync0")
        self.route("lan0", "10.64.0.0/10", "10.1.0.2", "client")
        self.route("wan0", "10.128.0.0/9", "10.2.0.2", "server")
        for node in ("a", "b"):
            on(node, "tc", "qdisc", "add", "dev", "sync0", "root", "pfifo",
               "limit", "100000")
        self.softirqd = int(run("pgrep", "-x", "ksoftirqd/0"))
        self.counts = {n: open_in(n, "/proc/sys/net/netfilter/nf_conntrack_count")
                       for n in ("a", "b")}

    @staticmethod
    def link(node, name, other, other_name):
        run("ip", "-n", node, "link", "add", name, "type", "veth",
            "peer", "name", other_name, "netns", other)
        run("ip", "-n", node, "link", "set", name, "up")
        run("ip", "-n", other, "link", "set", other_name, "up")

    @staticmethod
    def address(node, address, dev):
        run("ip", "-n", node, "addr", "add", address, "dev", dev)

    def route(self, dev, net, via, host):
        mac = self.mac(host, "eth0")
        run("ip", "-n", "a", "neigh", "replace", via, "lladdr", mac, "dev", dev,
            "nud", "permanent")
        run("ip", "-n", "a", "route", "add", net, "via", via)

    @staticmethod
    def mac(node, dev):
        return json.loads(run("ip", "-n", node, "-j", "link", "show", dev))[0]["address"]

    def flows(self, node):
        """How many the kernel of a node tracks."""
        return int(os.pread(self.counts[node], 32, 0))

    def flush(self):
        for node in ("a", "b"):
            on(node, "conntrack", "-F")
        self.first = self.lat_first = 0

    def load(self, kind, n, rate, *more):
        """Make n flows of a kind of LOADS, or take those made last a step on.

        rate 0: as fast as it goes. Returns what gen says of it. Its cpu_ns is for both
        ends, and so for all packets on their way: the kernel forwards a packet in the time
        of who sent it, or of its softirq thread.
        """
        is_new = kind in ("udp", "tcp", "syn")
        is_answered = "-q" not in LOADS[kind]
        argv = ["send", "-i", "eth0", "-m", self.mac("a", "lan0"), "-n", str(n),
                "-f", str(self.first if is_new else self.first - n), "-r", str(rate)]
        argv += LOADS[kind] + more
        self.first += n if is_new else 0
        with self.answering() if is_answered else nullcontext() as proc:
            others = [proc.pid] if proc else []
            others.append(self.softirqd)
            begin = sum(run_ns(pid) for pid in others)
            said = json.loads(on("client", *FIFO, self.gen, *argv))
            said["cpu_ns"] += sum(run_ns(pid) for pid in others) - begin
            return said

    @contextmanager
    def answering(self):
        """A server behind a; a datagram stays without an answer and is one event."""
        # "ip netns exec" becomes gen itself: the process is ours to stop.
        proc = spawn("server", *FIFO, self.gen, "answer", "-i", "eth0",
                     log="/run/answer")
        try:
            if not until(lambda: os.path.getsize("/run/answer"), 10):
                raise RuntimeError("gen does not answer")
            yield proc
        finally:
            proc.kill()
            proc.wait()
            os.unlink("/run/answer")

    @contextmanager
    def buckets_for(self, n):
        """A hash table for n flows on both nodes; conntrack refuses what makes chains long."""
        run("sysctl", "-qw", f"net.netfilter.nf_conntrack_buckets={max(2 * n, BUCKETS)}")
        try:
            yield
        finally:
            run("sysctl", "-qw", f"net.netfilter.nf_conntrack_buckets={BUCKETS}")

    @contextmanager
    def nat(self):
        """Firewall a hides the clients behind its own address."""
        on("a", "nft", "-f", "-", text=NAT)
        try:
            yield
        finally:
            on("a", "nft", "delete", "table", "ip", "nat")

    @contextmanager
    def outage(self):
        """Nothing arrives over the sync link; no end is told."""
        for node in ("a", "b"):
            on(node, "nft", "-f", "-", text=OUTAGE)
        try:
            yield
        finally:
            for node in ("a", "b"):
                on(node, "nft", "delete", "table", "netdev", "outage")

    @staticmethod
    def tap():
        """A packet socket on firewall a's end of the sync link."""
        with inside("a"):
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            tap.bind(("sync0", 0))
            tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
            tap.setblocking(False)
        return tap

    @staticmethod
    def wire_len():
        """Ethernet bytes that have left on the sync link, both ways."""
        total = 0
        for node in ("a", "b"):
            said = json.loads(run("tc", "-n", node, "-s", "-j", "qdisc", "show",
                                  "dev", "sync0"))
            total += said[0]["bytes"]
        return total


def run_ns(pid):
    """Time a process has run, all its threads."""
    total = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def memory_len(pid):
    """Its resident memory, and its proportional share of it; bytes."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        said = f.read()
    return {what.lower(): int(re.search(rf"^{what}:\s+(\d+)", said, re.M)[1]) * 1024
            for what in ("Rss", "Pss")}
