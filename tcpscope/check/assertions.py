"""What a rule of a policy asserts: comparisons, and for how many connections they must hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tcpscope.check import units
from tcpscope.check.grammar import AGGREGATES, HOLDS, PERCENTILE
from tcpscope.check.keys import Table, checked, texts
from tcpscope.check.measures import Measure, measure, measures
from tcpscope.check.units import shown
from tcpscope.errors import UsageError
from tcpscope.tables.filters import nearest

_NUMERIC = ("time", "bytes", "rate", "share", "number", "moment")
CONNECTIONS = "connections"  # how many there are, of a group


@dataclass(frozen=True)
class Test:
    """One comparison.  op: max, min, require or forbid.  bounds: numbers, words or bools; of max and min just one.

    aggregate: "" for a single connection's value; else one of AGGREGATES, a percentile "p95", or "total".
    """

    measure: Measure
    op: str
    bounds: tuple[Any, ...]
    aggregate: str = ""

    @property
    def name(self) -> str:
        """`handshake_rtt`, `handshake_rtt p95`."""
        return self.measure.name if self.aggregate in ("", "total") else f"{self.measure.name} {self.aggregate}"

    @property
    def kind(self) -> str:
        """Of the value that is compared."""
        return {"count": "number", "share": "share"}.get(self.aggregate, self.measure.kind)

    @property
    def allowed(self) -> str:
        """`at most 200 ms`, `fin or reset`, `not refused`, `none of refused, reset`."""
        told = [units.written(bound, self.kind) for bound in self.bounds]
        if self.op in ("max", "min"):
            return f"at {'most' if self.op == 'max' else 'least'} {told[0]}"
        if self.op == "require":
            return " or ".join(told)
        return f"not {told[0]}" if len(told) == 1 else "none of " + ", ".join(told)


@dataclass(frozen=True)
class Quantifier:
    """For how many connections a rule must hold: between low and high, shares of 1 or (`counted`) numbers."""

    text: str = "all"
    low: float = 1.0
    high: float = float("inf")
    counted: bool = False

    @property
    def each(self) -> bool:
        """Every connection that does not comply is a violation of its own."""
        return self.text == "all"


def findings(given: Any, where: str) -> tuple[str, ...]:
    """Ids of findings, or severities."""
    from tcpscope.check.grammar import SEVERITIES
    from tcpscope.diagnose.catalogue import ENTRIES

    if given == []:
        return ()
    wanted = texts(given, where)
    for id in wanted:
        if id not in ENTRIES and id not in SEVERITIES:
            like = nearest(id, [*ENTRIES, *SEVERITIES])
            raise UsageError(f"{where}: no finding {shown(id)}{like or '; tcpscope explain lists all'}")
    return wanted


def quantifier(text: Any, where: str) -> Quantifier:
    """`all`, `any`, `none`, `at least 99%`, `at most 3`."""
    if not isinstance(text, str) or not re.fullmatch(HOLDS, text):
        raise UsageError(f'{where}: {shown(text)}; write all, any, none, "at least 99%" or "at most 3"')
    if text in ("all", "any", "none"):
        return {"all": Quantifier(), "any": Quantifier("any", 1, counted=True),
                "none": Quantifier("none", 0, 0, True)}[text]  # fmt: skip
    _, which, many = text.split()
    counted = not many.endswith("%")
    bound = float(many.rstrip("%")) / (1 if counted else 100)
    if not counted and bound > 1:
        raise UsageError(f"{where}: {many} is more than all")
    low, high = (bound, float("inf")) if which == "least" else (0, bound)
    return Quantifier(text, low, high, counted)


def tests(given: Table, where: str, per: str) -> tuple[tuple[Test, ...], tuple[Test, ...]]:
    """Tests of single connections, and of all those of a group together."""
    single, together = [], []
    for op, name, value, at in _entries(given, where):
        if op in ("require", "forbid"):
            single.append(_value_test(op, name, value, at))
        elif per == "connection":
            if isinstance(value, Mapping):
                raise UsageError(
                    f'{at}: {", ".join(map(str, value))} is about several connections: add per = "capture"'
                )
            if name == CONNECTIONS:
                raise UsageError(f'{at}: counts connections: add per = "capture"')
            single.append(_bound_test(op, measure(name, at), value, at))
        else:
            together += _group_tests(op, name, value, at)
    return tuple(single), tuple(together)


def _entries(given: Table, where: str) -> Iterable[tuple[str, str, Any, str]]:
    for op in ("max", "min", "require", "forbid"):
        table = given.get(op, {})
        if not isinstance(table, Mapping):
            raise UsageError(f"{where}.{op}: a table of measures is needed, not {shown(table)}")
        for name, value in table.items():
            if not isinstance(name, str):
                raise UsageError(f"{where}.{op}: nothing is called {shown(name)}")
            yield op, name, value, f"{where}.{op}.{name}"


def assertions(given: Any, where: str) -> list[Test]:
    """What stands in a `where`: single connections only."""
    checked("assertions", given, where)
    return [
        _value_test(op, name, value, at)
        if op in ("require", "forbid")
        else _bound_test(op, measure(name, at), value, at)
        for op, name, value, at in _entries(given, where)
    ]


def _bound_test(op: str, of: Measure, value: Any, at: str) -> Test:
    if of.kind not in _NUMERIC:
        raise UsageError(f"{at}: {of.name} is a {of.kind}, not a number: it goes with require and forbid")
    return Test(of, op, (units.amount(value, of.kind, at),))


def _value_test(op: str, name: str, value: Any, at: str) -> Test:
    of = measure(name, at)
    given = value if isinstance(value, list) else [value]
    if not given:
        raise UsageError(f"{at}: the list is empty")
    if isinstance(value, Mapping):
        raise UsageError(
            f"{at}: a value or a list of values is needed; {', '.join(map(str, value))} goes with max and min"
        )
    return Test(of, op, tuple(_value(of, it, at) for it in given))


def _value(of: Measure, value: Any, at: str) -> Any:
    if of.kind == "bool":
        if not isinstance(value, bool):
            raise UsageError(f"{at}: true or false is needed, not {shown(value)}")
        return value
    if of.kind in _NUMERIC:
        return units.amount(value, of.kind, at)
    if not isinstance(value, str):
        raise UsageError(f"{at}: a word is needed, not {shown(value)}")
    if of.choices and value not in of.choices:
        like = nearest(value, of.choices)
        raise UsageError(
            f"{at}: no {of.name} {shown(value)}{like or '; there are: ' + ', '.join(filter(None, of.choices))}"
        )
    return value


_COUNT = Measure(
    CONNECTIONS, "number", "how many connections there are", (), lambda fields: NotImplemented, derived=True
)


def _group_tests(op: str, name: str, value: Any, at: str) -> list[Test]:
    if name == CONNECTIONS:
        return [Test(_COUNT, op, (units.amount(value, "number", at),), "total")]
    if name not in measures() and CONNECTIONS in nearest(name, [*measures(), CONNECTIONS]):
        raise UsageError(f"{at}: nothing is called {shown(name)} (did you mean {CONNECTIONS}?)")
    of = measure(name, at)
    if not isinstance(value, Mapping):
        if not (of.additive or of.parts):
            share = "share" if of.kind == "bool" else "p95, max, mean …"
            raise UsageError(f"{at}: of several connections, say which: {at.rpartition('.')[2]} = {{ … }} with {share}")
        return [Test(of, op, (units.amount(value, of.kind, at),), "total")]
    if not value:
        raise UsageError(f"{at}: the table is empty; write p95, max, mean …")
    return [_aggregate_test(op, of, str(how), bound, f"{at}.{how}") for how, bound in value.items()]


def _aggregate_test(op: str, of: Measure, how: str, bound: Any, at: str) -> Test:
    if how not in AGGREGATES and not re.fullmatch(PERCENTILE, how):
        raise UsageError(f"{at}: no {shown(how)}{nearest(how, AGGREGATES) or '; there are: ' + ', '.join(AGGREGATES)}")
    if how == "share" and of.kind != "bool":
        raise UsageError(f"{at}: the share is of a bool; {of.name} is a {of.kind}")
    if how not in ("share", "count") and of.kind not in _NUMERIC:
        raise UsageError(
            f"{at}: {of.name} is a {of.kind}; it has a count" + (" and a share" if of.kind == "bool" else "")
        )
    test = Test(of, op, (), how)
    return Test(of, op, (units.amount(bound, test.kind, at),), how)
