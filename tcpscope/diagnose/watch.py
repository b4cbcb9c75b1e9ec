"""Findings about a capture that goes on: about what has ended, and about what is open now."""

from __future__ import annotations

import re
import time
from typing import Any

from tcpscope.diagnose import Collected, Finding, findings
from tcpscope.errors import UsageError
from tcpscope.replay.layout import EVENT, STATES
from tcpscope.tables.session import Counters, Session, Turn

LOOK = 1.0  # seconds between two looks
SELDOM = 20  # times what a look takes, at least
REMEMBERED = 10_000  # findings told
LOOKED_AT = 2_000  # open connections that findings look at, the latest to send
_NEW = EVENT.offset("new")
COMPARED = re.compile(r"\s*([A-Za-z_]+)\s*(?:(>=|>)\s*([0-9][0-9_,.]*(?:e[0-9]+)?)\s*)?$")


class Watch:
    """A session and its findings.  Give it every turn of the session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.entered: set[str] = set()  # states that an endpoint has been in
        self._odd = Collected()
        self._told: dict[tuple[str, str, str], int] = {}  # of each finding told how many connections it concerned
        self.latest: list[Finding] = []  # of the last look
        self._next = 0.0

    def take(self, turn: Turn) -> None:
        """The connections that ended, and the states that were entered."""
        if turn.events:
            self.entered |= {STATES[it] for it in set(memoryview(turn.events)[_NEW :: EVENT.size])}
        if turn.connections:
            self._odd.take(turn.connections, turn.evidence)

    def findings(self) -> list[Finding]:
        """What is odd, worst first: of all connections that have ended, and of the open ones as they are now."""
        odd = self._odd.copy()
        odd.take(*self.session.open_connections(LOOKED_AT))
        return self._about(odd)

    def final(self) -> list[Finding]:
        """When the session is finished and all its turns are taken."""
        return self._about(self._odd)

    def _about(self, odd: Collected) -> list[Finding]:
        return findings(odd, self.session.files(), [self.session.name], self.session.clock_steps)

    def due(self) -> bool:
        """Whether it is time to look again: every second, and more seldom where looking takes long."""
        return time.monotonic() >= self._next

    def fresh(self) -> list[Finding]:
        """Look; the findings that are new, or concern twice as many connections as when they were told last."""
        found, began = [], time.monotonic()
        self.latest = self.findings()
        now = time.monotonic()
        self._next = now + max(LOOK, SELDOM * (now - began))
        for it in self.latest:
            subject = it.id, it.server, it.side
            told = self._told.get(subject)
            if told is None or it.count >= 2 * max(told, 1):
                self._told.pop(subject, None)  # the latest stand last
                self._told[subject] = it.count
                found.append(it)
        while len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        return found


class Until:
    """A condition that ends a capture: a finding's id, a state, or a counter, and how many.

    `zero_window`: a connection with that finding.  `CLOSE_WAIT`: an endpoint has entered that state; `CLOSE_WAIT>10`:
    more than ten are in it.  `packets>=1e6`, `open>100`, `dropped>0`: counters.  Raises UsageError for what is
    none of them.
    """

    def __init__(self, text: str) -> None:
        from tcpscope.diagnose.catalogue import ENTRIES
        from tcpscope.tables.filters import nearest

        found = COMPARED.match(text)
        known = [*ENTRIES, *STATES, "packets", "connections", "open", "dropped"]
        if found is None:
            raise UsageError(
                f"--until {text!r}: NAME or NAME>NUMBER; a finding, a state, packets, connections, open, dropped"
            )
        name, relation, number = found.groups()
        name = name.upper() if name.upper() in STATES else name.lower()
        if name not in known:
            raise UsageError(f"--until {text!r}: no finding, state or counter {name!r}{nearest(name, known)}")
        self.name, self.is_finding = name, name in ENTRIES
        try:
            limit = float(number.replace(",", "").replace("_", "")) if number else 0.0
        except ValueError:
            raise UsageError(f"--until {text!r}: {number!r} is not a number") from None
        self._compares, self._least, self._limit = relation is not None, relation == ">=", limit

    def holds(self, watch: Watch, found: list[Finding] | None) -> bool:
        """found: findings as they are now; None: they were not looked at."""
        if self.name in STATES and not self._compares:
            return self.name in watch.entered
        value = self._value(watch.session.counters(), watch.session, found)
        return value is not None and (value >= self._limit if self._least else value > self._limit)

    def _value(self, counters: Counters, session: Session, found: list[Finding] | None) -> float | None:
        if self.is_finding:
            return None if found is None else max((max(it.count, 1) for it in found if it.id == self.name), default=0)
        if self.name in STATES:
            return session.endpoints().get(self.name, 0)
        if self.name == "dropped":
            return counters.dropped_by_kernel
        values: dict[str, Any] = counters._asdict()
        return float(values[self.name])
