"""The table's columns: what each shows of a connection, how it is sorted, and which have room; the filter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from tcpscope.report.screen.model import Seen
from tcpscope.report.terminal import STATE_COLOURS
from tcpscope.report.text import safe

SHORT = {"SYN_RECEIVED": "SYN_RCVD", "ESTABLISHED": "ESTAB", "FIN_WAIT_1": "FIN_WAIT1", "FIN_WAIT_2": "FIN_WAIT2"}
LEAST_END, IPV4_END, MOST_END = 14, 21, 47  # columns of an endpoint; an IPv6 one needs up to 47
LEAST_LAST = 13  # columns of the last event, which is cut to them
FRESH = 3e9  # ns for which what happened last stands out
UNKNOWN = "-"

Cell = tuple[str, str]  # text and style


class Column(NamedTuple):
    """right: aligned.  down: the first sort is from large to small."""

    name: str
    head: str
    width: int
    right: bool
    down: bool
    cell: Callable[[Seen, int, bool], Cell]  # of a connection, now in ns, with short names
    rank: Callable[[Seen, int], Any]


def amount(count: float | None) -> str:
    """In five characters at most: `812`, `1.4k`, `23M`."""
    if count is None:
        return UNKNOWN
    for unit in ("", "k", "M", "G"):
        if count < 999.5:
            return f"{count:.0f}{unit}" if not unit or count >= 9.95 else f"{count:.1f}{unit}"
        count /= 1000
    return f"{count:.0f}T"


def lasting(seconds: float | None) -> str:
    """In six characters at most: `312µs`, `48.2ms`, `3.2s`, `2m05s`, `1h02m`, `5.2d`."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.0f}µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g}ms" if seconds < 0.09995 else f"{seconds * 1e3:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours < 48 else f"{hours / 24:.0f}d"


def _state(end: int) -> Callable[[Seen, int, bool], Cell]:
    def cell(it: Seen, now: int, short: bool) -> Cell:
        name = it.states[end]
        return SHORT.get(name, name) if short else name, STATE_COLOURS.get(name, "")

    return cell


def _plain(show: Callable[[Seen, int], str], style: str = "") -> Callable[[Seen, int, bool], Cell]:
    return lambda it, now, short: (show(it, now), style)


def _last(it: Seen, now: int, short: bool) -> Cell:
    if it.ended is not None:
        return it.close, "dim"
    return it.mark, "yellow" if now - it.mark_ns < FRESH else "dim"


def _resent(it: Seen, now: int, short: bool) -> Cell:
    return (amount(it.resent), "yellow") if it.resent else ("", "")


def _known(value: float | None) -> float:
    return -1.0 if value is None else value


_right: dict[str, Any] = {"right": True, "down": True}
COLUMNS = (
    Column("connection", "#", 5, True, True, _plain(lambda it, now: str(it.number), "dim"), lambda it, now: it.number),
    Column("client", "client", LEAST_END, False, False, _plain(lambda it, now: it.client), lambda it, now: it.client),
    Column("server", "server", LEAST_END, False, False, _plain(lambda it, now: it.server), lambda it, now: it.server),
    Column("client_state", "client is", 12, False, False, _state(0), lambda it, now: it.states),
    Column("server_state", "server is", 12, False, False, _state(1), lambda it, now: it.states[::-1]),
    Column("age", "age", 6, cell=_plain(lambda it, now: lasting(it.age(now))), rank=lambda it, now: it.age(now),
           **_right),
    Column("rtt", "RTT", 6, cell=_plain(lambda it, now: lasting(it.rtt)), rank=lambda it, now: _known(it.rtt),
           **_right),
    Column("again", "again", 5, cell=_resent, rank=lambda it, now: it.resent, **_right),
    Column("rate_out", "→ B/s", 5, cell=_plain(lambda it, now: amount(it.rates[0])),
           rank=lambda it, now: _known(it.rates[0]), **_right),
    Column("rate_in", "← B/s", 5, cell=_plain(lambda it, now: amount(it.rates[1])),
           rank=lambda it, now: _known(it.rates[1]), **_right),
    Column("last", "last event", 22, False, False, _last, lambda it, now: (not it.mark, it.mark)),
    Column("bytes_out", "→ B", 5, cell=_plain(lambda it, now: amount(it.sent[0])), rank=lambda it, now: it.sent[0],
           **_right),
    Column("bytes_in", "← B", 5, cell=_plain(lambda it, now: amount(it.sent[1])), rank=lambda it, now: it.sent[1],
           **_right),
    Column("window_client", "c win", 5, cell=_plain(lambda it, now: _window(it.windows[0])),
           rank=lambda it, now: it.windows[0], **_right),
    Column("window_server", "s win", 5, cell=_plain(lambda it, now: _window(it.windows[1])),
           rank=lambda it, now: it.windows[1], **_right),
    Column("idle", "idle", 6, cell=_plain(lambda it, now: lasting(max(0.0, (now - it.last_ns) / 1e9))),
           rank=lambda it, now: now - it.last_ns, **_right),
    Column("service", "service", 10, False, False, _plain(lambda it, now: safe(it.service)),
           lambda it, now: (not it.service, it.service)),
)  # fmt: skip
FIXED = 5  # the first ones, which are always shown; number 0 only where there is room
BY_NAME = {it.name: it for it in COLUMNS}
# What s goes through, most wanted first.
SORTS = ("connection", "rate", "bytes", "again", "rtt", "idle", "age", "client", "server", "client_state", "last")
_BOTH: dict[str, Callable[[Seen, int], Any]] = {
    "rate": lambda it, now: sum(map(_known, it.rates)),
    "bytes": lambda it, now: sum(it.sent),
}
HEADS = {
    "rate": ("rate_out", "rate_in"),
    "bytes": ("bytes_out", "bytes_in"),
}  # columns that bear the sign of a sort
TITLES = {"idle": "latest packet", "rate": "bytes a second", "bytes": "bytes", "again": "sent again", "rtt": "RTT",
          "age": "age", "client": "client", "server": "server", "client_state": "states", "last": "last event",
          "connection": "newest"}  # fmt: skip
