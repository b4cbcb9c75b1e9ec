"""Whose socket: the processes of this host behind the endpoints of a live capture (psutil).

A socket can be asked for only while it is there, so the list is taken now and then, and an endpoint once found is
remembered.  Other users' processes are told to root alone.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import NamedTuple

from tcpscope.replay import layout
from tcpscope.tables.address import address

LOOK = 2.0  # seconds between two lists
REMEMBERED = 50_000  # endpoints

Place = tuple[str, int]
_FIELDS = ("connection", "start_ns", "client_addr", "client_port", "server_addr", "server_port", "ip_version")


class Owner(NamedTuple):
    """A process.  name: as the system calls it."""

    process: int
    name: str


class Owned(NamedTuple):
    """An endpoint of a connection and its process."""

    connection: int
    endpoint: str
    ip: str
    port: int
    process: int
    name: str


class Processes:
    """`owner` of a local endpoint, by the latest list; `refresh` takes a new one when it is time."""

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[int, str], None] = OrderedDict()
        self._addresses: set[str] = set()  # of this host: another's port may have the number of a listener of ours
        self._known: OrderedDict[tuple[Place, Place], Owner] = OrderedDict()
        self._listening: dict[Place, Owner] = {}  # by the latest list alone: the next program may take the port
        self._listed_ns = 0  # when that was taken
        self._next = 0.0

    def refresh(self) -> None:
        """Take a new list, if the one there is old: every LOOK seconds, more seldom where that takes long."""
        began = time.monotonic()
        if began < self._next:
            return
        import psutil

        names: dict[int, str] = {}
        self._addresses = {
            it.address.partition("%")[0] for addresses in psutil.net_if_addrs().values() for it in addresses
        }
        self._listening, self._listed_ns = {}, time.time_ns()
        try:
            found = psutil.net_connections("tcp")
        except (psutil.Error, OSError):  # macOS tells only root
            found = []
        for it in found:
            if it.pid and it.laddr:
                if it.pid not in names:
                    try:
                        names[it.pid] = psutil.Process(it.pid).name()
                    except psutil.Error:
                        continue
                owner = Owner(it.pid, names[it.pid])
                if not it.raddr:
                    self._listening[_place(it.laddr)] = owner
                    continue
                key = _place(it.laddr), _place(it.raddr)
                self._known[key] = owner
                self._known.move_to_end(key)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        now = time.monotonic()
        self._next = now + max(LOOK, 20 * (now - began))

    def owner(self, local: Place, peer: Place, since_ns: int = 0) -> Owner | None:
        """The process that has, or had, this socket; or that listens there.  None: not of this host, or not told yet.

        since_ns: when the connection began; who listened before may have ended by then.
        """
        if (local, peer) in self._known:
            return self._known[local, peer]
        if local[0] not in self._addresses or since_ns > self._listed_ns:
            return None
        anywhere = "::" if ":" in local[0] else "0.0.0.0", local[1]
        return next((self._listening[it] for it in (local, anywhere, ("::", local[1])) if it in self._listening), None)

    def fresh(self, raw: bytes) -> list[Owned]:
        """Of packed records of open connections the endpoints whose process is known and has not been told yet."""
        self.refresh()
        found = []
        for number, start_ns, client, cport, server, sport, version in layout.CONNECTION.select(raw, _FIELDS):
            ends = (address(client, version), cport), (address(server, version), sport)
            for side, role in enumerate(layout.ROLES):
                if (number, role) in self._told:
                    continue
                owner = self.owner(ends[side], ends[1 - side], start_ns)
                if owner is not None:
                    self._told[number, role] = None
                    found.append(Owned(number, role, *ends[side], owner.process, owner.name))
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return found


def _place(it: tuple[str, int]) -> Place:
    return it[0].partition("%")[0].removeprefix("::ffff:"), it[1]
