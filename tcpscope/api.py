"""The Python interface: `tcpscope.read(path)` gives a Capture with three DataFrames."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tcpscope.capture.sources import steady
from tcpscope.errors import TcpscopeError, UsageError, no_connection
from tcpscope.replay.layout import CONNECTION, EVENT, PACKET, ROLES
from tcpscope.tables import analysis, rows

if TYPE_CHECKING:
    import pandas

    from tcpscope.diagnose import Finding
    from tcpscope.report.ladder import Ladder, Options
    from tcpscope.report.plots.model import Figure
    from tcpscope.tables.streams import Followed, Piece

NOTEBOOK_ROWS = 60  # of a connection's ladder

Path = str | os.PathLike[str]
Paths = Path | Iterable[Path]


class Connection:
    """One connection of a Capture: its row's columns as attributes, its packets and events as DataFrames."""

    def __init__(self, capture: Capture, row: dict[str, Any]) -> None:
        self._capture = capture
        self.row = row

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["row"][name]
        except KeyError:
            raise AttributeError(f"a connection has no column {name!r}; docs/tables.md lists them") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.row]

    @property
    def packets(self) -> pandas.DataFrame:
        """Its packets, in capture order."""
        return self._own(self._capture.packets)

    @property
    def events(self) -> pandas.DataFrame:
        """The changes of state of both ends, in order of time."""
        return self._own(self._capture.events)

    def plot(self, kind: str, *, side: str | None = None, path: Path | None = None) -> Figure:
        """A plot of it, which shows itself in a notebook.

        kind: sequence, stevens, rtt, window, inflight, throughput or buffer.  side: client or server, whose
        data; None: of whoever sent more.  path: also write it there (.svg, .png, .html, .json).
        """
        from tcpscope.report.plots import of_connection, trace

        number = int(self.row["connection"])
        packets = trace.of_connection(self._capture._packet_records(), number)
        result = self._capture._result
        return _saved(of_connection(kind, result.connections, packets, number, result.names, side), path)

    def diagram(
        self, format: str = "text", *, raw: bool = False, width: int = 100, ascii_only: bool = False, **focus: Any
    ) -> str:
        """Its ladder, as `tcpscope diagram` draws it.

        format: text, mermaid, svg, html or json.  raw: sequence numbers as in the header; width (columns) and
        ascii_only are for text.  focus: handshake, close (bool), around (a frame's number), since, until (seconds
        since the epoch), fold (bool), max_rows.  UsageError where the connection has no such part.
        """
        from tcpscope.report.ladder import MOST_ROWS, Options, render
        from tcpscope.report.ladder.render import FORMATS, KEPT

        if format not in FORMATS:
            raise UsageError(f"no format {format!r}; there are: {', '.join(FORMATS)}")
        how: dict[str, Any] = {"text": {"width": width, "ascii_only": ascii_only}}.get(format, {})
        if format != "json":
            how["raw"] = raw
        known = ("handshake", "close", "around", "since", "until", "fold", "max_rows")
        for name in focus:
            if name not in known:
                raise UsageError(f"diagram has no option {name!r}; there are: {', '.join(known)}")
        options = Options(**{"max_rows": MOST_ROWS[format], "keep": KEPT.get(format, 0)} | focus)
        return render(self._ladder(options), format, **how)

    def follow(self, side: str | None = None) -> Iterator[Piece]:
        """What both sides sent, or one (client, server), a Piece at a time, in the order in which it was delivered.

        The capture is read again and memory does not grow.  A pipe cannot be read again: UsageError.
        """
        return self._followed(side).pieces()

    def stream(self, side: str, *, gaps: str = "skip") -> bytes:
        """The bytes that one side (client, server) sent, each once.

        gaps: missing bytes are left out ("skip"), zero ("zero"), or raise CaptureError ("fail").
        """
        from tcpscope.tables.streams import GAPS, raw

        if gaps not in GAPS:
            raise UsageError(f"no way {gaps!r} with gaps; there are: {', '.join(GAPS)}")
        return b"".join(raw(self._followed(side, merge=True), gaps))

    def exchanges(self) -> pandas.DataFrame:
        """Its requests and responses, a row each, with network and server time in seconds (docs/services.md)."""
        import pandas

        from tcpscope.tables.exchanges import COLUMNS, FIELDS, TIMES, exchanges

        packets = self._capture._packet_rows(self.row["connection"], COLUMNS)
        found = pandas.DataFrame.from_records(list(exchanges(packets, self.row)), columns=list(FIELDS))
        return found.astype({name: "float64" if name in TIMES else "Int64" for name in FIELDS})

    def _followed(self, side: str | None, merge: bool = False) -> Followed:
        from tcpscope.tables.streams import Followed

        if side not in (None, *ROLES):
            raise UsageError(f"no side {side!r}; there are: {', '.join(ROLES)}")
        capture = self._capture
        if analysis.readable_once(capture._found):
            raise UsageError("streams are read from the capture again: give a file, not a pipe")
        return Followed(
            capture._found, capture._record(self.row["connection"]), by_tunnel=capture._options["by_tunnel"],
            sides=(side != "server", side != "client"), merge=merge,
        )  # fmt: skip

    def _ladder(self, options: Options) -> Ladder:
        from tcpscope.report.ladder import COLUMNS, ladder

        events = self._capture._event_rows(self.row["connection"])
        return ladder(self.row, self._capture._packet_rows(self.row["connection"], COLUMNS), events, options)

    def _own(self, table: pandas.DataFrame) -> pandas.DataFrame:
        found: pandas.DataFrame = table.loc[table["connection"] == self.row["connection"]]
        return found

    def __repr__(self) -> str:
        r = self.row
        return (
            f"<Connection {r['connection']}: {r['client_ip']}:{r['client_port']} {r['client_state']} → "
            f"{r['server_ip']}:{r['server_port']} {r['server_state']}, {r['close']}>"
        )

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in self.row.items()
            if value is not None
        )
        table = f"<details open><summary>{html.escape(repr(self))}</summary><table>{cells}</table></details>"
        try:
            drawing = self.diagram("svg", max_rows=NOTEBOOK_ROWS)
        except TcpscopeError:  # the file is gone: the table is still right
            drawing = ""
        return table + drawing


