# SPDX-License-Identifier: GPL-2.0-or-later
"""Model: what may be in the tables when all nodes have come to the same.

It is told each write that was acknowledged (the command that wrote exited with 0) and each fault
that can cost something, and says for each key which values may be there at the end. A value is
what the write said, or ABSENT. Between two *agreements*, at which all nodes held the same and what
it was, it knows nothing of what a node has heard of another. What may be, exactly:

Where one node writes (mode primary)
  - The last acknowledged write on the writer, and nothing else.
  - When a standby takes over from a writer that was cut off, killed or without power (not one that
    stepped back after all had agreed): any of the writes since the last agreement, or what was
    agreed on; and not there, of a flow that somebody had deleted on the standby, and of anything
    if the standby had lost its power and need not have met the writer since. Then what the new
    writer writes counts, and what the old one has is turned out.
  - When the module is reloaded what a standby held is its kernel's own. The writer makes it held
    again, but for flows that have ended meanwhile: those stay there for their time.
  - Leases and records are in the module's memory and nowhere else: when it is reloaded, under all
    nodes of a guest at once, they may be gone. Flows and elements of maps are the kernel's: they
    may not.

Where all write
  - Flows: there if any node has it of its own, which is who created it and did not delete it
    since, and not there if none has. When the module is reloaded all that a node holds becomes
    its own, and when a node comes back without what it had each of its peers makes its own all
    it holds when they meet: until it is deleted there too, a flow can be there then. A flow that
    only a node had that lost its power may be lost if it was created since the last agreement;
    none else.
  - Leases, DNS, configuration, elements of maps: of each node that wrote the key since the last
    agreement, its last write; one of these. If none did, what was agreed on. So of two nodes of
    which neither had heard the other, one wins. If they certainly had not (one was cut off from
    before the first write until after the second, and nobody else wrote the key), what lost
    must be listed by `flyrep conflicts` on some node. (Not so of a node that put back what was
    agreed on: that is no write, if its agent was away meanwhile.)
  - With the strategy manual such a conflict waits on each node until it is decided, or an hour
    is over (somebody may set the clock): by no rule before that. What was decided is there
    then, on all.
  - Leases of one address to several clients: at most one of them is there. A client may lose
    its lease if another one was given one of the addresses that it had since the last
    agreement, or had then; if the two leases certainly did not know of each other, as above,
    one of them is there, and the other one is listed.
  - When a node loses its power, or the module is reloaded under all, a write since the last
    agreement may not have got into the ledger: then what that node had written before, or what
    was agreed on, may be there as well. If its agent ends too before the next agreement, it
    may not have noted that its kernel is another one: then what was deleted while it was away
    may be there again.
  - Elements are the kernel's, so a reload of the module costs none of them. When a node's map
    is flushed, that deletes nothing; but as after a loss of power, of what the node had written
    since the last agreement some may not have got into the ledger. A map that is empty when the
    agent looks at all of it has lost all and is filled again, so what a node deleted while its
    agent was away, or did not hint, may be there again: but not if there is an element that was
    agreed on and not deleted by anybody since, as then the map was not empty, unless it was
    flushed or the node lost its power.
  - A node that lost what it had (power, module, map) may write before it has it again. Such a
    write has seen nothing, and where not the later one wins it may lose to what was agreed on.
  - A node that lost its disk with its power comes back with what its peers have. What it had
    written since the last agreement is lost if no peer had heard of it; all else is not. What
    it writes before it has heard them may lose to what was agreed on, with any strategy, as its
    clock knows nothing of theirs. Where not the later write wins, what was agreed on may win
    over what anybody has written since, as a peer with another priority tells of it now.
  - Learning: as the others, but each key is written by one node only, as counters of several
    are added up. So the last write counts; if the kernel had lost the counter before it, a
    counter that began anew, what was counted before may be added to it.
  - An agent that ends while its disk is full cannot note what it was told, and when it is back takes
    that for written on its own node: so it may be there again though it was written anew or deleted
    meanwhile, and counters may be added once more.

Nothing else may be lost, and nothing may be there that was not written.
"""
import ipaddress
import sys

