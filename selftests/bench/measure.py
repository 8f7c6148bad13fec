# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured. Every function starts a system afresh and leaves none behind."""
import json
import math
import time
from contextlib import contextmanager

from ground import FIFO, awake, rss_len, run, run_ns, until

ARRIVES = 30		# seconds in which what is not lost has arrived
LATER = 5		# seconds after which what is missing of a load is looked at again
SETTLED = 2.0		# of rest, before and after a measurement
GRACE = 0.1		# a rate is carried when the peer is complete after this part of
			# the time the load took
FINE = 1.07		# a search for a rate ends at steps this small
TRIES = 9


@contextmanager
def pair(system):
    """Both daemons running, met, and at rest."""
    try:
        system.start_pair()
        time.sleep(SETTLED)
        yield
    finally:
        system.stop()


class Meter:
    """What a stretch of time costs the daemons and the wire."""

    def __init__(self, system):
        self.system = system
        self.at_begin = self.look()

    def look(self):
        seen = {"wire_len": self.system.ground.wire_len()}
        for node, proc in self.system.procs.items():
            seen[f"daemon_{node}_ns"] = run_ns(proc.pid)
        return seen

    def per_flow(self, n):
        now = self.look()
        return {k: (now[k] - self.at_begin[k]) / n for k in now}


def arrive(system, n):
    """Wait until the peer holds n flows; how many it does."""
    until(lambda: system.held() >= n, ARRIVES, pause=0.02)
    return system.held()


def cost(system, kind, n, rate, is_shipped=True):
    """Cost of a flow at a rate that all of them carry easily."""
    with pair(system):
        meter = Meter(system)
        said = system.ground.load(kind, n, rate)
        held = arrive(system, n) if is_shipped else 0
        time.sleep(SETTLED)
        figures = meter.per_flow(n)
    figures["packets_ns"] = said["cpu_ns"] / n
    figures["busy_ns"] = sum(v for k, v in figures.items() if k.endswith("_ns"))
    figures.update(flows=n, rate=n / said["seconds"],
                   missing=n - held if is_shipped else None)
    return figures


def carries(system, kind, n, rate):
    """One try: are n flows at this rate at the peer as soon as they should be?"""
    with pair(system):
        said = system.ground.load(kind, n, rate)
        took = n / rate
        deadline = time.monotonic() + took * GRACE
        is_offered = said["seconds"] < took * (1 + GRACE) and \
            said["packets"] <= n * (2 if kind == "tcp" else 1)
        late = deadline - time.monotonic()
        if late > 0:
            until(lambda: system.held() >= n, late)
        missing = n - system.held()
        if missing:
            until(lambda: system.held() >= n, LATER, pause=0.05)
        later = n - system.held()
    return {"flows": n, "rate": rate, "offered": n / said["seconds"],
            "missing": missing, "missing_later": later,
            "carried": is_offered and not missing}


def highest(system, kind, n, guess):
    """The highest rate with nothing missing, between steps of FINE; all tries too."""
    low, high, rate, tries = None, None, guess, []
    while len(tries) < TRIES and not (low and high and high / low < FINE):
        tries.append(carries(system, kind, n, rate))
        if tries[-1]["carried"]:
            low = rate
            rate = math.sqrt(low * high) if high else rate * 1.25
        else:
            high = rate
            rate = math.sqrt(low * high) if low else rate / 1.25
    return {"rate": low, "fails_at": high, "flows": n, "tries": tries}


def latency(system, lat, n, rate):
    """From the first packet to the peer's kernel."""
    ground = system.ground
    with pair(system):
        return json.loads(run(*FIFO, lat, "-s", "client", "-i", "eth0",
                              "-m", ground.mac("a", "lan0"), "-p", "b",
                              "-n", str(n), "-r", str(rate)))


def whole(system, n, rate):
    """A table of n flows: memory, a fresh peer, and a takeover when a has died."""
    figures = {"flows": n}
    with pair(system):
        empty = {node: rss_len(system.pid(node)) for node in ("a", "b")}
    try:
        system.start("a")
        time.sleep(SETTLED)
        system.ground.load("udp", n, rate)
        if not until(lambda: system.known() >= n, ARRIVES, pause=0.1):
            raise RuntimeError(f"{system.name} knows {system.known()} of {n} flows")
        time.sleep(SETTLED)
        wire = system.ground.wire_len()
        with awake():
            begin = time.monotonic()
            system.start("b")
            system.fetch()
            end = until(lambda: system.held() >= n, ARRIVES)
        figures.update(sync_s=end - begin if end else None,
                       sync_missing=n - system.held())
        time.sleep(SETTLED)
        figures["sync_wire_len"] = (system.ground.wire_len() - wire) / n
        for node in ("a", "b"):
            figures[f"rss_{node}_len"] = (rss_len(system.pid(node)) - empty[node]) / n

        system.kill("a")
        time.sleep(SETTLED)
        with awake():
            figures.update(system.take_over())
        figures["usable_flows"] = system.ground.flows("b")
        return figures
    finally:
        system.stop()
