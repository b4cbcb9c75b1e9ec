"""What a ladder is, before anyone draws it: rows in order of time, and what spans several of them.

Plain data that goes into JSON as it is.  Times are seconds since the epoch, durations seconds, sizes
bytes, sequence numbers relative unless they are called raw; what is not known is None.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, ClassVar

from tcpscope.tables.address import with_port

CLIENT, SERVER = "client", "server"
ENDS = (CLIENT, SERVER)
UNSEEN = frozenset({"CLOSED", "LISTEN", "UNKNOWN", ""})  # states in which no connection exists, or none is known


@dataclass(slots=True)
class Segment:
    """A captured segment: an arrow.  The states are those after it."""

    kind: ClassVar[str] = "segment"
    time: float
    frame: int
    file: int
    sender: str
    flags: str
    seq: int
    ack: int
    length: int
    window: int
    client_state: str
    server_state: str
    annotations: tuple[str, ...]
    again: int | None  # frame of the copy that this one repeats
    acked: int | None  # last frame that this one acknowledges
    numbers: tuple[int, int, int]  # as in the header: sequence, acknowledgment, window
    mss: int | None
    scale: int | None
    stamps: tuple[int, int] | None  # timestamps: value and echo
    sack: tuple[tuple[int, int], ...]
    rtt: float | None
    in_flight: int | None
    delta: float | None = None  # since the packet before, shown or not
    after: float | None = None  # since the copy that this one repeats
    duplicate: int | None = None  # which duplicate ACK in a row, from 1
    fate: str = "delivered"  # delivered; lost: sent again, and needed; unanswered: nothing tells; rejected: by ICMP
    first: int = 0  # position among all that happened, from 0
    last: int = 0

    @property
    def style(self) -> str:
        """How its line is drawn: plain, again (a repetition), probe (keep-alive, window probe), duplicate (ACK)."""
        if self.probes:
            return "probe"
        if "retransmission" in self.annotations:
            return "again"
        return "plain" if self.duplicate is None else "duplicate"

    @property
    def probes(self) -> bool:
        return not PROBES.isdisjoint(self.annotations)


PROBES = frozenset({"keep_alive", "keep_alive_ack", "zero_window_probe", "zero_window_probe_ack"})


@dataclass(slots=True)
class Happening:
    """A change of state that no TCP packet of this connection shows: a timer, an ICMP error, a reused port."""

    kind: ClassVar[str] = "happening"
    time: float
    endpoint: str
    old: str
    new: str
    event: str  # a row's name of replay/states.py
    frame: int | None  # of another protocol or connection
    client_state: str
    server_state: str
    inferred: bool = False
    projected: bool = False  # lies after the last packet: computed, not observed
    detail: str = ""  # more about it: the ICMP error
    delta: float | None = None
    first: int = 0
    last: int = 0


@dataclass(slots=True)
class Idle:
    """A pause before the next row."""

    kind: ClassVar[str] = "idle"
    time: float  # when it began
    seconds: float
    timer: str | None  # what ended it: keep-alive, persist, retransmission
    endpoint: str | None  # whose timer
    client_state: str
    server_state: str
    first: int = 0
    last: int = 0


@dataclass(slots=True)
class Fold:
    """Segments that are not drawn, and what they were."""

    kind: ClassVar[str] = "fold"
    time: float  # of the first
    end: float  # of the last
    why: str  # bulk: nothing odd; probes; rows: more rows than asked for; before, after: outside of what was asked for
    client_state: str  # after the last
    server_state: str
    segments: int = 0
    client_segments: int = 0
    server_segments: int = 0
    client_bytes: int = 0
    server_bytes: int = 0
    first_frame: int | None = None
    last_frame: int | None = None
    annotations: dict[str, int] = field(default_factory=dict)  # how many of each
    lost: int = 0
    state_changes: int = 0  # of either end, within
    rows: list[Segment] = field(default_factory=list)  # the first of them, where they were asked for
    first: int = 0
    last: int = 0

    @property
    def size(self) -> int:
        return self.client_bytes + self.server_bytes


Row = Segment | Happening | Idle | Fold
Item = Segment | Happening | Fold


@dataclass(slots=True)
class StateSpan:
    """An endpoint's time in a state: from the row that begins it to the row that ends it (None: to the end)."""

    endpoint: str
    state: str
    start: float | None  # None: before the first packet, or within a fold
    end: float | None
    first_row: int | None
    last_row: int | None


@dataclass(slots=True)
class Bar:
    """What lasts on one endpoint's line: zero_window (its window is closed), persist (it waits for the peer's
    window), time_wait (to its 2 MSL end)."""

    what: str
    endpoint: str
    start: float
    end: float | None  # None: still so at the capture's end
    first_row: int
    last_row: int | None
    projected: bool = False

    def covers(self, row: int) -> bool:
        """Whether it lasts while this row is drawn; the row that ends it is no more part of it."""
        return self.first_row <= row and (self.last_row is None or row < self.last_row)


@dataclass(slots=True)
class Link:
    """A repetition and its original, by rows."""

    row: int
    original_row: int
    seconds: float


@dataclass(slots=True)
class Timing:
    """Where the capture was taken, and how far away the ends are.  One-way delays in seconds, None: not known."""

    capture_point: str
    to_client: float | None
    to_server: float | None
    basis: str  # in words, for the footer

    def delay(self, endpoint: str) -> float | None:
        return self.to_client if endpoint == CLIENT else self.to_server

    def measured(self, endpoint: str) -> bool:
        """Whether the times at this end are the capture's own."""
        return self.capture_point == endpoint


@dataclass(slots=True)
class End:
    ip: str
    port: int

    def __str__(self) -> str:
        return with_port(self.ip, self.port)


@dataclass(slots=True)
class Ladder:
    """One connection, ready to be drawn."""

    connection: int
    client: End
    server: End
    start: float  # time 0 of the drawing
    before: tuple[str, str]  # states before the first row; "" where not known
    rows: list[Row]
    spans: list[StateSpan]
    bars: list[Bar]
    links: list[Link]
    timing: Timing
    segments: int  # in the connection
    shown: int  # of them drawn
    duration: float
    close: str | None
    closed_by: str | None
    notes: list[str]  # what to know before trusting the drawing, a line each
    reset_by: str | None = None
    about: str = ""  # the service and the server's name, as the first bytes tell them

    def states(self, at: int) -> tuple[str, str]:
        """Both states after the row at this index; before the first at -1."""
        return self.before if at < 0 else (self.rows[at].client_state, self.rows[at].server_state)

    def bars_at(self, endpoint: str) -> Iterable[Bar]:
        return (bar for bar in self.bars if bar.endpoint == endpoint)


def plain(thing: Any) -> Any:
    """Dicts, lists and scalars of a ladder, for JSON; rows tell their kind."""
    if is_dataclass(thing):
        kind = {"kind": thing.kind} if isinstance(thing, Segment | Happening | Idle | Fold) else {}
        return kind | {it.name: plain(getattr(thing, it.name)) for it in fields(thing)}
    if isinstance(thing, dict):
        return {key: plain(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [plain(it) for it in thing]
    return thing
