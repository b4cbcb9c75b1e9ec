"""What a failed claim says: measured against allowed, the frames, and the ladder around them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tcpscope.errors import TcpscopeError
from tcpscope.tables.address import with_port

if TYPE_CHECKING:
    from tcpscope.api import Capture

MOST_FRAMES = 10  # named
MOST_CONNECTIONS = 5  # told in a line each
MOST_ROWS = 30  # of a ladder
NARROWEST, WIDEST = 72, 116  # columns of a ladder
MARGIN = 4  # columns that pytest puts before it


def width() -> int:
    """Columns for a ladder below pytest's `E   `."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((100, 24)).columns - MARGIN))


def ends(row: Any) -> str:
    """`127.0.0.1:40000 → 127.0.0.1:80`."""
    return f"{with_port(row.client_ip, row.client_port)} → {with_port(row.server_ip, row.server_port)}"


def named(frames: Sequence[int]) -> str:
    """`frame 8`, `frames 8, 12 and 3 more`."""
    if not frames:
        return ""
    listed = ", ".join(str(int(it)) for it in frames[:MOST_FRAMES])
    more = f" and {len(frames) - MOST_FRAMES} more" if len(frames) > MOST_FRAMES else ""
    return f"frame{'s' if len(frames) > 1 else ''} {listed}{more}"


def drawn(capture: Capture, number: int, frame: int | None = None) -> str:
    """The ladder of a connection, around a frame where it is long; or why there is none."""
    connection = capture.connection(number)
    focus: dict[str, Any] = {"max_rows": MOST_ROWS}
    if frame is not None and connection.client_packets + connection.server_packets > MOST_ROWS:
        focus = {"around": int(frame)}
    try:
        return connection.diagram("text", width=width(), **focus).rstrip("\n")
    except (TcpscopeError, OSError) as error:  # the file is gone: the rest is still right
        return f"(no ladder: {error})"
