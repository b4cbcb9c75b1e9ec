"""`tcpscope plot`: a connection, or the whole capture, as a picture."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import click

from tcpscope.cli.common import NUMBER, common, progress, refuse_overwriting, warn
from tcpscope.cli.words import FilesOrWords
from tcpscope.errors import UsageError
from tcpscope.report.plots import CAPTURE_KINDS, KINDS, known
from tcpscope.report.text import safe
from tcpscope.tables.analysis import Analysis, analyse, locate
from tcpscope.tables.analysis import packets as read_packets
from tcpscope.tables.output import destination

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpscope.capture.sources import Sources
    from tcpscope.report.plots.model import Figure

LEAST, MOST = (400, 250), 8000  # pixels: below that the titles lie over each other


class Size(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic since click 8.3
    """WIDTHxHEIGHT in pixels."""

    name = "WxH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", str(value).lower())
        if found is None or not all(least <= int(it) <= MOST for least, it in zip(LEAST, found.groups(), strict=True)):
            self.fail(
                f"{value!r} is no size: write WIDTHxHEIGHT in pixels, {LEAST[0]}x{LEAST[1]} to {MOST}x{MOST}",
                param,
                ctx,
            )
        return int(found[1]), int(found[2])


@click.command("plot")
@click.argument("files", nargs=-1, required=True, metavar="FILE… KIND", type=FilesOrWords(KINDS))
@click.option("-c", "--connection", type=NUMBER, metavar="N", help="Which connection.  [default: 0]")
@click.option(
    "--side", type=click.Choice(["client", "server"]), help="Whose data.  [default: of the side that sent more]"
)
@click.option("--from", "since", metavar="TIME", help="From here: +SECONDS of the axis, epoch seconds, or a time.")
@click.option("--to", "until", metavar="TIME", help="Up to here.")
@click.option("--size", type=Size(), metavar="WxH", help="Pixels, such as 1200x700.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["svg", "png", "html", "json"]),
    help="[default: by the name after -o, else svg]",
)
@common
def command(files: tuple[str, ...], connection: int | None, output: str | None, **options: Any) -> None:
    """Draw a connection, or the whole capture: FILE… KIND.

    \b
    KIND, of a connection (-c N):
      sequence      time-sequence graph with tcptrace's marks
      stevens       sequence numbers over time
      rtt           round trips, SRTT, retransmission time-out
      window        advertised window, in flight, estimated congestion window and its phases
      inflight      in flight and the window above it
      throughput    throughput and goodput
      buffer        what lay in the receiver's buffer, and how fast its program read
    KIND, of the capture:
      states        endpoints by state over time
      waterfall     the connections, a bar each
      retransmissions  packets sent again over time, by cause

    \b
    Examples:
      tcpscope plot capture.pcap sequence -c 3 -o sequence.svg
      tcpscope plot capture.pcap window -c 3 --from +2 --to +2.5 -o window.html
      tcpscope plot capture.pcap states --format png > states.png

    HTML zooms, pans and tells frame numbers; it is one file that needs no network. On a terminal without
    -o, an SVG is written into the current directory.
    """
    kind, paths = _kind(files)
    if kind in CAPTURE_KINDS and (connection is not None or options["side"]):
        raise UsageError(f"{kind} is about the whole capture: leave out -c and --side")
    form = _form(options["form"], output)
    found = locate(paths)
    refuse_overwriting(found, output)
    with progress(options["quiet"]) as show:
        if kind in CAPTURE_KINDS:
            result, draw = _capture(found, kind, options, show)
        else:
            result, draw = _connection(found, kind, connection or 0, options, show)
    warn(result, options)
    figure = _shown(draw(), result, options)
    data = figure.render(form, options["size"])
    if output is None and sys.stdout is not None and sys.stdout.isatty():
        output = f"{figure.name}.{form}"
        refuse_overwriting(found, output)
        click.echo(f"Written: {safe(output)}", err=True)
    with destination(output) as stream:
        stream.write(data)


def _kind(words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The kind, last or first of the arguments, and the files."""
    for kind, rest in ((words[-1], words[:-1]), (words[0], words[1:])):
        if kind in KINDS:
            if not rest:
                raise UsageError(f"which capture? write: tcpscope plot FILE {kind}")
            return kind, rest
    if len(words) == 1:
        raise UsageError(f"which plot? write: tcpscope plot {words[0]} KIND, KIND one of {', '.join(KINDS)}")
    known(words[-1], KINDS)
    raise AssertionError


def _form(asked: str | None, output: str | None) -> str:
    from tcpscope.report.plots.model import form_of

    if asked is not None:
        return asked
    return "svg" if output is None or output == "-" else form_of(output)


def _capture(found: Sources, kind: str, options: dict[str, Any], show: Any) -> tuple[Analysis, Callable[[], Figure]]:
    from tcpscope.report.plots import of_capture
    from tcpscope.report.plots.whole import repetitions

    settings = {"progress": show} | {name: options[name] for name in ("msl", "by_tunnel", "threads")}
    repeated = None
    if kind == "retransmissions":
        result, chunks = read_packets(found, **settings)
        repeated = repetitions(chunks)
    else:
        result = analyse(found, keep_past=False, **settings)
    return result, lambda: of_capture(
        kind, result.connections, result.events, repeated, result.names, utc=options["utc"]
    )


def _connection(
    found: Sources, kind: str, number: int, options: dict[str, Any], show: Any
) -> tuple[Analysis, Callable[[], Figure]]:
    from tcpscope.report.plots import of_connection
    from tcpscope.report.plots.trace import of_connection as packets_of

    settings = {name: options[name] for name in ("msl", "by_tunnel", "threads")}
    result, chunks = read_packets(found, progress=show, **settings)
    packets = packets_of(chunks, number)
    return result, lambda: of_connection(
        kind, result.connections, packets, number, result.names, options["side"], utc=options["utc"]
    )


def _shown(figure: Figure, result: Analysis, options: dict[str, Any]) -> Figure:
    """The part of the figure between --from and --to."""
    from tcpscope.report.plots.model import cut
    from tcpscope.tables.filters import moment, zoned

    ends = [
        None
        if options[name] is None
        else (moment(zoned(options[name], options["utc"]), figure.start_ns) - figure.start_ns) / 1e9
        for name in ("since", "until")
    ]
    return cut(figure, *ends)
