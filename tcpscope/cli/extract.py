"""`tcpscope extract`: packets of chosen connections into a capture of their own."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from tcpscope import __version__
from tcpscope.cli.common import common, files, filters, progress, refuse_overwriting, wanted, warn
from tcpscope.errors import UsageError
from tcpscope.report.text import safe
from tcpscope.tables.analysis import locate


@click.command("extract")
@files
@click.option("--format", "form", type=click.Choice(["pcap", "pcapng"]),
              help="Of the output.  [default: by its suffix; pcapng on standard output]")  # fmt: skip
@filters
@click.option("--whole", is_flag=True, help="With --annotation, --from, --to: all packets of the connections found.")
@common
def command(files: tuple[str, ...], form: str | None, whole: bool, **options: Any) -> None:
    """Packets of connections, hosts, ports, states, annotations, times into a pcap or pcapng file.

    \b
    Examples:
      tcpscope extract big.pcap -c 17 -o one.pcapng
      tcpscope extract captures/ --host 10.0.0.7 --port 443 -o host.pcapng
      tcpscope extract big.pcap --annotation zero_window --whole -o stalled.pcap
      tcpscope extract big.pcap --from +60 --to +90 | tcpscope analyze -

    -c, --host, --port and --state (at the connection's end) choose connections: whole ones, with the ICMP errors
    about them. --annotation, --from and --to choose packets of these, or with --whole the connections that have
    such a packet. Without a filter all of TCP is copied. Fragments come together.

    Link types, times to their last digit, original lengths are kept. pcapng also keeps interfaces, comments and
    flags, and says of each packet which frame of which file it was; pcap holds one link type.
    """
    found = locate(files)
    form = form or by_suffix(options["output"])
    refuse_overwriting(found, options["output"])
    if options["output"] in (None, "-") and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError("a capture is not for a terminal: use -o FILE, or pipe it on")
    from tcpscope.capture.writer import PcapngWriter, PcapWriter
    from tcpscope.tables.again import rereadable
    from tcpscope.tables.extract import choose, copy
    from tcpscope.tables.output import destination

    found = rereadable(found)
    asked = wanted(found, options)
    with progress(options["quiet"]) as show:
        chosen = choose(found, asked, whole=whole, msl=options["msl"], by_tunnel=options["by_tunnel"],
                        threads=options["threads"], progress=show)  # fmt: skip
        warn(chosen.result, options)
        with destination(options["output"]) as stream:
            if form == "pcapng":
                writer: PcapngWriter | PcapWriter = PcapngWriter(stream, f"tcpscope {__version__}")
            else:
                sources = enumerate(chosen.result.files)
                writer = PcapWriter(
                    stream, [it for at, facts in sources if chosen.frames.any_of(at) for it in facts["interfaces"]]
                )
            count = copy(found, chosen, writer.write)
            writer.close()
    if not options["quiet"]:
        total = sum(facts.get("packets", 0) for facts in chosen.result.files)
        where = "" if options["output"] in (None, "-") else f" to {safe(options['output'])}"
        connections = chosen.result.counters["connections"]
        click.echo(
            f"{count:,} of {total:,} packets, {chosen.connections:,} of {connections:,} connections{where}", err=True
        )


def by_suffix(output: str | None) -> str:
    """pcap or pcapng; UsageError for a name that says neither."""
    if output is None or output == "-":
        return "pcapng"
    from tcpscope.capture.writer import SUFFIXES

    form = SUFFIXES.get(os.path.splitext(output)[1].lower())
    if form is None:
        raise UsageError(f"-o {output}: end the name in .pcap or .pcapng, or say --format pcap or pcapng")
    return form
