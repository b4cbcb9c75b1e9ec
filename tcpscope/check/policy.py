"""A policy: what must be true of the connections of a capture.  Read from TOML, YAML or a dict, and checked.

Expressions are data: nothing in a policy is ever run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib import resources
from typing import Any

from tcpscope.check import units
from tcpscope.check.assertions import Quantifier, Test, assertions, findings, quantifier, tests
from tcpscope.check.grammar import GATES, Gate
from tcpscope.check.keys import Table, checked, texts
from tcpscope.check.select import ALL, AnyOf, Selection, selection
from tcpscope.check.units import shown
from tcpscope.errors import UsageError
from tcpscope.tables.filters import nearest

DEFAULT = "default.toml"
LONGEST = 1_000_000  # characters
MOST_MSL = 1e9  # seconds
# of each connection, what findings count of all connections, odd or not (replay.census)
COUNTED = ("connection", "client_addr", "server_addr", "server_port", "ip_version", "first_frame", "start_ns",
           "close_kind", "closed_by", "one_direction", "idle_end_ns", "syn_ack_ns", "ack_ns", "time_wait_owner", "odd",
           *(f"{side}_{name}" for side in ("client", "server") for name in (
               "packets", "duplicate_captures", "network_duplicates", "unique_bytes", "syn_packets", "fin_packets",
               "rst_packets")))  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """See grammar.SECTIONS["rules"].  tests: of single connections; totals: of all those of a group together."""

    id: str
    title: str
    why: str = ""
    severity: str = "error"
    select: AnyOf = ALL
    where: tuple[Test, ...] = ()
    per: str = "connection"
    holds: Quantifier = field(default_factory=Quantifier)
    tests: tuple[Test, ...] = ()
    totals: tuple[Test, ...] = ()
    findings: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()
    unknown: str = "skip"
    empty: str = "inconclusive"
    line: int = 0  # in the policy's file, from 1; 0: not known


@dataclass(frozen=True)
class Allow:
    """What is excused: rules by pattern, of a selection, up to and including a day."""

    rules: tuple[str, ...]
    reason: str
    select: AnyOf = ALL
    until: date | None = None


@dataclass(frozen=True)
class GateTest:
    """One bound of the quality gate.  op: max or min."""

    gate: Gate
    op: str
    bound: float

    @property
    def allowed(self) -> str:
        return f"at {'most' if self.op == 'max' else 'least'} {units.written(self.bound, self.gate.kind)}"


@dataclass(frozen=True)
class Policy:
    """rules, allows, and the quality gate.  path: of the file that it was read from, None for a dict or the default."""

    title: str
    rules: tuple[Rule, ...]
    allows: tuple[Allow, ...] = ()
    quality: tuple[GateTest, ...] = ()
    msl: float | None = None
    path: str | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def fields(self) -> set[str]:
        """The fields of a connection's record that judging needs, beside those that tell it apart."""
        needed: set[str] = set()
        for rule in self.rules:
            for test in (*rule.tests, *rule.totals, *rule.where):
                needed.update(test.measure.fields)
            needed |= rule.select.fields()
            if rule.findings and (rule.select.parts or rule.where or self.allows):
                needed.update(COUNTED)
        for allow in self.allows:
            needed |= allow.select.fields()
        return needed

    def rule(self, id: str) -> Rule:
        """The rule of this id; UsageError if there is none."""
        for rule in self.rules:
            if rule.id == id:
                return rule
        ids = [rule.id for rule in self.rules]
        raise UsageError(f"no rule {shown(id)}{nearest(id, ids) or '; there are: ' + ', '.join(ids)}")


