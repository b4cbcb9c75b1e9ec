"""The states of every endpoint of a capture through time, from the replay's connections and events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from tcpscope.replay.layout import CONNECTION, EVENT, ROLES
from tcpscope.replay.states import Event, State
from tcpscope.tables.address import address
from tcpscope.tables.analysis import Analysis
from tcpscope.tables.moments import Moment
from tcpscope.tables.timers import Path
from tcpscope.tables.values import by_version

HIDDEN = (State.CLOSED, State.LISTEN)  # no socket of this connection's; a listener has a line of its own
MSS = 1460  # where the option was not seen
_FIELDS = ("start_ns", "refused_ns", "syn_rtt_ns", "ack_rtt_ns", "initial_rtt_ns", "client_addr", "server_addr",
           "client_port", "server_port", "ip_version", "client_state", "server_state", "client_packets",
           "server_packets", "client_syn_packets", "server_syn_packets", "client_window_scale", "server_window_scale",
           "client_mss", "server_mss", "role_evidence", "capture_point", "reused", "simultaneous_open")  # fmt: skip

Endpoint = tuple[str, int]  # address and port
_TEXTS = by_version(address)


class Past:
    """Connections are numbered as in the tables; endpoint 2·connection is its client, the next its server."""

    def __init__(self, result: Analysis) -> None:
        found = np.frombuffer(result.connections, CONNECTION.dtype())
        order = np.argsort(found["connection"], kind="stable")
        self.connections = {name: found[name][order] for name in _FIELDS}
        self.events = np.frombuffer(result.events, EVENT.dtype())
        self.count = len(order)
        self.quoted = self.events["event"] == Event.UNREACHABLE  # by an ICMP error, which is no packet of the table
        self.of_event = self.events["connection"].astype(np.int64) * 2 + self.events["endpoint"]
        self.initial = self._sides("state").astype(np.int64)
        self.initial[self.of_event[::-1]] = self.events["old"][::-1]  # of the first event, which is written last
        self.resumed = self._resumed()
        self._heard = self._sides("packets") > 0

    def _sides(self, name: str) -> Any:
        """A column of both sides, by endpoint."""
        return np.stack([self.connections[f"{role}_{name}"] for role in ROLES], axis=1).reshape(-1)

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
        """State, whether it was inferred, and since when (ns), of each endpoint."""
        events = self.events
        timers = events["frame"] == 0
        if moment.end:
            done = np.ones(len(events), bool)
        else:
            done = (events["order"] <= np.uint64(max(moment.order, 0))) & (moment.order >= 0)
            done = np.where(timers, events["time_ns"] <= moment.time_ns, done)
            done |= self.quoted & (events["time_ns"] <= moment.time_ns)
        if not moment.end and moment.time_ns > moment.last_ns:  # what was under way then has arrived since
            following = ~timers & (events["order"] == np.uint64(moment.order + 1))
            done |= following & (events["time_ns"] <= moment.last_ns)
        last = np.full(self.count * 2, -1, np.int64)
        last[self.of_event[done]] = np.flatnonzero(done)
        moved = last >= 0
        state, inferred = self.initial.copy(), self.initial == State.UNKNOWN
        since = np.repeat(self.connections["start_ns"], 2)
        state[moved] = events["new"][last[moved]]
        inferred[moved] = events["inferred"][last[moved]] != 0
        since[moved] = events["time_ns"][last[moved]]
        return state, inferred, since

    def after_quotes(self, moment: Moment, frame: int | None) -> Moment:
        """The moment after this frame, which may be an ICMP error behind the last of the packets."""
        if frame is None:
            return moment
        behind = self.quoted & (self.events["frame"] <= frame) & (self.events["time_ns"] > moment.time_ns)
        if not behind.any():
            return moment
        latest = self.events[behind][np.argmax(self.events["time_ns"][behind])]
        return replace(moment, time_ns=int(latest["time_ns"]), frame=int(latest["frame"]))

    def shown(self, state: Any, begun: Any) -> Any:
        """Which endpoints have a socket to show: not closed, and their connection has begun (or goes back further)."""
        there = np.repeat(begun, 2) | self.resumed
        return there & ~np.isin(state, HIDDEN) & ~self.nobody(state)

    def nobody(self, state: Any) -> Any:
        """Endpoints of which nothing shows that they exist: a SYN was sent there, and nobody answered."""
        from_syn = np.repeat(self.connections["role_evidence"] == 0, 2)
        return (state == State.UNKNOWN) & ~self._heard & from_syn

    def ends(self, connections: Any, side: int) -> list[Endpoint]:
        """Address and port of this side of the connections."""
        c, role = self.connections, ROLES[side]
        versions = c["ip_version"][connections].tolist()
        addresses = c[f"{role}_addr"][connections].tolist()
        ports = c[f"{role}_port"][connections].tolist()
        return [
            (_TEXTS[4 if version == 4 else 6][raw], port)
            for version, raw, port in zip(versions, addresses, ports, strict=True)
        ]

    def address(self, connection: int, side: int) -> Endpoint:
        """Address and port of one endpoint."""
        return self.ends([connection], side)[0]

    @cached_property
    def window_known(self) -> Any:
        """Connections whose windows can be scaled: both SYNs seen, or one that offers no scaling (RFC 7323, 2.2)."""
        seen = self._sides("syn_packets").reshape(-1, 2) > 0
        plain = seen & (self._sides("window_scale").reshape(-1, 2) < 0)
        return seen.all(axis=1) | plain.any(axis=1)

    def path(self, connection: int, side: int, sack: bool) -> Path:
        """What the timers of an endpoint depend on."""
        c = self.connections
        behind = int(c["ack_rtt_ns" if side == 0 else "syn_rtt_ns"][connection])
        mss = int(c[f"{ROLES[1 - side]}_mss"][connection])
        return Path(max(behind, 0), int(c["initial_rtt_ns"][connection]), mss if mss > 0 else MSS, sack)

    def parts(self, chosen: Sequence[int] = ()) -> dict[str, tuple[int, int, bool]]:
        """For each host: of how many connections it is client and server, and whether the capture was taken there.

        chosen: only these connections; empty means all.
        """
        found: dict[str, list[int]] = {}
        numbers = np.array([it for it in chosen if it < self.count] if chosen else range(self.count), np.int64)
        points = self.connections["capture_point"][numbers].tolist()
        for ends in zip(points, *(self.ends(numbers, side) for side in (0, 1)), strict=True):
            for side in (0, 1):
                it = found.setdefault(ends[1 + side][0], [0, 0, 0])
                it[side] += 1
                it[2] += ends[0] == 1 + side
        return {ip: (client, server, here == client + server) for ip, (client, server, here) in found.items()}

    @cached_property
    def _words(self) -> dict[Endpoint, list[tuple[int, bool]]]:
        """For each address and port: when a SYN was answered (True) or refused."""
        c = self.connections
        answered = (c["server_syn_packets"] > 0) & (c["simultaneous_open"] == 0)
        refused = c["refused_ns"] >= 0
        rows = np.flatnonzero(answered | refused)
        times = c["start_ns"][rows] + np.where(refused[rows], c["refused_ns"][rows], 0)
        words: dict[Endpoint, list[tuple[int, bool]]] = {}
        for local, when, yes in zip(self.ends(rows, 1), times.tolist(), answered[rows].tolist(), strict=True):
            words.setdefault(local, []).append((when, yes))
        return {local: sorted(told) for local, told in words.items()}

    def listeners(self, time_ns: int) -> list[Endpoint]:
        """Addresses and ports that listen: they answered a SYN, unless the latest word by then is a refusal.

        Before the first word the next one counts.
        """
        from bisect import bisect_right

        found = []
        for local, told in self._words.items():
            at = bisect_right(told, (time_ns, True))
            if told[max(at - 1, 0)][1]:
                found.append(local)
        return found
