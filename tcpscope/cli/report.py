"""`tcpscope report`: all that was found, as one HTML file."""

from __future__ import annotations

import sys
from typing import Any

import click

from tcpscope.cli.common import NUMBER, common, files, progress, refuse_overwriting, warn
from tcpscope.cli.forms import by_suffix
from tcpscope.report.text import safe
from tcpscope.tables.analysis import locate
from tcpscope.tables.output import destination

DETAILED, ROWS = 10, 20_000  # as in report.page.gathered, which is not imported for a --help


@click.command("report")
@files
@click.option(
    "-c",
    "--connection",
    "connections",
    multiple=True,
    type=NUMBER,
    metavar="N",
    help="Show this connection in detail (several times for several).  [default: what the findings name]",
)
@click.option(
    "--limit",
    type=click.IntRange(0, 200),
    default=DETAILED,
    show_default=True,
    metavar="N",
    help="Connections shown in detail, at most.",
)
@click.option(
    "--rows",
    type=click.IntRange(1, 200_000),
    default=ROWS,
    show_default=True,
    metavar="N",
    help="Connections in the table, at most: the oddest ones.",
)
@common
def command(files: tuple[str, ...], output: str | None, **options: Any) -> None:
    """One HTML file: overview, findings, table of connections, ladders and plots of the odd ones, method and limits.

    \b
    Examples:
      tcpscope report capture.pcap -o report.html
      tcpscope report capture.pcap -c 3 -c 17 -o two.html
      tcpscope report monday/ --limit 30 -o monday.html

    The file needs no network and runs nothing but its own script; it prints, and follows the reader's dark or light
    theme. Captures are read twice; standard input goes to a temporary file for that.
    On a terminal without -o, it is written into the current directory.
    """
    from tcpscope.report.page import Wanted, gather, render

    found = locate(files)
    refuse_overwriting(found, output)
    by_suffix(output, {".html": "html", ".htm": "html"}, "html")
    wanted = Wanted(
        connections=options["connections"], limit=options["limit"], rows=options["rows"], utc=options["utc"],
        msl=options["msl"], by_tunnel=options["by_tunnel"], threads=options["threads"],
    )  # fmt: skip
    with progress(options["quiet"]) as show:
        gathered = gather(found, wanted, show)
    warn(gathered.result, options)
    with progress(options["quiet"]) as show:
        page = render(gathered, show)
    if output is None and sys.stdout is not None and sys.stdout.isatty():
        from tcpscope.report.plots import stem

        output = f"{stem(gathered.result.names)}-report.html"
        refuse_overwriting(found, output)
        click.echo(f"Written: {safe(output)}", err=True)
    with destination(output) as stream:
        stream.write(page.encode("utf-8", "backslashreplace"))
