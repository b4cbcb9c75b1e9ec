"""`tcpscope connections`: the table of connections."""

from __future__ import annotations

from io import TextIOWrapper
from typing import Any

import click

from tcpscope.cli.common import common, files, filters, format_option, progress, tell_read, wanted, warn
from tcpscope.tables.analysis import analyse, locate
from tcpscope.tables.filters import connection_tests, keep
from tcpscope.tables.write import destination, write

WIDTHS = {"connection": -10, "client_ip": 15, "client_port": -11, "server_ip": 15, "server_port": -11,
          "client_state": 12, "server_state": 12, "duration": -12, "client_unique_bytes": -19,
          "server_unique_bytes": -19, "client_retransmissions": -22, "server_retransmissions": -22,
          "close": 12, "closed_by": 9, "conn_state": 10, "history": 12}  # fmt: skip


@click.command("connections")
@files
@format_option()
@filters
@common
def command(files: tuple[str, ...], form: str, output: str | None, **options: Any) -> None:
    """The table of connections: final states, statistics of both directions, how each closed.

    \b
    Examples:
      tcpscope connections capture.pcap --port 443 --state CLOSE_WAIT
      tcpscope connections *.pcap --format parquet -o connections.parquet

    The table format shows a few columns, the other formats all (docs/tables.md tells their meaning).
    """
    with progress(options["quiet"]) as show:
        result = analyse(locate(files), msl=options["msl"], by_tunnel=options["by_tunnel"], progress=show)
    warn(result, options["strict"], options["quiet"])
    tell_read(result, options["verbose"])
    from tcpscope.tables import rows

    chosen = keep(rows.connections(result.connections), connection_tests(wanted(result, options)))
    with destination(output) as stream:
        if form != "table":
            write("connections", chosen, form, stream)
            return
        from tcpscope.report.terminal import print_lines

        text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
        try:
            print_lines(chosen, WIDTHS, text)
        finally:
            text.detach()
