#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare docs/netlink.yaml with uapi/*.h, both ways: names, numbers, layouts.

The headers' names are read from their text, the values are what the compiler says.
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from netlink_spec import Spec, c_upper  # noqa: E402

HEADERS = ("uapi/flyrep_records.h", "uapi/flyrep.h")


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return re.sub(r"/\*.*?\*/", " ", f.read(), flags=re.S)


def plain(text):
    """Without the anonymous structs inside a struct, and without the unions around what is left

    A union of these ends with a member that spans it: that one the specification knows.
    """
    text = re.sub(r"\bstruct\s*\{[^{}]*\}[^;]*;", " ", text)
    return re.sub(r"\bunion\s*\{([^{}]*)\}\s*;", r"\1", text)


class Header:
    """Names only: enums {name: [entry]}, defines [name], structs {name: [member]}"""

    def __init__(self, text):
        self.enums = {
            name: re.findall(r"\b[A-Z_][A-Z0-9_]*\b(?=\s*[,=}]|\s*$)", body)
            for name, body in re.findall(r"\benum\s+(\w+)\s*\{(.*?)\}", text, re.S)}
        self.defines = re.findall(r"^#define\s+(FLYREP_\w+)\s+\S", text, re.M)
        self.structs = {
            name: re.findall(r"(\w+)\s*(?:\[[^]]*\])?\s*;", body)
            for name, body in re.findall(r"\bstruct\s+(\w+)\s*\{(.*?)\}", plain(text), re.S)}

    def program(self):
        lines = []
        for names in self.enums.values():
            lines += [f'printf("{n} %llu\\n", (unsigned long long){n});' for n in names]
        lines += [f'printf("{n} %llu\\n", (unsigned long long){n});' for n in self.defines
                  if n != "FLYREP_GENL_NAME"]
        for name, members in self.structs.items():
            lines.append(f'printf("{name} %zu\\n", sizeof(struct {name}));')
            for m in members:
                lines.append(f'printf("{name}.{m} %zu\\n", offsetof(struct {name}, {m}));')
                lines.append(f'printf("{name}.{m}. %zu\\n", sizeof(((struct {name} *)0)->{m}));')
        body = "\n\t".join(lines)
        return ('#include <stddef.h>\n#include <stdio.h>\n#include "flyrep.h"\n'
                f'int main(void)\n{{\n\tputs(FLYREP_GENL_NAME);\n\t{body}\n\treturn 0;\n}}\n')


def values_of(header):
    with tempfile.TemporaryDirectory() as tmp:
        source, program = os.path.join(tmp, "a.c"), os.path.join(tmp, "a")
        with open(source, "w", encoding="utf-8") as f:
            f.write(header.program())
        subprocess.run(["gcc", "-std=gnu11", "-Iuapi", "-o", program, source], check=True)
        out = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    name, *lines = out.splitlines()
    return name, {k: int(v) for k, v in (line.split() for line in lines)}


def counted(enum):
    """The sentinel of an enum that has one, and the macro of its last entry"""
    last = enum[-1]
    return (last, last.strip("_")) if last.startswith("__") else (None, None)


def truth(header, values):
    """What the specification should hold, in one flat table"""
    flat, macros = {}, {"FLYREP_GENL_NAME", "FLYREP_GENL_VERSION"}
    for name, entries in header.enums.items():
        sentinel, macro = counted(entries)
        macros.add(macro)
        flat |= {f"enum {name}: {e}": values[e] for e in entries if e != sentinel}
        # Or an entry that stands for another value has slipped in.
        flat[f"enum {name}: entries"] = values[sentinel] if sentinel else len(entries)
    flat |= {f"constant {n}": values[n] for n in header.defines if n not in macros}
    for name, members in header.structs.items():
        flat[f"struct {name}: size"] = values[name]
        flat |= {f"struct {name}: {m}": (values[f"{name}.{m}"], values[f"{name}.{m}."])
                 for m in members}
    return flat


def claim(spec):
    flat = {}
    for name, entries in spec.enums.items():
        flat |= {f"enum {name}: {e}": v for e, v in entries.items()}
        flat[f"enum {name}: entries"] = len(entries)
    flat |= {f"constant {n}": v for n, v in spec.consts.items()}
    for name, (size, members, _) in spec.structs.items():
        flat[f"struct {name}: size"] = size
        flat |= {f"struct {name}: {m}": where for m, where in members.items()}
    return flat


def loose_ends(spec):
    """Names that the specification uses but does not have"""
    names = {d["name"] for d in spec.tree["definitions"]}
    for space, attrs in spec.attrs.items():
        for a, (_, d) in attrs.items():
            for key in ("enum", "struct"):
                if key in d and d[key] not in names:
                    yield f"{space}.{a}: no {key} {d[key]}"
            spec.policy(space, [a])
    for name, (_, op) in spec.ops.items():
        for kind in ("do", "dump"):
            for way in ("request", "reply"):
                for a in op.get(kind, {}).get(way, {}).get("attributes", ()):
                    if a not in spec.attrs[op["attribute-set"]]:
                        yield f"{name}: no attribute {a}"


def main():
    spec = Spec("docs/netlink.yaml")
    header = Header("\n".join(text_of(h) for h in HEADERS))
    family, values = values_of(header)
    want, have = truth(header, values), claim(spec)
    faults = list(loose_ends(spec))
    if (family, values["FLYREP_GENL_VERSION"]) != (spec.family, spec.tree["version"]):
        faults.append(f"the family is {family}, version {values['FLYREP_GENL_VERSION']}")
    for key in ("c-family-name", "c-version-name"):
        if c_upper(spec.tree[key]) not in header.defines:
            faults.append(f"{key}: no {c_upper(spec.tree[key])}")
    for what in sorted(want.keys() | have.keys()):
        if want.get(what) != have.get(what):
            faults.append(f"{what}: {want.get(what, 'nothing')} in the header, "
                          f"{have.get(what, 'nothing')} here")
    print(f"{len(want)} facts")
    for fault in faults:
        print(f"docs/netlink.yaml: {fault}")
    return 1 if faults or len(want) < 100 else 0


sys.exit(main())
