#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hold answers of the API to what docs/openapi.json says of them.

    contract.py METHOD PATH STATUS      check the answer on stdin
    contract.py paths                   "METHOD PATH" of all there are
"""
import json
import re
import sys

import jsonschema

DOCUMENT = "docs/openapi.json"


def plain(node):
    """OpenAPI 3.0 as JSON Schema: nullable is all that differs here."""
    if isinstance(node, list):
        return [plain(n) for n in node]
    if not isinstance(node, dict):
        return node
    node = {key: plain(value) for key, value in node.items()}
    if node.pop("nullable", False):
        return {"anyOf": [{"type": "null"}, node]}
    return node


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def find(document, method, path):
    for m, template, operation in operations(document):
        pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template))
        if m == method and re.fullmatch(pattern, path):
            return operation
    sys.exit(f"{method} {path}: not in {DOCUMENT}")


def resolve(document, node):
    while "$ref" in node:
        ref, node = node["$ref"], document
        for part in ref[2:].split("/"):
            node = node[part]
    return node


def check(document, method, path, status):
    responses = find(document, method, path)["responses"]
    if status not in responses and int(status) < 400:
        sys.exit(f"{method} {path}: {status} is not among its answers")
    response = resolve(document, responses.get(status, responses["default"]))
    schema = plain({**response["content"]["application/json"]["schema"],
                    "components": document["components"]})
    jsonschema.Draft4Validator.check_schema(schema)
    errors = list(jsonschema.Draft4Validator(schema).iter_errors(json.load(sys.stdin)))
    for e in errors:
        where = "/".join(str(p) for p in e.absolute_path)
        print(f"{method} {path} {status}: {where}: {e.message}", file=sys.stderr)
    return 1 if errors else 0


def main():
    with open(DOCUMENT) as f:
        document = json.load(f)
    if sys.argv[1:] == ["paths"]:
        for method, path, _ in operations(document):
            print(method, path)
        return 0
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    return check(document, *sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
