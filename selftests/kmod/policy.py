#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=120
#
"""The module's netlink family is what docs/netlink.yaml says: the kernel is asked for the
commands and the policy of each, and the attributes of real answers are looked at."""
import os
import re
import socket
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "../lib"))
from netlink_spec import GENL_FLAGS, Spec  # noqa: E402

NETLINK_GENERIC, GENL_ID_CTRL = 16, 16
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE, NLM_F_MULTI = 2, 3, 0x2
NLA_F_NESTED, NLA_TYPE_MASK = 0x8000, 0x3fff
CTRL_GETFAMILY, CTRL_GETPOLICY = 3, 10
CTRL_FAMILY_ID, CTRL_FAMILY_NAME, CTRL_VERSION = 1, 2, 3
CTRL_OPS, CTRL_POLICY, CTRL_OP_POLICY = 6, 8, 9
CAP_DO, CAP_DUMP, CAP_HASPOL = 0x2, 0x4, 0x8
# enum netlink_policy_type_attr: its number, and what Spec.policy() calls it
TYPE, IDX, MAXTYPE = 1, 8, 9
FIELDS = {4: "min", 5: "max", 6: "min-len", 7: "max-len", 12: "mask"}


def attributes(data):
    """[(type, payload)]"""
    out = []
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        out.append((kind & NLA_TYPE_MASK, data[4:size]))
        data = data[(size + 3) & ~3:]
    return out


def attribute(kind, payload):
    head = struct.pack("=HH", 4 + len(payload), kind)
    return (head + payload).ljust((4 + len(payload) + 3) & ~3, b"\0")


def integer(payload):
    return int.from_bytes(payload, sys.byteorder)


class Socket:
    def __init__(self):
        self.s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.s.bind((0, 0))
        self.s.settimeout(30)
        self.family, self.seq = GENL_ID_CTRL, 0

    def call(self, cmd, body=b"", flags=0):
        """Payloads of the answers, as (command, [(type, payload)])"""
        self.seq += 1
        self.s.send(struct.pack("=IHHIIBBH", 20 + len(body), self.family, NLM_F_REQUEST | flags,
                                self.seq, 0, cmd, 1, 0) + body)
        out = []
        while True:
            data = self.s.recv(1 << 16)
            while data:
                size, kind, is_multi, seq = struct.unpack_from("=IHHI", data)
                part, data = data[16:size], data[(size + 3) & ~3:]
                if seq != self.seq:
                    continue
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    err = -struct.unpack_from("=i", part)[0]
                    if err:
                        raise OSError(err, os.strerror(err))
                    return out
                out.append((part[0], attributes(part[4:])))
                if not is_multi & NLM_F_MULTI and not flags & 0x4:
                    return out


def describe(ctrl, name):
    """The family as nlctrl knows it: its attributes, and {command: flags}"""
    (_, attrs), = ctrl.call(CTRL_GETFAMILY, attribute(CTRL_FAMILY_NAME, name.encode() + b"\0"))
    attrs = dict(attrs)
    ops = [dict(attributes(op)) for _, op in attributes(attrs[CTRL_OPS])]
    return attrs, {integer(op[1]): integer(op[2]) for op in ops}


def policies(ctrl, name):
    """({command: {"do": index, "dump": index}}, {index: {attribute: its policy}})"""
    ops, tables = {}, {}
    for _, attrs in ctrl.call(CTRL_GETPOLICY, attribute(CTRL_FAMILY_NAME, name.encode() + b"\0"),
                              NLM_F_DUMP):
        for kind, payload in attrs:
            for number, nest in attributes(payload) if kind == CTRL_OP_POLICY else ():
                ops.setdefault(number, {}).update(
                    {("", "do", "dump")[way]: integer(i) for way, i in attributes(nest)})
            for index, nest in attributes(payload) if kind == CTRL_POLICY else ():
                for number, fields in attributes(nest):
                    tables.setdefault(index, {})[number] = {
                        k: integer(v) for k, v in attributes(fields)}
    return ops, tables


def expand(tables, index):
    """A policy in the words of the specification"""
    out = {}
    for number, fields in tables.get(index, {}).items():
        out[number] = {"type": fields[TYPE]} | {
            word: fields[k] for k, word in FIELDS.items() if k in fields}
        if IDX in fields:
            out[number]["nest"] = expand(tables, fields[IDX])
            if fields[MAXTYPE] != max(out[number]["nest"]):
                out[number]["maxtype"] = fields[MAXTYPE]
    return out


