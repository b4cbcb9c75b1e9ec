"""Figure 5 of RFC 9293 as data: one row, one arrow.  Nothing else decides a state.

There are two machines, one for each endpoint, and they never look at each other: each is
fed the events of its own endpoint, in the order in which that endpoint saw them.  What its
endpoint sent is an event when it leaves; what the peer sent is one when it is delivered,
which may be later than the capture saw it, or never (`lifecycle.pyx` decides that).

Reading a segment into events is code, because it needs sequence numbers; moving is this
table.  A segment may be two events: one that acknowledges our FIN and carries the peer's is
GOT_ACK_OF_FIN, then GOT_FIN, so FIN_WAIT_1 reaches TIME_WAIT by way of FIN_WAIT_2 within
one segment, as Linux does it.

Not in the RFC's figure, and marked so in the section column:

* UNKNOWN is the state of an endpoint whose past was not captured.  The first segment that
  it sends, or that answers it, resolves it; those transitions are `inferred`.
* SOCKET_GONE: a later packet shows that the endpoint has no connection any more, though it
  said nothing when it let go (a crash, a time-out, an orphan that was given up).
* REUSED: a new SYN opens the four-tuple again (RFC 1122, 4.2.2.13; RFC 6191).
* A passive endpoint that is reset in SYN_RECEIVED returns to CLOSED here.  The RFC says
  LISTEN, because there the listening socket itself became the connection; in every stack
  with a sockets interface the listener was never part of it.
"""

from __future__ import annotations

from enum import IntEnum

State = IntEnum(
    "State",
    "CLOSED LISTEN SYN_SENT SYN_RECEIVED ESTABLISHED FIN_WAIT_1 FIN_WAIT_2 CLOSE_WAIT CLOSING LAST_ACK "
    "TIME_WAIT UNKNOWN",
    start=0,
)

Event = IntEnum(
    "Event",
    "PASSIVE_OPEN SENT_SYN GOT_SYN GOT_SYN_ACK GOT_ACK_OF_SYN SEEN_OPEN SENT_FIN GOT_FIN GOT_ACK_OF_FIN "
    "SENT_RST GOT_RST TIMEOUT_2MSL REUSED SOCKET_GONE UNREACHABLE",
    start=0,
)


def rows(text: str) -> tuple[tuple[State, Event, State, str], ...]:
    """The table's rows: state, event, next state, section."""
    found = []
    for line in text.strip().splitlines():
        state, event, goes_to, section = line.split()
        found.append((State[state], Event[event], State[goes_to], section))
    return tuple(found)


TRANSITIONS = rows(
    """
    CLOSED        PASSIVE_OPEN    LISTEN        3.10.1
    CLOSED        SENT_SYN        SYN_SENT      3.10.1
    LISTEN        SENT_SYN        SYN_SENT      3.10.2
    LISTEN        GOT_SYN         SYN_RECEIVED  3.10.7.2
    SYN_SENT      GOT_SYN         SYN_RECEIVED  3.10.7.3
    SYN_SENT      GOT_SYN_ACK     ESTABLISHED   3.10.7.3
    SYN_RECEIVED  GOT_ACK_OF_SYN  ESTABLISHED   3.10.7.4
    SYN_RECEIVED  SENT_FIN        FIN_WAIT_1    3.10.4
    SYN_RECEIVED  GOT_FIN         CLOSE_WAIT    3.10.7.4
    ESTABLISHED   SENT_FIN        FIN_WAIT_1    3.10.4
    ESTABLISHED   GOT_FIN         CLOSE_WAIT    3.10.7.4
    FIN_WAIT_1    GOT_ACK_OF_FIN  FIN_WAIT_2    3.10.7.4
    FIN_WAIT_1    GOT_FIN         CLOSING       3.10.7.4
    FIN_WAIT_2    GOT_FIN         TIME_WAIT     3.10.7.4
    CLOSE_WAIT    SENT_FIN        LAST_ACK      3.10.4
    CLOSING       GOT_ACK_OF_FIN  TIME_WAIT     3.10.7.4
    LAST_ACK      GOT_ACK_OF_FIN  CLOSED        3.10.7.4
    TIME_WAIT     TIMEOUT_2MSL    CLOSED        3.10.8

    LISTEN        SENT_RST        LISTEN        3.10.7.2
    SYN_SENT      SENT_RST        CLOSED        3.10.5
    SYN_RECEIVED  SENT_RST        CLOSED        3.10.5
    ESTABLISHED   SENT_RST        CLOSED        3.10.5
    FIN_WAIT_1    SENT_RST        CLOSED        3.10.5
    FIN_WAIT_2    SENT_RST        CLOSED        3.10.5
    CLOSE_WAIT    SENT_RST        CLOSED        3.10.5
    CLOSING       SENT_RST        CLOSED        3.10.5
    LAST_ACK      SENT_RST        CLOSED        3.10.5
    TIME_WAIT     SENT_RST        CLOSED        3.10.5

    SYN_SENT      GOT_RST         CLOSED        3.10.7.3
    SYN_RECEIVED  GOT_RST         CLOSED        3.10.7.4
    ESTABLISHED   GOT_RST         CLOSED        3.10.7.4
    FIN_WAIT_1    GOT_RST         CLOSED        3.10.7.4
    FIN_WAIT_2    GOT_RST         CLOSED        3.10.7.4
    CLOSE_WAIT    GOT_RST         CLOSED        3.10.7.4
    CLOSING       GOT_RST         CLOSED        3.10.7.4
    LAST_ACK      GOT_RST         CLOSED        3.10.7.4
    TIME_WAIT     GOT_RST         CLOSED        3.10.7.4

    SYN_SENT      UNREACHABLE     CLOSED        3.9.2.2

    UNKNOWN       SEEN_OPEN       ESTABLISHED   inferred
    UNKNOWN       SENT_SYN        SYN_SENT      inferred
    UNKNOWN       GOT_SYN         SYN_RECEIVED  inferred
    UNKNOWN       SENT_RST        CLOSED        inferred
    UNKNOWN       GOT_RST         CLOSED        inferred

    SYN_SENT      SOCKET_GONE     CLOSED        inferred
    SYN_RECEIVED  SOCKET_GONE     CLOSED        inferred
    ESTABLISHED   SOCKET_GONE     CLOSED        inferred
    FIN_WAIT_1    SOCKET_GONE     CLOSED        inferred
    FIN_WAIT_2    SOCKET_GONE     CLOSED        inferred
    CLOSE_WAIT    SOCKET_GONE     CLOSED        inferred
    CLOSING       SOCKET_GONE     CLOSED        inferred
    LAST_ACK      SOCKET_GONE     CLOSED        inferred
    TIME_WAIT     SOCKET_GONE     CLOSED        inferred

    TIME_WAIT     REUSED          CLOSED        RFC1122:4.2.2.13
""".replace("\n\n", "\n")
)

STAY = 0xFF


def table() -> bytes:
    """The transitions as an array of len(State) x len(Event) bytes; holes are STAY."""
    cells = bytearray([STAY]) * (len(State) * len(Event))
    for state, event, goes_to, _ in TRANSITIONS:
        cells[state * len(Event) + event] = goes_to
    return bytes(cells)
