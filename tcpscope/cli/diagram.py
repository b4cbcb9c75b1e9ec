"""`tcpscope diagram`: the ladder of one connection."""

from __future__ import annotations

import shutil
import sys
from io import TextIOWrapper
from typing import Any

import click

from tcpscope.cli.common import common, files, progress, refuse_overwriting, warn
from tcpscope.errors import UsageError
from tcpscope.tables.analysis import locate
from tcpscope.tables.analysis import packets as read_packets
from tcpscope.tables.output import destination

PIPE_WIDTH = 100


@click.command("diagram")
@files
@click.option("-c", "--connection", type=int, default=0, show_default=True, metavar="N", help="Which connection.")
@click.option("--width", type=click.IntRange(60, 400), help="Columns.  [default: the terminal's, 100 in a pipe]")
@click.option("--ascii", "ascii_only", is_flag=True, help="Plain ASCII characters.")
@click.option("--all", "everything", is_flag=True, help="Fold nothing.")
@common
def command(
    files: tuple[str, ...],
    connection: int,
    width: int | None,
    ascii_only: bool,
    everything: bool,
    output: str | None,
    **options: Any,
) -> None:
    """The ladder of one connection: both endpoints' states, times, segments, annotations.

    \b
    Examples:
      tcpscope diagram capture.pcap -c 3
      tcpscope diagram capture.pcap --width 80 --ascii -o ladder.txt

    Client left, server right; a state stands where it begins; repeated segments are dashed.
    Long runs of ordinary segments are folded (--all shows them).
    """
    from tcpscope.report.ladder import ladder
    from tcpscope.tables.filters import keep, of_connections
    from tcpscope.tables.rows import rows

    found = locate(files)
    refuse_overwriting(found, output)
    with progress(options["quiet"]) as show:
        result, chunks = read_packets(found, msl=options["msl"], by_tunnel=options["by_tunnel"], progress=show)
        mine = keep("packets", chunks, [of_connections([connection])])
        chosen = [row for chunk in mine for row in rows("packets", chunk)]
    warn(result, options)
    if not chosen:
        raise UsageError(
            f"no connection {connection}: the capture has {result.counters['connections']}, counted from 0"
        )
    columns = width or (shutil.get_terminal_size().columns if sys.stdout and sys.stdout.isatty() else PIPE_WIDTH)
    with destination(output) as stream:
        text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
        try:
            text.writelines(line + "\n" for line in ladder(chosen, columns, ascii_only, fold=not everything))
        finally:
            text.detach()
