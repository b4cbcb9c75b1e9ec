"""Both hosts' sockets at a moment of the capture, as `ss -tan` would have listed them.

States come from the replay's events; queues and timers are estimates from the packets before that moment
(`queues`, `timers`).  docs/sockets.md tells what is exact and what is estimated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tcpscope.replay.layout import ROLES, STATES
from tcpscope.replay.states import State
from tcpscope.tables.analysis import Analysis
from tcpscope.tables.moments import JITTER_NS, Asked, Moment, asked, bounds
from tcpscope.tables.past import Endpoint, Past
from tcpscope.tables.queues import COLUMNS, NEVER, Chunk, Queues, columns
from tcpscope.tables.rows import Raw, Row
from tcpscope.tables.timers import OWES, Timer, timer

if TYPE_CHECKING:
    import pandas

SS_NAMES = dict(zip(STATES, STATES, strict=True)) | {
    "SYN_SENT": "SYN-SENT", "SYN_RECEIVED": "SYN-RECV", "ESTABLISHED": "ESTAB", "FIN_WAIT_1": "FIN-WAIT-1",
    "FIN_WAIT_2": "FIN-WAIT-2", "CLOSE_WAIT": "CLOSE-WAIT", "LAST_ACK": "LAST-ACK", "TIME_WAIT": "TIME-WAIT",
}  # fmt: skip
RFC_NAMES = {name: state for state, name in SS_NAMES.items()}
KEYS = ("time", "host", "state", "recv_q", "send_q", "local_ip", "local_port", "peer_ip", "peer_port",
        "timer", "timer_expires", "timer_retries", "connection", "endpoint", "inferred", "recv_q_estimated",
        "frame")  # fmt: skip
READS_NO_MORE = (State.SYN_SENT, State.SYN_RECEIVED, State.CLOSING, State.LAST_ACK, State.TIME_WAIT)
AT_ONCE = 4096  # connections made rows of at once
COALESCED = 32_768  # packets followed at once


@lru_cache(4096)
def _inside(ip: str, networks: tuple[Any, ...]) -> bool:
    from ipaddress import ip_address

    return any(ip_address(ip) in it for it in networks)


@dataclass(frozen=True)
class Wanted:
    """Which sockets: local addresses in these networks; connections; either port; states (bits); empty: all."""

    networks: tuple[Any, ...] = ()
    connections: tuple[int, ...] = ()
    ports: tuple[int, ...] = ()
    states: int = 0
    listen: bool = True

    def host(self, ip: str) -> bool:
        """Whether this local address is wanted."""
        return not self.networks or _inside(ip, self.networks)

    def port(self, *ports: int) -> bool:
        """Whether one of these ports is wanted."""
        return not self.ports or any(it in self.ports for it in ports)

    def state(self, state: int) -> bool:
        """Whether sockets in this state are wanted."""
        return not self.states or bool(self.states >> state & 1)


def coalesced(chunks: Iterable[Raw]) -> Iterator[Chunk]:
    """The packets' columns, some ten thousand rows at a time."""
    held: list[Chunk] = []
    count = 0
    for chunk in chunks:
        held.append(columns(chunk))
        count += len(held[-1]["order"])
        if count >= COALESCED:
            yield joined(held)
            held, count = [], 0
    if held:
        yield joined(held)


