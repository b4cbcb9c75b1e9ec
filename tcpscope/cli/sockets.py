"""`tcpscope sockets`: both hosts' sockets at a moment."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from tcpscope.cli.common import (
    NUMBER,
    Seconds,
    common,
    files,
    progress,
    read,
    refuse_overwriting,
    warn,
)
from tcpscope.cli.forms import format_option
from tcpscope.cli.words import Words
from tcpscope.errors import UsageError, no_connection
from tcpscope.replay.layout import STATES
from tcpscope.tables.analysis import locate
from tcpscope.tables.analysis import packets as read_packets

if TYPE_CHECKING:
    from tcpscope.tables.past import Past
    from tcpscope.tables.sockets import Wanted


@click.command("sockets")
@files
@click.option("--at", metavar="TIME|frame:N|+SECONDS", help="Which moment: epoch seconds or ISO 8601, just after a "
              "frame, or so long after the start.  [default: the end of the capture]")  # fmt: skip
@format_option("table", "json", "jsonl", "csv")
@click.option("--host", "hosts", multiple=True, metavar="IP|NET", help="Only hosts in this address or network.")
@click.option("--port", "ports", multiple=True, type=click.IntRange(0, 65535), metavar="PORT", help="Either port.")
@click.option("--state", "states", multiple=True, type=Words(STATES), metavar="STATE",
              help="Only sockets in this state, by the RFC's name or by ss's.")  # fmt: skip
@click.option(
    "-c", "--connection", "connections", multiple=True, type=NUMBER, metavar="N", help="Only this connection."
)
@click.option("--no-listen", is_flag=True, help="Leave out listening sockets, which are inferred.")
@click.option("--count", is_flag=True, help="How many sockets in which state, through time.")
@click.option("--every", type=Seconds(min_open=True), metavar="SECONDS", help="Step of --count.")
@click.option("--watch", is_flag=True, help="Step through the moments at which something changes.")
@common
def command(files: tuple[str, ...], **options: Any) -> None:
    """Both hosts' sockets at a moment of the capture, as `ss -tan -o` would have listed them.

    \b
    Examples:
      tcpscope sockets capture.pcap --at +2.5
      tcpscope sockets capture.pcap --at frame:120 --host 10.0.0.2
      tcpscope sockets capture.pcap --count --every 1 --format csv
      tcpscope sockets capture.pcap --watch -c 3

    States are the replay's. Send-Q is what was sent and not acknowledged: what the program has written but TCP
    has not sent yet is not on the wire. Recv-Q (~) is estimated from the window, by how much smaller it is than
    at its largest. Timers are estimates: retransmission by RFC 6298 with Linux's floor of 200 ms and its probe
    of the tail, keep-alive as observed, TIME-WAIT by --msl. LISTEN is inferred from answers to a SYN.
    """
    if options["count"] and (options["at"] or options["watch"]):
        raise UsageError("--count is about all the capture: give neither --at nor --watch with it")
    if options["every"] and not options["count"]:
        raise UsageError("--every is the step of --count")
    wanted = _wanted(options)
    if options["count"]:
        _count(files, wanted, options)
    elif options["watch"]:
        _watch(files, wanted, options)
    else:
        _show(files, wanted, options)


def _wanted(options: dict[str, Any]) -> Wanted:
    from tcpscope.tables.filters import bits, networks
    from tcpscope.tables.sockets import RFC_NAMES, Wanted

    states = tuple(RFC_NAMES.get(it.upper().replace("_", "-"), it) for it in options["states"])
    return Wanted(tuple(networks(options["hosts"])), options["connections"], options["ports"],
                  bits(states, STATES, "state"), not options["no_listen"])  # fmt: skip


def _show(files: tuple[str, ...], wanted: Wanted, options: dict[str, Any]) -> None:
    from tcpscope.tables.sockets import KEYS, snapshot

    found = locate(files)
    refuse_overwriting(found, options["output"])
    with progress(options["quiet"]) as show:
        result, chunks = read_packets(
            found, msl=options["msl"], by_tunnel=options["by_tunnel"], threads=options["threads"], progress=show
        )
        moment, rows, past = snapshot(result, chunks, _at(options), options["msl"], wanted)
    for number in wanted.connections:
        if number >= past.count:
            raise no_connection(number, past.count)
    warn(result, options)
    from tcpscope.report import sockets as report
    from tcpscope.tables.moments import bounds

    head = report.heading(moment, bounds(result)[0], result, options["utc"])
    _write(rows, KEYS, lambda: chain(head, report.lines(list(rows), _hosts(past, wanted))), options)


def _at(options: dict[str, Any]) -> str | None:
    from tcpscope.tables.filters import zoned

    return None if options["at"] is None else zoned(options["at"], options["utc"])


def _hosts(past: Past, wanted: Wanted) -> dict[str, tuple[int, int, bool]]:
    return {host: it for host, it in past.parts(wanted.connections).items() if wanted.host(host)}


def _count(files: tuple[str, ...], wanted: Wanted, options: dict[str, Any]) -> None:
    from tcpscope.report.sockets import count_lines
    from tcpscope.tables.moments import bounds
    from tcpscope.tables.socket_counts import KEYS, counts

    result = read(locate(files), options)
    begin, _ = bounds(result)
    rows = counts(result, options["every"], wanted)
    _write(rows, KEYS, lambda: count_lines(rows, begin, options["utc"]), options)


def _write(rows: Any, keys: tuple[str, ...], lines: Any, options: dict[str, Any]) -> None:
    """In the format and to the place that the options name."""
    from tcpscope.tables.output import destination
    from tcpscope.tables.write import write_rows

    form = options["form"]
    with destination(options["output"]) as stream:
        if form in ("json", "jsonl"):
            write_rows(rows, form, stream)
        elif form == "csv":
            from tcpscope.tables.listing import write_listing

            write_listing(keys, rows, stream)
        else:
            from tcpscope.report.sockets import write

            if options["output"] is None and sys.stdout.isatty():
                write(lines(), sys.stdout)
                return
            text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
            try:
                write(lines(), text)
                text.flush()
            finally:
                text.detach()


def _watch(files: tuple[str, ...], wanted: Wanted, options: dict[str, Any]) -> None:
    from tcpscope.tables.changes import Story
    from tcpscope.tables.sockets import KEYS

    found = locate(files)
    refuse_overwriting(found, options["output"])
    with progress(options["quiet"]) as show:
        result, chunks = read_packets(
            found, msl=options["msl"], by_tunnel=options["by_tunnel"], threads=options["threads"], progress=show
        )
        story = Story(result, chunks, options["msl"], wanted)
    warn(result, options)
    from tcpscope.report.watch import blocks, watch

    if options["form"] == "table" and options["output"] is None and sys.stdout is not None and sys.stdout.isatty():
        watch(story, options["utc"], story.nearest(options["at"]) if options["at"] else 0)
        return
    if options["at"]:
        raise UsageError("--watch --at is for a terminal; in a pipe or a file every change is told")
    rows = (row for step in story.steps for row in story.sockets(step, step.connection))
    _write(rows, KEYS, lambda: blocks(story), options)
