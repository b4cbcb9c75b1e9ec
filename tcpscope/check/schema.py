"""The JSON Schema of a policy, for editors: `python -m tcpscope.check.schema > tcpscope/check/policy.schema.json`.

Made of the same declarations as the loader: `grammar` for the keys, `measures` for what can be measured.
"""

from __future__ import annotations

import json
from typing import Any

from tcpscope.check.grammar import (
    AGGREGATES,
    ASSERTIONS,
    GATES,
    HOLDS,
    PERCENTILE,
    SECTIONS,
    SEVERITIES,
    Key,
)  # fmt: skip
from tcpscope.check.measures import Measure, measures
from tcpscope.check.units import UNITS
from tcpscope.diagnose.catalogue import ENTRIES

NUMERIC = (*UNITS, "moment")
_SHARED = (*NUMERIC, "bool", "text")  # kinds of which every measure takes the same values
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_DATE = r"^\d{4}-?(\d\d|W\d\d)"  # how ISO 8601 begins
_AFTER = rf"^\+\s*[0-9]+(\.[0-9]+)?(\s*({'|'.join(UNITS['time'])})\s*)?$"  # so long after the start
_TABLE: dict[str, Any] = {"type": "object", "additionalProperties": False}


def several(one: dict[str, Any]) -> dict[str, Any]:
    """This, or a list of it."""
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def bound(kind: str) -> dict[str, Any]:
    """A number of this kind, bare where that is clear, or with its unit."""
    if kind == "moment":
        return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": _DATE}]}
    units = "|".join(unit.replace("/", r"\/") for unit in UNITS[kind])
    number = r"^\s*[0-9]+(\.[0-9]+)?\s*"
    bare: dict[str, Any] = {"type": "number", "minimum": 0}
    if kind in ("time", "rate"):
        bare = {"const": 0}
    elif kind == "share":
        bare["maximum"] = 1
    return {
        "anyOf": [
            bare,
            {"type": "string", "pattern": f"{number}({units}){'' if kind in ('time', 'rate') else '?'}\\s*$"},
        ]
    }


def value(of: Measure) -> dict[str, Any]:
    """What require and forbid compare a measure with."""
    if of.kind == "bool":
        return several({"type": "boolean"})
    if of.kind in NUMERIC:
        return several({"$ref": f"#/$defs/{of.kind}"})
    choices = [word for word in of.choices if word]
    return several({"enum": choices} if choices else _TEXT)


def limits(of: Measure) -> dict[str, Any]:
    """What max and min may say of a measure: a bound, or one for each aggregate."""
    if of.kind in NUMERIC:
        names = [name for name in AGGREGATES if name not in ("share", "p50")]
        table = {
            **_TABLE,
            "properties": {n: {"$ref": f"#/$defs/{'number' if n == 'count' else of.kind}"} for n in names},
            "patternProperties": {f"^{PERCENTILE}$": {"$ref": f"#/$defs/{of.kind}"}},
            "minProperties": 1,
        }
        return {"anyOf": [{"$ref": f"#/$defs/{of.kind}"}, table]}
    table = {**_TABLE, "properties": {"count": {"$ref": "#/$defs/number"}}, "minProperties": 1}
    if of.kind == "bool":
        table["properties"]["share"] = {"$ref": "#/$defs/share"}
    return table


def definitions() -> dict[str, Any]:
    """What is used in several places."""
    found = {kind: bound(kind) for kind in NUMERIC}
    known = measures()
    found["bounds"] = {
        **_TABLE,
        "properties": {
            "connections": {
                "$ref": "#/$defs/number",
                "description": 'how many connections there are (per = "capture" …)',
            },
            **{n: {**_limit_ref(it), "description": it.meaning} for n, it in known.items()},
        },
    }
    for kind in (*NUMERIC, "bool", "word", "text"):
        sample = next((it for it in known.values() if it.kind == kind), None)
        if sample is not None:
            found[f"limit_{kind}"] = limits(sample)
    found |= {f"value_{kind}": value(next(it for it in known.values() if it.kind == kind)) for kind in _SHARED}
    found["values"] = {**_TABLE, "properties": {n: _value_ref(it) for n, it in known.items()}}
    for name, section in (("assertions", "assertions"), ("selection_table", "selection")):
        found[name] = table_of(section)
    found["selection"] = {"anyOf": [*several(_TEXT)["anyOf"], {"$ref": "#/$defs/selection_table"}]}
    ids = {"enum": [*ENTRIES, *SEVERITIES]}
    found["findings"] = several(ids)
    return found


def _value_ref(of: Measure) -> dict[str, Any]:
    told = {"$ref": f"#/$defs/value_{of.kind}"} if of.kind in _SHARED else value(of)
    return {**told, "description": of.meaning}


def _limit_ref(of: Measure) -> dict[str, Any]:
    return {"$ref": f"#/$defs/limit_{of.kind}"}


def _of(key: Key) -> dict[str, Any]:
    port = {
        "anyOf": [{"type": "integer", "minimum": 0, "maximum": 65535}, {"type": "string", "pattern": r"^\d+(-\d+)?$"}]
    }
    word = {"anyOf": [_TEXT, {"type": "integer", "minimum": 0, "maximum": 65535}]}
    gates = {"properties": {it.name: {"$ref": f"#/$defs/{it.kind}", "description": it.meaning} for it in GATES}}
    kinds: dict[str, dict[str, Any]] = {
        "version": {"const": 1},
        "text": _TEXT,
        "id": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$"},
        "texts": several(word),
        "hosts": several(_TEXT),
        "ports": several(port),
        "choice": {"enum": list(key.choices)},
        "time": {"anyOf": [{"$ref": "#/$defs/moment"}, {"type": "string", "pattern": _AFTER}]},
        "span": {"$ref": "#/$defs/time"},
        "date": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"},
        "quantifier": {"type": "string", "pattern": f"^({HOLDS})$"},
        "names": {"type": "object", "additionalProperties": several(_TEXT)},
        "selects": {"type": "array", "items": table_of("select")} if key.kind == "selects" else {},
        "rules": {"type": "array", "minItems": 1, "items": table_of("rules")} if key.kind == "rules" else {},
        "allows": {"type": "array", "items": table_of("allow")} if key.kind == "allows" else {},
        "profile": table_of("profile") if key.kind == "profile" else {},
        "quality": table_of("quality") if key.kind == "quality" else {},
        "gate": {**_TABLE, **gates},
    }
    return kinds.get(key.kind) or {"$ref": f"#/$defs/{key.kind}"}


def table_of(section: str) -> dict[str, Any]:
    """A table with the keys of this section."""
    keys = SECTIONS[section]
    found: dict[str, Any] = {
        **_TABLE,
        "properties": {key.name: {**_of(key), "description": key.meaning} for key in keys},
    }
    required = [key.name for key in keys if key.required]
    if required:
        found["required"] = required
    if section == "rules":
        some = {"minProperties": 1, "minItems": 1}  # an empty table or list asserts nothing
        found["anyOf"] = [{"required": [it], "properties": {it: some}} for it in (*ASSERTIONS, "findings")]
    return found


def schema() -> dict[str, Any]:
    """The whole."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tcpscope policy",
        "description": "What must be true of captured TCP traffic: tcpscope check FILE --policy THIS",
        **table_of("policy"),
        "$defs": definitions(),
    }


if __name__ == "__main__":
    print(json.dumps(schema(), indent=1, ensure_ascii=False))