from history import ABSENT

UNTOLD_BY_RELOAD = ("lease", "dns", "config", "learning")


def are_apart(a, cuts_a, b, cuts_b):
    """One of the nodes was cut off from before the one of two writes until after the other."""
    return a != b and any(n in cuts_a and cuts_a[n] == cuts_b.get(n) for n in (a, b))


class Key:
    """A key of a table that has a last write.

    agreed: values of which one is there, by the last agreement
    writes: since then: (node, value, cuts), in order; cuts: {node: which cut} of nodes cut off
    doubtful: nodes that may have lost some of their writes since
    blind: nodes that may have written without having seen what was agreed on
    unnoted: nodes that ended when they could not note what they were told, of the model
    unlearnt: nodes that may take what is deleted for lost by their kernel, of the model
    """

    def __init__(self):
        self.unnoted, self.unlearnt = set(), set()
        self.agreed = {ABSENT}
        self.writes = []
        self.doubtful = set()
        self.blind = set()
        self.is_adopted = False     # what was agreed on may have become a write of another node

    def write(self, node, value, cuts):
        self.writes.append((node, value, cuts))
        if value is ABSENT and node in self.unlearnt:
            self.doubtful.add(node)
        else:
            self.doubtful.discard(node)

    def lose(self, node, is_blind=True):
        """What @node wrote may be lost; and, if @is_blind, it writes without having seen the rest."""
        if is_blind:
            self.blind.add(node)
        if any(n == node for n, _, _ in self.writes):
            self.doubtful.add(node)

    def lose_disk(self, node, is_by_time):
        """@node begins a new life; what it wrote in the former one counts if a peer had heard of it."""
        former = f"{node}, former"
        self.writes = [(former if n == node else n, v, cuts) for n, v, cuts in self.writes]
        self.doubtful.discard(node)
        self.lose(former, False)
        self.blind.add(node)
        self.is_adopted |= not is_by_time

    def doubts(self):
        """Nodes some of whose writes may be lost."""
        return self.doubtful

    def heads(self):
        """{node: its last write}, of the nodes whose writes are not in doubt."""
        doubts = self.doubts()
        return {n: (v, cuts) for n, v, cuts in self.writes if n not in doubts}

    def candidates(self):
        heads, doubts = self.heads(), self.doubts()
        values = {v for v, _ in heads.values()}
        values |= {v for n, v, _ in self.writes if n in doubts}
        may_return = self.is_adopted or set(heads) <= self.blind
        if self.unnoted:
            return values | self.values()
        return values | self.agreed if may_return else values

    def values(self):
        """All since the last agreement, and what it was."""
        return self.agreed | {v for _, v, _ in self.writes}

    def conflict(self):
        """[(node, value), (node, value)] if these two certainly did not know of each other."""
        heads = self.heads()
        if len(heads) != 2 or self.doubts() or self.blind or self.unnoted:
            return None
        (a, (va, cuts_a)), (b, (vb, cuts_b)) = heads.items()
        apart = are_apart(a, cuts_a, b, cuts_b)
        # An agent that looks only afterwards sees no write where all is as it was.
        is_seen = not {va, vb} & self.agreed
        return [(a, va), (b, vb)] if apart and is_seen and va != vb else None

    def agree(self, value):
        self.agreed, self.writes = {value}, []
        self.doubtful, self.blind, self.is_adopted = set(), set(), False


