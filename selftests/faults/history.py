# SPDX-License-Identifier: GPL-2.0-or-later
"""History: what is going to happen to a few nodes, drawn from a seed before any of it does.

draw(seed) is a pure function: the same seed is the same history, on any machine. It knows nothing of
how the nodes fare; only of what makes sense to try (who is cut off can be mended, who was killed
can be started).
"""
import random
from dataclasses import dataclass, field

ABSENT = None               # the value of what is not there

# Few keys, so that writes meet.
KEYS = {
    "conntrack": [1000 + i for i in range(8)],      # source ports
    "lease": [f"02:00:00:00:00:{i:02x}" for i in range(1, 5)],
    "dns": [f"h{i}.example" for i in range(5)],
    "config": [f"/etc/app{i}.conf" for i in range(3)],
    "learning": [f"02:00:00:00:01:{i:02x}" for i in range(1, 4)],
    "nft_set": [f"198.51.100.{i}" for i in range(1, 9)],
}
# Leased to any of the clients, besides the one that each has for itself.
ADDRESSES = ["192.0.2.101", "192.0.2.102"]
# A connection goes this way, and only this way.
STATES = ["ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT"]
BURST = 24                  # flows that come, and go, at once: more than a small ring holds
SMALL_RING = 16
CLOCK_JUMPS = [3600, -3600, 600, -600, 60, -60, 1, -1]      # s


@dataclass(frozen=True)
class Step:
    """One thing that happens. What @args are depends on the kind: see describe()."""
    kind: str
    node: str = ""
    args: tuple = ()

    def describe(self):
        """In one line, for people."""
        return " ".join(str(x) for x in (self.kind, self.node, *self.args) if x != "")


@dataclass
class History:
    """All that is to happen.

    mode: primary, active-active or multi-master
    nodes: the first is the primary of mode primary
    strategy: of conflict_resolution; None where one node writes
    has_small_disk: the state directories can be filled
    ring: changes that the module remembers for its agent; 0: plenty
    """
    seed: int
    mode: str
    nodes: list
    strategy: str
    has_small_disk: bool
    ring: int
    steps: list = field(default_factory=list)

    @property
    def is_shared(self):
        return self.mode != "primary"

    def title(self):
        """In one line, for people."""
        rules = f", {self.strategy}" if self.strategy else ""
        return f"{self.mode}{rules}, {len(self.nodes)} nodes, {len(self.steps)} steps"


