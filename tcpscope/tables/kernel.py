"""Our states beside the kernel's own, for the sockets of this host (`ss`, Linux).

A packet on its way makes both differ for a moment.  A difference counts when it stood twice, LOOK apart, and
when neither side had changed in between.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterable
from typing import NamedTuple

from tcpscope.errors import UsageError
from tcpscope.replay import layout
from tcpscope.tables.address import address, with_port
from tcpscope.tables.session import Session

LOOK = 1.0  # seconds
MOST = 20_000  # open connections compared, the latest to send
SS = ("ss", "-H", "-t", "-a", "-n")
STATES = {
    "ESTAB": "ESTABLISHED", "SYN-SENT": "SYN_SENT", "SYN-RECV": "SYN_RECEIVED", "FIN-WAIT-1": "FIN_WAIT_1",
    "FIN-WAIT-2": "FIN_WAIT_2", "TIME-WAIT": "TIME_WAIT", "CLOSE-WAIT": "CLOSE_WAIT", "LAST-ACK": "LAST_ACK",
    "LISTEN": "LISTEN", "CLOSING": "CLOSING", "UNCONN": "CLOSED",
}  # fmt: skip
_FIELDS = ("connection", "client_addr", "client_port", "server_addr", "server_port", "ip_version", "client_state",
           "server_state")  # fmt: skip

Place = tuple[str, int]
Pair = tuple[Place, Place]  # local, peer


class Difference(NamedTuple):
    """A socket of this host whose state tcpscope and the kernel see differently.  kernel: CLOSED: it has none."""

    connection: int
    endpoint: str
    local: str
    peer: str
    ours: str
    kernel: str

    @property
    def text(self) -> str:
        return f"{self.endpoint} {self.local} → {self.peer}: {self.ours}, the kernel says {self.kernel}"


class Verifier:
    """Looks at both now and then; `look` gives the differences that are new."""

    def __init__(self, session: Session) -> None:
        self.compared = self.agreed = 0
        self.differences: set[Difference] = set()
        self._session, self._at = session, 0.0
        self._before: set[Difference] = set()
        kernel_states()  # fails now rather than later

    def look(self) -> list[Difference]:
        """Compare, if it is time."""
        if time.monotonic() - self._at < LOOK:
            return []
        first = self._mine()
        kernel = kernel_states()
        self._session.step()
        second = self._mine()
        self._at = time.monotonic()
        found = set()
        for pair, (number, role, ours) in first.items():
            if pair not in kernel or second.get(pair, (0, "", ""))[2] != ours:
                continue  # of another host, or just changing
            self.compared += 1
            theirs = kernel[pair]
            if theirs == ours:
                self.agreed += 1
            else:
                found.add(Difference(number, role, _text(pair[0]), _text(pair[1]), ours, theirs))
        lasting = found & self._before
        self.agreed += len(found - lasting)  # not known yet: it counts when it stays
        self._before = found
        fresh = sorted(lasting - self.differences)
        self.differences |= lasting
        return fresh

    def summary(self) -> str:
        return (
            f"the kernel's states: {self.compared:,} compared, {len(self.differences):,} "
            f"lasting difference{'' if len(self.differences) == 1 else 's'}"
        )

    def _mine(self) -> dict[Pair, tuple[int, str, str]]:
        """(local, peer) → connection, role, state; both ends of every open connection."""
        raw, _ = self._session.open_connections(MOST)
        found: dict[Pair, tuple[int, str, str]] = {}
        for number, client, cport, server, sport, version, mine, theirs in layout.CONNECTION.select(raw, _FIELDS):
            one, other = (address(client, version), cport), (address(server, version), sport)
            found[one, other] = number, "client", layout.STATES[mine]
            found[other, one] = number, "server", layout.STATES[theirs]
        return found


def _text(place: Place) -> str:
    return with_port(*place)


def kernel_states() -> dict[Pair, str]:
    """(local, peer) → state of every TCP socket of this network namespace; UsageError without `ss`."""
    try:
        done = subprocess.run(SS, capture_output=True, text=True, check=True, errors="replace")
    except FileNotFoundError:
        raise UsageError("--verify-kernel needs ss: sudo apt install iproute2") from None
    except subprocess.CalledProcessError as error:
        raise UsageError(f"--verify-kernel: ss failed: {error.stderr.strip().splitlines()[:1]}") from None
    return dict(parse(done.stdout.splitlines()))


def parse(lines: Iterable[str]) -> Iterable[tuple[Pair, str]]:
    """The lines of `ss -Htan`."""
    for line in lines:
        words = line.split()
        if len(words) >= 5 and words[0] in STATES:
            local, peer = _place(words[3]), _place(words[4])
            if local is not None and peer is not None:
                yield (local, peer), STATES[words[0]]


def _place(text: str) -> Place | None:
    """`10.0.0.1:80`, `[::1]:80`, `127.0.0.1%lo:80`, `[::ffff:10.0.0.1]:80`; None: no port."""
    ip, _, port = text.rpartition(":")
    ip = re.sub(r"%[^\]:]*", "", ip).strip("[]").removeprefix("::ffff:")
    return (ip, int(port)) if port.isdigit() else None
