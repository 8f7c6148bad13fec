# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured. Every function starts a system afresh and leaves none behind."""
import json
import math
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

from ground import FIFO, awake, memory_len, on, run, run_ns, spawn, until

ARRIVES = 60		# seconds in which what is not lost has arrived
LATER = 5		# seconds after which what is missing of a load is looked at again
OUTAGE = 10		# seconds
CHANGED = 0.01		# of all flows, in an outage: half of them new, half answered
IDLE = 10		# seconds in which what an idle link carries is measured
LOOK = 0.2		# seconds between two looks at what goes on; a look costs time
LOOKS = 20		# at the memory of a table that grows
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


def tls_records(stream):
    """How many TLS records this is, from its first byte to its last whole one."""
    n = at = 0
    while at + 5 <= len(stream):
        kind, version, length = struct.unpack_from(">BHH", stream, at)
        if kind not in range(20, 24) or version not in (0x301, 0x303) or length > 16640:
            raise RuntimeError(f"what travels is not TLS: {stream[at:at + 16].hex()}")
        at += 5 + length
        n += 1
    return n


def streams(tap):
    """What a tap has seen of TCP: payload by address and port of who sent it, each once."""
    said, seen = {}, set()
    while True:
        try:
            ip = tap.recv(1 << 17)[14:]
        except BlockingIOError:
            return said
        tcp = ip[(ip[0] & 15) * 4:struct.unpack_from(">H", ip, 2)[0]] if len(ip) >= 40 else b""
        if len(tcp) < 20 or ip[0] >> 4 != 4 or ip[9] != 6:
            continue
        end = ip[12:16] + tcp[:2]
        payload = tcp[(tcp[12] >> 4) * 4:]
        if payload and (end, tcp[4:8]) not in seen:
            seen.add((end, tcp[4:8]))
            said[end] = said.get(end, b"") + payload


def encryption(system, n, rate):
    """Every byte of the link is of a TLS record, as the system says: how many records."""
    with system.ground.tap() as tap, pair(system):
        if not system.is_encrypted():
            raise RuntimeError(f"{system.name} says it does not encrypt")
        system.ground.load("udp", n, rate)
        arrive(system, n)
        records = [tls_records(stream) for stream in streams(tap).values()]
    if len(records) < 2 or not all(records):
        raise RuntimeError(f"{system.name}: no two ends of a session seen: {records}")
    return {"tls_records": sum(records)}


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


def flood(system, n, rate):
    """What becomes of n flows at more than can be carried; rate 0: as many as gen can make."""
    with pair(system):
        is_equal = lambda: system.held() >= n and system.is_equal()
        with awake():
            said = system.ground.load("udp", n, rate)
            end = time.monotonic()
            until(lambda: system.held() >= n, said["seconds"] * GRACE)
            missing = n - system.held()
            equal = until(is_equal, end + LATER - time.monotonic(), pause=0.02)
            later = n - system.held()
        equal = equal or until(is_equal, ARRIVES, pause=0.1)
    return {"flows": n, "rate": rate, "offered": n / said["seconds"], "missing": missing,
            "missing_later": later, "equal_s": equal - end if equal else None}


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


@contextmanager
def lat_running(system, lat, n, rate):
    """lat, sending; the process."""
    argv = (*FIFO, lat, "-s", "client", "-i", "eth0", "-m", system.ground.mac("a", "lan0"),
            "-p", "b", "-n", str(n), "-r", str(rate), "-f", str(system.ground.lat_first))
    system.ground.lat_first += n
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as proc:
        try:
            yield proc
        finally:
            proc.kill()


def lat_result(proc):
    """What lat says at its end; its exit code is 1 when the peer never got some of the flows."""
    out, err = proc.communicate()
    if proc.returncode not in (0, 1):
        raise RuntimeError(f"lat: exit code {proc.returncode}: {err.strip()}")
    said = json.loads(out)
    said["missing"] = said["flows"] - said["seen"]
    if not said["seen"]:
        said.update(min_us=None, p50_us=None, p99_us=None, max_us=None)
    return said


def latency(system, lat, n, rate):
    """From the first packet to the peer's kernel, of flows that come one by one."""
    with pair(system):
        meter = Meter(system)
        with lat_running(system, lat, n, rate) as proc:
            figures = lat_result(proc)
        figures.update(meter.per_flow(n))
    return figures


