"""The ladder: all that happened, focused, with what spans several rows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from tcpscope.errors import UsageError
from tcpscope.report.ladder import build
from tcpscope.report.ladder.build import Row, Spell, Story
from tcpscope.report.ladder.focus import Options, focus, pauses
from tcpscope.report.ladder.model import (
    ENDS,
    Bar,
    End,
    Fold,
    Happening,
    Idle,
    Item,
    Ladder,
    Link,
    Segment,
    StateSpan,
)
from tcpscope.report.ladder.model import Row as LadderRow
from tcpscope.report.named import service_of

TIMERS = {
    "keep_alive": "keep-alive",
    "zero_window_probe": "persist",
    "timeout_retransmission": "retransmission",
    "syn_retransmission": "retransmission",
    "syn_ack_retransmission": "retransmission",
    "fin_retransmission": "retransmission",
}


def ladder(connection: Row, packets: Iterable[Row], events: Iterable[Row], options: Options | None = None) -> Ladder:
    """The ladder of a connection.

    connection: its row of the connections table; packets, events: its rows of those tables, in order (an iterator
    will do: packets are read once).  Raises UsageError where the options ask for a part that there is not.
    """
    options = options or Options()
    told = list(events)
    story = Story(options.fold and not options.exact, {(it["file"], it["frame"]) for it in told})
    for row in packets:
        story.tell(build.segment(row))
    if not story.segments:
        raise UsageError("the connection has no packets")
    last = connection["client_state"]
    nobody = last == "SYN_SENT" or connection.get("close") == "unreachable"  # and so no direction that is missing
    story.finish(bool(connection.get("one_direction")) and not nobody)
    build.insert(story, build.happenings(connection, told, story))
    build.insert(story, build.time_wait_ends(connection, story))
    first = build.before(told, story.items)
    items = focus(story.items, options)
    rows = list(with_pauses(items))
    spans = list(state_spans(rows, first))
    shown = sum(isinstance(row, Segment) for row in rows)
    return Ladder(
        connection=connection["connection"],
        client=End(connection["client_ip"], connection["client_port"]),
        server=End(connection["server_ip"], connection["server_port"]),
        start=story.items[0].time,
        before=first,
        rows=rows,
        spans=spans,
        bars=[*bars(rows, story.spells), *time_waits(rows, spans)],
        links=list(links(rows)),
        timing=build.timing(connection),
        segments=story.segments,
        shown=shown,
        duration=connection["duration"],
        close=connection.get("close"),
        closed_by=connection.get("closed_by"),
        reset_by=connection.get("reset_by"),
        about=service_of(connection),
        notes=[f"{shown:,} of {story.segments:,} segments are drawn."] if shown < story.segments else [],
    )


def with_pauses(items: list[Item]) -> Iterator[LadderRow]:
    """The rows, with one for each pause."""
    last: Item | None = None
    for it in items:
        if isinstance(it, Segment) and pauses(it) and last is not None:
            timer = next((TIMERS[name] for name in it.annotations if name in TIMERS), None)
            yield Idle(it.time - (it.delta or 0), it.delta or 0, timer, it.sender if timer else None,
                       last.client_state, last.server_state, last.last, last.last)  # fmt: skip
        yield it
        last = it


def state_spans(rows: list[LadderRow], first: tuple[str, str]) -> Iterator[StateSpan]:
    """Each endpoint's states from row to row."""
    for at, endpoint in enumerate(ENDS):
        span = StateSpan(endpoint, first[at], None, None, None, None)
        for number, row in enumerate(rows):
            state = (row.client_state, row.server_state)[at]
            if state == span.state:
                continue
            when = None if isinstance(row, Fold) else row.time
            span.end, span.last_row = when, number
            yield span
            span = StateSpan(endpoint, state, when, None, number, None)
        yield span


def bars(rows: list[LadderRow], spells: list[Spell]) -> Iterator[Bar]:
    """What lasted from one packet to another, from the row that shows (or folds) the one to that of the other."""
    places = [row.last for row in rows]
    for what, endpoint, since, until in spells:
        start = min(bisect_left(places, since.first), len(rows) - 1)
        end = None if until is None else min(bisect_left(places, until.first), len(rows) - 1)
        if start != end:
            yield Bar(what, endpoint, since.time, None if until is None else until.time, start, end)


def time_waits(rows: list[LadderRow], spans: list[StateSpan]) -> Iterator[Bar]:
    for span in spans:
        if span.state == "TIME_WAIT" and span.first_row is not None and span.start is not None:
            last = None if span.last_row is None else rows[span.last_row]
            ahead = isinstance(last, Happening) and last.projected
            yield Bar("time_wait", span.endpoint, span.start, span.end, span.first_row, span.last_row, ahead)


def links(rows: list[LadderRow]) -> Iterator[Link]:
    """Repetitions whose originals are shown."""
    seen: dict[tuple[str, int], tuple[int, Segment]] = {}
    for number, row in enumerate(rows):
        if not isinstance(row, Segment):
            continue
        if row.again is not None and row.after is not None and (row.sender, row.again) in seen:
            at, original = seen[row.sender, row.again]
            yield Link(number, at, row.time - original.time)
        seen[row.sender, row.frame] = (number, row)
