"""`tcpscope packets`: the table of packets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tcpscope.cli.common import (
    bounded,
    common,
    emit,
    files,
    filters,
    progress,
    refuse_overwriting,
    wanted,
    warn,
)  # fmt: skip
from tcpscope.cli.forms import format_option
from tcpscope.tables.analysis import locate
from tcpscope.tables.analysis import packets as read_packets

if TYPE_CHECKING:
    from tcpscope.tables.rows import Raw

WIDTHS = {"frame": -7, "time": 26, "connection": -10, "sender": 6, "flags": 11, "seq": -10, "ack": -10, "length": -6,
          "window": -8, "client_state": 12, "server_state": 12, "annotations": 1}  # fmt: skip


@click.command("packets")
@files
@format_option()
@filters
@bounded
@common
def command(files: tuple[str, ...], **options: Any) -> None:
    """The table of packets: both endpoints' states after each, annotations, what Wireshark would mark.

    \b
    Examples:
      tcpscope packets capture.pcap -c 0
      tcpscope packets capture.pcap --annotation retransmission --format csv
      tcpscope packets capture.pcap --from +2.5 --to +3 --host 10.0.0.0/8

    The capture is read twice, so that memory does not grow with it.
    """
    from tcpscope.tables.filters import conditions, keep

    found = locate(files)
    refuse_overwriting(found, options["output"])
    asked = wanted(found, options)
    with progress(options["quiet"]) as show:
        result, chunks = read_packets(
            found,
            msl=options["msl"],
            by_tunnel=options["by_tunnel"],
            threads=options["threads"],
            progress=show,
            max_connections=options["max_connections"],
        )
        once = not result.files  # standard input: what is wrong with it is known only at its end
        if not once:
            warn(result, options)

        def all_chunks() -> Iterator[Raw]:
            yield from chunks
            if once:
                warn(result, options)

        emit("packets", keep("packets", all_chunks(), conditions("packets", asked)), WIDTHS, options, result.names)
