#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hold the alerts, the dashboard and the manual of metrics against the table in the agent;
and the types of events.

In the directory of the tree. A line a fault; exit status 1 if there is one.

    monitoring.py            check
    monitoring.py --table    print the table of docs/monitoring.md, as it should be
"""
import glob
import json
import re
import subprocess
import sys

import yaml

SUFFIXES = {"summary": ("", "_sum", "_count")}
# Labels that a family has, by the function that tells it; of words: those of the program.
LABELS = {
    "NODE": "", "INJECT": "", "BEAT": "", "LEDGER": "", "tell_kernel": "",
    "LINK": "peer", "SHIP": "peer", "RECEIVE": "peer", "TABLE": "table", "FILTER": "table",
    "tell_build": "version, node_id, mode", "tell_role": "role", "tell_state": "state",
    "tell_peer_state": "peer, state", "tell_lag": "peer, quantile", "tell_bytes": "peer, dir",
    "tell_in_step": "peer, table", "tell_differ": "peer, table", "tell_voters": "voter",
}
ROW = re.compile(
    r'\{\s*"((?:flyrep|process)_\w+)",\s*"(\w+)",\s*(NULL|(?:"[^"]*"\s*)+),\s*(\w+)\((\w+)\)', re.S)
COUNTER = re.compile(r'\{\s*"([a-z_]+)",\s*("[^"]*")', re.S)

faults = []


def text_of(literal):
    return "".join(re.findall(r'"([^"]*)"', literal))


def families():
    """name -> (type, labels, help), in the order of the page"""
    found = {}
    for path in sorted(glob.glob("agent/metrics_*.c")):
        for name, kind, meaning, how, arg in ROW.findall(open(path).read()):
            labels = LABELS[arg if how == "METRICS_TELL" else how]
            if arg != "tell_kernel":
                found[name] = (kind, labels, text_of(meaning))
                continue
            for counter, what in COUNTER.findall(open("lib/counter.c").read()):
                found[f"{name}{counter}_total"] = (kind, labels, text_of(what))
    return found


def table(known):
    yield "| metric | type | labels | what |"
    yield "|---|---|---|---|"
    for name, (kind, labels, meaning) in known.items():
        yield f"| `{name}` | {kind} | {labels} | {meaning} |"


def used(expr):
    """Names of metrics in an expression: words that no bracket, quote or label hides."""
    expr = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(by|on|without|ignoring|group_left)\s*\([^)]*\)',
                  " ", expr)
    return set(re.findall(r"\b(?:flyrep|process)_\w+", expr))


def check_use(where, expr, names):
    for name in sorted(used(expr) - names):
        faults.append(f"{where}: {name}: the agent has no such metric")


def check_labels(where, expr, known, names):
    for name, labels in re.findall(r"\b((?:flyrep|process)_\w+)\{([^}]*)\}", expr):
        base = name if name in known else re.sub("_(sum|count)$", "", name)
        if base not in known:
            continue
        has = set(re.findall(r"\w+", known[base][1])) | {"job", "instance"}
        for label in re.findall(r"(\w+)\s*(?:=|!)", re.sub(r'"[^"]*"', '""', labels)):
            if label not in has:
                faults.append(f"{where}: {name}: it has no label {label}")


def rules():
    for group in yaml.safe_load(open("docs/monitoring/alerts.yml"))["groups"]:
        yield from group["rules"]


def check_alerts(known, names):
    tests = yaml.safe_load(open("docs/monitoring/alerts.test.yml"))["tests"]
    fires = json.dumps([(t.get("promql_expr_test"), t.get("alert_rule_test")) for t in tests])
    for rule in rules():
        where = f"docs/monitoring/alerts.yml: {rule['alert']}"
        check_use(where, rule["expr"], names)
        check_labels(where, rule["expr"], known, names)
        if rule["labels"].get("severity") not in ("page", "ticket"):
            faults.append(f"{where}: severity: page or ticket")
        if not re.search(rf'alertname=\\"{rule["alert"]}\\"|"alertname": "{rule["alert"]}"', fires):
            faults.append(f"{where}: alerts.test.yml does not test it")
    for test in tests:
        for series in test["input_series"]:
            check_use("docs/monitoring/alerts.test.yml", series["series"], names)
            check_labels("docs/monitoring/alerts.test.yml", series["series"], known, names)


def compiles(expr):
    """Whether it is an expression, says Prometheus."""
    group = {"groups": [{"name": "a", "rules": [{"record": "a", "expr": expr}]}]}
    return subprocess.run(["promtool", "check", "rules", "/dev/stdin"], input=json.dumps(group),
                          text=True, capture_output=True, check=False).returncode == 0


def check_dashboard(known, names):
    board = json.load(open("docs/monitoring/dashboard.json"))
    ids, exprs = set(), []
    where = "docs/monitoring/dashboard.json"
    for key in ("title", "uid", "schemaVersion", "panels", "templating", "time"):
        if key not in board:
            faults.append(f"{where}: no {key}")
    for panel in board["panels"]:
        place = f"{where}: {panel['title']}"
        grid = panel["gridPos"]
        if panel["id"] in ids:
            faults.append(f"{place}: its id {panel['id']} is another one's, too")
        ids.add(panel["id"])
        if grid["x"] + grid["w"] > 24:
            faults.append(f"{place}: it is wider than the page")
        if panel["type"] != "row" and not panel.get("targets"):
            faults.append(f"{place}: it shows nothing")
        for target in panel.get("targets", []):
            exprs.append((place, target["expr"]))
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            check_use(where, variable["query"]["query"].replace("label_values(", "("), names)
    for place, expr in exprs:
        check_use(place, expr, names)
        check_labels(place, expr, known, names)
    # All in one go; one by one only to find which.
    plain = [(p, e.replace("$__rate_interval", "5m")) for p, e in exprs]
    if not compiles("\nor ".join(f"({e})" for _, e in plain)):
        faults.extend(f"{p}: not an expression: {e}" for p, e in plain if not compiles(e))


def check_manual(known):
    text = open("docs/monitoring.md").read().splitlines()
    for line in table(known):
        if line not in text:
            faults.append(f"docs/monitoring.md lacks the line: {line}")
    for line in text:
        name = re.match(r"\| `((?:flyrep|process)_\w+)`", line)
        if name and name[1] not in known:
            faults.append(f"docs/monitoring.md: {name[1]}: the agent has no such metric")
    for rule in rules():
        if not any(f"`{rule['alert']}`" in line for line in text):
            faults.append(f"docs/monitoring.md does not tell of the alert {rule['alert']}")


def check_events():
    """The types of events are the same in the agent, the catalog, the API and the manual."""
    types = dict(re.findall(r'\[EVENT_\w+\] = \{ "(\w+)", "([0-9a-f]{32})" \}',
                            open("agent/events.c").read()))
    catalog = re.findall(r"^-- (\w+)$", open("agent/flyrep.catalog").read(), re.M)
    schemas = json.load(open("docs/openapi.json"))["components"]["schemas"]
    manual = open("docs/man/flyrepd.8.scd").read().partition("The types are ")[2].partition(".")[0]
    if len(set(types.values())) != len(types) or sorted(types.values()) != sorted(catalog):
        faults.append("agent/flyrep.catalog: not the ids of agent/events.c, each once")
    if schemas["Event"]["properties"]["type"]["enum"] != list(types):
        faults.append("docs/openapi.json: not the types of events that agent/events.c has")
    if re.findall(r"\*(\w+)\*", manual)[:len(types)] != list(types):
        faults.append("flyrepd.8.scd: not the types of events that agent/events.c has")


def main():
    known = families()
    if "--table" in sys.argv:
        print("\n".join(table(known)))
        return 0
    names = {n + s for n, (k, _, _) in known.items() for s in SUFFIXES.get(k, ("",))}
    check_alerts(known, names)
    check_dashboard(known, names)
    check_manual(known)
    check_events()
    print("\n".join(faults) or f"{len(known)} metrics")
    return 1 if faults or not known else 0


sys.exit(main())
