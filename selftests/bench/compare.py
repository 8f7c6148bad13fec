#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measure conntrackd and flyrep on the same load, in a guest; JSON to a file.

  compare.py BUILD OUT [STEP...]

STEP, of which all are done without:

  encryption  that what flyrep sends is TLS
  cost        CPU and wire of a flow, at a rate that all of them carry
  rate        the most flows a second
  overload    more than conntrackd carries, and as many as can be made
  latency     from a packet to the peer's kernel, of flows that come one by one
  watched     lag, while clients of the API poll without end
  wire        bytes of each step in the life of a flow, of a mix as that of a site
  whole       a full table of 100 000: a fresh peer, a takeover
  million     a full table of 1 000 000: memory, and what recovers it, beside live changes

The guest should count instructions (run -i): then a second is 10^9 instructions of its
one processor, and the result does not depend on how busy the host is.
"""
import json
import os
import sys

from ground import Ground
from measure import cost, encryption, flood, highest, latency, million, watched, whole, wire
from systems import Conntrackd, Flyrep, Nothing

# Flows, and flows a second: well below what any of them carries.
COST = {"udp": (20000, 8000), "tcp": (8000, 3000)}
RATE = {"udp": 12000, "tcp": 5000}
OVERLOAD = (40000, 1.15)	# times the rate at which conntrackd begins to lose
FLOOD = 200000
LATENCY = {"latency": (6000, 2000), "latency 10k": (20000, 10000)}
WATCHED = (20000, 2000)
CLIENTS = 50
WIRE = {"udp": (20000, 10000), "tcp": (20000, 5000)}
WHOLE = (100000, 10000)
MILLION = (1000000, 10000)
LIVE = (6000, 2000)	# beside it
STEPS = ("encryption", "cost", "rate", "overload", "latency", "watched", "wire", "whole", "million")
HEADROOM = 0.9		# of the rate at which the processor would be all busy
SIZE = float(os.environ.get("BENCH_SIZE", "1"))
SYSTEMS = os.environ.get("SYSTEMS", "")


def wanted(*systems):
    """Of these, those that are in $SYSTEMS; all without."""
    return [s for s in systems if not SYSTEMS or s.name in SYSTEMS.split(":")]


def sized(n):
    return max(int(n * SIZE), 100)


class Comparison:
    def __init__(self, build, out):
        self.out = out
        self.build = build
        self.results = {}
        self.ground = Ground(f"{build}/bench/gen")
        everything = 'conntrack { min_state = "all" }'
        self.none = Nothing(self.ground)
        self.conntrackd = Conntrackd(self.ground, inject=False)
        self.injecting = Conntrackd(self.ground, inject=True)
        self.flyrep = Flyrep(self.ground, build, "flyrep", everything)
        self.assured = Flyrep(self.ground, build, "flyrep, assured only", "")

    def keep(self, what, system, figures):
        self.results.setdefault(what, {})[system.name] = figures
        print(f"  {what}: {system.name}", flush=True)
        with open(self.out, "w", encoding="ascii") as f:
            json.dump(self.results, f, indent=1)

    def rehearse(self):
        """Once through all of it, small and forgotten: programs come from the host's
        disk, and reading them takes any time."""
        print("  rehearsal", flush=True)
        for system in wanted(self.none, self.conntrackd, self.injecting, self.flyrep):
            for kind in COST:
                cost(system, kind, 100, 1000)
        for system in wanted(self.flyrep):
            latency(system, f"{self.build}/bench/lat", 100, 1000)
        for system in wanted(self.conntrackd, self.flyrep):
            whole(system, 100, 1000)

    def cost(self):
        for kind, (n, rate) in COST.items():
            for system in wanted(self.none, self.conntrackd, self.injecting, self.flyrep,
                                 self.assured):
                # What is not assured is not replicated: that is the point of it.
                is_shipped = system is not self.assured or kind == "tcp"
                self.keep(f"cost {kind}", system,
                          cost(system, kind, sized(n), rate, is_shipped))

    def encryption(self):
        self.keep("encryption", self.flyrep, encryption(self.flyrep, 1000, 1000))

    def busy_ns(self, kind, system):
        """All CPU of one flow, measured now if it was not."""
        name = f"cost {kind}"
        if system.name not in self.results.get(name, {}):
            n, rate = COST[kind]
            self.keep(name, system, cost(system, kind, sized(n), rate))
        return self.results[name][system.name]["busy_ns"]

    def highest(self, kind, system):
        """The most flows a second, likewise."""
        name = f"rate {kind}"
        if system.name not in self.results.get(name, {}):
            guess = HEADROOM * 1e9 / self.busy_ns(kind, system)
            self.keep(name, system, highest(system, kind, sized(RATE[kind]), guess))
        return self.results[name][system.name]

    def rate(self):
        for kind in RATE:
            for system in wanted(self.conntrackd, self.injecting, self.flyrep):
                self.highest(kind, system)

    def overload(self):
        n, times = OVERLOAD
        rate = self.highest("udp", self.conntrackd)["fails_at"] * times
        for system in wanted(self.conntrackd, self.injecting, self.flyrep):
            self.keep("overload", system, flood(system, sized(n), rate))
        for system in wanted(self.conntrackd, self.injecting, self.flyrep):
            self.keep("flood", system, flood(system, sized(FLOOD), 0))

    def latency(self):
        for what, (n, rate) in LATENCY.items():
            for system in wanted(self.injecting, self.flyrep):
                self.keep(what, system,
                          latency(system, f"{self.build}/bench/lat", sized(n), rate))

    def watched(self):
        for system in wanted(self.flyrep):
            self.keep("watched", system,
                      watched(system, f"{self.build}/bench/lat", sized(WATCHED[0]), WATCHED[1],
                              CLIENTS))

    def wire(self):
        for kind, (n, rate) in WIRE.items():
            for system in wanted(self.conntrackd, self.injecting, self.flyrep):
                self.keep(f"wire {kind}", system, wire(system, kind, sized(n), rate))

    def whole(self):
        n, rate = WHOLE
        for system in wanted(self.conntrackd, self.injecting, self.flyrep):
            self.keep("whole", system, whole(system, sized(n), rate))

    def million(self):
        n, rate = MILLION
        live = (sized(LIVE[0]), LIVE[1])
        for system in wanted(self.flyrep, self.injecting, self.conntrackd):
            self.keep("million", system,
                      million(system, f"{self.build}/bench/lat", sized(n), rate, live))


def main(build, out, *steps):
    if unknown := set(steps) - set(STEPS):
        sys.exit(f"compare.py: there is no step {', '.join(sorted(unknown))}")
    comparison = Comparison(build, out)
    comparison.rehearse()
    for step in steps or STEPS:
        getattr(comparison, step)()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