class Drawing:
    """What was drawn so far, as far as the next step depends on it."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        mode, n = self.rng.choices(
            [("primary", 2), ("primary", 3), ("active-active", 2), ("multi-master", 3),
             ("multi-master", 5)], [28, 14, 22, 32, 4])[0]
        strategy = None if mode == "primary" else self.rng.choices(
            ["timestamp", "priority", "manual"], [42, 42, 16])[0]
        self.history = History(seed, mode, list("abcde"[:n]), strategy,
                               self.rng.random() < 0.3, self.rng.choice([0, SMALL_RING]))
        self.writer = self.history.nodes[0]
        self.cut, self.slow, self.dead, self.stopped, self.full = (set() for _ in range(5))
        self.elements, self.items = set(), set()
        self.states = {}
        self.shaken = set()         # whose agent was not there all the time since all agreed
        self.flushed = set()        # whose map was flushed since
        self.have_met = False       # since the last takeover: else who is told to take over may not
                                    # know the epoch that it has to go beyond
        self.bursts = []            # (node, first port) of those that are there
        self.n_bursts = 0
        self.n_values = 0
        self.n_reboots = 0

    # --- steps

    def add(self, kind, node="", *args):
        self.history.steps.append(Step(kind, node, args))

    def value(self):
        """Another one for each write: so it is known whose it is."""
        self.n_values += 1
        return self.n_values

    def node_to_write(self, table, key):
        """Who writes a key. The counters of learning are one node's own."""
        h = self.history
        if not h.is_shared:
            return self.writer
        if table == "learning":
            return h.nodes[KEYS[table].index(key) % len(h.nodes)]
        return self.rng.choice(h.nodes)

    def write(self):
        h = self.history
        if self.rng.random() < 0.08:
            self.burst()
            return
        table = self.rng.choices(list(KEYS), [36, 22, 18, 8, 8, 15])[0]
        if table == "nft_set":
            self.write_elements()
            return
        key = self.rng.choice(KEYS[table])
        node = self.node_to_write(table, key)
        if table == "conntrack":
            self.write_flow(node, key)
        elif (table, key) in self.items and self.rng.random() < 0.4:
            self.items.discard((table, key))
            self.add("delete", node, table, key)
        else:
            self.items.add((table, key))
            self.add("write", node, table, key, self.value(),
                     *[self.address(key)] * (table == "lease"))

    def address(self, client):
        """Where one node writes it refuses what is leased; so there each client has its own."""
        if self.history.is_shared and self.rng.random() < 0.5:
            return self.rng.choice(ADDRESSES)
        return f"192.0.2.{client[-1]}"

    def burst(self):
        """Many flows of one node begin, or those of an earlier burst end."""
        if self.bursts and self.rng.random() < 0.6:
            node, port = self.bursts.pop(self.rng.randrange(len(self.bursts)))
            self.add("burst", node, "-D", port)
            return
        node = self.rng.choice(self.history.nodes) if self.history.is_shared else self.writer
        port = 2000 + BURST * self.n_bursts
        self.n_bursts += 1
        self.bursts.append((node, port))
        self.add("burst", node, "-I", port)

    def write_flow(self, node, key):
        """Begin it; or it goes on, or ends, where it is known."""
        state = self.states.get(key)
        what = self.rng.random()
        if state is None or what < 0.3:
            # Where it is there already this is refused, and no write.
            self.add("write", node, "conntrack", key, STATES[0])
            if state is None:
                self.states[key] = (node, 0)
            return
        owner, at = state if self.history.is_shared else (self.writer, state[1])
        if what < 0.55 and at + 1 < len(STATES):
            at = self.rng.randrange(at + 1, len(STATES))
            self.add("update", owner, "conntrack", key, STATES[at])
            self.states[key] = (owner, at)
        elif what < 0.75 or not self.history.is_shared:
            self.add("delete", owner, "conntrack", key)
            del self.states[key]
        elif what < 0.9:
            self.add("delete", node, "conntrack", key)
        else:
            for n in self.history.nodes:
                self.add("delete", n, "conntrack", key)
            del self.states[key]

    def write_elements(self):
        """Some elements of a map in one transaction: all of it or nothing."""
        changes = {}
        for e in self.rng.sample(KEYS["nft_set"], self.rng.randint(1, 4)):
            is_gone = e in self.elements and self.rng.random() < 0.5
            changes[e] = ABSENT if is_gone else self.value()
            (self.elements.discard if is_gone else self.elements.add)(e)
        node = self.rng.choice(self.history.nodes) if self.history.is_shared else self.writer
        self.add("elements", node, *changes.items())

    # --- faults

    def faults(self):
        """What may happen now: (weight, what, to whom)."""
        h, out = self.history, []
        for n in h.nodes:
            up = n not in self.dead and n not in self.stopped
            out.append((3, self.mend if n in self.cut else self.cut_off, n))
            out.append((2, self.fast if n in self.slow else self.slow_down, n))
            if n in self.dead:
                out.append((6, self.start, n))
            elif n in self.stopped:
                out.append((6, self.go_on, n))
            # While no agent looks, a map that is flushed and written again holds all that it is to.
            if up and n not in self.flushed:
                out.append((3, self.kill, n))
                out.append((2, self.stop, n))
            if h.has_small_disk and n not in self.flushed:
                out.append((4, self.free if n in self.full else self.fill, n))
            if (h.is_shared or n != self.writer) and not self.n_reboots:
                out.append((0.7, self.reboot, n))
            if h.is_shared and self.have_met and up and n not in self.shaken:
                out.append((1, self.flush, n))
            if not h.is_shared and n != self.writer:
                out.append((1, self.stray, n))
                if len(h.nodes) == 2 and up and n not in self.full and self.have_met:
                    out.append((3, self.take_over, n))
        out.append((3, self.jump, ""))
        if not self.flushed:
            out.append((1, self.reload, ""))
        out.append((0.8, self.agree, ""))
        return out

    def fault(self):
        weights, what, whom = zip(*self.faults())
        i = self.rng.choices(range(len(what)), weights)[0]
        what[i](whom[i])

    def cut_off(self, n):
        self.cut.add(n)
        self.add("cut", n)

    def mend(self, n):
        self.cut.discard(n)
        self.add("mend", n)

    def slow_down(self, n):
        """A bad line: in per cent, and ms."""
        r = self.rng
        self.slow.add(n)
        self.add("netem", n, "delay", f"{r.randint(1, 60)}ms", f"{r.randint(1, 30)}ms",
                 "loss", f"{r.randint(0, 30)}%", "duplicate", f"{r.randint(0, 20)}%",
                 "reorder", f"{r.randint(1, 50)}%")

    def fast(self, n):
        self.slow.discard(n)
        self.add("netem", n, "off")

    def kill(self, n):
        self.dead.add(n)
        self.shaken.add(n)
        self.add("kill", n)

    def start(self, n):
        self.dead.discard(n)
        self.add("start", n)

    def stop(self, n):
        self.stopped.add(n)
        self.add("stop", n)

    def go_on(self, n):
        self.stopped.discard(n)
        self.add("cont", n)

    def fill(self, n):
        self.full.add(n)
        self.shaken.add(n)
        self.add("fill", n)

    def free(self, n):
        self.full.discard(n)
        self.add("free", n)

    def reboot(self, n):
        """Power failure: when it is back its kernel has nothing, and its disk all or nothing."""
        self.n_reboots += 1
        self.bursts = [b for b in self.bursts if b[0] != n]
        for s in (self.cut, self.slow, self.stopped):
            s.discard(n)
        self.dead.discard(n)
        self.shaken.add(n)
        self.add("reboot", n, *["diskless"] * (self.rng.random() < 0.3))

    def flush(self, n):
        """Somebody empties the map with one command; that deletes no element."""
        self.flushed.add(n)
        self.add("flush", n)

    def stray(self, n):
        """Somebody deletes a flow on a standby; it is not his to delete."""
        self.add("delete", n, "conntrack", self.rng.choice(KEYS["conntrack"]))

    def take_over(self, new):
        """@new writes from here on: in good order, or as the other one is cut off or loses its power."""
        old = self.writer
        self.bursts.clear()
        how = self.rng.choice(["planned", "cut", "kill", "power"])
        if how == "planned":
            self.agree("")
            self.add("role", old, "backup")
        elif how == "cut" and old not in self.cut:
            self.cut_off(old)
        elif how == "kill" and old not in self.dead:
            self.stopped.discard(old)
            self.kill(old)
        elif how == "power":
            self.stopped.discard(old)
            self.dead.add(old)
            self.add("power", old)
        self.add("role", new, "primary")
        self.writer = new
        self.have_met = False
        if how == "power":
            self.reboot(old)
        elif how == "cut" and self.rng.random() < 0.5:
            self.mend(old)

    def jump(self, _):
        self.add("clock", "", self.rng.choice(CLOCK_JUMPS))

    def reload(self, _):
        self.shaken.update(self.history.nodes)
        self.add("reload")

    def agree(self, _):
        """All is mended, and all nodes come to the same; what waits is decided, as drawn now."""
        for s in (self.cut, self.slow, self.dead, self.stopped, self.full, self.shaken,
                  self.flushed):
            s.clear()
        self.have_met = True
        self.add("agree", "", *[self.rng.getrandbits(32)] * (self.history.strategy == "manual"))


def draw(seed):
    """The history of a seed."""
    d = Drawing(seed)
    if d.rng.random() < 0.6:
        d.agree("")
    for _ in range(d.rng.randint(25, 45)):
        if d.rng.random() < 0.7:
            d.write()
        else:
            d.fault()
    d.agree("")
    return d.history
