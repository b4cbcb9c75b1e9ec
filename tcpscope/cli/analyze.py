"""`tcpscope analyze`: the main job."""

from __future__ import annotations

from io import TextIOWrapper
from typing import Any

import click

from tcpscope.cli.common import common, files, format_option, progress, tell_read, warn
from tcpscope.diagnose import diagnose
from tcpscope.tables.analysis import analyse, locate
from tcpscope.tables.write import destination, write, write_json


@click.command("analyze")
@files
@format_option()
@common
def command(files: tuple[str, ...], form: str, output: str | None, **options: Any) -> None:
    """What happened: an overview, the connections, and what is odd, worst first.

    \b
    Examples:
      tcpscope analyze capture.pcap
      tcpscope analyze monday/ --format json -o monday.json
      ssh host tcpdump -U -w - | tcpscope analyze -

    With --format json: one document with summary, connections, findings and warnings;
    jsonl, csv and parquet give the connections.
    """
    with progress(options["quiet"]) as show:
        result = analyse(locate(files), msl=options["msl"], by_tunnel=options["by_tunnel"], progress=show)
    warn(result, options["strict"], options["quiet"])
    tell_read(result, options["verbose"])
    findings = diagnose(result.connections, result.files, result.names)
    with destination(output) as stream:
        if form == "table":
            from tcpscope.report.terminal import print_analysis

            if output is None:
                print_analysis(result, findings, options["utc"])
            else:
                text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
                print_analysis(result, findings, options["utc"], text)
                text.detach()
            return
        from tcpscope.tables import rows

        connections = rows.connections(result.connections)
        if form != "json":
            write("connections", connections, form, stream)
            return
        from tcpscope.tables.overview import overview

        write_json(
            {
                "summary": overview(result),
                "connections": connections,
                "findings": [f.as_dict() for f in findings],
                "warnings": result.warnings,
            },
            stream,
        )