@contextmanager
def polled(n):
    """So many clients that ask for all the time, without end, and one that never reads. They are
    elsewhere: what they compute themselves is done when nobody else has anything to do."""
    paths = ("api/replication/status", "api/replication/peers", "api/replication/lag", "metrics")
    idle = ("chrt", "--idle", "0")
    procs = [spawn("a", *idle, "ab", "-q", "-k", "-t", "3600", "-n", "1000000", "-c",
                   str((n + i) // len(paths)), "-B", f"127.0.0.{i + 2}",
                   f"http://127.0.0.1:8080/{path}") for i, path in enumerate(paths)]
    # The agent closes on it when it has waited long enough; it begins again.
    procs.append(spawn("a", *idle, "bash", "-c",
                       "trap '' PIPE; while exec 3<>/dev/tcp/127.0.0.1/8080; do "
                       "while printf 'GET /metrics HTTP/1.1\\r\\nHost: localhost:8080\\r\\n\\r\\n' >&3; "
                       "do :; done; done 2>/dev/null"))
    try:
        yield procs
    finally:
        for proc in procs:
            proc.kill()
            proc.wait()


def watched(system, lat, n, rate, clients):
    """Latency without clients of the API, with so many, and without again."""
    figures = {}
    with pair(system):
        for name in ("alone", "polled", "alone_again"):
            with polled(clients) if name == "polled" else nullcontext([]) as procs:
                time.sleep(SETTLED)
                calls, begin = system.calls("a"), time.monotonic()
                with lat_running(system, lat, n, rate) as proc:
                    said = lat_result(proc)
                figures |= {f"{name}_{key}": said[key] for key in ("p50_us", "p99_us", "missing")}
                figures[f"{name}_calls_s"] = (system.calls("a") - calls) / \
                    (time.monotonic() - begin)
                for proc in procs:
                    if proc.poll() is not None:
                        raise RuntimeError(f"a client of the API has ended, exit code "
                                           f"{proc.returncode}: {' '.join(proc.args)}")
    return figures


class Wire:
    """Bytes on the wire beyond those of an idle link."""

    def __init__(self, system):
        self.system = system
        len_before = system.ground.wire_len()
        begin = time.monotonic()
        time.sleep(IDLE)
        self.idle_len_s = (system.ground.wire_len() - len_before) / (time.monotonic() - begin)

    def look(self):
        return (self.system.ground.wire_len(), self.system.operations(), time.monotonic())

    def step(self, n, step):
        """What step() makes of n flows: bytes a flow, records that the peer applied a flow."""
        before = self.look()
        step()
        time.sleep(SETTLED)
        after = self.look()
        idle_len = self.idle_len_s * (after[2] - before[2])
        figures = {"wire_len": (after[0] - before[0] - idle_len) / n}
        if after[1] is not None:
            figures["operations"] = (after[1] - before[1]) / n
        return figures


def expect(what, number, wanted):
    if number != wanted:
        raise RuntimeError(f"{what}: {number} flows, not {wanted}")


# The life of a flow as loads of gen, after the one that makes it.
LIFE = {"udp": ("udp", "answer"), "tcp": ("syn", "establish", "close")}


def wire(system, kind, n, rate):
    """Bytes a flow for each step of its life, of a mix as that of a site; see gen -x."""
    ground = system.ground
    steps = {}
    with ground.nat(), pair(system):
        link = Wire(system)
        for step in LIFE[kind]:
            steps[step] = link.step(n, lambda step=step: ground.load(step, n, rate, "-x"))
            expect(f"{system.name} after {step}", system.held(), n)
        steps["end"] = link.step(n, lambda: on("a", "conntrack", "-F"))
        steps["left"] = system.held()
    return {"flows": n, "rate": rate, **steps}


def memory(system):
    """Of both daemons: rss_a_len, pss_a_len, rss_b_len, pss_b_len."""
    return {f"{what}_{node}_len": value for node in ("a", "b")
            for what, value in memory_len(system.pid(node)).items()}


def per_flow(full, empty, n):
    return {what: (full[what] - empty[what]) / n for what in full}


def whole(system, n, rate):
    """A table of n flows: memory, a fresh peer, and a takeover when a has died."""
    figures = {"flows": n}
    with pair(system):
        empty = memory(system)
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
        figures.update(per_flow(memory(system), empty, n))

        system.kill("a")
        time.sleep(SETTLED)
        with awake():
            figures.update(system.take_over())
        figures["usable_flows"] = system.ground.flows("b")
        return figures
    finally:
        system.stop()


def fill(system, n, rate, empty):
    """A table of n flows, on both nodes; the most memory a flow that it took from a tenth on."""
    most, have = {}, 0
    for i in range(LOOKS):
        more = n * (i + 1) // LOOKS - have
        have += more
        system.ground.load("udp", more, rate)
        expect(f"{system.name}, filling", arrive(system, have), have)
        if have >= n / 10:
            now = per_flow(memory(system), empty, have)
            most = {what: max(value, most.get(what, 0)) for what, value in now.items()}
    return {f"most_{what}": value for what, value in most.items()}


def fresh(system, n):
    """The peer has lost all it had. How long until it has it again, and what that takes."""
    system.kill("b")
    system.forget("b")
    on("b", "conntrack", "-F")
    time.sleep(SETTLED)
    wire_len = system.ground.wire_len()
    with awake():
        begin = time.monotonic()
        system.start("b")
        system.fetch()
        end = until(lambda: system.held() >= n, ARRIVES, pause=0.02)
    figures = {"sync_s": end - begin if end else None, "sync_missing": n - system.held()}
    time.sleep(SETTLED)
    figures["sync_wire_len"] = (system.ground.wire_len() - wire_len) / n
    return figures


def meanwhile(system, lat, rate, running, seconds):
    """Lag of live changes while running() says so; where it says None, for so many seconds."""
    begin = time.monotonic()
    with lat_running(system, lat, rate * 60, rate) as proc:
        while running() if running() is not None else time.monotonic() < begin + seconds:
            time.sleep(LOOK)
        took = time.monotonic() - begin
        proc.terminate()
        return took, lat_result(proc)


def resync(system, lat, rate, seconds):
    """All of it again, in both directions of trust: the peer's kernel is looked at, too."""
    wire_len = system.ground.wire_len()
    with awake():
        system.resync()
        took, lag = meanwhile(system, lat, rate, system.is_resyncing, seconds)
    return {"resync_s": took if system.is_resyncing() is not None else None,
            "resync_p50_us": lag["p50_us"], "resync_p99_us": lag["p99_us"],
            "resync_max_us": lag["max_us"], "resync_missing": lag["missing"],
            "resync_wire_len": system.ground.wire_len() - wire_len}


def audit(system, lat, rate):
    """Digests of both nodes; then a comparison of the peer's with its kernel as well."""
    figures = {}
    for name, deep in (("audit", False), ("check", True)):
        wire_len = system.ground.wire_len()
        begin = time.monotonic()
        with awake():
            system.validate(deep)
        figures[f"{name}_s"] = time.monotonic() - begin
        figures[f"{name}_wire_len"] = system.ground.wire_len() - wire_len
    with awake(), ThreadPoolExecutor() as pool:
        checking = pool.submit(system.validate, True)
        lag = meanwhile(system, lat, rate, lambda: not checking.done(), None)[1]
        checking.result()
    figures.update(check_p50_us=lag["p50_us"], check_p99_us=lag["p99_us"])
    return figures


def outage(system, n, rate):
    """The link is dead for OUTAGE seconds, and CHANGED of the flows change meanwhile."""
    ground = system.ground
    changes = max(int(n * CHANGED / 2), 1)
    have = system.held()
    with ground.outage():
        end = time.monotonic() + OUTAGE
        ground.load("answer", changes, rate)
        ground.load("udp", changes, rate)
        time.sleep(max(end - time.monotonic(), 0))
        wire_len = ground.wire_len()
    begin = time.monotonic()
    with awake():
        tells = system.is_met() is not None
        met = until(system.is_met, ARRIVES) if tells else None
        equal = until(lambda: system.held() >= have + changes and system.is_equal(), ARRIVES)
        wire_len = ground.wire_len() - wire_len
    return {"outage_changes": 2 * changes, "outage_missing": have + changes - system.held(),
            "outage_met_s": met - begin if met else None,
            "outage_s": equal - begin if equal else None,
            "outage_wire_len": wire_len}


def million(system, lat, n, rate, live):
    """A full table: its memory, and what recovers or proves it, beside live changes.

    live: flows to measure their lag with when nothing else happens, and their rate.
    """
    figures = {"flows": n}
    with system.ground.buckets_for(n), pair(system):
        empty = memory(system)
        figures.update(fill(system, n, rate, empty))
        time.sleep(SETTLED)
        figures.update(per_flow(memory(system), empty, n))
        figures.update(fresh(system, n))
        with lat_running(system, lat, *live) as proc:
            lag = lat_result(proc)
        figures.update(live_p50_us=lag["p50_us"], live_p99_us=lag["p99_us"],
                       live_missing=lag["missing"])
        figures.update(resync(system, lat, live[1], figures["sync_s"]))
        if system.has_audit:
            figures.update(audit(system, lat, live[1]))
        figures.update(outage(system, n, rate))
        figures["held"] = system.held()
        figures["flows_at_end"] = system.ground.flows("a")
    return figures
