"""`tcpscope analyze`: the main job."""

from __future__ import annotations

from io import TextIOWrapper
from typing import Any

import click

from tcpscope.cli.common import bounded, common, emit_ended, ended, files, warn
from tcpscope.cli.forms import format_option
from tcpscope.diagnose import Collected, findings
from tcpscope.diagnose.facts import MOST
from tcpscope.report.oddest import SHOWN, Oddest
from tcpscope.tables.analysis import locate


@click.command("analyze")
@files
@format_option()
@bounded
@common
def command(files: tuple[str, ...], **options: Any) -> None:
    """What happened: an overview, the connections, and what is odd, worst first.

    \b
    Examples:
      tcpscope analyze capture.pcap
      tcpscope analyze monday/ --format json -o monday.json
      ssh host tcpdump -U -w - | tcpscope analyze -

    With --format json: one document with summary, connections, findings and warnings;
    jsonl, csv and parquet give the connections, as they end, and need no memory for them.
    """
    found = locate(files)
    if options["form"] not in ("table", "json"):
        emit_ended("connections", found, options)
        return
    table = options["form"] == "table"  # it shows those that are odd, and a few others
    result, chunks = ended(found, options, most_odd=MOST if table else None, most_plain=SHOWN)
    odd, shown = Collected(), Oddest()
    kept = []
    for it in chunks:
        if table:
            odd.take(it.connections, it.evidence, it.briefs)
            shown.take(it.connections)
        else:
            odd.take(it.connections, it.evidence)
            kept.append(it.connections)
    shown.total = result.counters["connections"]
    warn(result, options)
    about = findings(odd, result.files, result.names, result.counters.get("clock_steps", 0))
    from tcpscope.tables.output import destination

    with destination(options["output"]) as stream:
        if table:
            from tcpscope.report.terminal import print_analysis

            if options["output"] is None:
                print_analysis(result, shown, about, options["utc"])
            else:
                text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
                try:
                    print_analysis(result, shown, about, options["utc"], text)
                    text.flush()
                finally:
                    text.detach()
            return
        from tcpscope.tables.overview import overview
        from tcpscope.tables.rows import by_number
        from tcpscope.tables.write import Records, write_document

        write_document(
            {
                "summary": overview(result),
                "connections": Records("connections", [by_number(b"".join(kept))]),
                "findings": [f.as_dict() for f in about],
                "warnings": result.warnings,
            },
            stream,
        )
