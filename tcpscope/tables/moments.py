"""A moment of a capture, as a person names it: a time, a frame, seconds from the start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tcpscope.errors import CaptureError, UsageError
from tcpscope.tables.analysis import Analysis
from tcpscope.tables.filters import moment as parsed_time

JITTER_NS = 1_000_000_000  # packets are out of order in time by less; by more, the clock was set back

ROUNDED_NS = 1000  # a time that was printed to the microsecond, or held in a double, is meant as it was

DOUBLE_NS = 240  # what a double of seconds since the epoch cannot tell apart


@dataclass(frozen=True)
class Asked:
    """What was asked for: the end (nothing set), a frame, or a time in nanoseconds since the epoch."""

    frame: int | None = None
    time_ns: int | None = None


@dataclass(frozen=True)
class Moment:
    """After the packets up to `order` (of the replay, from 0; -1: none yet), at time_ns.

    frame, file: of the last of these packets, frame 0 if there is none; last_ns: its time.  end: the capture's.
    """

    time_ns: int
    order: int
    last_ns: int
    frame: int
    file: int
    end: bool

    @property
    def seconds(self) -> float:
        """Since the epoch."""
        return self.time_ns / 1_000_000_000


def bounds(result: Analysis) -> tuple[int, int]:
    """First and last packet of the captures, of whatever protocol, in nanoseconds since the epoch."""
    first = [it["first_ns"] for it in result.files if it.get("first_ns") is not None]
    last = [it["last_ns"] for it in result.files if it.get("last_ns") is not None]
    if not first or not last:
        raise CaptureError(f"{', '.join(result.names)}: no packet, so no moment to show")
    return min(first), max(last)


def covers(result: Analysis) -> str:
    """`the capture lasts from +0 to +12.5 s (2026-…T… to 2026-…T… UTC), frames 1 to 120`."""
    first, last = bounds(result)
    day = [datetime.fromtimestamp(it / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") for it in (first, last)]
    frames = f", frames 1 to {result.files[0]['packets']}" if len(result.files) == 1 else ""
    return f"the capture lasts from +0 to +{(last - first) / 1e9:.6f} s ({day[0]} to {day[1]} UTC){frames}"


def asked(result: Analysis, at: Any) -> Asked:
    """Read None (the end), `frame:N`, `+SECONDS`, ISO 8601 text, seconds since the epoch or a datetime.

    Raises UsageError, with the capture's span, for what is no moment of the capture.
    """
    if at is None:
        return Asked()
    first, last = bounds(result)
    text = str(at.isoformat() if hasattr(at, "isoformat") else at).strip()
    word, colon, number = text.partition(":")
    if colon and word.lower() == "frame":
        return _frame(result, number)
    time = parsed_time(text, first)
    if text[:1].isdigit() and "-" not in text:
        time += DOUBLE_NS  # the packet whose time the tables gave in a double is meant to be in
    if -ROUNDED_NS < time - first < 0 or 0 < time - last < ROUNDED_NS:
        time = min(max(time, first), last)
    if not first <= time <= last:
        raise UsageError(f"--at {text}: {covers(result)}")
    return Asked(time_ns=time)


def _frame(result: Analysis, number: str) -> Asked:
    if len(result.files) > 1:
        raise UsageError(
            f"--at frame:{number}: {len(result.files)} captures are read as one, each with its own frames; give a time"
        )
    if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= result.files[0]["packets"]:
        raise UsageError(f"--at frame:{number}: no such frame; {covers(result)}")
    return Asked(frame=int(number))
