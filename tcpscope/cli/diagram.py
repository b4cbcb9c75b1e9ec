"""`tcpscope diagram`: the ladder of one connection."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from tcpscope.cli.common import NUMBER, common, files, progress, refuse_overwriting, warn
from tcpscope.cli.forms import by_suffix
from tcpscope.errors import UsageError
from tcpscope.tables.analysis import locate
from tcpscope.tables.output import destination

if TYPE_CHECKING:
    from tcpscope.report.ladder import Options

PIPE_WIDTH = 100
FORMATS = ("text", "mermaid", "svg", "html", "json")


@click.command("diagram")
@files
@click.option(
    "-c", "--connection", type=NUMBER, metavar="N", help="Which connection.  [default: that of --around, else 0]"
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="[default: by -o's suffix (.svg .html .mmd .json .txt), else text]",
)
@click.option("--handshake", is_flag=True, help="Only the opening.")
@click.option("--close", is_flag=True, help="Only the close.")
@click.option("--around", metavar="frame:N", help="Only this frame and ten rows before and after it.")
@click.option(
    "--from", "since", metavar="TIME", help="From here: +SECONDS as the ladder shows them, epoch seconds, or ISO 8601."
)
@click.option("--to", "until", metavar="TIME", help="Up to here.")
@click.option(
    "--max-rows",
    type=click.IntRange(1),
    metavar="N",
    help="The N most telling rows.  [default: 400 for svg and html, 200 for mermaid]",
)
@click.option("--all", "everything", is_flag=True, help="Fold nothing.")
@click.option("--raw", is_flag=True, help="Sequence numbers as in the header.")
@click.option(
    "--width",
    type=click.IntRange(60, 400),
    metavar="N",
    help="Columns of text.  [default: the terminal's, 100 in a pipe]",
)
@click.option("--ascii", "ascii_only", is_flag=True, help="Text of plain ASCII characters.")
@common
def command(files: tuple[str, ...], connection: int | None, form: str | None, **options: Any) -> None:
    """The ladder of one connection: both endpoints' states, times, segments, annotations.

    \b
    Examples:
      tcpscope diagram capture.pcap -c 3
      tcpscope diagram capture.pcap --around frame:120 --width 80 --ascii
      tcpscope diagram capture.pcap --close -o close.svg
      tcpscope diagram capture.pcap --format mermaid --max-rows 40

    Client left, server right; a state stands where it begins; repeated segments are dashed, lost ones end half-way.
    Long runs of ordinary segments are folded (--all shows them).
    """
    from tcpscope.report.ladder import COLUMNS, ladder, render
    from tcpscope.report.ladder.render import SUFFIXES
    from tcpscope.tables.one import load

    found = locate(files)
    refuse_overwriting(found, options["output"])
    form = form or by_suffix(options["output"], SUFFIXES, "text")
    with progress(options["quiet"]) as show:
        result, row, packets, events = load(
            found, connection, frame_of(options["around"]), msl=options["msl"], by_tunnel=options["by_tunnel"],
            progress=show, only=COLUMNS,
        )  # fmt: skip
        drawing = ladder(row, packets, events, focus_of(options, form, row["start"]))
    warn(result, options)
    how: dict[str, Any] = {"raw": options["raw"]} if form != "json" else {}
    if form == "text":
        columns = shutil.get_terminal_size().columns if sys.stdout and sys.stdout.isatty() else PIPE_WIDTH
        how |= {"width": options["width"] or columns, "ascii_only": options["ascii_only"]}
    if form == "html":
        how["title"] = ", ".join(os.path.basename(name) for name in result.names[:3])
    with destination(options["output"]) as stream:
        stream.write(render(drawing, form, **how).encode())


def frame_of(around: str | None) -> int | None:
    """The number in `frame:N`; UsageError for anything else."""
    if around is None:
        return None
    number = around.removeprefix("frame:")
    if not (number.isascii() and number.isdigit()):
        raise UsageError(f"--around {around}: write frame:N, with the frame's number")
    return int(number)


def focus_of(options: dict[str, Any], form: str, start: float) -> Options:
    """What to show; +SECONDS count from the connection's first packet, as in the drawing."""
    from tcpscope.report.ladder import MOST_ROWS, Options
    from tcpscope.report.ladder.render import KEPT
    from tcpscope.tables.filters import moment, zoned

    def when(text: str | None) -> float | None:
        return None if text is None else moment(zoned(text, options["utc"]), round(start * 1e9)) / 1e9

    return Options(
        handshake=options["handshake"], close=options["close"], around=frame_of(options["around"]),
        since=when(options["since"]), until=when(options["until"]), fold=not options["everything"],
        max_rows=options["max_rows"] or (None if options["everything"] else MOST_ROWS[form]), keep=KEPT.get(form, 0),
    )  # fmt: skip
