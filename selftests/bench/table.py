#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Print the table of a benchmark from its JSON.

  table.py bench.json
"""
import json
import sys

COLUMNS = ("conntrackd", "conntrackd, injecting", "flyrep", "flyrep, assured only")
HEADS = ("conntrackd", "injecting", "flyrep", "assured")
WIDTH = 44

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
    None,
    ("To the peer's kernel, p50: thousand instr.", "latency", "p50_us", 1, 1, False),
    ("To the peer's kernel, p99: thousand instr.", "latency", "p99_us", 1, 1, False),
    None,
    ("Memory a flow, active daemon: bytes", "whole", "rss_a_len", 1, 0, False),
    ("Memory a flow, peer's daemon: bytes", "whole", "rss_b_len", 1, 0, False),
    None,
    ("Fresh peer has all: million instructions", "whole", "sync_s", 1e3, 0, False),
    ("  bytes on the wire a flow", "whole", "sync_wire_len", 1, 1, False),
    ("Takeover, flows usable: million instr.", "whole", "usable_s", 1e3, 1, False),
    ("Takeover, all its orders: million instr.", "whole", "script_s", 1e3, 1, False),
    None,
    ("Overload: flows offered a second", "overload", "offered", 1, 0, None),
    ("  missing on the peer at its end", "overload", "missing", 1, 0, None),
    ("  missing 5 s later", "overload", "missing_later", 1, 0, None),
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
"""


def figure(results, what, name, key):
    """One figure, or None where a system has none."""
    of = results.get(what, {})
    net = key.startswith("net ")
    key = key.removeprefix("net ")
    value = of.get(name, {}).get(key)
    if value is None or (net and "none" not in of):
        return None
    return value - of["none"][key] if net else value


def number(value, factor, decimals):
    return "-" if value is None else f"{value * factor:,.{decimals}f}"


def ratio(other, own, is_more):
    if is_more is None or not other or not own or own < 0 or other < 0:
        return ""
    return f"{(own / other if is_more else other / own):.2f}"


def row(results, title, what, key, factor, decimals, is_more):
    values = [figure(results, what, name, key) for name in COLUMNS]
    cells = [f"{number(v, factor, decimals):>11}" for v in values]
    ratios = [f"{ratio(v, values[2], is_more):>8}" for v in values[:2]]
    return f"{title:<{WIDTH}}" + "".join(cells) + " " + "".join(ratios)


def comparison(results):
    yield " " * WIDTH + "".join(f"{h:>11}" for h in HEADS) + "    ratio to either"
    for spec in ROWS:
        yield row(results, *spec) if spec else ""


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
    for line in comparison(said["comparison"]):
        print(line)
    print(f"\n{NOTES}")
    for line in gates(said["instructions"]):
        print(line)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
