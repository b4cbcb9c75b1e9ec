"""`assert_tcp`: claims about the connections of a capture, one after another; the first that is wrong raises."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

from tcpscope.diagnose.facts import times
from tcpscope.errors import UsageError
from tcpscope.testing.selection import chosen
from tcpscope.testing.shown import MOST_CONNECTIONS, drawn, ends, named

if TYPE_CHECKING:
    from tcpscope.api import Capture, Connection
    from tcpscope.diagnose import Finding
    from tcpscope.testing.recording import Recording

SIDES = ("client", "server")
HANDSHAKE = 7  # of completeness: SYN, SYN-ACK, ACK
SEVERITIES = ("error", "warning", "note")  # worst first
ALL = slice(None)

Words = str | Collection[str]


@dataclass
class Wrong:
    """What one connection did: a clause, and the frames that show it."""

    what: str
    frames: Sequence[int] = ()


class Claims:
    """Connections of a capture, of which each method claims something; it gives itself back, or raises AssertionError.

    A claim about no connection at all is wrong, so that an empty capture passes no test; `exactly(0)` and `at_most`
    are about their number and may be.  Durations are seconds.  A word that is no column, state, annotation or finding
    is a UsageError that names the nearest.
    """

    def __init__(self, capture: Capture, numbers: list[int], about: str, file: str = "") -> None:
        self._capture, self._numbers, self._about, self._file = capture, numbers, about, file

    # ------------------------------------------------------------ which

    def connection(self, number: int | None = None, **where: Any) -> Claims:
        """Exactly one connection.

        port, host: of either end; client, server: an end's address or network; number: its own; and any column of the
        connections table by its name: `server_port=80`, `close="fin"`.
        """
        __tracebackhide__ = True
        found = self._select(number, where)
        if len(found._numbers) != 1:
            raise AssertionError(self._told(f"{len(found._numbers)} connections{found._about}, expected one"))
        return found

    def connections(self, **where: Any) -> Claims:
        """Those connections for which all of it holds (as in `connection`); claims are then about each of them."""
        return self._select(None, where)

    def _select(self, number: int | None, where: dict[str, Any]) -> Claims:
        numbers, about = chosen(self._capture, self._numbers, where if number is None else {"number": number} | where)
        return Claims(self._capture, numbers, self._about + about, self._file)

    def exactly(self, count: int) -> Claims:
        """There are so many."""
        __tracebackhide__ = True
        return self._counted(len(self) == _check_number(count, "exactly"), f"exactly {count}")

    def at_least(self, count: int) -> Claims:
        __tracebackhide__ = True
        return self._counted(len(self) >= _check_number(count, "at_least"), f"at least {count}")

    def at_most(self, count: int) -> Claims:
        __tracebackhide__ = True
        return self._counted(len(self) <= _check_number(count, "at_most"), f"at most {count}")

    def _counted(self, right: bool, expected: str) -> Claims:
        __tracebackhide__ = True
        if not right:
            raise AssertionError(self._told(f"{len(self)} connections{self._about}, expected {expected}"))
        return self

    def __len__(self) -> int:
        return len(self._numbers)

    # ------------------------------------------------------------ opening

    def handshake_ok(self, repeated: int = 0) -> Claims:
        """SYN, SYN-ACK and ACK were seen; no more than so many SYNs and SYN-ACKs were sent again."""
        __tracebackhide__ = True

        def judge(it: Connection) -> Wrong | None:
            crossed = it.simultaneous_open and max(it.client_dwell_established, it.server_dwell_established) > 0
            if it.completeness & HANDSHAKE != HANDSHAKE and not crossed:
                missing = [word for bit, word in ((1, "SYN"), (2, "SYN-ACK"), (4, "ACK")) if not it.completeness & bit]
                return Wrong(f"no {', no '.join(missing)} seen ({it.close})", [it.first_frame])
            again = it.client_syn_retransmissions + it.server_syn_retransmissions
            if again > repeated:
                frames = self._annotated(it, ("syn_retransmission", "syn_ack_retransmission"))
                return Wrong(f"{times(again, 'SYN')} sent again, allowed {repeated}", frames)
            return None

        return self._each("handshake_ok", judge)

    def max_handshake_rtt(self, seconds: float) -> Claims:
        """From SYN to the handshake's ACK it took no longer; the last SYN, where it was sent again."""
        __tracebackhide__ = True
        return self._number("max_handshake_rtt", "initial_rtt", most=seconds)

    # ------------------------------------------------------------ transfer

    def no_retransmissions(self, side: str | None = None) -> Claims:
        """Nothing was sent again, whatever the reason (SYN and FIN included); side: by the client, by the server."""
        __tracebackhide__ = True
        return self._without("no_retransmissions", ("retransmission",), "sent again", side)

    def no_timeouts(self, side: str | None = None) -> Claims:
        """No retransmission timer ran out, of data, SYN, SYN-ACK or FIN."""
        __tracebackhide__ = True
        words = ("timeout_retransmission", "syn_retransmission", "syn_ack_retransmission")
        return self._without("no_timeouts", words, "sent again by the timer", side)

    def no_zero_window(self, side: str | None = None) -> Claims:
        """No receive window closed; side: whose."""
        __tracebackhide__ = True
        return self._without("no_zero_window", ("zero_window",), "with a window of zero", side)

    def max_zero_window(self, seconds: float) -> Claims:
        """Neither side's window was closed for longer than so many seconds in all."""
        __tracebackhide__ = True
        for side in SIDES:
            self._number("max_zero_window", f"{side}_zero_window", most=seconds, words=("zero_window",))
        return self

    def no_nagle_stalls(self, side: str | None = None) -> Claims:
        """No small segment waited for the peer's delayed ACK: the cost of write, write, read without TCP_NODELAY."""
        __tracebackhide__ = True
        return self._without("no_nagle_stalls", ("nagle_stall",), "held back until a delayed ACK came", side)

    nodelay = no_nagle_stalls

    # ------------------------------------------------------------ close

    def no_resets(self, side: str | None = None, *, refused: bool = False) -> Claims:
        """No RST was sent; refused: a RST that refused a SYN is none."""
        __tracebackhide__ = True

        def judge(it: Connection) -> Wrong | None:
            packets = _of(it.packets, side)
            packets = packets[packets["flags"].astype(str).str.contains("RST")]
            if refused:
                packets = packets[["reset_refused" not in words for words in packets["annotations"]]]
            if not len(packets):
                return _unseen(it, side)
            who = " and ".join(sorted(set(packets["sender"].astype(str))))
            return Wrong(f"{times(len(packets), 'RST')} sent by the {who}, allowed 0", list(packets["frame"]))

        return self._each("no_resets", judge)

    def closed(self, how: Words = "fin") -> Claims:
        """It ended so: fin, reset, refused, … (the column close)."""
        __tracebackhide__ = True
        return self.column("close", among=_known(_words(how), "CLOSE_KINDS", "way to end"))

    def closed_by(self, who: str, how: Words = "fin") -> Claims:
        """The client, the server, or both at once closed first; how: as in `closed`."""
        __tracebackhide__ = True
        if who not in (*SIDES, "both"):
            raise UsageError(f"no side {who!r}; there are: client, server, both")
        allowed = _known(_words(how), "CLOSE_KINDS", "way to end")

        def judge(it: Connection) -> Wrong | None:
            if it.closed_by == who and it.close in allowed:
                return None
            return Wrong(f"{_ended(it)}, expected {' or '.join(allowed)} by {who}", self._ending(it))

        return self._each(f"closed_by({who!r})", judge)

    def states(self, client: Words | None = None, server: Words | None = None) -> Claims:
        """The states at the capture's end; several: any of them."""
        __tracebackhide__ = True
        for side, wanted in (("client", client), ("server", server)):
            if wanted is not None:
                states = tuple(it.upper().replace("-", "_") for it in _words(wanted))
                self.column(f"{side}_state", among=_known(states, "STATES", "state"))
        return self

    def max_dwell(self, state: str, seconds: float, side: str | None = None) -> Claims:
        """Neither end was in this state for longer, by the capture's end: `max_dwell("CLOSE_WAIT", 1)`."""
        __tracebackhide__ = True
        (name,) = _known((state.upper().replace("-", "_"),), "STATES", "state")
        for one in _sides(side):
            self._number(f"max_dwell({name!r})", f"{one}_dwell_{name.lower()}", most=seconds)
        return self

    # ------------------------------------------------------------ anything

    def annotation(self, name: str, at_least: int = 1) -> Claims:
        """At least so many packets carry it (docs/tables.md lists them)."""
        __tracebackhide__ = True
        words = _known((name,), "ANNOTATIONS", "annotation")

        def judge(it: Connection) -> Wrong | None:
            found = len(self._annotated(it, words))
            return None if found >= at_least else Wrong(f"{times(found, 'packet')}, expected at least {at_least}")

        return self._each(f"annotation({name!r})", judge)

    def no_annotation(self, *names: str) -> Claims:
        """No packet carries any of them."""
        __tracebackhide__ = True
        if not names:
            raise UsageError("no_annotation needs names; docs/tables.md lists them")
        said = ", ".join(map(repr, names))
        return self._without(f"no_annotation({said})", _known(names, "ANNOTATIONS", "annotation"), "so annotated", None)

    def no_findings(self, except_: Words = (), severity: str = "note") -> Claims:
        """tcpscope finds nothing odd; except_: ids that may be; severity: what is less is not looked at."""
        __tracebackhide__ = True
        if not self._numbers:
            raise AssertionError(self._told(f"no_findings: no connection{self._about} to judge"))
        if severity not in SEVERITIES:
            raise UsageError(f"no severity {severity!r}; there are: {', '.join(SEVERITIES)}")
        spared = _findings(_words(except_))
        looked_at = SEVERITIES[: SEVERITIES.index(severity) + 1]
        odd = [it for it in self._findings() if it.severity in looked_at and it.id not in spared]
        if odd:
            lines = [f"no_findings: {odd[0].severity} {odd[0].id}: {odd[0].text}", named(odd[0].frames)]
            lines += [f"and {f.severity} {f.id}: {f.text} {named(f.frames)}".rstrip() for f in odd[1:]]
            about = odd[0].connections
            ladder = drawn(self._capture, about[0], next(iter(odd[0].frames), None)) if about else ""
            raise AssertionError(self._whole([it for it in lines if it], ladder))
        return self

    def _findings(self) -> list[Finding]:
        """About these connections alone, and the file."""
        if len(self) == len(self._capture):
            return self._capture.findings
        from tcpscope.diagnose import diagnose

        result = self._capture._result
        records = b"".join(self._capture._record(number) for number in self._numbers)
        return diagnose(records, result.files, result.names, result.evidence, result.counters.get("clock_steps", 0))

    def column(
        self,
        name: str,
        *,
        least: float | None = None,
        most: float | None = None,
        among: str | Iterable[Any] | None = None,
    ) -> Claims:
        """Any column of the connections table lies within bounds (unknown does not), and is one of these values."""
        __tracebackhide__ = True
        if among is None or least is not None or most is not None:
            self._number(f"column({name!r})", name, least, most)
        if among is None:
            return self
        allowed = [among] if isinstance(among, str) else list(among)

        def judge(it: Connection) -> Wrong | None:
            value = _value(it, name)
            if value in allowed:
                return None
            return Wrong(f"{name} is {value}, expected {' or '.join(map(str, allowed))}", self._ending(it))

        return self._each(f"column({name!r})", judge)

    def satisfies(self, claim: Callable[[Connection], object], what: str = "satisfies") -> Claims:
        """What you claim yourself of each `tcpscope.Connection`: true, or not."""
        __tracebackhide__ = True
        return self._each(what, lambda it: None if claim(it) else Wrong("it is not so"))

    # ------------------------------------------------------------ judging

    def _number(
        self, claim: str, column: str, least: float | None = None, most: float | None = None, words: Sequence[str] = ()
    ) -> Claims:
        __tracebackhide__ = True

        def judge(it: Connection) -> Wrong | None:
            value = _value(it, column)
            bounds = " and ".join(
                f"{word} {bound:g}" for word, bound in (("at least", least), ("at most", most)) if bound is not None
            )
            if value is None:
                return Wrong(f"{column} is not known, allowed {bounds}", [it.first_frame])
            if isinstance(value, str | tuple):
                raise UsageError(f"{column} is {value!r}, which is within no bounds: among= says which it may be")
            if (least is not None and value < least) or (most is not None and value > most):
                frames = self._annotated(it, words) if words else [it.first_frame]
                return Wrong(f"{column} is {value:.6g}, allowed {bounds}", frames)
            return None

        if least is None and most is None:
            raise UsageError("a bound is needed: least=, most= or among=")
        for bound in (least, most):
            if bound is not None:
                _check_number(bound, claim)
        return self._each(claim, judge)

    def _without(self, claim: str, words: Sequence[str], what: str, side: str | None) -> Claims:
        __tracebackhide__ = True
        _sides(side)

        def judge(it: Connection) -> Wrong | None:
            frames = self._annotated(it, words, side)
            by = f" by the {side}" if side else ""
            if frames:
                return Wrong(f"{times(len(frames), 'packet')} {what}{by}, allowed 0", frames)
            return _unseen(it, side)

        return self._each(claim, judge)

    def _annotated(self, it: Connection, words: Sequence[str], side: str | None = None) -> list[int]:
        packets = _of(it.packets, side)
        return [
            int(frame)
            for frame, found in zip(packets["frame"], packets["annotations"], strict=True)
            if not set(words).isdisjoint(found)
        ]

    def _ending(self, it: Connection) -> list[int]:
        packets = it.packets
        frames = packets.loc[packets["flags"].astype(str).str.contains("FIN|RST"), "frame"]
        return [int(frame) for frame in frames] or [int(it.last_frame)]

    def _each(self, claim: str, judge: Callable[[Connection], Wrong | None]) -> Claims:
        __tracebackhide__ = True
        if not self._numbers:
            raise AssertionError(self._told(f"{claim}: no connection{self._about} to judge"))
        wrong = []
        for number in self._numbers:
            it = self._capture.connection(number)
            if found := judge(it):
                wrong.append((it, found))
        if wrong:
            raise AssertionError(self._failure(claim, wrong))
        return self

    # ------------------------------------------------------------ telling

    def _failure(self, claim: str, wrong: list[tuple[Connection, Wrong]]) -> str:
        first, why = wrong[0]
        lines = [f"{claim}: {why.what}: connection {first.connection}, {ends(first)}"]
        if why.frames:
            lines.append(named(why.frames))
        if len(wrong) > 1:
            lines.append(f"so are {len(wrong)} of {len(self)} connections; the others:")
            lines += [
                f"  {it.connection}: {ends(it)}: {w.what}; {named(w.frames)}".removesuffix("; ")
                for it, w in wrong[1:MOST_CONNECTIONS]
            ]
            if len(wrong) > MOST_CONNECTIONS:
                lines.append(f"  and {len(wrong) - MOST_CONNECTIONS} more")
        frame = int(why.frames[0]) if why.frames else None
        return self._whole(lines, drawn(self._capture, first.connection, frame))

    def _whole(self, lines: list[str], ladder: str) -> str:
        lines = [*lines, f"capture: {self._file}"] if self._file else lines
        return "\n".join([*lines, "", ladder] if ladder else lines)

    def _told(self, what: str) -> str:
        """With the connections that there are."""
        there = len(self._capture)
        lines = [what, f"the capture has {times(there, 'connection')}" + (":" if there else "")]
        for number in range(min(there, MOST_CONNECTIONS)):
            it = self._capture.connection(number)
            lines.append(f"  {number}: {ends(it)}, {_ended(it)}")
        if there > MOST_CONNECTIONS:
            lines.append(f"  and {there - MOST_CONNECTIONS} more")
        return self._whole(lines, "")