class Tap:
    def __init__(self):
        self.n, self.failed = 0, 0

    def same(self, what, want, have):
        self.n += 1
        ok = want == have
        self.failed += not ok
        if not ok:
            print(f"# the specification: {want}\n# the kernel:        {have}")
        print(f"{'' if ok else 'not '}ok {self.n} - {what}", flush=True)


def check_replies(tap, spec, sock):
    names = {n: a for a, (n, _) in spec.attrs["flyrep"].items()}

    def body(**values):
        return b"".join(attribute(spec.attrs["flyrep"][k.replace("_", "-")][0], v)
                        for k, v in values.items())

    def seen(name, flags=0, **values):
        number, _ = spec.ops[name]
        out = sock.call(number, body(**values), flags)
        return {names.get(k, k) for cmd, attrs in out if cmd == number for k, _ in attrs}

    # A flow of UDP, to be inserted; what follows it is not a record
    flow = bytearray(spec.structs["flyrep_ct"][0])
    at = {m: offset for m, (offset, _) in spec.structs["flyrep_ct"][1].items()}
    flow[0], flow[at["family"]], flow[at["proto"]], flow[at["zone_dir"]] = 1, 2, 17, 3
    a, b = bytes((10, 1, 0, 1)), bytes((10, 2, 0, 1))
    for tuple_at, src, dst, sport, dport in ((at["orig"], a, b, 1, 53), (at["reply"], b, a, 53, 1)):
        flow[tuple_at:tuple_at + 4] = src
        flow[tuple_at + 16:tuple_at + 20] = dst
        flow[tuple_at + 32:tuple_at + 36] = struct.pack("!HH", sport, dport)
    apply = {"table": b"\1", "rec_len": struct.pack("=H", len(flow))}

    def nft(*words):
        return subprocess.run(["nft", *words], check=True, capture_output=True, text=True).stdout

    nft("add table inet hinted; add set inet hinted s { type ipv4_addr; }")
    handles = re.findall(r"handle (\d+)", nft("-a", "list", "table", "inet", "hinted"))
    sets = struct.pack("=QQ", *map(int, handles))
    sock.call(spec.ops["config"][0], body(hash_key=bytes(16), sets=sets), 0x4)
    sock.call(spec.ops["bind"][0], b"", 0x4)
    replies = {
        "info": seen("info"),
        "apply": seen("apply", records=bytes(flow) + bytes(len(flow)), **apply),
        "snapshot": seen("snapshot", NLM_F_DUMP, table=b"\1", buckets=b"\xff" * 8192),
        "promote": seen("promote"),
    }
    subprocess.run(["conntrack", "-D", "-p", "udp"], check=True, capture_output=True)
    nft("add element inet hinted s { 10.0.0.1 }")
    replies["drain"] = seen("drain", NLM_F_DUMP)
    replies["demote"] = seen("demote")
    for name, (_, op) in spec.ops.items():
        want = op.get("do", op.get("dump", {})).get("reply")
        if want or name in replies:
            # Padding depends on what lies before it.
            tap.same(f"{name}: attributes of the answer", set(want["attributes"]) - {"pad"},
                     replies.get(name, set()) - {"pad"})


def main():
    spec = Spec(os.path.join(HERE, "../../docs/netlink.yaml"))
    subprocess.run("modprobe -a nf_conntrack_netlink nf_nat; [ -e /sys/module/flyrep ] || "
                   "insmod $FLYREP_KO", shell=True, check=True)
    tap = Tap()
    ctrl = Socket()
    attrs, flags = describe(ctrl, spec.family)
    ops = {n: o for n, o in spec.ops.values() if "event" not in o}
    n_replies = sum("reply" in o.get("do", o.get("dump", {})) for o in ops.values())
    print(f"1..{3 + len(ops) + n_replies}")
    tap.same("version", spec.tree["version"], integer(attrs[CTRL_VERSION]))
    tap.same("commands and their flags", {
        n: sum(GENL_FLAGS[f] for f in o["flags"]) | ("do" in o) * CAP_DO | ("dump" in o) * CAP_DUMP
        for n, o in ops.items()}, {n: f & ~CAP_HASPOL for n, f in flags.items()})
    by_op, tables = policies(ctrl, spec.family)
    tap.same("what has a policy", {n: {k for k in ("do", "dump") if k in o} for n, o in ops.items()},
             {n: set(ways) for n, ways in by_op.items()})
    for n, o in ops.items():
        way = "do" if "do" in o else "dump"
        tap.same(f"{o['name']}: policy", spec.policy("flyrep", o[way]["request"]["attributes"]),
                 expand(tables, by_op.get(n, {}).get(way)))
    sock = Socket()
    sock.family = integer(attrs[CTRL_FAMILY_ID])
    check_replies(tap, spec, sock)
    return tap.failed > 0


sys.exit(main())
