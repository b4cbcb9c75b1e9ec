"""`tcpscope exchanges`: requests and responses of one connection, and who was waited for."""

from __future__ import annotations

from io import TextIOWrapper
from typing import Any

import click

from tcpscope.cli.common import common, files, progress, refuse_overwriting, warn
from tcpscope.cli.forms import format_option
from tcpscope.tables.analysis import locate


@click.command("exchanges")
@files
@click.option(
    "-c",
    "--connection",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Which connection.",
)
@format_option("table", "json", "jsonl", "csv")
@common
def command(files: tuple[str, ...], connection: int, form: str, **options: Any) -> None:
    """Requests and responses of one connection: bytes, time to first and last byte, network and server time.

    \b
    Examples:
      tcpscope exchanges capture.pcap -c 3
      tcpscope exchanges capture.pcap -c 3 --format csv -o exchanges.csv

    A request is what the client sends until the server speaks. wait: from the last packet of it that the response
    acknowledges to the response's first, where the capture was taken. network: the shortest round trip from there to
    the server. server: what is left. → and ←: how long the request, the response took to send. again: packets sent
    again. frames: the request's first, the response's first and last. Requests in flight together (HTTP/2,
    pipelining) count as one.
    """
    from tcpscope.tables.exchanges import COLUMNS, FIELDS, exchanges
    from tcpscope.tables.one import load
    from tcpscope.tables.output import destination

    found = locate(files)
    refuse_overwriting(found, options["output"])
    with progress(options["quiet"]) as show:
        result, row, packets, _ = load(
            found, connection, msl=options["msl"], by_tunnel=options["by_tunnel"], progress=show, only=COLUMNS
        )
    warn(result, options)
    rows = exchanges(packets, row)
    with destination(options["output"]) as stream:
        if form == "csv":
            from tcpscope.tables.listing import write_listing

            write_listing(FIELDS, rows, stream)
        elif form in ("json", "jsonl"):
            from tcpscope.tables.write import write_rows

            write_rows(rows, form, stream)
        else:
            from tcpscope.report.exchanges import lines

            text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
            try:
                text.writelines(line + "\n" for line in lines(row, rows))
                text.flush()
            finally:
                text.detach()
