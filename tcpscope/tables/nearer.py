"""Boxes near the capture that acknowledge in the server's stead: their round trip is not the network's."""

from __future__ import annotations

ONCE = 8  # times the shortest round trip: not the path's
NEARLY = 1.25  # a handshake may take a little longer than what follows


def acknowledged_nearer(opening: float, shortest: float, replies: float) -> bool:
    """What the server says takes as long as the handshake did, but ACKs come much sooner: a box may send them.

    opening: the SYN's round trip; shortest: of the client's data; replies: the mean time to an answer; in one unit, and
    less than 0 where not known.
    """
    return 0 <= shortest * ONCE < opening <= replies * NEARLY