def _saved(figure: Figure, path: Path | None) -> Figure:
    if path is not None:
        figure.save(path)
    return figure


class Capture:
    """What tcpscope found in one capture, or in several read as one timeline.

    `connections`, `packets` and `events` are pandas DataFrames, made when they are first asked
    for; docs/tables.md tells every column.  Times are seconds since the epoch, durations seconds.

    Packets and payload are read from the files again when they are asked for: CaptureError if a file has changed since.
    """

    def __init__(self, paths: Paths, *, msl: float = analysis.DEFAULT_MSL, by_tunnel: bool = False) -> None:
        analysis.check_msl(msl)
        self._found = steady(analysis.locate(paths))
        self._options: dict[str, Any] = {"msl": msl, "by_tunnel": by_tunnel}
        self._early: list[bytearray] | None = None
        if analysis.readable_once(self._found):
            self._result, chunks = analysis.packets(self._found, **self._options)
            self._early = list(chunks)  # a pipe can be read only once
        else:
            self._result = analysis.analyse(self._found, **self._options)
        analysis.check_usable(self._result)

    @property
    def warnings(self) -> list[str]:
        """What is wrong with the files, a line each."""
        return self._result.warnings

    @cached_property
    def overview(self) -> dict[str, Any]:
        """Files, span, packets, what was not TCP, what was cut or dropped."""
        from tcpscope.tables.overview import overview

        return overview(self._result)

    @cached_property
    def findings(self) -> list[Finding]:
        """What is odd, worst first."""
        from tcpscope.diagnose import diagnose

        return diagnose(self._result.connections, self._result.files, self._result.names, self._result.evidence,
                        self._result.counters.get("clock_steps", 0))  # fmt: skip

    @cached_property
    def _ordered(self) -> bytes:
        return rows.by_number(self._result.connections)

    @cached_property
    def connections(self) -> pandas.DataFrame:
        """A row for each connection, in order of the first packets."""
        from tcpscope.tables.frames import frame

        return frame("connections", [self._ordered])

    @cached_property
    def events(self) -> pandas.DataFrame:
        """A row for each change of state of each endpoint, in order of time."""
        from tcpscope.tables.frames import frame

        return frame("events", [rows.by_time(self._result.events)])

    @cached_property
    def packets(self) -> pandas.DataFrame:
        """A row for each TCP packet, with both endpoints' states after it."""
        from tcpscope.tables.frames import frame

        return frame("packets", self._packet_records())

    def _packet_records(self) -> Iterable[bytearray]:
        """A pipe's have been kept, a file is read again."""
        if self._early is not None:
            return self._early
        return analysis.packets_again(self._found, self._result, **self._options)

    def report(self, path: Path, *, connections: Iterable[int] = (), limit: int = 10) -> None:
        """Write all that was found as one HTML file (docs/report.md); the captures are read again for it.

        connections: to show in detail; without any, those that the findings name, `limit` at most.  Raises UsageError
        for a capture that came through a pipe, and for a connection that there is not.
        """
        from tcpscope.report.page import Wanted, gather, render
        from tcpscope.tables.output import destination

        if analysis.readable_once(self._found):
            raise UsageError("a report reads the capture again; of a pipe, tcpscope report - makes one")
        page = render(gather(self._found, Wanted(tuple(connections), limit, **self._options)))
        with destination(os.fspath(path)) as stream:
            stream.write(page.encode("utf-8", "backslashreplace"))

    def sockets(self, at: Any = None, *, listen: bool = True) -> pandas.DataFrame:
        """Both hosts' sockets at a moment, a row each, as `ss -tan -o` would have listed them (docs/sockets.md).

        at: seconds since the epoch, a datetime, ISO 8601 text, "+SECONDS" from the capture's start, or "frame:N",
        just after that frame; None is the capture's end.  listen: with the listening sockets, which are inferred.
        Raises UsageError, with the capture's span, if it is no moment of the capture.
        """
        from tcpscope.tables.sockets import Wanted, frame_of, snapshot

        _, found, _ = snapshot(self._result, self._packet_records(), at, self._options["msl"], Wanted(listen=listen))
        return frame_of(found)

    def plot(self, kind: str, *, path: Path | None = None) -> Figure:
        """A plot of the whole capture, which shows itself in a notebook.

        kind: states, waterfall or retransmissions.  path: also write it there (.svg, .png, .html, .json).
        """
        from tcpscope.report.plots import of_capture, whole

        repeated = whole.repetitions(self._packet_records()) if kind == "retransmissions" else None
        result = self._result
        return _saved(of_capture(kind, result.connections, result.events, repeated, result.names), path)

    def _packet_rows(self, number: int, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """One connection's rows of the packets table."""
        from tcpscope.tables.one import belonging, packet_rows

        own = (belonging(PACKET, chunk, number) for chunk in self._packet_records())
        yield from packet_rows(own, columns)

    def _event_rows(self, number: int) -> list[dict[str, Any]]:
        from tcpscope.tables.one import belonging

        return list(rows.rows("events", rows.by_time(belonging(EVENT, self._result.events, number))))

    def connection(self, number: int) -> Connection:
        """The connection of this number; UsageError if there is none."""
        if not 0 <= number < len(self):
            raise no_connection(number, len(self))
        row = next(rows.rows("connections", self._record(number)))
        return Connection(self, {name: tuple(it) if isinstance(it, list) else it for name, it in row.items()})

    def _record(self, number: int) -> bytes:
        size = CONNECTION.size
        return self._ordered[number * size : number * size + size]

    def __len__(self) -> int:
        return len(self._result.connections) // CONNECTION.size

    def __repr__(self) -> str:
        o = self.overview
        return f"<Capture {', '.join(o['files'])}: {o['tcp_packets']} TCP packets, {o['connections']} connections>"

    def _repr_html_(self) -> str:
        few = ["connection", "client_ip", "client_port", "server_ip", "server_port", "client_state", "server_state",
               "duration", "client_unique_bytes", "server_unique_bytes", "close", "closed_by"]  # fmt: skip
        odd = "".join(f"<li>{html.escape(f.severity)}: {html.escape(f.text)}</li>" for f in self.findings)
        table = self.connections[few].head(50).to_html(index=False, escape=True)
        return f"<p>{html.escape(repr(self))}</p><ul>{odd}</ul>{table}"


def read(paths: Paths, *, msl: float = analysis.DEFAULT_MSL, by_tunnel: bool = False) -> Capture:
    """Analyse a capture: a path, several, a folder, a pattern, or "-" for standard input.

    msl: maximum segment lifetime in seconds; TIME_WAIT lasts twice as long.  by_tunnel: VLAN and
    tunnel identifiers tell connections apart.  Raises CaptureError if there is nothing to read,
    UsageError for a wrong msl.
    """
    return Capture(paths, msl=msl, by_tunnel=by_tunnel)
