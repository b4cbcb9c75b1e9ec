"""How the TCP behaviour of two captures differs: connection by connection, beyond a tolerance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from tcpscope.capture.sources import Sources
from tcpscope.check.matching import SHAPE, Pairs, paired
from tcpscope.check.measures import Series, measures
from tcpscope.check.named import Named
from tcpscope.check.observed import ALWAYS, Observed
from tcpscope.check.units import amount, written
from tcpscope.diagnose import Collected
from tcpscope.errors import UsageError
from tcpscope.replay.layout import CONNECTION, EVENT, ROLES, STATES
from tcpscope.tables.analysis import DEFAULT_MSL, Progress, check_usable, stream
from tcpscope.tables.filters import nearest

EXAMPLES = 5  # pairs named of one kind of difference
LISTED = 10_000  # pairs told singly

# what is compared: in groups, each with the tolerance that it has; "" is none
ASPECTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "opening": ("", ("handshake_ok", "syn_retransmissions", "fast_open", "simultaneous_open", "client_mss",
                     "server_mss", "client_window_scale", "server_window_scale")),
    "states": ("", ("client_states", "server_states")),
    "closing": ("", ("close", "closed_by", "time_wait_owner", "resets")),
    "payload": ("bytes", ("client_unique_bytes", "server_unique_bytes")),
    "packets": ("packets", ("client_packets", "server_packets")),
    "loss": ("events", ("client_retransmissions", "server_retransmissions", "timeout_retransmissions",
                        "fast_retransmissions", "spurious_retransmissions", "out_of_order")),
    "waiting": ("events", ("client_zero_window_spells", "server_zero_window_spells", "client_nagle_stalls",
                           "server_nagle_stalls", "keep_alives")),
    "windows": ("windows", ("client_max_window", "server_max_window", "client_initial_window_bytes",
                            "server_initial_window_bytes")),
    "timing": ("time", ("handshake_rtt", "first_byte", "client_reply_max", "server_reply_max", "client_rtt_p50",
                        "server_rtt_p50", "zero_window", "duration")),
    "application": ("", ("service", "tls_version", "alpn")),
}  # fmt: skip


class Tolerance(NamedTuple):
    """A difference counts beyond both: this share of the larger value, and this much."""

    share: float
    least: float


TOLERANCES = {
    "bytes": Tolerance(0, 0), "packets": Tolerance(0.2, 2), "events": Tolerance(0, 0), "windows": Tolerance(0.5, 0),
    "time": Tolerance(0.5, 0.02), "": Tolerance(0, 0),
}  # fmt: skip


@dataclass
class Change:
    """One kind of difference with one service.  was, now: of the pair where it is largest, as text.

    count: of how many pairs, `of` so many.  pairs: (connection of the first, of the second), the largest first.
    """

    service: str
    aspect: str
    measure: str
    was: str
    now: str
    count: int
    of: int
    pairs: list[tuple[int, int]]


@dataclass
class Different:
    """One pair of connections that differ: measure → (was, now), as values; times in seconds."""

    first: int
    second: int
    client: str
    server: str
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass
class Difference:
    """What differs.  matched: pairs; different: those that differ; only_first, only_second: connections without a
    partner, by service.  pairs: the first LISTED of the different ones."""

    names: tuple[list[str], list[str]]
    connections: tuple[int, int]
    matched: int
    different: int
    changes: list[Change]
    pairs: list[Different]
    only_first: dict[str, list[int]]
    only_second: dict[str, list[int]]

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.changes or self.only_first or self.only_second)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"version": 1, "differ": bool(self), **asdict(self)}


def tolerances(given: Iterable[str]) -> dict[str, Tolerance]:
    """Read `time=50%`, `time=20ms`, `packets=3`; what is not given stays.  UsageError for anything else."""
    found = dict(TOLERANCES)
    kinds = {"bytes": "bytes", "packets": "number", "events": "number", "windows": "bytes", "time": "time"}
    touched: set[str] = set()
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in kinds:
            raise UsageError(f"--tolerance {text}{nearest(name, kinds)}: write time=50%, time=20ms; {', '.join(kinds)}")
        before = found[name] if name in touched else Tolerance(0, 0)
        touched.add(name)
        if value.strip().endswith("%"):
            found[name] = before._replace(share=amount(value, "share", "--tolerance"))
        else:
            found[name] = before._replace(least=amount(value, kinds[name], "--tolerance"))
    return found


def compared(ignore: Iterable[str] = ()) -> list[tuple[str, str, str]]:
    """(aspect, tolerance, measure) of all that is compared; without the aspects and measures to ignore."""
    ignored = set(ignore)
    names = {*ASPECTS, *(name for _, listed in ASPECTS.values() for name in listed)}
    for name in ignored - names:
        others = nearest(name, names) or f"; there are: {', '.join(ASPECTS)}"
        raise UsageError(f"--ignore {name}: no such aspect or measure{others}")
    known = {*measures(), "client_states", "server_states"}
    return [
        (aspect, tolerance, name)
        for aspect, (tolerance, listed) in ASPECTS.items()
        for name in listed
        if name in known and not ignored & {aspect, name}
    ]


class Recorded(NamedTuple):
    """One capture: what is compared of its connections, and the states that their ends went through."""

    observed: Observed
    paths: Mapping[str, dict[int, bytes]]


def record(
    found: Sources, *, msl: float = DEFAULT_MSL, by_tunnel: bool = False, threads: int | None = None,
    progress: Progress | None = None,
) -> Recorded:  # fmt: skip
    """Read captures once for a comparison.  Raises CaptureError if there is nothing to read."""
    import numpy

    whole = CONNECTION.dtype()
    needed = {field for _, _, name in compared() if name in measures() for field in measures()[name].fields}
    slim = numpy.dtype([(name, whole.fields[name][0]) for name in sorted({*ALWAYS, *SHAPE, *needed})])
    result, chunks = stream(found, msl=msl, by_tunnel=by_tunnel, threads=threads, progress=progress)
    parts, paths = [numpy.empty(0, slim)], {role: {} for role in ROLES}  # type: ignore[var-annotated]
    for ended in chunks:
        records = numpy.frombuffer(ended.connections, whole)
        part = numpy.empty(len(records), slim)
        for name in slim.names or ():
            part[name] = records[name]
        parts.append(part)
        _follow(ended.events, paths)
    check_usable(result)
    every = numpy.concatenate(parts)
    every = every[numpy.argsort(every["connection"], kind="stable")]
    fields = {name: numpy.ascontiguousarray(every[name]) for name in slim.names or ()}
    return Recorded(Observed(found, result, fields, None, Collected(), msl, by_tunnel), paths)


def _follow(raw: Any, paths: dict[str, dict[int, bytes]]) -> None:
    """Add each end's states, in order, to its path; a connection's events come all at once."""
    import numpy

    events = numpy.frombuffer(raw, EVENT.dtype())
    if not len(events):
        return
    events = events[numpy.lexsort((events["order"], events["time_ns"], events["endpoint"], events["connection"]))]
    change = (numpy.diff(events["connection"]) != 0) | (numpy.diff(events["endpoint"]) != 0)
    starts = numpy.concatenate([[0], numpy.flatnonzero(change) + 1, [len(events)]]).tolist()
    numbers, ends = events["connection"].tolist(), events["endpoint"].tolist()
    states = events["new"].tobytes()
    for at, end in pairwise(starts):
        path = bytes([events["old"][at]]) + states[at:end]
        paths[ROLES[ends[at]]][numbers[at]] = path.removesuffix(_RESTED) + (
            _RESTED[:1] if path.endswith(_RESTED) else b""
        )


# TIME_WAIT that ran out says how long the capture lasted, not how TCP behaved
_RESTED = bytes([STATES.index("TIME_WAIT"), STATES.index("CLOSED")])


def difference(
    first: Recorded, second: Recorded, *, tolerance: Mapping[str, Tolerance] | None = None, ignore: Iterable[str] = ()
) -> Difference:
    """Compare two captures.  tolerance: see `tolerances`.  ignore: aspects (keys of ASPECTS) and measures."""
    a, b = first.observed, second.observed
    named = Named(a, {}), Named(b, {})
    pairs = paired(a.fields, b.fields)
    services = [named[0].stable(named[0].service(row)) for row in pairs.first.tolist()]
    changes: list[Change] = []
    different: dict[int, Different] = {}
    allowed = tolerance or TOLERANCES
    totals: dict[str, int] = {}
    for service in services:
        totals[service] = totals.get(service, 0) + 1
    for aspect, kind, name in compared(ignore):
        was, now, size = _values(first, second, pairs, name, allowed[kind])
        rows = [at for at in range(len(size)) if size[at] > 0] if isinstance(size, list) else size.nonzero()[0].tolist()
        for at in rows:
            one = different.get(at)
            if one is None:
                one = different[at] = Different(
                    int(a.fields["connection"][pairs.first[at]]), int(b.fields["connection"][pairs.second[at]]),
                    named[0].end("client", pairs.first[at]), named[0].end("server", pairs.first[at]),
                )  # fmt: skip
            one.changes[name] = was(at), now(at)
        changes += _changes(aspect, name, rows, size, services, totals, different)
    ordered = [different[at] for at in sorted(different)]
    return Difference(
        (a.result.names, b.result.names), (a.count, b.count), len(pairs.first), len(different),
        changes, ordered[:LISTED], _alone(named[0], a, pairs.only_first), _alone(named[1], b, pairs.only_second),
    )  # fmt: skip


def _alone(named: Named, observed: Observed, rows: list[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(named.stable(named.service(row)), []).append(int(observed.fields["connection"][row]))
    return found


def _values(first: Recorded, second: Recorded, pairs: Pairs, name: str, tolerance: Tolerance) -> Any:
    """How to read a measure of either of a pair, and how much the two differ, 0 where it is within the tolerance."""
    import numpy

    if name.endswith("_states") and name not in measures():
        role = name.removesuffix("_states")
        a = [first.paths[role].get(it, b"") for it in first.observed.fields["connection"][pairs.first].tolist()]
        b = [second.paths[role].get(it, b"") for it in second.observed.fields["connection"][pairs.second].tolist()]
        size = numpy.array([x != y for x, y in zip(a, b, strict=True)], float)
        return (lambda at: _path(a[at])), (lambda at: _path(b[at])), size
    one, two = first.observed.read(name), second.observed.read(name)
    if one.words is not None:
        ours, theirs = _texts(one, pairs.first), _texts(two, pairs.second)
        size = numpy.array([x != y for x, y in zip(ours, theirs, strict=True)], float)
        return ours.__getitem__, theirs.__getitem__, size
    x, y = one.values[pairs.first], two.values[pairs.second]
    gap = numpy.abs(x - y)
    with numpy.errstate(invalid="ignore"):
        beyond = (gap > tolerance.share * numpy.fmax(numpy.abs(x), numpy.abs(y)) + 1e-12) & (gap > tolerance.least)
    size = numpy.where(numpy.isnan(gap), 0, numpy.where(beyond, gap, 0))
    if measures()[name].kind in ("bool", "number"):  # there before, and not now
        size = numpy.where(numpy.isnan(x) != numpy.isnan(y), 1, size)
    return (lambda at: _plain(x[at])), (lambda at: _plain(y[at])), size


def _plain(value: Any) -> float | int | None:
    number = float(value)
    return None if number != number else int(number) if number == int(number) else number


def _texts(series: Series, rows: Any) -> list[str | None]:
    words = series.words or ()
    return [words[code] if code >= 0 else None for code in series.values[rows].tolist()]


def _path(states: bytes) -> str:
    return " → ".join(STATES[it] for it in states)


def _changes(
    aspect: str, name: str, rows: list[int], size: Any, services: list[str], totals: dict[str, int],
    different: dict[int, Different],
) -> list[Change]:  # fmt: skip
    """The same of many pairs is told once: words by what they were and are, numbers by service."""
    kind = measures()[name].kind if name in measures() else "text"
    groups: dict[Any, list[int]] = {}
    for at in rows:
        was, now = different[at].changes[name]
        told = (was, now) if kind in ("word", "text", "bool") else (was is None, now is None, (now or 0) > (was or 0))
        groups.setdefault((services[at], told), []).append(at)
    found = []
    for (service, _), members in groups.items():
        members.sort(key=lambda at: -float(size[at]))
        was, now = (_written(it, kind) for it in different[members[0]].changes[name])
        pairs = [(different[at].first, different[at].second) for at in members[:EXAMPLES]]
        found.append(Change(service, aspect, name, was, now, len(members), totals[service], pairs))
    return found


def _written(value: Any, kind: str) -> str:
    if kind == "bool" and value is not None:
        return "yes" if value else "no"
    return "none" if value is None and kind in ("word", "text") else written(value, kind)