def load_policy(source: str | os.PathLike[str] | Table | Policy | None = None) -> Policy:
    """The policy of a file (.toml, .yaml, .yml), of a dict of the same shape, or (None) tcpscope's own.

    Raises UsageError, one line that names the place and the nearest right word, for all that it does not know.
    """
    if isinstance(source, Policy):
        return source
    if source is None:
        return _built(_toml(default_text(), DEFAULT), None, default_text())
    if isinstance(source, Mapping):
        return _built(source, None, "")
    path = os.fspath(source)
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read(LONGEST + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: a policy is text in UTF-8") from None
    if len(text) > LONGEST:
        raise UsageError(f"{path}: longer than 1 MB: that is no policy")
    try:
        return _built(_parsed(text, path), path, text)
    except UsageError as error:
        told = str(error)
        raise UsageError(told if told.startswith(path) else f"{path}: {told}") from None


def default_text() -> str:
    """The default policy, as TOML with comments."""
    return (resources.files(__package__) / DEFAULT).read_text(encoding="utf-8")


def _parsed(text: str, path: str) -> Table:
    suffix = os.path.splitext(path)[1].lower()
    if suffix in (".yaml", ".yml"):
        import yaml

        from tcpscope.check.strict_yaml import UniqueKeys

        try:
            found = yaml.load(text, UniqueKeys)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            told = " ".join(str(error).split()).replace('in "<unicode string>", ', "in ")  # which is no name
            raise UsageError(f"{path}: {told}") from None
    elif suffix == ".toml":
        found = _toml(text, path)
    else:
        raise UsageError(f"{path}: a policy is a .toml, .yaml or .yml file")
    if not isinstance(found, dict):
        raise UsageError(f"{path}: a policy has keys: version, rules …")
    return found


def _toml(text: str, path: str) -> Table:
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {error}") from None


# ---------------------------------------------------------------- the whole


def _built(table: Table, path: str | None, text: str) -> Policy:
    checked("policy", table, "")
    names = _names(table.get("names", {}))
    selects: dict[str, Selection] = {}
    for at, given in enumerate(table.get("select", [])):
        where = f"select[{at}]"
        checked("select", given, where)
        where = f"select {given['name']}"
        if given["name"] in selects:
            raise UsageError(f"{where}: there are two of this name")
        selects[given["name"]] = _selection({k: v for k, v in given.items() if k != "name"}, where, names)
    if not table["rules"]:
        raise UsageError("rules: there is none")
    rules: dict[str, Rule] = {}
    for at, given in enumerate(table["rules"]):
        rule = _rule(given, at, selects, names, text)
        if rule.id in rules:
            raise UsageError(f"rule {rule.id}: there are two of this id")
        rules[rule.id] = rule
    allows = tuple(_allow(given, at, rules, selects, names) for at, given in enumerate(table.get("allow", [])))
    profile = checked("profile", table.get("profile", {}), "profile")
    msl = units.amount(profile["msl"], "time", "profile.msl") if "msl" in profile else None
    if msl is not None and msl > MOST_MSL:
        raise UsageError(f"profile.msl: {units.shown(profile['msl'])} is more than a connection ever waits")
    title = table.get("title", "the default policy" if path is None and text else "")
    return Policy(title, tuple(rules.values()), allows, _quality(table.get("quality", {})), msl, path, names)


def _names(given: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, Mapping):
        raise UsageError("names: a table of names with addresses is needed")
    return {str(name): texts(value, f"names.{name}") for name, value in given.items()}


def _selection(given: Any, where: str, names: Mapping[str, tuple[str, ...]]) -> Selection:
    checked("selection", given, where)
    return selection(given, where, names, assertions(given.get("where", {}), f"{where}.where"))


def _chosen(given: Any, where: str, selects: Mapping[str, Selection], names: Mapping[str, tuple[str, ...]]) -> AnyOf:
    """A name of `select`, several, or a selection in place; None is all."""
    if given is None:
        return ALL
    if isinstance(given, Mapping):
        return AnyOf("", (_selection(given, where, names),))
    wanted = texts(given, where)
    for name in wanted:
        if name not in selects:
            like = nearest(name, selects)
            raise UsageError(f"{where}: no selection {shown(name)}{like or '; [[select]] with this name is missing'}")
    return AnyOf(", ".join(wanted), tuple(selects[name] for name in wanted))


def _rule(
    given: Any, at: int, selects: Mapping[str, Selection], names: Mapping[str, tuple[str, ...]], text: str
) -> Rule:
    where = f"rule {given['id']}" if isinstance(given, Mapping) and isinstance(given.get("id"), str) else f"rules[{at}]"
    checked("rules", given, where)
    per = given.get("per", "connection")
    single, together = tests(given, where, per)
    found, spared = findings(given.get("findings", []), f"{where}.findings"), given.get("except", [])
    if not (single or together or found):
        raise UsageError(f"{where}: it asserts nothing; give it max, min, require, forbid or findings")
    if spared and not found:
        raise UsageError(f"{where}.except: goes with findings only")
    if found and "holds_for" in given and not single:
        raise UsageError(f"{where}.holds_for: goes with max, min, require and forbid, not with findings")
    if together and not single and not found and "holds_for" in given:
        raise UsageError(f"{where}.holds_for: says for how many connections; this judges all of a {per} together")
    return Rule(
        given["id"], given.get("title") or _title(single, together, found), given.get("why", ""),
        given.get("severity", "error"), _chosen(given.get("select"), f"{where}.select", selects, names),
        tuple(assertions(given.get("where", {}), f"{where}.where")), per,
        quantifier(given.get("holds_for", "all"), f"{where}.holds_for"), single, together, found,
        findings(spared, f"{where}.except"), given.get("unknown", "skip"), given.get("empty", "inconclusive"),
        _line(text, given["id"]),
    )  # fmt: skip


def _title(single: Iterable[Test], together: Iterable[Test], found: tuple[str, ...]) -> str:
    told = [f"{it.name} {it.allowed}" for it in (*single, *together)]
    return "; ".join([*told, *(["no findings: " + ", ".join(found)] if found else [])])


def _line(text: str, id: str) -> int:
    """Where the rule stands in the policy's text, from 1."""
    wanted = re.compile(rf"""["']?\bid["']?\s*[=:]\s*["']?{re.escape(id)}["']?\s*(?:[,}}#].*)?$""")
    return next((at for at, line in enumerate(text.splitlines(), 1) if wanted.search(line)), 0)


def _allow(
    given: Any, at: int, rules: Table, selects: Mapping[str, Selection], names: Mapping[str, tuple[str, ...]]
) -> Allow:
    from fnmatch import fnmatchcase

    where = f"allow[{at}]"
    checked("allow", given, where)
    patterns = texts(given["rule"], f"{where}.rule")
    for pattern in patterns:
        if not any(fnmatchcase(id, pattern) for id in rules):
            raise UsageError(f"{where}.rule: no rule {shown(pattern)}{nearest(pattern, rules)}")
    until = units.day(given["until"], f"{where}.until") if "until" in given else None
    return Allow(patterns, given["reason"], _chosen(given.get("select"), f"{where}.select", selects, names), until)


def _quality(given: Any) -> tuple[GateTest, ...]:
    """The policy's bounds, and the default ones where it has none of its own."""
    checked("quality", given, "quality")
    gates = {gate.name: gate for gate in GATES}
    bounds: dict[tuple[str, str], float | None] = {}
    for gate in GATES:
        bounds["max", gate.name], bounds["min", gate.name] = gate.most, gate.least
    for op in ("max", "min"):
        table = given.get(op, {})
        if not isinstance(table, Mapping):
            raise UsageError(f"quality.{op}: a table of bounds is needed")
        for name, value in table.items():
            if name not in gates:
                like = nearest(name, gates) if isinstance(name, str) else ""
                raise UsageError(f"quality.{op}: no key {shown(name)}{like or '; there are: ' + ', '.join(gates)}")
            bounds[op, name] = units.amount(value, gates[name].kind, f"quality.{op}.{name}")
    return tuple(GateTest(gates[name], op, bound) for (op, name), bound in bounds.items() if bound is not None)
