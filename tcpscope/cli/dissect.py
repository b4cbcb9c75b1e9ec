"""`tcpscope dissect`: one packet in full, through Wireshark."""

from __future__ import annotations

import click

from tcpscope.cli.forms import format_option, output_option
from tcpscope.errors import UsageError
from tcpscope.tables.analysis import locate
from tcpscope.tables.output import destination
from tcpscope.tables.write import write_json


@click.command("dissect")
@click.argument("file", type=click.Path())
@click.argument("frame", type=click.IntRange(min=1))
@format_option("table", "json")
@output_option
def command(file: str, frame: int, form: str, output: str | None) -> None:
    """One packet in full: every field of every layer, as Wireshark dissects it.

    \b
    Examples:
      tcpscope dissect capture.pcap 17
      tcpscope dissect capture.pcap 17 --format json

    FRAME counts from 1, as in the column `frame`. Your own Wireshark preferences hold; names are not resolved.
    """
    found = locate(file).captures
    if len(found) > 1:
        raise UsageError(f"{file} names {len(found)} captures; name one file")
    from tcpscope.wireshark.dissect import dissect, dissect_json
    from tcpscope.wireshark.tshark import find

    tshark = find()
    if form == "json":
        value = dissect_json(found[0], frame, tshark)
        with destination(output) as stream:
            write_json(value, stream)
        return
    lines = dissect(found[0], frame, tshark)
    with destination(output) as stream:
        stream.write("".join(f"{line}\n" for line in lines).encode())
