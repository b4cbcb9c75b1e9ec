"""How values are written on an axis: the unit that suits them, and decimal multiples of it."""

from __future__ import annotations

from tcpscope.report.plots.model import Axis

TIMES = (
    (1e-6, "µs", 1e-3),
    (1e-3, "ms", 1.0),
    (1.0, "s", 600.0),
    (60.0, "min", 6 * 3600.0),
    (3600.0, "h", 3 * 86400.0),
    (86400.0, "days", float("inf")),
)
DECIMAL = ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"))


def scale(axis: Axis, least: float, most: float) -> tuple[float, str]:
    """What to divide by, and the axis's name with the unit, for values between least and most."""
    if axis.unit in ("time", "seconds"):
        span = most - least if axis.unit == "time" else most
        divisor, unit = next((by, unit) for by, unit, upto in TIMES if span < upto)
        return divisor, f"{axis.name} ({unit})"
    if axis.unit in ("bytes", "rate"):
        far = max(abs(least), abs(most))
        divisor, prefix = next(((by, p) for by, p in reversed(DECIMAL) if far >= 1.5 * by), DECIMAL[0])
        unit = f"{prefix}B" + ("/s" if axis.unit == "rate" else "")
        unit = {"B": "bytes", "B/s": "bytes/s"}.get(unit, unit)
        return divisor, f"{axis.name} ({unit})"
    return 1.0, axis.name
