"""Timers recognised by the times at which they fire: who repeats a SYN when, who probes an idle peer how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

NEAR = 0.2  # share by which a timer may be off: clocks, ticks, a busy host
LEAST = 0.25  # seconds it may be off whatever its length


class Schedule(NamedTuple):
    """gaps: seconds between the tries.  end: after the first try it gives up, seconds.  who: has it so."""

    gaps: tuple[float, ...]
    end: float
    who: str


DOUBLING = Schedule((1, 2, 4, 8, 16, 32), 127, "Linux")
WINDOWS = Schedule((1, 2, 4, 8), 31, "Windows 10 and later")
LINEAR = Schedule((1, 1, 1, 1, 1, 2, 4, 8, 16, 32), 131, "Linux 6.5 and later")
APPLE = Schedule((1, 1, 1, 1, 1, 2, 4, 8, 16, 32), 75, "macOS and iOS")
OLD_WINDOWS = Schedule((3, 6, 12), 21, "Windows before 10, and Linux before 3.1")
OLD_BSD = Schedule((6, 24), 75, "the BSDs of old")
FREE_BSD = Schedule((3, 3, 3, 3, 3, 6, 12, 24), 75, "FreeBSD before 12")

# Keep-alive: idle time, interval, probes (RFC 9293, 3.8.4 asks for two hours at least by default).
PROBING = (
    (7200, 75, 9, "Linux' default"),
    (7200, 75, 8, "the BSDs' default"),
    (7200, 1, 10, "Windows' default"),
)


def near(found: float, wanted: float) -> bool:
    return abs(found - wanted) <= max(LEAST, NEAR * wanted)


def fits(gaps: Sequence[float], wanted: Sequence[float]) -> bool:
    """As far as they go."""
    return len(gaps) <= len(wanted) and all(map(near, gaps, wanted))


def recognised(gaps: Sequence[float], ttl: int = 0, window: int = 0) -> Schedule | None:
    """Whose schedule of SYNs it is; ttl and window (of the SYN) decide between those that share one."""
    if len(gaps) < 2:
        return None
    if fits(gaps, DOUBLING.gaps):
        return WINDOWS if 64 < ttl <= 128 and len(gaps) <= len(WINDOWS.gaps) else DOUBLING
    if fits(gaps, LINEAR.gaps):
        return APPLE if window == 0xFFFF else LINEAR
    return next((it for it in (OLD_WINDOWS, OLD_BSD, FREE_BSD) if fits(gaps, it.gaps)), None)


def spelt(gaps: Sequence[float]) -> str:
    """`1, 2, 4 s`: to the tenth of a second where that says more."""
    return ", ".join(f"{gap:.0f}" if near(gap, round(gap)) and gap >= 1 else f"{gap:.1f}" for gap in gaps) + " s"


def next_gap(gaps: Sequence[float]) -> float:
    """How long a sender with these gaps would wait for the next try, at least; seconds."""
    if not gaps:
        return 1.0
    return 2 * gaps[-1] if len(gaps) == 1 or gaps[-1] > 1.5 * gaps[-2] else gaps[-1]


def probing(idle: float, interval: float, count: int) -> str:
    """Which profile of keep-alive this is, in words; "" if none that is known."""
    for wanted, step, most, name in PROBING:
        if near(idle, wanted) and (interval <= 0 or near(interval, step)) and count <= most + 1:
            return name
    return ""