class Lease(Key):
    """The lease of a client. addresses: {value: address}, of all there are; others: all clients"""

    def __init__(self, addresses, others):
        super().__init__()
        self.addresses, self.others = addresses, others
        others.append(self)

    def claims(self):
        """The addresses that it had since the last agreement, and then."""
        return {self.addresses[v] for v in self.values() - {ABSENT}}

    def rivals(self):
        """Who may have taken its address, or lost it to this one."""
        return [k for k in self.others if k is not self and k.claims() & self.claims()]

    def candidates(self):
        return super().candidates() | ({ABSENT} if self.rivals() else set())

    def sole(self):
        """(node, value, cuts) if there is one writer only, who has an address by its last write."""
        heads = list(self.heads().items())
        if len(heads) != 1 or self.doubts() or self.blind or self.unnoted or \
                heads[0][1][0] is ABSENT:
            return None
        return heads[0][0], *heads[0][1]

    def address_conflict(self):
        """The one rival, if these two certainly got one address without knowing of each other."""
        rivals, own = self.rivals(), self.sole()
        other = rivals[0].sole() if len(rivals) == 1 and len(rivals[0].rivals()) == 1 else None
        if not own or not other or self.addresses[own[1]] != self.addresses[other[1]]:
            return None
        return rivals[0] if are_apart(own[0], own[2], other[0], other[2]) else None


class Element(Key):
    """A key of a map, which is that of a kernel."""

    def __init__(self, of):
        super().__init__()
        self.of = of

    def is_certain(self):
        """It was there at the last agreement, and nobody has deleted it since."""
        return ABSENT not in self.values()

    def doubts(self):
        last = {n: v for n, v, _ in self.writes}
        return self.doubtful | {n for n, v in last.items()
                                if v is ABSENT and self.of.may_be_refilled(n)}


class Map:
    """What is known of a map as a whole, since the last agreement.

    away: nodes whose agent may not have been told of all that was deleted
    emptied: nodes where it was emptied without being meant to
    """

    def __init__(self, history):
        self.elements = []
        self.away, self.emptied = set(history.nodes), set()

    def add(self):
        """A new element."""
        self.elements.append(Element(self))
        return self.elements[-1]

    def may_be_refilled(self, node):
        """@node may have found it empty, and made up for what its agent did not see deleted."""
        return node in self.away and (node in self.emptied or
                                      not any(e.is_certain() for e in self.elements))

    def agree(self):
        self.away, self.emptied = set(), set()


class Counter(Key):
    """A key of learning, of one node, the sum of all that was counted.

    on_top: what may have been counted before the kernel lost it, and come back to be added
    """

    def __init__(self):
        super().__init__()
        self.owner = None
        self.on_top = set()

    def write(self, node, value, cuts):
        self.owner = node
        if value is ABSENT and node in self.unlearnt:
            self.on_top |= self.candidates() - {ABSENT}
        super().write(node, value, cuts)

    def lose(self, node, is_blind=True):
        if node == self.owner:
            self.on_top |= self.candidates() - {ABSENT}
        super().lose(node, is_blind)

    def candidates(self):
        values = super().candidates()
        values |= {v + more for v in values - {ABSENT} for more in self.on_top}
        for _ in self.unnoted - {self.owner}:
            values |= {v + more for v in values - {ABSENT} for more in self.values() - {ABSENT}}
        return values

    def conflict(self):
        return None

    def agree(self, value):
        super().agree(value)
        self.on_top = set()


class OneWriter:
    """A key where one node writes."""

    def __init__(self):
        self.values = {ABSENT}      # one of these
        self.since = {ABSENT}       # all since the last agreement, and what it was
        self.is_stray = False       # deleted on a standby
        self.lingers = set()        # a standby may have it so, as its own

    def write(self, value):
        self.values = {value}
        self.since.add(value)

    def candidates(self):
        return self.values

    def reload(self, _):
        self.lingers |= (self.values | self.since) - {ABSENT}

    def take_over(self, may_be_empty):
        self.values = self.values | self.since | self.lingers | \
            ({ABSENT} if self.is_stray or may_be_empty else set())

    def agree(self, value):
        self.values, self.since, self.is_stray = {value}, {value}, False
        if value is not ABSENT:     # so it is held
            self.lingers = set()


