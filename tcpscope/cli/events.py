"""`tcpscope events`: every change of state."""

from __future__ import annotations

from typing import Any

import click

from tcpscope.cli.common import NUMBER, bounded, common, emit_ended, files
from tcpscope.cli.forms import format_option
from tcpscope.tables.analysis import locate

WIDTHS = {"time": 26, "frame": -7, "connection": -10, "endpoint": 8, "ip": 15, "port": -5, "old": 12, "new": 12,
          "event": 14}  # fmt: skip


@click.command("events")
@files
@format_option()
@click.option("-c", "--connection", "connections", multiple=True, type=NUMBER, metavar="N", help="This connection.")
@bounded
@common
def command(files: tuple[str, ...], **options: Any) -> None:
    """Every change of state of every endpoint, in order of time, with the frame that shows it.

    \b
    Examples:
      tcpscope events capture.pcap -c 3
      tcpscope events capture.pcap --format jsonl | jq 'select(.new == "CLOSE_WAIT")'

    Sent is not delivered: where the capture shows that a FIN was lost and sent again, the
    receiver's change belongs to the copy that arrived.  More than about 250,000 events are
    sorted block by block, as their connections end.
    """
    from tcpscope.tables.filters import of_connections

    chosen = options["connections"]
    emit_ended("events", locate(files), options, WIDTHS, [of_connections(chosen)] if chosen else [])
