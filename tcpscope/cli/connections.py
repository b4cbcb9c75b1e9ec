"""`tcpscope connections`: the table of connections."""

from __future__ import annotations

from typing import Any

import click

from tcpscope.cli.common import bounded, common, emit, emit_ended, files, filters, naming, read, wanted
from tcpscope.cli.forms import format_option
from tcpscope.tables.analysis import locate

WIDTHS = {"connection": -10, "client_ip": 15, "client_port": -11, "server_ip": 15, "server_port": -11,
          "client_state": 12, "server_state": 12, "duration": -12, "client_unique_bytes": -19,
          "server_unique_bytes": -19, "client_retransmissions": -22, "server_retransmissions": -22,
          "service": 10, "server_name": 24, "close": 12, "closed_by": 9, "conn_state": 10, "history": 12}  # fmt: skip


@click.command("connections")
@files
@format_option()
@filters
@naming
@bounded
@common
def command(files: tuple[str, ...], **options: Any) -> None:
    """The table of connections: final states, statistics of both directions, how each closed.

    \b
    Examples:
      tcpscope connections capture.pcap --port 443 --state CLOSE_WAIT
      tcpscope connections capture.pcap --annotation zero_window
      tcpscope connections capture.pcap --service tls --name '*.example.com'
      tcpscope connections *.pcap --format parquet -o connections.parquet

    The table format shows a few columns, on a terminal as many as have room; the other formats all (docs/tables.md
    tells their meaning).
    Connections stand in the order of their first packets; more than about 10,000 in blocks, as they end.
    """
    from tcpscope.tables.filters import conditions

    found = locate(files)
    asked = wanted(found, options)
    passing = conditions("connections", asked)
    if not asked.annotations:
        emit_ended("connections", found, options, WIDTHS, passing)
        return
    result = read(found, options)
    from tcpscope.tables.annotated import with_packets
    from tcpscope.tables.filters import keep
    from tcpscope.tables.rows import by_number

    passing.append(with_packets(found, result, asked.annotations, options["msl"], options["by_tunnel"]))
    emit("connections", keep("connections", [by_number(result.connections)], passing), WIDTHS, options)
