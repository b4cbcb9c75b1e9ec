"""Colours and strokes by what a layer stands for.

The hues are Okabe and Ito's, which people of any colour vision tell apart; where two of them may meet, shape
or letter differ too.  tcptrace draws on black; here its white segments are black, its yellow window is amber.
"""

from __future__ import annotations

from typing import NamedTuple

BLACK, GREY, PALE = "#222222", "#767676", "#c8c8c8"
ORANGE, SKY, GREEN, YELLOW = "#e69f00", "#56b4e9", "#009e73", "#f0e442"
BLUE, RED, PINK, PURPLE = "#0072b2", "#d55e00", "#cc79a7", "#6a3d9a"
INK, PAPER, GRID = "#222222", "#ffffff", "#e6e6e6"


class Style(NamedTuple):
    """dash: "", "dash" or "dot".  marker: as matplotlib has it.  alpha: of a surface."""

    colour: str
    width: float = 1.2
    dash: str = ""
    marker: str = "o"
    size: float = 3.5
    alpha: float = 1.0
    below: bool = False  # its letters stand below the point


ROLES = {
    # tcptrace's
    "segment": Style(BLACK, 1.3, size=2.4),
    "again": Style(RED, 2.2, marker="x", size=6),
    "late": Style(PINK, 2.2),
    "control": Style(ORANGE, 2.2),
    "probe": Style(ORANGE, 1.6),
    "copy": Style(SKY, 1.6),
    "urgent": Style(RED, 1.6),
    "push": Style(BLACK, 0.8, marker="D", size=3.6),
    "ack": Style(GREEN, 1.4),
    "ack tick": Style(GREEN, 1.0, marker="|", size=5),
    "limit": Style(ORANGE, 1.3, below=True),
    "unscaled": Style(ORANGE, 1.3, "dot"),
    "sack": Style(PURPLE, 1.8),
    "dsack": Style(PURPLE, 1.8, "dot"),
    "reset": Style(RED, 1.2),
    "ecn": Style(BLUE, 1.2),
    # measurements
    "sample": Style(SKY, marker="o", size=3),
    "handshake": Style(BLACK, marker="D", size=6),
    "smooth": Style(BLUE, 1.6),
    "timer": Style(ORANGE, 1.4),
    "timer floor": Style(GREY, 1.2, "dash"),
    "timeout": Style(RED, marker="v", size=7),
    "flight": Style(BLUE, 1.2),
    "estimate": Style(BLACK, 1.8),
    "full": Style(RED, marker="^", size=5),
    "rate": Style(SKY, 1.4),
    "useful": Style(BLUE, 1.6),
    "average": Style(BLACK, 1.3, "dash"),
    "used": Style(BLUE, 1.2, alpha=0.35),
    "capacity": Style(BLACK, 1.3, "dash"),
    "read": Style(RED, 1.5),
    "arrived": Style(SKY, 1.4),
    # phases of a sender
    "slow start": Style(GREEN, alpha=0.22),
    "avoidance": Style(SKY, alpha=0.22),
    "recovery": Style(RED, alpha=0.24),
    "after time-out": Style(PURPLE, alpha=0.30),
    "window-limited": Style(ORANGE, alpha=0.22),
    # phases of a connection
    "opening": Style(ORANGE),
    "open": Style(BLUE),
    "closing": Style(PINK),
    "resting": Style(PALE),
    "refused": Style(RED, marker="x", size=6),
    "still open": Style(BLACK, marker=">", size=4),
    # causes
    "fast": Style(BLUE),
    "timer ran out": Style(RED),
    "probe of the tail": Style(ORANGE),
    "rto recovery": Style(PINK),
    "syn again": Style(GREEN),
    "other": Style(PALE),
    "needless": Style(BLACK, 1.4, marker="_", size=5),
    # states
    "SYN_SENT": Style(ORANGE),
    "SYN_RECEIVED": Style(YELLOW),
    "ESTABLISHED": Style(BLUE),
    "FIN_WAIT_1": Style("#7a4a00"),
    "FIN_WAIT_2": Style(PINK),
    "CLOSE_WAIT": Style(RED),
    "CLOSING": Style(PURPLE),
    "LAST_ACK": Style(GREEN),
    "TIME_WAIT": Style(PALE),
    "UNKNOWN": Style(GREY),
}
