"""`tcpscope events`: every change of state."""

from __future__ import annotations

from io import TextIOWrapper
from typing import Any

import click

from tcpscope.cli.common import common, files, format_option, progress, tell_read, warn
from tcpscope.tables.analysis import analyse, locate
from tcpscope.tables.write import destination, write

WIDTHS = {"time": 17, "frame": -7, "connection": -10, "endpoint": 8, "ip": 15, "port": -5, "old": 12, "new": 12,
          "event": 14}  # fmt: skip


@click.command("events")
@files
@format_option()
@click.option("-c", "--connection", "connections", multiple=True, type=int, metavar="N", help="This connection.")
@common
def command(
    files: tuple[str, ...], form: str, output: str | None, connections: tuple[int, ...], **options: Any
) -> None:
    """Every change of state of every endpoint, in order of time, with the frame that shows it.

    \b
    Examples:
      tcpscope events capture.pcap -c 3
      tcpscope events capture.pcap --format jsonl | jq 'select(.new == "CLOSE_WAIT")'

    Sent is not delivered: where the capture shows that a FIN was lost and sent again, the
    receiver's change belongs to the copy that arrived.
    """
    with progress(options["quiet"]) as show:
        result = analyse(locate(files), msl=options["msl"], by_tunnel=options["by_tunnel"], progress=show)
    warn(result, options["strict"], options["quiet"])
    tell_read(result, options["verbose"])
    from tcpscope.tables import rows

    found = rows.events(result.events)
    if connections:
        found = [row for row in found if row["connection"] in set(connections)]
    with destination(output) as stream:
        if form != "table":
            write("events", found, form, stream)
            return
        from tcpscope.report.terminal import print_lines

        text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
        try:
            print_lines(found, WIDTHS, text)
        finally:
            text.detach()