def joined(parts: list[Chunk]) -> Chunk:
    """One after the other."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([it[name] for it in parts]) for name in (parts[0] if parts else COLUMNS)}


def part(chunk: Chunk, end: int, start: int = 0) -> Chunk:
    """The rows from start to end."""
    return {name: values[start:end] for name, values in chunk.items()}


def reach(result: Analysis, chunks: Iterable[Chunk], wanted: Asked, queues: Queues) -> Moment:
    """Follow the packets up to the moment asked for."""
    first, last = bounds(result)
    if wanted == Asked():
        wanted = Asked(time_ns=last)
        ending = True
    else:
        ending = False
    order, frame, file, time = -1, 0, 0, first
    for chunk in chunks:
        if wanted.frame is not None:
            inside = chunk["frame"] <= wanted.frame
            over = not inside.all()
        elif ending:
            inside, over = np.ones(len(chunk["order"]), bool), False
        else:
            inside = chunk["time_ns"] <= wanted.time_ns
            late = np.flatnonzero(chunk["time_ns"] > (wanted.time_ns or 0) + JITTER_NS)
            over = len(late) > 0
            if over:
                inside[late[0] :] = False
        rows = np.flatnonzero(inside)
        if len(rows):
            at = int(rows[-1])
            queues.follow(part(chunk, at + 1))
            order, frame, time, file = (int(chunk[name][at]) for name in ("order", "frame", "time_ns", "file"))
        if over:
            break
    now = wanted.time_ns if wanted.time_ns is not None else time
    return Moment(now, order, time, frame, file, ending or (wanted.frame is None and now >= last))


def snapshot(
    result: Analysis, chunks: Iterable[Raw], at: Any, msl: float, wanted: Wanted
) -> tuple[Moment, Iterator[Row], Past]:
    """The sockets at a moment (see `moments.asked`) of captures analysed with msl (seconds).

    chunks: their packet records; read no further than the moment, but to the end where `result` is complete only
    then (standard input).
    """
    parts = coalesced(chunks)
    if not result.files:
        parts = iter(list(parts))
    past = Past(result)
    queues = Queues(past.connections["capture_point"])
    named = asked(result, at)
    moment = past.after_quotes(reach(result, parts, named, queues), named.frame)
    return moment, Sockets(past, queues, round(msl * 1e9)).rows(moment, wanted), past


class Followed(Protocol):
    """What was followed up to a moment: `Queues`, or a place in `changes.Story`."""

    @property
    def begun(self) -> Any: ...
    def of(self, connections: Any, side: int) -> dict[str, list[int]]: ...


class Sockets:
    """Makes the lines of `ss` for a moment.  past: the states; queues: followed up to that moment."""

    def __init__(self, past: Past, queues: Followed, msl_ns: int) -> None:
        self.past, self.queues, self.msl_ns = past, queues, msl_ns

    def rows(self, moment: Moment, wanted: Wanted) -> Iterator[Row]:
        """A row a socket, with the columns KEYS: listeners first, then by connection, client before server."""
        state, inferred, since = self.past.at(moment)
        begun = self.queues.begun
        shown = self.past.shown(state, begun)
        if wanted.connections:
            shown &= np.isin(np.arange(self.past.count * 2) // 2, wanted.connections)
        if wanted.states:
            shown &= wanted.states >> state & 1 != 0
        if wanted.listen and not wanted.connections:
            yield from self._listening(moment, wanted)
        connections = np.unique(np.flatnonzero(shown) // 2)
        for start in range(0, len(connections), AT_ONCE):
            some = connections[start : start + AT_ONCE]
            streams = [self.queues.of(some, side) for side in (0, 1)]
            ends = [self.past.ends(some, side) for side in (0, 1)]
            for nth, number in enumerate(some.tolist()):
                for side in (0, 1):
                    local, peer, at = ends[side][nth], ends[1 - side][nth], 2 * number + side
                    if shown[at] and wanted.host(local[0]) and wanted.port(local[1], peer[1]):
                        both = _Streams(streams[side], streams[1 - side], nth)
                        yield self._socket(moment, at, local, peer, both, int(state[at]), bool(inferred[at]),
                                           int(since[at]), bool(begun[number]))  # fmt: skip

    def _socket(self, moment: Moment, endpoint: int, local: Endpoint, peer: Endpoint, both: _Streams, state: int,
                inferred: bool, since_ns: int, begun: bool) -> Row:  # fmt: skip
        number, side = divmod(endpoint, 2)
        running, recv_q, send_q, estimated = None, None, None, False
        if begun and state != State.UNKNOWN:
            recv_q, estimated = both.unread(state, bool(self.past.window_known[number]))
            send_q = 0 if state in (State.SYN_RECEIVED, State.TIME_WAIT) else both.mine("send_q")
            if state in OWES:  # an acknowledgment that was seen did not reach it
                send_q = max(send_q, 1)
            if state != State.ESTABLISHED or not both.quiet():
                k, p = both.all()
                path = self.past.path(number, side, bool(k["sack"] and p["sack"]))
                running = timer(state, k, p, path, since_ns, self.msl_ns, moment.time_ns)
        return line(moment, SS_NAMES[STATES[state]], local, peer, running, number, ROLES[side], inferred,
                    recv_q, send_q, estimated)  # fmt: skip

    def _listening(self, moment: Moment, wanted: Wanted) -> Iterator[Row]:
        for local in self.past.listeners(moment.time_ns) if wanted.state(State.LISTEN) else ():
            if wanted.host(local[0]) and wanted.port(local[1]):
                yield line(moment, "LISTEN", local, (None, None), None, None, None, True, 0, None, True)


class _Streams:
    """The two streams of one socket, out of those of many: what it sends, and what it is sent."""

    def __init__(self, mine: dict[str, list[int]], theirs: dict[str, list[int]], nth: int) -> None:
        self._mine, self._theirs, self._nth = mine, theirs, nth

    def mine(self, name: str) -> int:
        return self._mine[name][self._nth]

    def all(self) -> tuple[dict[str, int], dict[str, int]]:
        """All that is known of both."""
        at = self._nth
        mine, theirs = ({name: values[at] for name, values in it.items()} for it in (self._mine, self._theirs))
        return mine, theirs

    def quiet(self) -> bool:
        """Whether no timer can run in ESTABLISHED; most sockets are so."""
        return self.mine("send_q") == 0 and self.mine("window") != 0 and self.mine("alive") == NEVER

    def unread(self, state: int, window_known: bool) -> tuple[int | None, bool]:
        """Bytes received and not read, and whether that is an estimate."""
        if state in READS_NO_MORE or self._theirs["received"][self._nth] == 0:
            return 0, state == State.CLOSE_WAIT  # whose FIN counts one until it is read, which nobody sees
        return (self._theirs["recv_q"][self._nth] if window_known else None), window_known


def line(
    moment: Moment,
    state: str,
    local: tuple[str, int],
    peer: tuple[str | None, int | None],
    running: Timer | None,
    connection: int | None,
    endpoint: str | None,
    inferred: bool,
    recv_q: int | None,
    send_q: int | None,
    estimated: bool,
) -> Row:
    """One row."""
    name, expires, retries = running or (None, None, None)
    values = (moment.seconds, local[0], state, recv_q, send_q, *local, *peer, name, expires, retries, connection,
              endpoint, inferred, estimated, moment.frame or None)  # fmt: skip
    return dict(zip(KEYS, values, strict=True))


def frame_of(rows: Iterable[Row]) -> pandas.DataFrame:
    """The rows as a DataFrame with the columns KEYS: whole numbers Int64 (NA: not known), timer_expires in seconds."""
    import pandas

    found = list(rows)
    kinds = dict.fromkeys(
        ("recv_q", "send_q", "local_port", "peer_port", "timer_retries", "connection", "frame"), "Int64"
    )
    kinds |= {"time": "float64", "timer_expires": "float64", "inferred": "bool", "recv_q_estimated": "bool"}
    return pandas.DataFrame(
        {key: pandas.Series([row[key] for row in found], dtype=kinds.get(key, "object")) for key in KEYS}
    )
