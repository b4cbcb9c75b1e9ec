"""One connection out of a capture: its row, its packets as they come, its events.

Of all other connections' packet records nothing is unpacked but one number each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tcpscope.capture.sources import Sources
from tcpscope.errors import UsageError, no_connection
from tcpscope.replay.layout import CONNECTION, EVENT, PACKET, Layout
from tcpscope.tables.analysis import Analysis, Progress, packets, readable_once
from tcpscope.tables.rows import Raw, Row, by_time, rows


def load(
    found: Sources,
    number: int | None,
    frame: int | None = None,
    *,
    msl: float,
    by_tunnel: bool,
    progress: Progress | None = None,
    only: Sequence[str] = (),
) -> tuple[Analysis, Row, Iterator[Row], list[Row]]:
    """What was found, and the connection's row, packets (the columns `only`, or all) and events.

    number None: the connection of that frame; where there is no frame either, the first.  Packets of files are read
    as they are asked for.  UsageError if there is no such connection.
    """
    result, chunks = packets(found, msl=msl, by_tunnel=by_tunnel, progress=progress)
    once = readable_once(found)
    if number is None and frame is not None:
        held: list[Raw] | None = list(chunks) if once else None
        number = connection_of(frame, held if held is not None else chunks)
        chunks = held or packets(found, msl=msl, by_tunnel=by_tunnel)[1]  # type: ignore[assignment]
    number = number or 0
    mine: Iterable[Raw] = (belonging(PACKET, chunk, number) for chunk in chunks)
    if once:
        mine = list(mine)  # what is known of the connections is known at the end
    row = connection_row(result, number)
    own = belonging(EVENT, result.events, number)
    return result, row, packet_rows(mine, only), list(rows("events", by_time(own)))


def packet_rows(chunks: Iterable[Raw], only: Sequence[str] = ()) -> Iterator[Row]:
    for chunk in chunks:
        yield from rows("packets", chunk, only)


def connection_row(result: Analysis, number: int) -> Row:
    """The row of this connection; UsageError if there is none."""
    found = belonging(CONNECTION, result.connections, number)
    if number < 0 or not found:
        raise no_connection(number, result.counters["connections"])
    return next(rows("connections", found))


def connection_of(frame: int, chunks: Iterable[Raw]) -> int:
    """The connection of the TCP packet in this frame; UsageError if it is none, or in several captures at once."""
    found: set[int] = set()
    for chunk in chunks:
        if frame in (frames := field(PACKET, chunk, "frame")):
            numbers = field(PACKET, chunk, "connection")
            found.update(numbers[at] for at, it in enumerate(frames) if it == frame)
    if not found:
        raise UsageError(f"no TCP packet in frame {frame}")
    if len(found) > 1:
        raise UsageError(f"frame {frame} is in several of the captures: say which connection with -c, "
                         + " or ".join(map(str, sorted(found))))  # fmt: skip
    return found.pop()


def field(layout: Layout, raw: Raw, name: str) -> list[int]:
    """One whole-number field of all records, without unpacking the others."""
    code = layout.codes[layout.names.index(name)]
    view = memoryview(raw).cast("B").cast(code)  # type: ignore[call-overload]  # the code is not a literal
    at, step = layout.offset(name) // view.itemsize, layout.size // view.itemsize
    values: list[int] = view[at::step].tolist()
    return values


def belonging(layout: Layout, raw: Raw, number: int) -> bytes:
    """The records of this connection, in order."""
    numbers = field(layout, raw, "connection")
    count = numbers.count(number)
    if count == len(numbers):
        return bytes(raw)
    size = layout.size
    view = memoryview(raw)
    starts = (at * size for at, it in enumerate(numbers) if it == number) if count else ()
    return b"".join([view[start : start + size] for start in starts])
