"""`tcpscope compare`: agreement with Wireshark's own analysis."""

from __future__ import annotations

from typing import Any

import click

from tcpscope.cli.common import common, files, format_option, warn
from tcpscope.errors import UsageError
from tcpscope.tables.analysis import locate
from tcpscope.tables.analysis import packets as read_packets
from tcpscope.tables.output import destination
from tcpscope.tables.write import write_json, write_jsonl


@click.command("compare")
@files
@format_option("table", "json", "jsonl")
@click.option("--annotation", metavar="NAME", help="Differences in this annotation only.")
@click.option("--most", type=click.IntRange(0), default=20, show_default=True, help="Differences shown in the table.")
@common
def command(
    files: tuple[str, ...], form: str, annotation: str | None, most: int, output: str | None, **options: Any
) -> int:
    """Agreement with Wireshark (tshark), packet by packet, with the reasons for the differences.

    \b
    Examples:
      tcpscope compare capture.pcap
      tcpscope compare capture.pcap --annotation duplicate_ack --format jsonl

    The column `wireshark` follows the rules of Wireshark 4.0 and must agree with it wholly;
    tcpscope's own annotations differ where the kernel or the RFCs know better, and say why.

    Exit codes: 0 the column agrees, 1 it does not (or decoding or grouping differs), 2 no tshark.
    """
    from tcpscope.tables import rows
    from tcpscope.wireshark import tshark
    from tcpscope.wireshark.compare import compare

    path, version = tshark.find()
    found = locate(files)
    if len(found.captures) != 1 or found.captures[0].name == "-":
        raise UsageError("compare takes one file: frame numbers are a file's own")
    result, chunks = read_packets(found, msl=options["msl"], by_tunnel=options["by_tunnel"])
    warn(result, options)
    if not version.startswith(tshark.RULES_OF) and not options["quiet"]:
        click.echo(
            f"Warning: tshark is {version}; the rules of its analysis may not be those of {tshark.RULES_OF}", err=True
        )
    ours = (row for chunk in chunks for row in rows.rows("packets", chunk))
    comparison = compare(ours, tshark.fields(found.captures[0].name))
    shown = [*comparison.wrong, *comparison.differences]
    if annotation:
        shown = [entry for entry in shown if entry["what"] == annotation]
    with destination(output) as stream:
        if form == "jsonl":
            write_jsonl(shown, stream)
        elif form == "json":
            write_json({
                "tshark": {"path": path, "version": version},
                "packets": comparison.packets, "only_wireshark": comparison.only_wireshark,
                "only_tcpscope": comparison.only_tcpscope, "streams": comparison.streams,
                "rules": comparison.rules, "own": comparison.own, "agrees": comparison.agrees, "differences": shown,
            }, stream)  # fmt: skip
        else:
            from tcpscope.report.comparison import print_comparison

            print_comparison(comparison, version, shown, most, stream)
    return 0 if comparison.agrees else 1
