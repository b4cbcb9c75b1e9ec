"""Values as a policy writes them, with their units: `200ms`, `0.5%`, `1MB`; read, and written again.

A bare number is taken where it can mean one thing only: counts, bytes, shares between 0 and 1, and 0.
"""

from __future__ import annotations

import re
import reprlib
from datetime import UTC, date, datetime
from typing import Any

from tcpscope.errors import UsageError
from tcpscope.report.text import clock, size, span
from tcpscope.tables.filters import nearest

# what a measure is: kind → its units, each with its size
UNITS: dict[str, dict[str, float]] = {
    "time": {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400},
    "bytes": {"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
    "rate": {"B/s": 1, "kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9, "bit/s": 1 / 8, "kbit/s": 125, "Mbit/s": 125e3,
             "Gbit/s": 125e6},
    "share": {"%": 0.01},
    "number": {},
}  # fmt: skip
EXAMPLES = {"time": '"200ms"', "bytes": '"1MB"', "rate": '"10MB/s"', "share": '"0.5%"', "number": "3",
            "moment": '"2026-01-31T12:00:00"'}  # fmt: skip
LATEST = 9_000_000_000  # seconds since the epoch: nanoseconds still fit in 64 bits
_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([^\s0-9].*?)?\s*", re.ASCII)


def amount(value: Any, kind: str, where: str) -> float:
    """The number that is meant, in seconds, bytes, bytes/s, or as a share of 1.

    kind: a key of UNITS, or moment (seconds since the epoch).  Raises UsageError, which names `where`.
    """
    if kind == "moment":
        return moment(value, where)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UsageError(f"{where}: {shown(value)} is no {_named(kind)}; write {EXAMPLES[kind]}")
    if isinstance(value, str):
        return _with_unit(value, kind, where)
    if kind in ("time", "rate") and value != 0:
        raise UsageError(f"{where}: {value} lacks its unit; write {EXAMPLES[kind]} ({_units(kind)})")
    if kind == "share" and not 0 <= value <= 1:
        raise UsageError(f'{where}: a share is between 0 and 1, or a percentage: "{value:g}%"')
    if not 0 <= value < float("inf"):
        raise UsageError(f"{where}: {value} is no {_named(kind)}; write {EXAMPLES[kind]}")
    return float(value)


def _with_unit(text: str, kind: str, where: str) -> float:
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise UsageError(f"{where}: {shown(text)} is no {_named(kind)}; write {EXAMPLES[kind]}")
    number, unit = float(found[1]), found[2]
    units = UNITS[kind]
    if not unit:
        return amount(number, kind, where)
    if unit not in units:
        like = nearest(unit, units)
        raise UsageError(f"{where}: no unit {shown(unit)} for a {_named(kind)}{like or '; write ' + EXAMPLES[kind]}")
    return number * units[unit]


def moment(value: Any, where: str) -> float:
    """Seconds since the epoch from a date, a time, ISO 8601 text (UTC) or a number."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise UsageError(f"{where}: {shown(value)} is no time; write {EXAMPLES['moment']}") from None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LATEST:
        return float(value)
    raise UsageError(f"{where}: {shown(value)} is no time; write {EXAMPLES['moment']}")


def day(value: Any, where: str) -> date:
    """A calendar day from TOML's or YAML's own date, or from `2026-01-31`."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise UsageError(f"{where}: {shown(value)} is no date; write 2027-01-31") from None


def written(value: float | str | bool | None, kind: str) -> str:
    """A value as a person reads it: `212 ms`, `0.42%`, `1.4 MB`, `true`."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if kind == "time":
        return span(value) if value else "0 s"
    if kind == "bytes":
        return f"{value:,.{0 if value == int(value) else 1}f} B" if value < 10_000 else size(value)
    if kind == "rate":
        return f"{size(value)}/s"
    if kind == "share":
        return f"{value * 100:.3g}%"
    if kind == "moment":
        return clock(value, True)
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"


_FINE = {"time": (("s", 1.0), ("ms", 1e3), ("µs", 1e6)), "bytes": ((" B", 1.0),), "rate": ((" B/s", 1.0),),
         "share": (("%", 100.0),), "number": (("", 1.0),)}  # fmt: skip


def apart(value: float, bound: float, kind: str) -> tuple[str, str]:
    """Both as a person reads them, with as many digits as it takes to see that they differ."""
    told = written(value, kind), written(bound, kind)
    if told[0] != told[1] or kind not in _FINE:
        return told
    unit, times = next((it for it in _FINE[kind] if abs(bound) * it[1] >= 1), _FINE[kind][-1])
    unit = f" {unit}" if kind == "time" else unit
    for digits in range(4, 18):
        told = f"{value * times:,.{digits}g}{unit}", f"{bound * times:,.{digits}g}{unit}"
        if told[0] != told[1]:
            break
    return told


def _units(kind: str) -> str:
    return ", ".join(UNITS[kind])


def _named(kind: str) -> str:
    return {"bytes": "number of bytes", "rate": "rate", "moment": "time"}.get(kind, kind)


_LITTLE = reprlib.Repr()  # never walks far into what is shown
_LITTLE.maxlevel, _LITTLE.maxlist, _LITTLE.maxdict, _LITTLE.maxstring, _LITTLE.maxother = 2, 3, 3, 60, 60


def shown(value: Any) -> str:
    """A value from a policy, cut short, for an error."""
    try:
        text = _LITTLE.repr(value)
    except ValueError:  # a number of thousands of digits
        text = "a number so large"
    return text if len(text) <= 60 else text[:57] + "…"
