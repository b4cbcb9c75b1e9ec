"""How many sockets were in which state, through time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from typing import Any

import numpy as np

from tcpscope.errors import UsageError
from tcpscope.replay.layout import STATES
from tcpscope.replay.states import State
from tcpscope.tables.analysis import Analysis
from tcpscope.tables.moments import bounds
from tcpscope.tables.past import HIDDEN, Past
from tcpscope.tables.rows import Row
from tcpscope.tables.sockets import SS_NAMES, Wanted

ROWS = 20  # about as many, where no step is given
MOST = 1_000_000
COUNTED = tuple(SS_NAMES[state] for state in STATES if state != "CLOSED")
KEYS = ("time", "host", *COUNTED, "total")
_ALWAYS = -(1 << 62)


def nice_step(span: float) -> float:
    """A step in seconds, 1, 2 or 5 times a power of ten, that makes about ROWS rows of the span."""
    if span <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(span / ROWS))
    return float(next(step * power for step in (1, 2, 5, 10) if span / (step * power) <= ROWS + 1e-9))


def moments_ns(result: Analysis, every: float | None) -> list[int]:
    """The times to count at: from the capture's start every so many seconds, and its end."""
    first, last = bounds(result)
    step = max(round((every or nice_step((last - first) / 1e9)) * 1e9), 1)
    if (last - first) // step >= MOST:
        raise UsageError(f"--every {every}: more than {MOST:,} rows for {(last - first) / 1e9:.6g} s")
    times = list(range(first, last + 1, step))
    return times if times[-1] == last else [*times, last]


def counts(result: Analysis, every: float | None, wanted: Wanted) -> Iterator[Row]:
    """A row for each time (KEYS); with wanted.networks one for each time and host, else host is None.

    every: step in seconds, None to choose.  Times are seconds since the epoch.
    """
    past = Past(result)
    times = moments_ns(result, every)
    chosen = np.isin(np.arange(past.count), wanted.connections) if wanted.connections else np.ones(past.count, bool)
    numbers = np.flatnonzero(chosen)
    ends = [past.ends(numbers, side) if wanted.ports or wanted.networks else [] for side in (0, 1)]
    if wanted.ports:
        passed = np.array([wanted.port(a[1], b[1]) for a, b in zip(*ends, strict=True)], bool)
        numbers, ends = numbers[passed], [list(compress(it, passed)) for it in ends]
    if not wanted.networks:
        yield from _of_host(past, times, None, np.concatenate([2 * numbers, 2 * numbers + 1]), wanted)
        return
    hosts: dict[str, list[int]] = {}
    for number, *both in zip(numbers.tolist(), *ends, strict=True):
        for side, (ip, _) in enumerate(both):
            if wanted.host(ip):
                hosts.setdefault(ip, []).append(2 * number + side)
    for host, endpoints in hosts.items():
        yield from _of_host(past, times, host, np.array(endpoints), wanted)


def _of_host(past: Past, times: list[int], host: str | None, endpoints: Any, wanted: Wanted) -> Iterator[Row]:
    mine = np.zeros(past.count * 2, bool)
    mine[endpoints] = True
    begins, ends, states = _spells(past, mine)
    at = np.array(times)
    table = {}
    for code, name in enumerate(STATES):
        if code == State.CLOSED or not wanted.state(code):
            continue
        here = states == code
        table[SS_NAMES[name]] = np.searchsorted(np.sort(begins[here]), at, "right") - np.searchsorted(
            np.sort(ends[here]), at, "right"
        )
    zero = np.zeros(len(at), np.int64)
    if wanted.listen and wanted.state(State.LISTEN) and not wanted.connections:
        table["LISTEN"] = np.array([_listening(past, time, host, wanted) for time in times])
    for row, time in enumerate(times):
        numbers = [int(table.get(name, zero)[row]) for name in COUNTED]
        yield dict(zip(KEYS, [time / 1e9, host, *numbers, sum(numbers)], strict=True))


def _listening(past: Past, time_ns: int, host: str | None, wanted: Wanted) -> int:
    return sum((host is None or ip == host) and wanted.port(port) for ip, port in past.listeners(time_ns))


def _spells(past: Past, mine: Any) -> tuple[Any, Any, Any]:
    """Begin, end (ns) and state of each time that an endpoint spends in a state with a socket to show."""
    events = past.events
    of = past.of_event
    kept = np.flatnonzero(mine[of])
    if len(kept):
        kept = kept[np.argsort(of[kept], kind="stable")]
    of, when, state = of[kept], events["time_ns"][kept], events["new"][kept].astype(np.int64)
    endpoints = np.flatnonzero(mine)
    begins = np.where(past.resumed, _ALWAYS, np.repeat(past.connections["start_ns"], 2))[endpoints]
    of = np.concatenate([endpoints, of])
    when, state = np.concatenate([begins, when]), np.concatenate([past.initial[endpoints], state])
    order = np.argsort(of, kind="stable")
    of, when, state = of[order], when[order], state[order]
    until = np.full(len(of), -_ALWAYS, np.int64)
    more = of[1:] == of[:-1]
    until[:-1][more] = np.maximum(when[1:], when[:-1])[more]
    silent = past.nobody(np.full(past.count * 2, State.UNKNOWN))[of]
    shown = ~np.isin(state, HIDDEN) & ~(silent & (state == State.UNKNOWN))
    return when[shown], until[shown], state[shown]
