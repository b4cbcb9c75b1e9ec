"""What every command shares: its arguments and options, errors as one line, progress."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import TextIOWrapper
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tcpscope.capture.sources import STDIN, Sources
from tcpscope.cli.forms import output_option
from tcpscope.cli.words import Words
from tcpscope.errors import CaptureError, UsageError, no_connection
from tcpscope.replay.layout import ANNOTATIONS, STATES
from tcpscope.replay.shares import one_heap
from tcpscope.report.text import safe
from tcpscope.tables.analysis import (
    DEFAULT_MSL,
    MANY_OPEN,
    MOST_MSL,
    Analysis,
    Progress,
    analyse,
    check_usable,
    first_moment,
    readable_once,
    stream,
)  # fmt: skip
from tcpscope.wire.layout import SERVICES

if TYPE_CHECKING:
    from tcpscope.tables.filters import Test, Wanted
    from tcpscope.tables.pipeline import Ended
    from tcpscope.tables.rows import Raw

Command = TypeVar("Command", bound=Callable[..., Any])


def stack(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def apply(function: Command) -> Command:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


files = click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path())


class Seconds(click.FloatRange):
    """So many seconds: no infinity, and not NaN, which lies in every range."""

    def __init__(self, *, min_open: bool = False) -> None:
        super().__init__(min=0, max=MOST_MSL, min_open=min_open)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        if found != found:
            self.fail(f"{value} is no number of seconds.", param, ctx)
        return found


NUMBER = click.IntRange(0, 0xFFFF_FFFF)  # of a connection

common = stack(
    output_option,
    click.option("--msl", type=Seconds(), default=DEFAULT_MSL, show_default=True, metavar="SECONDS",
                 help="Maximum segment lifetime: TIME_WAIT lasts twice as long. Linux: 30; RFC 9293: 120."),
    click.option("--by-tunnel", is_flag=True, help="VLAN and tunnel identifiers tell connections apart."),
    click.option("--threads", type=click.IntRange(1, 16), metavar="N", help="Cores to use.  [default: all]"),
    click.option("--utc/--local", default=True, help="Time zone of times shown.  [default: utc]"),
    click.option("--strict", is_flag=True, help="Exit with 2 where a capture is damaged, instead of warning."),
    click.option("-q", "--quiet", is_flag=True, help="No warnings, no progress."),
    click.option("-v", "--verbose", is_flag=True, help="Say on stderr what was read."),
)  # fmt: skip

bounded = click.option(
    "--max-connections", type=click.IntRange(0, 2**32 - 1), metavar="N",
    help="Connections open at once, at most: beyond, half-open and silent ones are ended, and counted; 0: any number.  "
         f"[default: {MANY_OPEN:,}; where packets are read again, any number]",
)  # fmt: skip


filters = stack(
    click.option("--host", "hosts", multiple=True, metavar="IP|NET", help="Either end in this address or network."),
    click.option("--port", "ports", multiple=True, type=click.IntRange(0, 65535), metavar="PORT",
                 help="Either port."),
    click.option("--state", "states", multiple=True, type=Words(STATES), metavar="STATE",
                 help="Either end in this state."),
    click.option("--annotation", "annotations", multiple=True, type=Words(ANNOTATIONS), metavar="NAME",
                 help="Packets with this annotation; connections with such packets."),
    click.option("-c", "--connection", "connections", multiple=True, type=NUMBER, metavar="N",
                 help="Only this connection (several times for several)."),
    click.option("--from", "since", metavar="TIME", help="From here: +SECONDS, epoch seconds, or a time."),
    click.option("--to", "until", metavar="TIME", help="Up to here."),
)  # fmt: skip


naming = stack(
    click.option("--service", "services", multiple=True, type=Words(SERVICES), metavar="NAME",
                 help="Connections of this service, as the first bytes tell it: tls, http, ssh …"),
    click.option("--name", "names", multiple=True, metavar="PATTERN",
                 help="Connections to a server of this name: example.com, '*.example.com'."),
)  # fmt: skip


def wanted(found: Sources | Analysis, options: dict[str, Any]) -> Wanted:
    """The filters of the command line; +SECONDS count from the capture's first packet."""
    from tcpscope.tables.filters import Wanted, bound

    start = 0
    if any((options[name] or "").startswith("+") for name in ("since", "until")):
        start = _start(found)
    since = None if options["since"] is None else bound(options["since"], start, options["utc"], -1)
    until = None if options["until"] is None else bound(options["until"], start, options["utc"], 1)
    if since is not None and until is not None and since > until:
        raise UsageError("--from is later than --to: no moment lies between them")
    return Wanted(
        **{name: tuple(options[name]) for name in ("hosts", "ports", "states", "annotations", "connections")},
        services=tuple(options.get("services", ())),
        names=tuple(options.get("names", ())),
        since=since,
        until=until,
    )


def _start(found: Sources | Analysis) -> int:
    """When the capture begins, ns."""
    if isinstance(found, Analysis):
        return min((it["first_ns"] for it in found.files if it.get("first_ns") is not None), default=0)
    if readable_once(found):
        raise UsageError("--from and --to with +SECONDS need a file: the start of standard input is not known yet")
    return first_moment(found)


