"""`tcpscope diff`: how the TCP behaviour of two captures differs."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Any

import click

from tcpscope.cli.common import common, progress, refuse_overwriting, warn
from tcpscope.cli.forms import format_option
from tcpscope.tables.analysis import locate
from tcpscope.tables.output import destination

ASPECTS = "opening, states, closing, payload, packets, loss, waiting, windows, timing, application"


@click.command("diff")
@click.argument("first", metavar="A", type=click.Path())
@click.argument("second", metavar="B", type=click.Path())
@format_option("table", "json")
@click.option(
    "--tolerance",
    "tolerance",
    multiple=True,
    metavar="KIND=VALUE",
    help="How far numbers may be apart: time=50%, time=20ms, packets=10%, bytes=, events=, windows=. Both a "
    "share and an amount: beyond both.  [default: packets 20% and 2, windows 50%, time 50% and 20 ms]",
)
@click.option("--ignore", multiple=True, metavar="WHAT", help=f"An aspect ({ASPECTS}), or a measure.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 also where they differ.")
@common
def command(first: str, second: str, tolerance: tuple[str, ...], ignore: tuple[str, ...], **options: Any) -> None:
    """How the TCP behaviour of two captures differs, before and after, or against a golden one.

    \b
    Examples:
      tcpscope diff before.pcap after.pcap
      tcpscope diff golden.pcap today.pcap --ignore timing --ignore packets
      tcpscope diff a.pcap b.pcap --tolerance time=10% --tolerance time=5ms --format json

    Connections are matched by hosts and service (else by the service's port alone), then by what they moved, and by
    order. Exit code 1: they differ.
    """
    from tcpscope.check.difference import compared, difference, record, tolerances

    allowed = tolerances(tolerance)
    compared(ignore)  # wrong words are told before the captures are read
    found = locate([first]), locate([second])
    recorded = []
    for sources in found:
        refuse_overwriting(sources, options["output"])
        with progress(options["quiet"]) as show:
            one = record(
                sources, msl=options["msl"], by_tunnel=options["by_tunnel"], threads=options["threads"], progress=show
            )
        warn(one.observed.result, options)
        recorded.append(one)
    result = difference(*recorded, tolerance=allowed, ignore=ignore)
    with destination(options["output"]) as stream:
        if options["form"] == "json":
            import json

            stream.write((json.dumps(result.as_dict(), indent=2) + "\n").encode())
        else:
            _table(result, options, stream)
    if result and not options["exit_zero"]:
        raise click.exceptions.Exit(1)


def _table(result: Any, options: dict[str, Any], stream: Any) -> None:
    from tcpscope.check.formats.difference import print_difference

    if options["output"] is None and sys.stdout.isatty():
        print_difference(result, sys.stdout)
        sys.stdout.flush()
        return
    text = TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", newline="\n")
    try:
        print_difference(result, text)
        text.flush()
    finally:
        text.detach()