class SharedFlow:
    """A flow where all write: whose own it is.

    owners: who have it, certainly
    maybe: who may have it as well
    is_kept: it is there, though it is not known with whom
    states: of which it may be in one
    past: of which some node may have heard since the last agreement
    """

    def __init__(self):
        self.owners, self.maybe = set(), set()
        self.is_kept = False
        self.states, self.past = set(), set()
        self.is_agreed = False      # it was there at the last agreement, and is since

    def write(self, node, state, adopters):
        if not self.owners and not self.maybe:
            self.states = set()
        self.owners.add(node)
        self.maybe |= adopters - self.owners
        self.states.add(state)
        self.past.add(state)

    def update(self, node, state):
        """Of one that is @node's own and nobody else's, else it may be ahead elsewhere."""
        self.past.add(state)
        self.states = {state} if self.owners | self.maybe == {node} else self.states | {state}

    def delete(self, node):
        if node in self.owners | self.maybe:
            self.is_kept = False
        self.owners.discard(node)
        self.maybe.discard(node)
        if not self.owners:
            self.is_agreed &= self.is_kept

    def reload(self, nodes):
        """What any of them holds is its own from here on."""
        if self.owners or self.maybe or self.states:
            self.maybe |= set(nodes) - self.owners

    def reboot(self, node, nodes):
        """@node has lost what it had; its peers keep what they hold, as their own."""
        was_alone = self.owners == {node}
        if node in self.owners | self.maybe:
            self.states |= self.past
        self.owners.discard(node)
        self.maybe.discard(node)
        if self.states:
            self.maybe |= set(nodes) - {node} - self.owners
        if was_alone and self.is_agreed:
            self.is_kept = True

    def candidates(self):
        there = bool(self.owners) or self.is_kept
        return (set(self.states) if there or self.maybe else set()) | \
            (set() if there else {ABSENT})

    def agree(self, state):
        if state is ABSENT:
            self.__init__()
            return
        self.states, self.past, self.is_agreed = {state}, {state}, True
        if not self.owners:
            self.is_kept = True


