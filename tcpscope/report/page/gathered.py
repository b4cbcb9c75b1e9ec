"""First reading: all connections pass by, and of each is kept what the page says of it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from typing import Any

import numpy

from tcpscope.capture.sources import Sources
from tcpscope.diagnose import Collected, Finding, findings
from tcpscope.diagnose.facts import MOST, Facts
from tcpscope.replay.layout import CLOSE_KINDS, CONNECTION, EVENT, SENT_AGAIN
from tcpscope.report.page.listed import Listed
from tcpscope.report.plots.whole import Whole
from tcpscope.tables.analysis import DEFAULT_MSL, Analysis, Progress, check_usable, readable_once, stream
from tcpscope.tables.pipeline import Ended

ROWS = 20_000  # of the table; a browser sorts them at once, and they take 1.5 MB
DETAILED = 10  # connections shown with ladder and plots
MOST_EVENTS = 1_200_000  # changes of state kept for the plots of the whole capture: 67 MB, and as much again to draw
FIRST = 3  # connections shown in detail where nothing is odd

# of each connection, what the plots of the whole capture and the counts need
KEPT = ("connection", "start_ns", "end_ns", "first_frame", "last_frame", "client_unique_bytes", "server_unique_bytes",
        *SENT_AGAIN, "client_syn_packets", "server_syn_packets",
        "client_missed_bytes", "server_missed_bytes", "client_addr", "server_addr", "client_port", "server_port",
        "ip_version", "close_kind", "one_direction", "client_state", "server_state")  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What to show.  connections: in detail; without any, those that show what was found, `limit` at most.

    rows: of the table.  msl: seconds.  threads: None for all cores.
    """

    connections: tuple[int, ...] = ()
    limit: int = DETAILED
    rows: int = ROWS
    utc: bool = True
    msl: float = DEFAULT_MSL
    by_tunnel: bool = False
    threads: int | None = None


class AllOf(Whole):
    """A Whole of slim records."""

    def __init__(self, kept: Any, events: bytes, title: str, repeated: Any, utc: bool) -> None:
        super().__init__(b"", events, title, "", repeated, utc)
        self.__dict__["records"] = kept


@dataclass
class Gathered:
    """What the first reading found.

    all: of every connection the fields KEPT, by number.  records, events: packed, of the connections that may be
    shown in detail.  every_event: packed, of all connections; None where they were too many.
    """

    found: Sources
    wanted: Wanted
    result: Analysis
    findings: list[Finding]
    facts: dict[int, Facts]
    listed: Listed
    all: Any
    records: dict[int, bytes]
    events: dict[int, bytes]
    every_event: bytes | None
    spools: list[Any] = field(default_factory=list, repr=False)  # files that live as long as this


def gather(found: Sources, wanted: Wanted | None = None, progress: Progress | None = None) -> Gathered:
    """Read the captures once.  Standard input and pipes are first written to a temporary file.

    Raises CaptureError if there is nothing to read.
    """
    wanted = wanted or Wanted()
    found, spools = readable_twice(found)
    result, chunks = stream(
        found, msl=wanted.msl, by_tunnel=wanted.by_tunnel, threads=wanted.threads, progress=progress, keep_past=True
    )
    keeper = _Keeper(wanted)
    for ended in chunks:
        keeper.take(ended)
    check_usable(result)
    told = findings(keeper.odd, result.files, result.names, result.counters.get("clock_steps", 0))
    return Gathered(
        found, wanted, result, told, {it.number: it for it in keeper.odd.facts}, keeper.listed, keeper.all(),
        keeper.records(), {n: b"".join(parts) for n, parts in keeper.events.items()}, keeper.every_event(), spools,
    )  # fmt: skip


def readable_twice(found: Sources) -> tuple[Sources, list[Any]]:
    """The same captures, each of which can be opened again, and the temporary files made for that."""
    if not readable_once(found):
        return found, []
    captures, spools = [], []
    for source in found.captures:
        if not readable_once(Sources([source], [])):
            captures.append(source)
            continue
        spool = tempfile.NamedTemporaryFile(prefix="tcpscope-")  # noqa: SIM115 - lives until the page is written
        stream = source.opener()
        shutil.copyfileobj(stream, spool)
        stream.close()
        spool.flush()
        spools.append(spool)
        captures.append(source._replace(opener=_opener(spool.name)))
    return found._replace(captures=captures), spools