def ended(
    found: Sources, options: dict[str, Any], most_odd: int | None = None, most_plain: int = 0
) -> tuple[Analysis, Iterator[Ended]]:
    """Replay the captures, showing progress: connections as they end, and what is known of the files at the end."""
    refuse_overwriting(found, options["output"])
    shown = {"tell": lambda segments: None}
    one_heap()
    result, chunks = stream(
        found, msl=options["msl"], by_tunnel=options["by_tunnel"], threads=options["threads"],
        progress=lambda segments: shown["tell"](segments), max_connections=options.get("max_connections"),
        most_odd=most_odd, most_plain=most_plain,
    )  # fmt: skip

    def run() -> Iterator[Ended]:
        with progress(options["quiet"]) as show:
            if show is not None:
                shown["tell"] = show
            yield from chunks
        check_usable(result)

    return result, run()


def emit_ended(
    table: str,
    found: Sources,
    options: dict[str, Any],
    widths: dict[str, int] | None = None,
    passing: Sequence[Test] = (),
) -> None:
    """Write the table of connections or events while the capture is read; memory is bounded."""
    from tcpscope.tables.filters import keep
    from tcpscope.tables.rows import in_order

    result, chunks = ended(found, options)
    records = keep(table, in_order(table, (getattr(it, table) for it in chunks)), list(passing))
    first = next(records, b"")  # of most captures that is all: what is wrong is told before anything is written
    complete = bool(result.files)
    if complete:
        warn(result, options)
    emit(table, chain((first,), records), widths or {}, options, result.names)
    if not complete:
        warn(result, options)


def read(found: Sources, options: dict[str, Any]) -> Analysis:
    """Analyse the captures, showing progress; tell what is wrong with them."""
    refuse_overwriting(found, options["output"])
    with progress(options["quiet"]) as show:
        result = analyse(
            found, msl=options["msl"], by_tunnel=options["by_tunnel"], threads=options["threads"], progress=show,
            keep_past=bool(options.get("annotations")),  # a second reading will follow
            max_connections=options.get("max_connections"),
        )  # fmt: skip
    warn(result, options)
    return result


def refuse_overwriting(found: Sources, output: str | None) -> None:
    """UsageError if the output would replace a capture that is being read."""
    if output is not None and os.path.isfile(output):
        for source in found.captures:
            if source.name != STDIN and os.path.samefile(source.name, output):
                raise UsageError(f"-o {output} is the capture itself: name another file")


def emit(
    table: str, chunks: Iterable[Raw], widths: dict[str, int], options: dict[str, Any], paths: Sequence[str] = ()
) -> None:
    """Write packed records in the format and to the place that the options name.

    paths: of the captures; where they are several, and frames are counted anew in each, the table says which.
    """
    from tcpscope.tables.output import destination
    from tcpscope.tables.write import write

    form = options["form"]
    if form == "parquet" and options["output"] is None and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError("parquet is not for a terminal: use -o FILE, or --format table")
    with destination(options["output"]) as stream:
        if form != "table":
            write(table, chunks, form, stream)
            return
        from tcpscope.report.lines import fitted, left_out, print_lines, widened

        names: list[str] = []
        if "frame" in widths and len(paths) > 1:
            from tcpscope.tables.again import called

            names = called(list(paths))
            widths = {"file": min(max(map(len, names)), 30), **widths}
        records = iter(chunks)
        first = next(records, b"")
        widths = widened(table, first, widths)
        shown, screen = widths, options["output"] is None and sys.stdout is not None and sys.stdout.isatty()
        if screen:
            from shutil import get_terminal_size
            from textwrap import fill

            room = get_terminal_size().columns
            shown = fitted(table, widths, room, first)
        text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
        try:
            print_lines(table, chain((first,), records), shown, options["utc"], text, names)
            if without := left_out(widths, shown):
                listed = ", ".join(without)
                text.write(fill(f"no room here for: {listed} (--format csv, json … have every column)", room) + "\n")
            text.flush()
        finally:
            text.detach()


def warn(result: Analysis, options: dict[str, Any]) -> None:
    """Tell what is damaged: a warning a file, an error with --strict or where nothing could be read.

    UsageError for a connection that was asked for and is not there.
    """
    check_usable(result)
    total = result.counters.get("connections")
    for number in options.get("connections") or ():
        if total is not None and number >= total:
            raise no_connection(number, total)
    if options["strict"] and result.warnings:
        raise CaptureError(result.warnings[0])
    if not options["quiet"]:
        for line in result.warnings:
            click.echo(f"Warning: {safe(line)}", err=True)
    if options["verbose"]:
        for name, it in zip(result.names, result.files, strict=False):
            click.echo(
                f"{safe(os.path.basename(name))}: {it.get('packets', 0):,} packets, {it.get('format')}", err=True
            )
        for name in result.skipped:
            click.echo(f"skipped: {safe(name)} is not a capture", err=True)


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Progress | None]:
    """A counter on stderr for long work, on a terminal only."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    last = began = time.monotonic()

    def show(segments: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 0.2 and now - began >= 1:
            last = now
            sys.stderr.write(f"\r{segments:,} segments, {segments / (now - began) / 1e6:.1f} million a second ")
            sys.stderr.flush()

    yield show
    if last != began:
        sys.stderr.write("\r\x1b[K")