class Model:
    """All tables of the nodes of a history."""

    def __init__(self, history):
        self.history = history
        self.is_by_time = history.strategy == "timestamp"
        self.writer = history.nodes[0]
        self.cuts = {}              # node: number of its cut
        self.n_cuts = 0
        self.keys = {}              # (table, key)
        self.map = Map(history)     # where all write
        self.full = set()           # nodes whose disk was full since the last agreement
        self.unnoted = set()        # of these: whose agent ended
        self.rebooted_since = set() # nodes that lost their power since then
        self.anew = set()           # nodes whose kernel lost what it had: so, or with its module
        self.unlearnt = set()       # of these: whose agent ended
        self.decisions = {}         # (table, key): values, of which one is there
        self.addresses = {}         # of leases, by value
        self.leases = []

    def key(self, table, key):
        if (table, key) not in self.keys:
            new = OneWriter if not self.history.is_shared else \
                SharedFlow if table == "conntrack" else \
                self.map.add if table == "nft_set" else \
                (lambda: Lease(self.addresses, self.leases)) if table == "lease" else \
                Counter if table == "learning" else Key
            k = self.keys[table, key] = new()
            if isinstance(k, Key):
                k.unnoted, k.unlearnt = self.unnoted, self.unlearnt
        return self.keys[table, key]

    def of(self, *tables):
        """Keys of some tables."""
        return [k for (t, _), k in self.keys.items() if t in tables]

    # --- what happened

    def is_own(self, node, port):
        """A flow is this node's own, and certainly there."""
        k = self.key("conntrack", port)
        return node in k.owners if self.history.is_shared else \
            node == self.writer and ABSENT not in k.values

    def wrote(self, node, table, key, value, is_update=False):
        """An acknowledged write of @node; of value ABSENT: a delete."""
        k = self.key(table, key)
        if isinstance(k, OneWriter):
            if node == self.writer:
                k.write(value)
            else:
                k.is_stray = True
        elif isinstance(k, Key):
            k.write(node, value, dict(self.cuts))
        elif value is ABSENT:
            k.delete(node)
        elif is_update:
            k.update(node, value)
        else:
            # A peer that meets one that came back empty makes all it holds its own.
            k.write(node, value, set(self.history.nodes) if self.rebooted_since else set())

    def leased(self, value, address):
        """A write of this value tells of a lease of this address; None: of no lease."""
        if address:
            self.addresses[value] = address

    def cut(self, node):
        self.n_cuts += 1
        self.cuts[node] = self.n_cuts

    def mended(self, node):
        self.cuts.pop(node, None)

    def away(self, node):
        """Its agent is not there for a while."""
        self.map.away.add(node)
        self.unnoted |= {node} & self.full
        self.unlearnt |= {node} & self.anew

    def filled(self, node):
        self.map.away.add(node)
        self.full.add(node)

    def flushed(self, node):
        self.map.emptied.add(node)
        for k in self.of("nft_set"):
            k.lose(node, not self.is_by_time)

    def rebooted(self, node, has_disk):
        self.mended(node)
        self.away(node)
        self.map.emptied.add(node)
        self.rebooted_since.add(node)
        self.anew.add(node)
        for k in self.keys.values():
            if isinstance(k, Key):
                k.lose(node, not self.is_by_time)
                if not has_disk:
                    k.lose_disk(node, self.is_by_time)
            elif isinstance(k, SharedFlow):
                k.reboot(node, self.history.nodes)

    def reloaded(self):
        self.map.away.update(self.history.nodes)
        self.anew.update(self.history.nodes)
        for k in self.of(*UNTOLD_BY_RELOAD):
            if isinstance(k, OneWriter):
                k.values = k.values | {ABSENT}
                k.since.add(ABSENT)
            for n in self.history.nodes if isinstance(k, Key) else []:
                k.lose(n, not self.is_by_time)
        for k in self.of("conntrack"):
            k.reload(self.history.nodes)

    def took_over(self, node):
        """@node writes now. After an agreement since which nothing was written, nothing is lost."""
        self.writer = node
        for k in self.keys.values():
            k.take_over(node in self.rebooted_since)

    def decide(self, conflict):
        """Somebody has decided a conflict, which is as the API tells it."""
        table, winner = conflict["table"], conflict.get("winner")
        for i, s in enumerate(conflict["sides"]):
            decided = self.decisions.setdefault((table, key_of(table, s)), set())
            if winner in (None, i):
                decided.add(value_of(table, s))
            elif conflict["kind"] == "address":
                decided.add(ABSENT)

    # --- what is there

    def differs(self, table, on_writer, on_other):
        """Is it wrong that one node lists this, and another one that? Where all write, any two."""
        if table == "conntrack" and not self.history.is_shared:
            on_other = {port: found for port, found in on_other.items() if port in on_writer or
                        (table, port) not in self.keys or
                        found[0] not in self.keys[table, port].lingers}
        return on_writer != on_other

    def wrongs(self, table, values):
        """What is wrong with the {key: value} of a table, in lines; it is the same on all nodes."""
        for key in sorted(set(values) - {k for t, k in self.keys if t == table}, key=str):
            yield f"{table} {key} is {values[key]}, which nobody has written"
        if table == "lease":
            yield from self.twice(values)
        for t, key in sorted(self.keys, key=str):
            value = values.get(key, ABSENT)
            if t != table:
                continue
            may_be = self.may_be(t, key)
            if value not in may_be:
                may = ", ".join(sorted("absent" if v is ABSENT else str(v) for v in may_be))
                yield f"{table} {key} is {'absent' if value is ABSENT else value}, may be: {may}"

    def may_be(self, table, key):
        """Values; of two leases that people wanted to hold, one address may be."""
        k = self.keys[table, key]
        values, decided = k.candidates(), self.decisions.get((table, key))
        if decided is None:
            return values
        return values & (decided | ({ABSENT} if isinstance(k, Lease) else set()))

    def twice(self, leases):
        """Addresses that two clients have, in lines. @leases: {client: value}"""
        holders = {}
        for client, value in leases.items():
            holders.setdefault(self.addresses.get(value), []).append(client)
        for address, clients in holders.items():
            if len(clients) > 1:
                yield f"lease of {address} to {', '.join(clients)}"

    def lost_leases(self, leases, conflicts):
        """Of those that lost their address for certain, in lines: those that are not told of."""
        clients = {k: key for (t, key), k in self.keys.items() if t == "lease"}
        for k, client in clients.items():
            rival = k.address_conflict()
            if not rival or clients[rival] < client:
                continue
            lost = [x for x in (k, rival) if clients[x] not in leases]
            if len(lost) != 1:
                yield f"{2 - len(lost)} of {client} and {clients[rival]} have their address"
            for x in lost:
                node, value, _ = x.sole()
                if not any(is_listed(c, "lease", clients[x], node, value) for c in conflicts):
                    yield f"no node lists that {node}'s {value} lost its address"

    def ill_listed(self, values, conflicts):
        """What is wrong with conflicts as they are listed. @values: {table: {key: value}}."""
        if self.history.strategy == "manual":
            yield from self.by_rule(conflicts)
        yield from self.lost_leases(values["lease"], conflicts)
        for (table, key), k in sorted(self.keys.items(), key=str):
            sides = k.conflict() if isinstance(k, Key) else None
            for node, value in sides or []:
                lost = value != values[table].get(key, ABSENT)
                if lost and not any(is_listed(c, table, key, node, value) for c in conflicts):
                    yield f"no node lists that {node}'s {value} lost in {table} {key}"

    def by_rule(self, conflicts):
        """Conflicts that nobody decided, nor the time, though they should have waited."""
        names = [(c, {(c["table"], key_of(c["table"], s)) for s in c["sides"]}) for c in conflicts]
        expired = set().union(*(k for c, k in names if c["state"] == "expired"))
        for c, keys in names:
            if c["state"] == "resolved" and c["resolution"] == "rule" and not keys & expired:
                yield f"nobody was asked to decide {c}"

    def agree(self, values):
        """These are there, on all nodes: {table: {key: value}}."""
        self.decisions.clear()
        for (table, key), k in self.keys.items():
            k.agree(values[table].get(key, ABSENT))
        self.map.agree()
        for s in (self.full, self.unnoted, self.rebooted_since, self.anew, self.unlearnt):
            s.clear()


# How an item says its key, and what was written.
FIELDS = {"lease": ("client", "hostname"), "dns": ("name", "ttl"), "config": ("path", "bytes"),
          "learning": ("src_mac", "count"), "nft_set": ("key", "data")}


def bytes_of(text):
    """Of the form that fields of bytes have: 00:1b:21."""
    return bytes.fromhex(text.replace(":", ""))


def value_of(table, item):
    """The value that a write gave an item, or one side of a conflict."""
    text = item.get(FIELDS[table][1])
    if text is None:
        return ABSENT
    if table == "nft_set":
        # A netlink attribute: its head, then the mark.
        return int.from_bytes(bytes_of(text)[-4:], sys.byteorder)
    return int(str(text).lstrip("w"))


def key_of(table, item):
    """What the history calls it."""
    text = item.get(FIELDS[table][0])
    return str(ipaddress.ip_address(bytes_of(text))) if table == "nft_set" else text


def is_listed(conflict, table, key, node, value):
    """A conflict has this side."""
    return conflict["table"] == table and any(
        key_of(table, s) == key and s["node_id"] == node and value_of(table, s) == value
        for s in conflict["sides"])
