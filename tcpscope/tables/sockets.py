"""Both hosts' sockets at a moment of the capture, as `ss -tan` would have listed them.

States come from the replay's events; queues and timers are estimates from the packets before that moment
(`queues`, `timers`).  docs/sockets.md tells what is exact and what is estimated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from tcpscope.replay.layout import CONNECTION, EVENT, ROLES, STATES
from tcpscope.replay.states import State
from tcpscope.tables.address import address
from tcpscope.tables.analysis import Analysis
from tcpscope.tables.moments import JITTER_NS, Asked, Moment, asked, bounds
from tcpscope.tables.queues import COLUMNS, Chunk, Queues, columns
from tcpscope.tables.rows import Raw, Row
from tcpscope.tables.timers import Path, Timer, timer

SS_NAMES = dict(zip(STATES, STATES, strict=True)) | {
    "SYN_SENT": "SYN-SENT", "SYN_RECEIVED": "SYN-RECV", "ESTABLISHED": "ESTAB", "FIN_WAIT_1": "FIN-WAIT-1",
    "FIN_WAIT_2": "FIN-WAIT-2", "CLOSE_WAIT": "CLOSE-WAIT", "LAST_ACK": "LAST-ACK", "TIME_WAIT": "TIME-WAIT",
}  # fmt: skip
RFC_NAMES = {name: state for state, name in SS_NAMES.items()}
KEYS = ("time", "host", "state", "recv_q", "send_q", "local_ip", "local_port", "peer_ip", "peer_port", "timer",
        "timer_expires", "timer_retries", "connection", "endpoint", "inferred", "recv_q_estimated", "frame")  # fmt: skip
HIDDEN = (State.CLOSED, State.LISTEN)  # no socket of this connection's; the listener has a line of its own
READS_NO_MORE = (State.SYN_SENT, State.SYN_RECEIVED, State.CLOSING, State.LAST_ACK, State.TIME_WAIT)
COALESCED = 32_768  # packets followed at once


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
        from ipaddress import ip_address

        return not self.networks or any(ip_address(ip) in it for it in self.networks)

    def state(self, state: int) -> bool:
        """Whether sockets in this state are wanted."""
        return not self.states or bool(self.states >> state & 1)


class Past:
    """The states of every endpoint of a capture through time; connections by number."""

    def __init__(self, result: Analysis) -> None:
        found = np.frombuffer(result.connections, CONNECTION.dtype())
        self.connections = found[np.argsort(found["connection"], kind="stable")]
        self.events = np.frombuffer(result.events, EVENT.dtype())
        self.count = len(self.connections)
        self.of_event = self.events["connection"].astype(np.int64) * 2 + self.events["endpoint"]
        final = np.stack([self.connections["client_state"], self.connections["server_state"]], axis=1)
        self.initial = final.reshape(-1).astype(np.int64)
        self.initial[self.of_event[::-1]] = self.events["old"][::-1]  # of the first event, which is written last
        self.resumed = self._resumed()
        self.heard = np.stack([self.connections[f"{role}_packets"] > 0 for role in ROLES], axis=1).reshape(-1)

    def _resumed(self) -> Any:
        """Endpoints that had a socket before their first packet: found in the middle of a connection."""
        first = np.full(self.count * 2, -1, np.int64)
        first[self.of_event[::-1]] = np.arange(len(self.events))[::-1]
        known = first >= 0
        opened = np.zeros(self.count * 2, bool)
        opened[known] = self.events["new"][first[known]] == State.ESTABLISHED
        unused = np.repeat(self.connections["reused"] == 0, 2)
        return opened & unused & (self.initial == State.UNKNOWN)

    def at(self, moment: Moment) -> tuple[Any, Any, Any]:
        """State, whether it was inferred, and since when (ns), of endpoint 2·connection + side."""
        done = self.events["order"] <= np.uint64(max(moment.order, 0))
        done &= moment.order >= 0
        timers = self.events["frame"] == 0
        done = np.where(timers, self.events["time_ns"] <= moment.time_ns, done)
        if moment.end:
            done[:] = True
        elif moment.time_ns > moment.last_ns:  # what was under way then has arrived since
            done |= ~timers & (self.events["order"] == np.uint64(moment.order + 1)) & (
                self.events["time_ns"] <= moment.last_ns
            )  # fmt: skip
        last = np.full(self.count * 2, -1, np.int64)
        last[self.of_event[done]] = np.flatnonzero(done)
        moved = last >= 0
        state, inferred = self.initial.copy(), self.initial == State.UNKNOWN
        since = np.repeat(self.connections["start_ns"], 2)
        state[moved] = self.events["new"][last[moved]]
        inferred[moved] = self.events["inferred"][last[moved]] != 0
        since[moved] = self.events["time_ns"][last[moved]]
        return state, inferred, since

    def shown(self, state: Any, begun: Any) -> Any:
        """Which endpoints have a socket to show: not closed, and their connection has begun (or goes back further)."""
        there = np.repeat(begun, 2) | self.resumed
        return there & ~np.isin(state, HIDDEN) & ~self.nobody(state)

    def nobody(self, state: Any) -> Any:
        """Endpoints of which nothing shows that they exist: a SYN was sent there, and nobody answered."""
        from_syn = np.repeat(self.connections["role_evidence"] == 0, 2)
        return (state == State.UNKNOWN) & ~self.heard & from_syn

    def address(self, connection: int, side: int) -> tuple[str, int]:
        """Address and port of an endpoint."""
        c = self.connections[connection]
        role = ROLES[side]
        return address(c[f"{role}_addr"].tobytes(), int(c["ip_version"])), int(c[f"{role}_port"])

    def window_known(self, connection: int) -> bool:
        """Whether windows can be scaled: both SYNs were seen, or one that offers no scaling (RFC 7323, 2.2)."""
        c = self.connections[connection]
        seen = [(c[f"{role}_syn_packets"] > 0, c[f"{role}_window_scale"]) for role in ROLES]
        return all(it for it, _ in seen) or any(it and scale < 0 for it, scale in seen)

    def path(self, connection: int, side: int, sack: bool) -> Path:
        """What the timers of an endpoint depend on."""
        c = self.connections[connection]
        behind = int(c["ack_rtt_ns" if side == 0 else "syn_rtt_ns"])
        mss = int(c[f"{ROLES[1 - side]}_mss"])
        return Path(max(behind, 0), int(c["initial_rtt_ns"]), mss if mss > 0 else 1460, sack)

    def parts(self, wanted: Wanted) -> dict[str, tuple[int, int, bool]]:
        """For each host: of how many connections it is client and server, and whether the capture was taken there."""
        found: dict[str, list[int]] = {}
        chosen = wanted.connections or range(self.count)
        points = self.connections["capture_point"]
        for number in chosen:
            for side in (0, 1):
                ip = self.address(number, side)[0]
                if ip not in found and not wanted.host(ip):
                    continue
                it = found.setdefault(ip, [0, 0, 0])
                it[side] += 1
                it[2] += int(points[number]) == 1 + side
        return {ip: (client, server, here == client + server) for ip, (client, server, here) in found.items()}

    @cached_property
    def _words(self) -> dict[tuple[str, int], list[tuple[int, bool]]]:
        """For each address and port: when a SYN was answered (True) or refused."""
        c = self.connections
        answered = (c["server_syn_packets"] > 0) & (c["simultaneous_open"] == 0)
        refused = c["refused_ns"] >= 0
        words: dict[tuple[str, int], list[tuple[int, bool]]] = {}
        for at in np.flatnonzero(answered | refused).tolist():
            when = int(c["start_ns"][at]) + (int(c["refused_ns"][at]) if refused[at] else 0)
            words.setdefault(self.address(at, 1), []).append((when, bool(answered[at])))
        return words

    def listeners(self, time_ns: int) -> list[tuple[str, int]]:
        """Addresses and ports that listen: they answered a SYN, unless the latest word by then is a refusal.

        Before the first word the next one counts.
        """
        found = []
        for local, told in self._words.items():
            before = [it for it in told if it[0] <= time_ns]
            if (max(before) if before else min(told))[1]:
                found.append(local)
        return found


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
) -> tuple[Moment, list[Row], Past]:
    """The sockets at a moment (see `moments.asked`) of captures analysed with msl (seconds).

    chunks: their packet records; read no further than the moment, but to the end where `result` is complete only
    then (standard input).
    """
    parts = coalesced(chunks)
    if not result.files:
        parts = iter(list(parts))
    past = Past(result)
    queues = Queues(past.connections["capture_point"])
    moment = reach(result, parts, asked(result, at), queues)
    return moment, Sockets(past, queues, round(msl * 1e9)).rows(moment, wanted), past


class Followed(Protocol):
    """What was followed up to a moment: `Queues`, or a place in `changes.Story`."""

    @property
    def begun(self) -> Any: ...
    def of(self, connection: int, side: int) -> dict[str, int]: ...


class Sockets:
    """Makes the lines of `ss` for a moment.  past: the states; queues: followed up to that moment."""

    def __init__(self, past: Past, queues: Followed, msl_ns: int) -> None:
        self.past, self.queues, self.msl_ns = past, queues, msl_ns

    def rows(self, moment: Moment, wanted: Wanted) -> list[Row]:
        """A row a socket, with the columns KEYS: listeners first, then by connection, client before server."""
        state, inferred, since = self.past.at(moment)
        shown = self.past.shown(state, self.queues.begun)
        if wanted.connections:
            shown &= np.isin(np.arange(self.past.count * 2) // 2, wanted.connections)
        out = self._listening(moment, wanted) if wanted.listen and not wanted.connections else []
        for endpoint in np.flatnonzero(shown).tolist():
            if not wanted.state(int(state[endpoint])):
                continue
            row = self._socket(moment, endpoint, int(state[endpoint]), bool(inferred[endpoint]), int(since[endpoint]))
            if wanted.ports and row["local_port"] not in wanted.ports and row["peer_port"] not in wanted.ports:
                continue
            if wanted.host(row["local_ip"]):
                out.append(row)
        return out

    def _socket(self, moment: Moment, endpoint: int, state: int, inferred: bool, since_ns: int) -> Row:
        number, side = divmod(endpoint, 2)
        local, peer = self.past.address(number, side), self.past.address(number, 1 - side)
        k, p = self.queues.of(number, side), self.queues.of(number, 1 - side)
        begun = bool(self.queues.begun[number])
        unknown = state == State.UNKNOWN or not begun
        recv_q, estimated = receive_queue(state, p, self.past.window_known(number))
        running = None
        if not unknown:
            path = self.past.path(number, side, bool(k["sack"] and p["sack"]))
            running = timer(state, k, p, path, since_ns, self.msl_ns, moment.time_ns)
        send_q = 0 if state in (State.SYN_RECEIVED, State.TIME_WAIT) else k["send_q"]
        return line(moment, SS_NAMES[STATES[state]], local, peer, running, number, ROLES[side], inferred,
                    None if unknown else recv_q, None if unknown else send_q, estimated and not unknown)  # fmt: skip

    def _listening(self, moment: Moment, wanted: Wanted) -> list[Row]:
        if not wanted.state(State.LISTEN):
            return []
        return [
            line(moment, "LISTEN", local, (None, None), None, None, None, True, 0, None, True)
            for local in self.past.listeners(moment.time_ns)
            if wanted.host(local[0]) and (not wanted.ports or local[1] in wanted.ports)
        ]


def receive_queue(state: int, peer: dict[str, int], window_known: bool) -> tuple[int | None, bool]:
    """Bytes received and not read, and whether that is an estimate.  peer: what the socket is sent."""
    if state in READS_NO_MORE or peer["received"] == 0:
        return 0, False
    return (peer["recv_q"] if window_known else None), window_known


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
