"""Which frames show a violation, and which part of the connection's ladder."""

from __future__ import annotations

from tcpscope.check.assertions import Test
from tcpscope.check.measures import CLOSE, HANDSHAKE
from tcpscope.check.observed import Observed
from tcpscope.check.verdict import Violation
from tcpscope.replay.layout import ANNOTATIONS, ROLES
from tcpscope.wire.layout import file_at, frame_at, spot

MANY = 20  # frames named
NEVER_OPEN = ("refused", "unanswered", "unreachable", "half_open")


def proof(observed: Observed, test: Test, violation: Violation, row: int, value: str) -> None:
    """Set the violation's frames, file and part, from what the replay kept of the connection in this row."""
    of, it = test.measure, observed.fields
    violation.part = HANDSHAKE if of.name == "close" and value in NEVER_OPEN else of.part
    spots = marked(observed, int(it["connection"][row]), of.shown, of.side)
    if not spots:
        first, last = int(it["first_frame"][row]), int(it["last_frame"][row])
        spots = {HANDSHAKE: [first], CLOSE: [last]}.get(violation.part, [first, last] if last != first else [first])
    violation.file = file_at(spots[0])
    violation.frames = [frame_at(it) for it in spots if file_at(it) == violation.file]


def marked(observed: Observed, connection: int, annotations: tuple[str, ...], side: str | None) -> list[int]:
    """Spots of the connection's frames that bear one of these annotations, sent by this side where it is one."""
    import numpy

    if not annotations:
        return []
    found = observed.evidence
    begin, end = numpy.searchsorted(found["connection"], [connection, connection + 1])
    mine = found[begin:end]
    wanted = [ANNOTATIONS.index(name) for name in annotations]
    fits = numpy.isin(mine["annotation"], wanted)
    if side is not None:
        fits &= mine["side"] == ROLES.index(side)
    return list(dict.fromkeys(map(spot, mine["frame"][fits].tolist(), mine["file"][fits].tolist())))[:MANY]
