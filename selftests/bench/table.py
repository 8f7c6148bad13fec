#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Print the table of a benchmark from its JSON.

  table.py bench.json
"""
import json
import sys

COLUMNS = ("conntrackd", "conntrackd, injecting", "flyrep", "flyrep, assured only")
HEADS = ("conntrackd", "injecting", "flyrep", "assured")
WIDTH = 52

# Title, measurement, figure of it, factor for print, decimals, is more better.
# A figure that starts with "net " is less what no replication at all costs.
ROWS = (
    ("New UDP flows: the most a second", "rate udp", "rate", 1, 0, True),
    ("TCP handshakes: the most a second", "rate tcp", "rate", 1, 0, True),
    None,
    ("UDP flow: thousand instructions, all", "cost udp", "net busy_ns", 1e-3, 1, False),
    ("  of these, on the way of its packets", "cost udp", "net packets_ns", 1e-3, 1, False),
    ("  of these, active daemon", "cost udp", "daemon_a_ns", 1e-3, 1, False),
    ("  of these, peer's daemon", "cost udp", "daemon_b_ns", 1e-3, 1, False),
    ("TCP handshake: thousand instructions, all", "cost tcp", "net busy_ns", 1e-3, 1, False),
    ("  of these, on the way of its packets", "cost tcp", "net packets_ns", 1e-3, 1, False),
    ("  of these, active daemon", "cost tcp", "daemon_a_ns", 1e-3, 1, False),
    ("  of these, peer's daemon", "cost tcp", "daemon_b_ns", 1e-3, 1, False),
    None,
    ("UDP flow: bytes on the wire", "cost udp", "wire_len", 1, 1, False),
    ("TCP handshake: bytes on the wire", "cost tcp", "wire_len", 1, 1, False),
    ("UDP flows one by one, 2 000/s: bytes", "latency", "wire_len", 1, 1, False),
    ("UDP flows one by one, 10 000/s: bytes", "latency 10k", "wire_len", 1, 1, False),
    None,
    ("A site's mix, bytes: UDP flow is new", "wire udp", "udp.wire_len", 1, 1, False),
    ("  is answered", "wire udp", "answer.wire_len", 1, 1, False),
    ("  ends", "wire udp", "end.wire_len", 1, 1, False),
    ("A site's mix, bytes: TCP flow is new", "wire tcp", "syn.wire_len", 1, 1, False),
    ("  is established", "wire tcp", "establish.wire_len", 1, 1, False),
    ("  is closed", "wire tcp", "close.wire_len", 1, 1, False),
    ("  ends", "wire tcp", "end.wire_len", 1, 1, False),
    None,
    ("To the peer's kernel, 2 000/s, p50: thousand", "latency", "p50_us", 1, 1, False),
    ("  p99", "latency", "p99_us", 1, 1, False),
    ("To the peer's kernel, 10 000/s, p50", "latency 10k", "p50_us", 1, 1, False),
    ("  p99", "latency 10k", "p99_us", 1, 1, False),
    ("Without clients of the API, 2 000/s, p99", "watched", "alone_p99_us", 1, 1, False),
    ("  while 50 poll without end, p99", "watched", "polled_p99_us", 1, 1, False),
    ("  of these calls a second", "watched", "polled_calls_s", 1, 0, None),
    None,
    ("Memory a flow, active daemon: bytes", "whole", "rss_a_len", 1, 0, False),
    ("Memory a flow, peer's daemon: bytes", "whole", "rss_b_len", 1, 0, False),
    ("Fresh peer has all: million instructions", "whole", "sync_s", 1e3, 0, False),
    ("  bytes on the wire a flow", "whole", "sync_wire_len", 1, 1, False),
    ("Takeover, flows usable: million instr.", "whole", "usable_s", 1e3, 1, False),
    ("Takeover, all its orders: million instr.", "whole", "script_s", 1e3, 1, False),
    None,
    ("A million: memory a flow, active: bytes", "million", "rss_a_len", 1, 0, False),
    ("  the most while it grew", "million", "most_rss_a_len", 1, 0, False),
    ("  peer", "million", "rss_b_len", 1, 0, False),
    ("  the most while it grew", "million", "most_rss_b_len", 1, 0, False),
    ("A million: fresh peer has all: million instr.", "million", "sync_s", 1e3, 0, False),
    ("  bytes on the wire a flow", "million", "sync_wire_len", 1, 1, False),
    ("  missing then", "million", "sync_missing", 1, 0, None),
    ("A million: all again: million instr.", "million", "resync_s", 1e3, 0, False),
    ("  digests compared", "million", "audit_s", 1e3, 1, False),
    ("  that: bytes in all", "million", "audit_wire_len", 1, 0, False),
    ("  peer's kernel compared as well", "million", "check_s", 1e3, 1, False),
    ("A million: live changes that never came", "million", "live_missing", 1, 0, None),
    ("  p50: thousand instructions", "million", "live_p50_us", 1, 1, False),
    ("  p99", "million", "live_p99_us", 1, 1, False),
    ("  while all is sent again, p99", "million", "resync_p99_us", 1, 1, False),
    ("  while the kernel is compared, p99", "million", "check_p99_us", 1, 1, False),
    ("A million, 10 s without link: equal after: million", "million", "outage_s", 1e3, 0, False),
    ("  of these, until there is a session", "million", "outage_met_s", 1e3, 0, False),
    ("  thousand bytes on the wire", "million", "outage_wire_len", 1e-3, 1, False),
    ("  missing then", "million", "outage_missing", 1, 0, None),
    None,
    ("Overload: flows offered a second", "overload", "offered", 1, 0, None),
    ("  missing on the peer at its end", "overload", "missing", 1, 0, None),
    ("  missing 5 s later", "overload", "missing_later", 1, 0, None),
    ("  equal after: million instructions", "overload", "equal_s", 1e3, 0, False),
    ("All that can be made: offered a second", "flood", "offered", 1, 0, None),
    ("  missing on the peer at its end", "flood", "missing", 1, 0, None),
    ("  missing 5 s later", "flood", "missing_later", 1, 0, None),
    ("  equal after: million instructions", "flood", "equal_s", 1e3, 0, False),
)


class Results:
    """Figures by measurement, system and name; a name may be of a step: "end.wire_len"."""

    def __init__(self, comparison):
        self.comparison = comparison

    def get(self, what, name, key):
        """One figure, or None where a system has none. "net ": see ROWS."""
        of = self.comparison.get(what, {})
        net = key.startswith("net ")
        value = of.get(name, {})
        for part in key.removeprefix("net ").split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None or (net and "none" not in of):
            return None
        return value - of["none"][key.removeprefix("net ")] if net else value

    def flyrep(self, what, key):
        return self.get(what, "flyrep", key)

    def injecting(self, what, key):
        return self.get(what, "conntrackd, injecting", key)


def quotient(a, b):
    return None if a is None or not b else a / b


def product(a, b):
    return None if a is None or b is None else a * b


def total(*values):
    return None if None in values else sum(values)


def active_ns(of, what):
    """CPU of a flow on the active node: its daemon, and what packets do for it."""
    return total(of(what, "daemon_a_ns"), of(what, "net packets_ns"))


def wire_of_a_change(r, kind, step):
    """Bytes of a record that the peer applied."""
    return quotient(r.flyrep(f"wire {kind}", f"{step}.wire_len"),
                    r.flyrep(f"wire {kind}", f"{step}.operations"))


# What is aimed at: title, the figure of flyrep that it is about, the most that it may be.
TARGETS = (
    ("Missing after overload, 5 s later", lambda r: r.flyrep("overload", "missing_later"), 0),
    ("  equal after it: s", lambda r: r.flyrep("overload", "equal_s"), 5),
    ("Missing after all that can be made, 5 s later",
     lambda r: r.flyrep("flood", "missing_later"), 0),
    ("  equal after it: s", lambda r: r.flyrep("flood", "equal_s"), 5),
    ("A million: outage of 10 s, 1 % changed: s to be equal",
     lambda r: r.flyrep("million", "outage_s"), 1),
    ("  bytes, of those of a full sync",
     lambda r: quotient(r.flyrep("million", "outage_wire_len"),
                        product(r.flyrep("million", "sync_wire_len"),
                                r.flyrep("million", "flows"))), 0.02),
    ("  p99 lag while all is sent again, of that before",
     lambda r: quotient(r.flyrep("million", "resync_p99_us"),
                        r.flyrep("million", "live_p99_us")), 2),
    ("  p99 lag while the kernel is compared, of that before",
     lambda r: quotient(r.flyrep("million", "check_p99_us"),
                        r.flyrep("million", "live_p99_us")), 2),
    ("  memory a flow, active: bytes", lambda r: r.flyrep("million", "rss_a_len"), 100),
    ("  memory a flow, peer: bytes", lambda r: r.flyrep("million", "rss_b_len"), 100),
    ("Wire: a new UDP flow: bytes", lambda r: r.flyrep("wire udp", "udp.wire_len"), 16),
    ("  a new TCP flow: bytes", lambda r: r.flyrep("wire tcp", "syn.wire_len"), 16),
    ("  a change: UDP answered: bytes", lambda r: wire_of_a_change(r, "udp", "answer"), 10),
    ("  a change: TCP established: bytes", lambda r: wire_of_a_change(r, "tcp", "establish"), 10),
    ("  a change: TCP closed: bytes", lambda r: wire_of_a_change(r, "tcp", "close"), 10),
    ("  an end, UDP: bytes", lambda r: r.flyrep("wire udp", "end.wire_len"), 6),
    ("  an end, TCP: bytes", lambda r: r.flyrep("wire tcp", "end.wire_len"), 6),
    ("CPU of a UDP flow, of conntrackd's injecting: active",
     lambda r: quotient(active_ns(r.flyrep, "cost udp"), active_ns(r.injecting, "cost udp")),
     1 / 3),
    ("  peer", lambda r: quotient(r.flyrep("cost udp", "daemon_b_ns"),
                                  r.injecting("cost udp", "daemon_b_ns")), 1 / 3),
    ("CPU of a TCP handshake, likewise: active",
     lambda r: quotient(active_ns(r.flyrep, "cost tcp"), active_ns(r.injecting, "cost tcp")),
     1 / 3),
    ("  peer", lambda r: quotient(r.flyrep("cost tcp", "daemon_b_ns"),
                                  r.injecting("cost tcp", "daemon_b_ns")), 1 / 3),
    ("Lag at 10 000 flows/s, of conntrackd's injecting: p50",
     lambda r: quotient(r.flyrep("latency 10k", "p50_us"), r.injecting("latency 10k", "p50_us")),
     1),
    ("  p99",
     lambda r: quotient(r.flyrep("latency 10k", "p99_us"), r.injecting("latency 10k", "p99_us")),
     1),
)

NOTES = """\
One guest, one processor, counted instructions: a second of the guest is 10^9 of
them. Rates are therefore those of a machine that runs that many a second for
traffic, both daemons and both kernels. The ratio is what a conntrackd needs for
one of flyrep's, or flyrep's rate for one of conntrackd's: above 1, flyrep is better.

