#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hold answers of the API to what docs/openapi.json says of them.

    contract.py             each line on stdin is an answer: METHOD PATH STATUS and the JSON
    contract.py paths       "METHOD PATH" of all there are
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


def check(document, line):
    """Whether an answer is as it should be; says why not."""
    method, path, status, text = line.split(" ", 3)
    responses = find(document, method, path)["responses"]
    if status not in responses and int(status) < 400:
        print(f"{method} {path}: {status} is not among its answers", file=sys.stderr)
        return False
    response = resolve(document, responses.get(status, responses["default"]))
    (content,) = response["content"].values()
    schema = plain({**content["schema"],
                    "components": document["components"]})
    validator = jsonschema.Draft4Validator(schema)
    errors = list(validator.iter_errors(json.loads(text)))
    for e in errors:
        where = "/".join(str(p) for p in e.absolute_path)
        print(f"{method} {path} {status}: {where}: {e.message}", file=sys.stderr)
    return not errors


def main():
    with open(DOCUMENT) as f:
        document = json.load(f)
    if sys.argv[1:] == ["paths"]:
        for method, path, _ in operations(document):
            print(method, path)
        return 0
    if sys.argv[1:]:
        sys.exit(__doc__)
    held = [check(document, line) for line in sys.stdin]
    print(f"{sum(held)} of {len(held)} answers are as {DOCUMENT} says")
    return 0 if held and all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
