"""A finding's numbers with their units, as the page shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tcpscope.report.text import size, span


def _milliseconds(value: float) -> str:
    return span(value / 1000)


def _rate(value: float) -> str:
    return f"{size(value)}/s"


UNITS: dict[str, Callable[[float], str]] = {
    **dict.fromkeys(("seconds", "idle", "longest", "waited", "gap"), span),
    **dict.fromkeys(("milliseconds", "client_side", "server_side", "network", "least", "loaded"), _milliseconds),
    **dict.fromkeys(("bytes", "bytes_each", "queue", "window", "segment", "passed"), size),
    **dict.fromkeys(("share", "overhead"), "{:.3g} %".format),
    "bytes_per_second": _rate, "rate": "{:.3g} a second".format,
}  # fmt: skip
CALLED = {"bytes_per_second": "rate"}
ALONE = frozenset({"seconds", "milliseconds", "bytes"})  # the unit says enough
PER_CENT = frozenset({"share", "overhead"})


def measured(numbers: Mapping[str, float]) -> list[str]:
    """`2.9 s`, `longest: 2.9 s`, `share: 11.1 %`, `probes: 3`, in their order; a number without a unit is a count."""
    return [_said(name, value) for name, value in numbers.items()]


def _said(name: str, value: float) -> str:
    kind = "gap" if name.startswith("gap_") else name
    text = UNITS[kind](value * 100 if kind in PER_CENT else value) if kind in UNITS else f"{value:,.6g}"
    return text if name in ALONE else f"{CALLED.get(name, name).replace('_', ' ')}: {text}"