def assert_tcp(of: Capture | Recording | Connection | str | os.PathLike[str]) -> Claims:
    """Claims about all connections of a capture, a recording, a path, or about one connection."""
    from tcpscope.api import Capture, Connection, read
    from tcpscope.testing.recording import Recording

    if isinstance(of, str | os.PathLike):
        of = read(of)
    if isinstance(of, Connection):
        return Claims(of._capture, [int(of.row["connection"])], "", _file(of._capture))
    if not isinstance(of, Capture):
        if not isinstance(of, Recording):
            raise UsageError(f"assert_tcp is about a capture, a connection or a path, not {type(of).__name__}")
        return Claims(of.capture, list(range(len(of))), "", str(of.shown or ""))
    return Claims(of, list(range(len(of))), "", _file(of))


def _file(capture: Capture) -> str:
    from tcpscope.report.text import safe

    return ", ".join(safe(it) for it in capture.overview["files"])


def _value(it: Connection, name: str) -> Any:
    if name not in it.row:
        from tcpscope.tables.filters import nearest

        raise UsageError(f"a connection has no column {name!r}{nearest(name, it.row)}; docs/tables.md lists them")
    return it.row[name]


def _check_number(bound: float, claim: str) -> float:
    """The bound; UsageError if it is none: nothing is more than NaN, so every claim would hold."""
    if isinstance(bound, bool) or not isinstance(bound, Real) or bound != bound:
        raise UsageError(f"{claim}: {bound!r} is no number")
    return bound


