# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/netlink.yaml as the tests read it: names as in C, numbers as numbers."""
import yaml

# Size of a scalar, and its number in enum netlink_attribute_type
SCALARS = {"u8": (1, 2), "u16": (2, 3), "u32": (4, 4), "u64": (8, 5),
           "s8": (1, 6), "s16": (2, 7), "s32": (4, 8), "s64": (8, 9)}
TYPE_BINARY, TYPE_STRING, TYPE_NESTED = 10, 11, 13
GENL_FLAGS = {"admin-perm": 0x01, "uns-admin-perm": 0x10}


def c_lower(name):
    return name.replace("-", "_").lower()


def c_upper(name):
    return c_lower(name).upper()


class Spec:
    """
    consts:  C name -> value
    enums:   C enum name, or prefix of flags -> {C name of entry: value}
    structs: C name -> (size, {member: (offset, size)})
    attrs:   set -> {attribute: (number, its description)}
    ops:     command -> (number, its description)
    """

    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            self.tree = yaml.safe_load(f)
        self.family = self.tree["name"]
        self.consts, self.enums, self.flags, self.structs = {}, {}, {}, {}
        for d in self.tree["definitions"]:
            getattr(self, "_add_" + d["type"])(d)
        self.attrs, self.prefixes = {}, {}
        for s in self.tree["attribute-sets"]:
            self._add_set(s)
        ops = self.tree["operations"]
        self.ops = {o["name"]: (n, o) for n, o in enumerate(ops["list"], 1)}
        self._add_names(ops["enum-name"], ops["name-prefix"],
                        {o: n for o, (n, _) in self.ops.items()})

    def _add_const(self, d):
        self.consts[c_upper(f"{self.family}-{d['name']}")] = d["value"]

    @staticmethod
    def _entries(d):
        return [e if isinstance(e, str) else e["name"] for e in d["entries"]]

    def _add_enum(self, d):
        self.enums[c_lower(f"{self.family}-{d['name']}")] = {
            c_upper(d["name-prefix"] + e): n for n, e in enumerate(self._entries(d))}

    def _add_flags(self, d):
        values = {c_upper(d["name-prefix"] + e): 1 << n for n, e in enumerate(self._entries(d))}
        self.flags[d["name"]] = sum(values.values())
        self.consts.update(values)

    def _add_struct(self, d):
        offset, members, align = 0, {}, 1
        for m in d["members"]:
            if m["type"] in SCALARS:
                size = unit = SCALARS[m["type"]][0]
            elif "struct" in m:
                size, _, unit = self.structs[c_lower(m["struct"])]
            else:
                size, unit = m["len"], 4 if m["len"] % 4 == 0 else 1
            # A hole would be a field without a name.
            if offset % unit:
                raise ValueError(f"{d['name']}.{m['name']}: not aligned")
            members[c_lower(m["name"])] = (offset, size)
            offset += size
            align = max(align, unit)
        self.structs[c_lower(d["name"])] = (offset, members, align)

    def _add_set(self, s):
        self.attrs[s["name"]] = {a["name"]: (n, a) for n, a in enumerate(s["attributes"], 1)}
        self._add_names(s["enum-name"], s["name-prefix"],
                        {a: n for a, (n, _) in self.attrs[s["name"]].items()})

    def _add_names(self, enum, prefix, numbers):
        self.enums[c_lower(enum)] = {c_upper(prefix + "unspec"): 0} | {
            c_upper(prefix + name): n for name, n in numbers.items()}

    def number(self, value):
        """A literal, or the name of a constant"""
        return value if isinstance(value, int) else self.consts[c_upper(f"{self.family}-{value}")]

    def policy(self, name, attrs):
        """What the kernel is to say of these attributes of a set: number -> {field: value}"""
        return {n: self._policy(a) for a, (n, a) in self.attrs[name].items() if attrs is None or
                a["name"] in attrs}

    def _policy(self, a):
        checks = {k: v for k, v in a.get("checks", {}).items() if k != "flags-mask"}
        checks = {k: self.number(v) for k, v in checks.items()}
        if a["type"] in SCALARS:
            size, kind = SCALARS[a["type"]]
            if "flags-mask" in a.get("checks", {}):
                return {"type": kind, "mask": self.flags[a["checks"]["flags-mask"]]}
            return {"type": kind, "min": checks.get("min", 0),
                    "max": checks.get("max", (1 << 8 * size) - 1)}
        if a["type"] == "nest":
            return {"type": TYPE_NESTED, "nest": self.policy(a["nested-attributes"], None)}
        if a["type"] == "string":
            return {"type": TYPE_STRING}
        exact = checks.pop("exact-len", None)
        if exact is not None:
            checks = {"min-len": exact, "max-len": exact}
        return {"type": TYPE_BINARY} | checks
