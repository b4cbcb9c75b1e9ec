"""`tcpscope compare`: agreement with Wireshark's own analysis, packet by packet."""

from __future__ import annotations

import csv
from io import TextIOWrapper
from typing import Any, BinaryIO

import click

from tcpscope.cli.common import common, files, warn
from tcpscope.cli.forms import format_option
from tcpscope.replay.layout import WIRESHARK
from tcpscope.tables.analysis import locate
from tcpscope.tables.output import destination
from tcpscope.tables.write import cell, write_json, write_rows

IN_A_TABLE = 5  # differences listed for each reason


@click.command("compare")
@files
@format_option("table", "json", "jsonl", "csv")
@click.option(
    "--annotation",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only this annotation.",
    type=click.Choice(WIRESHARK, case_sensitive=False),
)
@click.option(
    "--most",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"List N differences for each reason; 0: all.  [default: {IN_A_TABLE} in a table, else all]",
)
@common
def command(files: tuple[str, ...], form: str, output: str | None, names: tuple[str, ...], most: int | None,
            **options: Any) -> None:  # fmt: skip
    """Agreement with Wireshark, packet by packet, and the reason for each difference.

    \b
    Examples:
      tcpscope compare capture.pcap
      tcpscope compare capture.pcap --annotation duplicate_ack --most 0
      tcpscope compare captures/ --format csv -o differences.csv

    Header fields, streams and the column `wireshark` (what Wireshark 4.0 would mark) must agree with tshark.
    Where tcpscope's own annotations differ from Wireshark's marks, the reason and its evidence are told.
    Each file is compared on its own, with default preferences. JSON Lines and CSV hold the differences alone.

    Exit codes: 0 what must agree agrees, 1 it does not, 2 no tshark, wrong usage or unusable input.
    """
    found = locate(files)
    from tcpscope.wireshark.agreement import COLUMNS, Agreement, compare
    from tcpscope.wireshark.tshark import RULES, find

    tshark = find()
    if not tshark.same_rules and not options["quiet"]:
        click.echo(f"Warning: Wireshark {tshark.version}: {RULES}'s rules, followed here, may differ", err=True)
    if most is None and form == "table":
        most = IN_A_TABLE
    agreement = Agreement(names=names or WIRESHARK, most=most or None)
    for number, source in enumerate(found.captures):
        result = compare(source, number, tshark, agreement, msl=options["msl"], by_tunnel=options["by_tunnel"])
        warn(result, options)

    with destination(output) as stream:
        if form == "json":
            write_json(agreement.document(tshark, [source.name for source in found.captures]), stream)
        elif form == "jsonl":
            write_rows(agreement.differences, "jsonl", stream)
        elif form == "csv":
            _write_csv(COLUMNS, agreement.differences, stream)
        else:
            from tcpscope.report.agreement import print_agreement

            text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
            try:
                print_agreement(agreement.document(tshark, [source.name for source in found.captures]), text)
                text.flush()
            finally:
                text.detach()
    if not agreement.agrees:
        raise click.exceptions.Exit(1)


def _write_csv(columns: tuple[str, ...], rows: list[dict[str, Any]], stream: BinaryIO) -> None:
    text = TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            words = [list(map(str, value)) if isinstance(value, list) else value for value in row.values()]
            writer.writerow([cell(word) if isinstance(word, str | list) else word for word in words])
        text.flush()
    finally:
        text.detach()