UPWARDS = frozenset({"idle"})  # sorted from small to large at first, though a number


def _window(size: int) -> str:
    return UNKNOWN if size < 0 else amount(size)


def arranged(found: Iterable[Seen], sort: str, reverse: bool, now: int) -> list[Seen]:
    """In order; equal ones by number."""
    rank = _BOTH.get(sort) or BY_NAME[sort].rank
    down = sort in _BOTH or (sort not in UPWARDS and BY_NAME[sort].down)
    ordered = sorted(found, key=lambda it: it.number)
    ordered.sort(key=lambda it: rank(it, now), reverse=down != reverse)
    return ordered


class Plan(NamedTuple):
    """Which columns have room, and how wide each is."""

    columns: list[Column]
    widths: list[int]
    short: bool  # short names of states
    left_out: int  # columns that have no room to the right


def plan(width: int, ends: tuple[int, int], first: int = 0) -> Plan:
    """The columns for so many characters.

    ends: characters that the longest client and server need.  first: of the columns after the fixed ones, the first to
    be shown (the user has moved to the right).
    """
    fixed, rest = list(COLUMNS[:FIXED]), list(COLUMNS[FIXED:])
    first = min(first, len(rest) - 1)
    rest = rest[first:]
    short = width < 118
    states = 10 if short else 12
    room = width - 2 * (states + 1)
    numbered = width >= 100
    if numbered:
        room -= fixed[0].width + 1
    else:
        fixed = fixed[1:]
    wanted = [min(max(it, LEAST_END), MOST_END) for it in ends]
    least = [min(it, IPV4_END) for it in wanted]
    if sum(least) + 2 > room:  # a very narrow terminal
        least = [max((room - 2) // 2, 8)] * 2
    room -= sum(least) + 2
    shown, left = [], room
    for column in rest:
        need = LEAST_LAST if column.name == "last" else column.width
        if left < need + 1:
            break
        shown.append(column)
        left -= need + 1
    extra = [max(want - have, 0) for want, have in zip(wanted, least, strict=True)]
    if sum(extra):  # IPv6: what is left over, evenly, is theirs
        share = [min(need, math.floor(left * need / sum(extra))) for need in extra]
        least = [a + b for a, b in zip(least, share, strict=True)]
        left -= sum(share)
    last = LEAST_LAST
    if any(it.name == "last" for it in shown):
        last += min(left, BY_NAME["last"].width - last)
    sizes = {"last": last, "client": least[0], "server": least[1], "client_state": states, "server_state": states}
    widths = [sizes.get(it.name, it.width) for it in (*fixed, *shown)]
    return Plan([*fixed, *shown], widths, short, len(rest) - len(shown))


def fitted(text: str, width: int, right: bool, middle: bool = False) -> str:
    """So wide.  What is too long loses its end; or its middle, so that an address and its port are told from others."""
    if len(text) > width:
        keep = max(width - 1, 0)
        tail = min(keep // 2, 8) if middle else 0
        text = text[: keep - tail] + "…" + (text[-tail:] if tail else "")
    return text.rjust(width) if right else text.ljust(width)


def _searched(it: Seen) -> str:
    short = (SHORT.get(name, name) for name in it.states)
    happened = it.mark if it.ended is None else it.close
    return " ".join((it.client, it.server, it.service, *it.states, *short, happened)).lower()


def matches(it: Seen, words: Sequence[str]) -> bool:
    """Whether all words are somewhere in its ends, service, states, number or last event; a word with ! in none.

    `:443` matches a port, `#12` a number, a word otherwise any part.
    """
    text = ""
    for word in words:
        wanted = not word.startswith("!")
        part = word if wanted else word[1:]
        if not part:
            continue
        if part[0] == "#":
            found = str(it.number) == part[1:]
        elif part[0] == ":" and part[1:].isdigit():
            found = it.client.endswith(part) or it.server.endswith(part)
        else:
            text = text or _searched(it)
            found = part in text
        if found != wanted:
            return False
    return True
