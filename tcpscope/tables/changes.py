"""The moments of a capture at which a socket changes, and what the sockets were at each of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tcpscope.errors import UsageError
from tcpscope.replay.layout import ANNOTATIONS, FLAGS, ROLES
from tcpscope.tables.analysis import Analysis
from tcpscope.tables.moments import Asked, Moment, asked, bounds
from tcpscope.tables.past import HIDDEN, Past
from tcpscope.tables.queues import Chunk, Queues
from tcpscope.tables.rows import Raw, Row
from tcpscope.tables.sockets import COALESCED, Sockets, Wanted, coalesced, joined, part
from tcpscope.tables.values import names

COMPARED = ("send_q", "recv_q", "timeouts", "unanswered", "alive_unanswered")


@dataclass(frozen=True)
class Step:
    """One change: after the packet in this row of the story's packets, or, by a timer, at time_ns after it.

    connection: whose sockets change.  by_packet: False for a timer, or what was concluded at the end.
    """

    row: int
    time_ns: int
    connection: int
    by_packet: bool


class Story:
    """A capture's packets and changes, to be walked back and forth.

    steps: the changes in order; hosts: the part of each in the capture, as `Past.parts`.
    Holds the packets' columns, some hundred bytes each.  msl in seconds.
    """

    def __init__(self, result: Analysis, chunks: Iterable[Raw], msl: float, wanted: Wanted) -> None:
        parts = list(coalesced(chunks))
        if not parts:
            raise UsageError("nothing to watch: the capture has no TCP packet")
        self.result, self.past, self.wanted, self.msl_ns = result, Past(result), wanted, round(msl * 1e9)
        packets = joined(parts)
        self._chosen = self._connections()
        kept = self._chosen[packets["connection"]]
        self.packets = packets if kept.all() else {name: values[kept] for name, values in packets.items()}
        self.count = len(self.packets["order"])
        if not self.count:
            raise UsageError("nothing to watch: no connection is left by --host, --port and -c")
        chosen = tuple(np.flatnonzero(self._chosen).tolist())
        self.hosts = {host: it for host, it in self.past.parts(chosen).items() if wanted.host(host)}
        self._size = COALESCED
        self._base = -1  # of the chunk that is loaded
        self._queues = Queues(self.past.connections["capture_point"])
        self._newest = np.maximum.accumulate(self.packets["connection"].astype(np.int64))
        self.steps = self._steps()

    def _connections(self) -> Any:
        wanted, chosen = self.wanted, np.ones(self.past.count, bool)
        if wanted.connections:
            chosen &= np.isin(np.arange(self.past.count), wanted.connections)
        if wanted.ports or wanted.networks:
            numbers = np.flatnonzero(chosen)
            ends = zip(*(self.past.ends(numbers, side) for side in (0, 1)), strict=True)
            chosen[numbers] = [wanted.port(a[1], b[1]) and any(wanted.host(it) for it in (a[0], b[0])) for a, b in ends]
        return chosen

    # ------------------------------------------------------------ walking

    def _load(self, row: int) -> None:
        """Follow the chunk that holds this row; what was known before it stays in `_before`."""
        base = row // self._size * self._size
        if base == self._base:
            return
        if base < self._base or self._base < 0:
            self._queues = Queues(self.past.connections["capture_point"])
            self._base = -self._size
        while self._base < base:
            self._base += self._size
            self._before = {name: values.copy() for name, values in self._queues.known.items()}
            chunk = part(self.packets, min(self._base + self._size, self.count), self._base)
            self._order, self._series = self._queues.follow(chunk, every_sample=True)
            self._of = chunk["connection"][self._order]

    def of_row(self, row: int, connection: int, side: int) -> dict[str, int]:
        """What was known of a stream after this row."""
        self._load(row)
        first, end = np.searchsorted(self._of, [connection, connection + 1])
        at = int(first) + int(np.searchsorted(self._order[first:end], row - self._base, "right")) - 1
        if at < first:
            return {name: int(values[connection, side]) for name, values in self._before.items()}
        return {name: int(values[at]) for name, values in self._series[side].items()}

    def _changed(self) -> Any:
        """Rows whose packet changes queues or the count of retries of its connection's sockets."""
        changed = np.zeros(self.count, bool)
        for base in range(0, self.count, self._size):
            self._load(base)
            new = np.ones(len(self._of), bool)
            new[1:] = self._of[1:] != self._of[:-1]
            for side in (0, 1):
                for name in COMPARED:
                    values = self._series[side][name]
                    before = np.empty_like(values)
                    before[1:] = values[:-1]
                    before[new] = self._before[name][self._of[new].astype(np.int64), side]
                    changed[base + self._order] |= values != before
        return changed

    def _steps(self) -> list[Step]:
        time, connection = self.packets["time_ns"], self.packets["connection"]
        found = {(row, int(time[row]), int(connection[row]), True) for row in np.flatnonzero(self._changed()).tolist()}
        e = self.past.events
        shows = self._chosen[e["connection"]] & ~(np.isin(e["old"], HIDDEN) & np.isin(e["new"], HIDDEN))
        sure = np.maximum.accumulate(time)
        for at in np.flatnonzero(shows).tolist():
            number = int(e["connection"][at])
            if e["frame"][at] and not self.past.quoted[at]:
                row = int(np.searchsorted(self.packets["order"], e["order"][at]))
                late = row == self.count
                row -= late
                mine = not late and int(connection[row]) == number
                found.add((row, int(time[row]), number, mine))
            else:
                when = int(e["time_ns"][at])
                found.add((max(int(np.searchsorted(sure, when, "right")) - 1, 0), when, number, False))
        return [Step(*it) for it in sorted(found)]

    # ------------------------------------------------------------ what is seen

    def moment(self, step: Step) -> Moment:
        """When it is."""
        return self._moment(step.row, step.time_ns, step == self.steps[-1] and step.row == self.count - 1)

    def _moment(self, row: int, time_ns: int, end: bool) -> Moment:
        p = self.packets
        return Moment(time_ns, int(p["order"][row]), int(p["time_ns"][row]), int(p["frame"][row]),
                      int(p["file"][row]), end)  # fmt: skip

    def sockets(self, step: Step, connection: int | None = None) -> list[Row]:
        """The sockets after a step; of one connection alone, or all."""
        wanted = self.wanted
        if connection is not None:
            wanted = Wanted(wanted.networks, (connection,), wanted.ports, wanted.states, False)
        return list(Sockets(self.past, _Place(self, step.row), self.msl_ns).rows(self.moment(step), wanted))

    def before(self, step: Step) -> list[Row]:
        """The sockets of the step's connection before it."""
        if step.by_packet:
            if step.row == 0:
                return []
            p, row = self.packets, step.row - 1
            moment = self._moment(row, int(p["time_ns"][row]), False)
        else:
            row = step.row
            moment = self._moment(row, step.time_ns - 1, False)
        only = Wanted(self.wanted.networks, (step.connection,), self.wanted.ports, self.wanted.states, False)
        return list(Sockets(self.past, _Place(self, row), self.msl_ns).rows(moment, only))

    def packet(self, step: Step) -> Row | None:
        """The packet that made the change, with the columns of `packets` that the ladder's labels need."""
        if not step.by_packet:
            return None
        p: Chunk = self.packets
        row = {name: int(p[name][step.row]) for name in ("frame", "seq", "ack", "length", "window", "file")}
        side = int(p["sender"][step.row])
        number = int(p["connection"][step.row])
        ends = [self.past.address(number, it) for it in (side, 1 - side)]
        has_mss = int(p["options"][step.row]) & 1
        return row | {
            "time": int(p["time_ns"][step.row]) / 1e9,
            "sender": ROLES[side],
            "flags": ",".join(names(int(p["flags"][step.row]), FLAGS)),
            "mss": int(p["mss"][step.row]) if has_mss else None,
            "annotations": names(int(p["annotations"][step.row]), ANNOTATIONS),
            "retransmission_of": int(p["retransmission_of"][step.row]) or None,
            "src": ends[0][0], "sport": ends[0][1], "dst": ends[1][0], "dport": ends[1][1],
        }  # fmt: skip

    def nearest(self, at: Any) -> int:
        """The number of the last step up to a moment (see `moments.asked`), the first if none is."""
        to: Asked = asked(self.result, at)
        if to.frame is not None:
            early = [int(self.packets["frame"][it.row]) <= to.frame for it in self.steps]
        else:
            limit = to.time_ns if to.time_ns is not None else bounds(self.result)[1]
            early = [it.time_ns <= limit for it in self.steps]
        return max(sum(early) - 1, 0)


class _Place:
    """A story up to one of its packets, for `Sockets`."""

    def __init__(self, story: Story, row: int) -> None:
        self._story, self._row = story, row

    @property
    def begun(self) -> Any:
        return np.arange(self._story.past.count) <= self._story._newest[self._row]

    def of(self, connections: Any, side: int) -> dict[str, list[int]]:
        found = [self._story.of_row(self._row, number, side) for number in connections.tolist()]
        return {name: [it[name] for it in found] for name in (found[0] if found else ())}
