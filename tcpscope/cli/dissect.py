"""`tcpscope dissect`: one packet in full, through Wireshark."""

from __future__ import annotations

import json
from typing import Any

import click

from tcpscope.cli.common import format_option
from tcpscope.tables.output import destination
from tcpscope.tables.write import write_json


@click.command("dissect")
@click.argument("file", type=click.Path())
@click.argument("frame", type=click.IntRange(min=1))
@format_option("table", "json")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE.")
def command(file: str, frame: int, form: str, output: str | None) -> None:
    """One packet in full, as Wireshark dissects it.

    \b
    Examples:
      tcpscope dissect capture.pcap 17
      tcpscope dissect capture.pcap 17 --format json | jq '.[0]._source.layers.tcp'
    """
    from tcpscope.report.text import safe
    from tcpscope.tables.analysis import locate
    from tcpscope.wireshark.dissect import dissect

    (capture,) = locate([file]).captures
    text = dissect(capture.name, frame, as_json=form == "json")
    with destination(output) as stream:
        if form == "json":
            found: Any = json.loads(text)
            write_json(found, stream)
        else:
            stream.write("".join(safe(line) + "\n" for line in text.splitlines()).encode())