def _opener(path: str) -> Any:
    return lambda: open(path, "rb", buffering=0)


class _Keeper:
    """What is kept of the connections that pass by."""

    def __init__(self, wanted: Wanted) -> None:
        self.odd, self.listed = Collected(), Listed(wanted.rows)
        self.events: dict[int, list[bytes]] = {}
        self._others: dict[int, bytes] = {}  # records that are not odd
        self._asked = numpy.array(wanted.connections, dtype=numpy.int64)
        self._dtype = CONNECTION.dtype()
        self._slim = numpy.dtype([(name, self._dtype.fields[name][0]) for name in KEPT])
        self._kept: list[Any] = []
        self._every: list[bytes | bytearray] = []
        self._event_count = 0

    def take(self, it: Ended) -> None:
        self.odd.take(it.connections, it.evidence)
        self.listed.take(it.connections)
        passing = numpy.frombuffer(it.connections, self._dtype)
        slim = numpy.empty(len(passing), self._slim)
        for name in KEPT:
            slim[name] = passing[name]
        self._kept.append(slim)
        self._keep_candidates(it, passing["connection"])
        if len(self.events) > 2 * MOST:
            records = self.records()
            self.events = {number: rows for number, rows in self.events.items() if number in records}
        self._event_count += len(it.events) // EVENT.size
        if self._event_count <= MOST_EVENTS:
            self._every.append(it.events)
        else:
            self._every.clear()

    def _keep_candidates(self, it: Ended, numbers: Any) -> None:
        """Those that may be shown in detail: the odd ones that findings are made from, those asked for, the first."""
        for at in numpy.flatnonzero((numbers < FIRST) | numpy.isin(numbers, self._asked)).tolist():
            self._others[int(numbers[at])] = bytes(it.connections[at * CONNECTION.size : (at + 1) * CONNECTION.size])
        kept = numpy.intersect1d(numbers, [*self._others, *(it.number for it in self.odd.facts)])
        events = numpy.frombuffer(it.events, EVENT.dtype())
        for at in numpy.flatnonzero(numpy.isin(events["connection"], kept)).tolist():
            row = bytes(it.events[at * EVENT.size : (at + 1) * EVENT.size])
            self.events.setdefault(int(events["connection"][at]), []).append(row)

    def records(self) -> dict[int, bytes]:
        """Packed, of those that may be shown in detail."""
        return self._others | {it.number: it.common.raw for it in self.odd.facts}

    def all(self) -> Any:
        kept = numpy.concatenate(self._kept) if self._kept else numpy.empty(0, self._slim)
        return kept[numpy.argsort(kept["connection"], kind="stable")]

    def every_event(self) -> bytes | None:
        return b"".join(self._every) if self._event_count <= MOST_EVENTS else None


def endings(gathered: Gathered) -> list[tuple[str, int]]:
    """How connections ended, the most frequent first, with their numbers."""
    kinds, counts = numpy.unique(gathered.all["close_kind"], return_counts=True)
    found = [(CLOSE_KINDS[kind].replace("_", " "), int(count)) for kind, count in zip(kinds, counts, strict=True)]
    return sorted(found, key=lambda it: -it[1])


def payload(gathered: Gathered) -> int:
    return int(gathered.all["client_unique_bytes"].sum() + gathered.all["server_unique_bytes"].sum())


def repeated(gathered: Gathered) -> int:
    """Packets sent again, of all connections."""
    return int(sum(gathered.all[name].sum() for name in SENT_AGAIN))


ENDED = ("fin", "reset", "refused", "unreachable")  # the kinds of close that a capture shows to the end


def unseen(gathered: Gathered) -> list[tuple[str, int]]:
    """What the capture does not show of the connections: in words, and of how many (or how much)."""
    it = gathered.all
    begun = (it["client_syn_packets"] == 0) & (it["server_syn_packets"] == 0)
    ended = numpy.isin(it["close_kind"], [CLOSE_KINDS.index(name) for name in ENDED])
    missed = numpy.maximum(it["client_missed_bytes"], 0) + numpy.maximum(it["server_missed_bytes"], 0)
    return [
        ("connections of which only one direction was captured", int((it["one_direction"] != 0).sum())),
        ("connections that had begun before the capture", int(begun.sum())),
        ("connections of which the end was not captured", int((~ended).sum())),
        ("connections with bytes that were transferred but not captured", int((missed > 0).sum())),
        ("bytes that were transferred but not captured", int(missed.sum())),
    ]