conntrackd   FTFW, tuned; the peer keeps flows in a cache and commits at takeover
injecting    the same with DisableExternalCache: into the peer's kernel at once
flyrep       encrypted, into the peer's kernel at once; min_state = "all"
assured      flyrep as it is by default: a lone datagram is not replicated
all          both daemons, and the kernels under them and on the packets' way, less
             what the same packets cost with no replication
the most     nothing missing on the peer a tenth of the load's time after its end
wire         Ethernet frames in both directions, acknowledgements and encryption included;
             of a site's mix also less what an idle link carries. The mix: gen.c, -x
a million    flows on both nodes; flows of lat come one by one beside it, 2 000 a second
"""


def number(value, factor, decimals):
    return "-" if value is None else f"{value * factor:,.{decimals}f}"


def ratio(other, own, is_more):
    if is_more is None or not other or not own or own < 0 or other < 0:
        return ""
    return f"{(own / other if is_more else other / own):.2f}"


def row(results, title, what, key, factor, decimals, is_more):
    values = [results.get(what, name, key) for name in COLUMNS]
    cells = [f"{number(v, factor, decimals):>11}" for v in values]
    ratios = [f"{ratio(v, values[2], is_more):>8}" for v in values[:2]]
    return f"{title:<{WIDTH}}" + "".join(cells) + " " + "".join(ratios)


def comparison(results):
    yield " " * WIDTH + "".join(f"{h:>11}" for h in HEADS) + "    ratio to either"
    for spec in ROWS:
        yield row(results, *spec) if spec else ""


def targets(results):
    yield f"{'What flyrep is to reach':<{WIDTH}}{'measured':>11}{'at most':>11}"
    for title, measure, limit in TARGETS:
        value = measure(results)
        verdict = "not measured" if value is None else "ok" if value <= limit else "MISSED"
        yield f"{title:<{WIDTH}}{number(value, 1, 3):>11}{limit:>11.3g}  {verdict}"


def gates(insns):
    yield f"{'Instructions in the kernel, a flow':<{WIDTH}}{'measured':>11}{'budget':>11}"
    for one in insns:
        verdict = "" if not one["budget"] else \
            "  OVER" if one["insn"] > one["budget"] else "  ok"
        yield f"  {one['name']:<{WIDTH - 2}}{one['insn']:>11,}" \
            f"{one['budget'] or '-':>11}{verdict}"


def main(path):
    with open(path, encoding="ascii") as f:
        said = json.load(f)
    print(f"flyrep {said['flyrep']}, conntrackd {said['conntrackd']}, "
          f"Linux {said['kernel']}\n")
    results = Results(said["comparison"])
    for line in comparison(results):
        print(line)
    print(f"\n{NOTES}")
    for line in targets(results):
        print(line)
    print()
    for line in gates(said["instructions"]):
        print(line)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
