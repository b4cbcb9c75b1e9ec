"""`tcpscope packets`: the table of packets."""

from __future__ import annotations

from collections.abc import Iterator
from io import TextIOWrapper
from typing import Any

import click

from tcpscope.cli.common import common, files, filters, format_option, progress, tell_read, wanted, warn
from tcpscope.tables.analysis import locate
from tcpscope.tables.analysis import packets as read_packets
from tcpscope.tables.filters import Wanted, keep, packet_tests
from tcpscope.tables.write import destination, write

WIDTHS = {"frame": -7, "time": 17, "connection": -10, "sender": 6, "flags": 11, "seq": -10, "ack": -10, "length": -6,
          "window": -8, "client_state": 12, "server_state": 12, "annotations": 1}  # fmt: skip


@click.command("packets")
@files
@format_option()
@filters
@click.option("--annotation", "annotations", multiple=True, metavar="NAME", help="With this annotation.")
@common
def command(files: tuple[str, ...], form: str, output: str | None, **options: Any) -> None:
    """The table of packets: both endpoints' states after each, annotations, what Wireshark would mark.

    \b
    Examples:
      tcpscope packets capture.pcap -c 0
      tcpscope packets capture.pcap --annotation retransmission --format csv
      tcpscope packets capture.pcap --from +2.5 --to +3 --host 10.0.0.0/8

    The capture is read twice, so that memory does not grow with it.
    """
    from tcpscope.tables import rows

    with progress(options["quiet"]) as show:
        result, chunks = read_packets(locate(files), msl=options["msl"], by_tunnel=options["by_tunnel"], progress=show)
    once = not result.files  # standard input: what is wrong with it is known only at its end
    if not once:
        warn(result, options["strict"], options["quiet"])
        tell_read(result, options["verbose"])
    tests = packet_tests(wanted(result, options) if not once else _early(options))

    def found() -> Iterator[dict[str, Any]]:
        for chunk in chunks:
            yield from keep(rows.rows("packets", chunk), tests)
        if once:
            warn(result, options["strict"], options["quiet"])

    with destination(output) as stream:
        if form != "table":
            write("packets", found(), form, stream)
            return
        from tcpscope.report.terminal import print_lines

        text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
        try:
            print_lines(found(), WIDTHS, text)
        finally:
            text.detach()


def _early(options: dict[str, Any]) -> Wanted:
    """Filters for standard input: its start is not known yet, so +SECONDS cannot be counted."""
    from tcpscope.errors import UsageError
    from tcpscope.tables.analysis import Analysis

    for name in ("since", "until"):
        if (options[name] or "").startswith("+"):
            raise UsageError("--from and --to with +SECONDS need a file: the start of standard input is not known yet")
    return wanted(Analysis([]), options)