def _of(packets: Any, side: str | None) -> Any:
    _sides(side)
    return packets if side is None else packets[packets["sender"] == side]


def _sides(side: str | None) -> tuple[str, ...]:
    if side not in (None, *SIDES):
        raise UsageError(f"no side {side!r}; there are: {', '.join(SIDES)}")
    return SIDES if side is None else (side,)


def _words(words: Words) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words)


def _known(words: Sequence[str], which: str, what: str) -> tuple[str, ...]:
    """UsageError for a word that is not in this list of replay.layout."""
    from tcpscope.replay import layout
    from tcpscope.tables.filters import nearest

    there: tuple[str, ...] = getattr(layout, which)
    for word in words:
        if word not in there:
            raise UsageError(f"no {what} {word!r}{nearest(word, there) or '; there are: ' + ', '.join(there)}")
    return tuple(words)


def _findings(ids: Sequence[str]) -> tuple[str, ...]:
    if ids:
        from tcpscope.diagnose.catalogue import ENTRIES
        from tcpscope.tables.filters import nearest

        for word in ids:
            if word not in ENTRIES:
                raise UsageError(f"no finding {word!r}{nearest(word, ENTRIES)}; docs/findings.md lists them")
    return tuple(ids)


def _unseen(it: Connection, side: str | None) -> Wrong | None:
    """Of a side that was heard by its peer and not by the capture nothing can be claimed."""
    if not it.one_direction or it.close == "unanswered":
        return None
    for role in _sides(side):
        if it.row[f"{role}_packets"] == 0:
            return Wrong(f"no packet of the {role} was captured: what it sent is not known", [int(it.first_frame)])
    return None


def _ended(it: Connection) -> str:
    return f"{it.close} by {it.closed_by}" if it.closed_by else str(it.close)
