#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measure conntrackd and flyrep on the same load, in a guest; JSON to a file.

  compare.py BUILD OUT [STEP...]

STEP: cost, rate, overload, latency, whole; all without. The guest should count
instructions (run -i): then a second is 10^9 instructions of its one processor,
and the result does not depend on how busy the host is.
"""
import json
import os
import sys

from ground import Ground
from measure import carries, cost, highest, latency, whole
from systems import Conntrackd, Flyrep, Nothing

# Flows, and flows a second: well below what any of them carries.
COST = {"udp": (20000, 8000), "tcp": (8000, 3000)}
RATE = {"udp": 12000, "tcp": 5000}
OVERLOAD = (40000, 1.15)	# times the rate at which conntrackd begins to lose
LATENCY = (6000, 2000)
WHOLE = (100000, 10000)
HEADROOM = 0.9		# of the rate at which the processor would be all busy
SIZE = float(os.environ.get("BENCH_SIZE", "1"))


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
        for system in (self.none, self.conntrackd, self.injecting, self.flyrep):
            for kind in COST:
                cost(system, kind, 100, 1000)
        latency(self.flyrep, f"{self.build}/bench/lat", 100, 1000)
        whole(self.conntrackd, 100, 1000)
        whole(self.flyrep, 100, 1000)

    def cost(self):
        for kind, (n, rate) in COST.items():
            for system in (self.none, self.conntrackd, self.injecting, self.flyrep,
                           self.assured):
                # What is not assured is not replicated: that is the point of it.
                is_shipped = system is not self.assured or kind == "tcp"
                self.keep(f"cost {kind}", system,
                          cost(system, kind, sized(n), rate, is_shipped))

    def rate(self):
        for kind, n in RATE.items():
            for system in (self.conntrackd, self.injecting, self.flyrep):
                busy = self.results[f"cost {kind}"][system.name]["busy_ns"]
                self.keep(f"rate {kind}", system,
                          highest(system, kind, sized(n), HEADROOM * 1e9 / busy))

    def overload(self):
        n, times = OVERLOAD
        rate = self.results["rate udp"][self.conntrackd.name]["fails_at"] * times
        for system in (self.conntrackd, self.injecting, self.flyrep):
            self.keep("overload", system, carries(system, "udp", sized(n), rate))

    def latency(self):
        n, rate = LATENCY
        for system in (self.injecting, self.flyrep):
            self.keep("latency", system,
                      latency(system, f"{self.build}/bench/lat", sized(n), rate))

    def whole(self):
        n, rate = WHOLE
        for system in (self.conntrackd, self.injecting, self.flyrep):
            self.keep("whole", system, whole(system, sized(n), rate))


def main(build, out, *steps):
    comparison = Comparison(build, out)
    comparison.rehearse()
    for step in steps or ("cost", "rate", "overload", "latency", "whole"):
        getattr(comparison, step)()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
