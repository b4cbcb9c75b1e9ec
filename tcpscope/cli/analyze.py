"""`tcpscope analyze`: the main job."""

from __future__ import annotations

from io import TextIOWrapper
from typing import Any

import click

from tcpscope.cli.common import common, emit, files, format_option, read
from tcpscope.diagnose import diagnose
from tcpscope.tables.analysis import locate


@click.command("analyze")
@files
@format_option()
@common
def command(files: tuple[str, ...], **options: Any) -> None:
    """What happened: an overview, the connections, and what is odd, worst first.

    \b
    Examples:
      tcpscope analyze capture.pcap
      tcpscope analyze monday/ --format json -o monday.json
      ssh host tcpdump -U -w - | tcpscope analyze -

    With --format json: one document with summary, connections, findings and warnings;
    jsonl, csv and parquet give the connections.
    """
    result = read(locate(files), options)
    if options["form"] not in ("table", "json"):
        from tcpscope.tables.rows import by_number

        emit("connections", [by_number(result.connections)], {}, options)
        return
    findings = diagnose(result.connections, result.files, result.names)
    from tcpscope.tables.output import destination

    with destination(options["output"]) as stream:
        if options["form"] == "table":
            from tcpscope.report.terminal import print_analysis

            if options["output"] is None:
                print_analysis(result, findings, options["utc"])
            else:
                text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
                try:
                    print_analysis(result, findings, options["utc"], text)
                    text.flush()
                finally:
                    text.detach()
            return
        from tcpscope.tables.overview import overview
        from tcpscope.tables.rows import by_number, rows
        from tcpscope.tables.write import write_document

        write_document(
            {
                "summary": overview(result),
                "connections": rows("connections", by_number(result.connections)),
                "findings": [f.as_dict() for f in findings],
                "warnings": result.warnings,
            },
            stream,
        )
