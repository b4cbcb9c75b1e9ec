"""What every command shares: its arguments and options, errors as one line, progress."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from tcpscope.tables.analysis import DEFAULT_MSL, Analysis, Progress, check_usable
from tcpscope.tables.filters import Wanted, moment
from tcpscope.tables.write import FORMATS

Command = TypeVar("Command", bound=Callable[..., Any])


def stack(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def apply(function: Command) -> Command:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def format_option(*forms: str) -> Callable[[Command], Command]:
    return click.option("--format", "form", type=click.Choice(forms or FORMATS), default="table", show_default=True)


files = click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path())

common = stack(
    click.option("-o", "--output", metavar="FILE", help="Write to FILE (only when all went well)."),
    click.option("--msl", type=click.FloatRange(min=0), default=DEFAULT_MSL, show_default=True, metavar="SECONDS",
                 help="Maximum segment lifetime: TIME_WAIT lasts twice as long. Linux: 30; RFC 9293: 120."),
    click.option("--by-tunnel", is_flag=True, help="VLAN and tunnel identifiers tell connections apart."),
    click.option("--utc/--local", default=True, help="Time zone of times shown.  [default: utc]"),
    click.option("--strict", is_flag=True, help="Exit with 2 where a capture is damaged, instead of warning."),
    click.option("-q", "--quiet", is_flag=True, help="No warnings, no progress."),
    click.option("-v", "--verbose", is_flag=True, help="Say on stderr what was read."),
)  # fmt: skip

filters = stack(
    click.option("--host", "hosts", multiple=True, metavar="IP|NET", help="Either end in this address or network."),
    click.option("--port", "ports", multiple=True, type=click.IntRange(0, 65535), help="Either port."),
    click.option("--state", "states", multiple=True, metavar="STATE", help="Either end in this state."),
    click.option("-c", "--connection", "connections", multiple=True, type=int, metavar="N", help="This connection."),
    click.option("--from", "since", metavar="TIME", help="From here: +SECONDS, epoch seconds, or ISO 8601."),
    click.option("--to", "until", metavar="TIME", help="Up to here."),
)


def wanted(result: Analysis, options: dict[str, Any]) -> Wanted:
    """The filters of the command line; +SECONDS count from the capture's first packet."""
    times = [it["first_ns"] for it in result.files if it.get("first_ns") is not None]
    start = min(times) / 1e9 if times else 0.0
    since, until = options.pop("since"), options.pop("until")
    return Wanted(
        **{name: tuple(options.pop(name)) for name in ("hosts", "ports", "states", "connections")},
        annotations=tuple(options.pop("annotations", ())),
        since=None if since is None else moment(since, start),
        until=None if until is None else moment(until, start),
    )


def warn(result: Analysis, strict: bool, quiet: bool) -> None:
    """Tell what is damaged: a warning a file, an error with --strict or where nothing could be read."""
    check_usable(result)
    if strict and result.warnings:
        from tcpscope.errors import CaptureError

        raise CaptureError(result.warnings[0])
    if not quiet:
        for line in result.warnings:
            click.echo(f"Warning: {line}", err=True)


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


def tell_read(result: Analysis, verbose: bool) -> None:
    if verbose:
        for name, it in zip(result.names, result.files, strict=False):
            click.echo(f"{os.path.basename(name)}: {it.get('packets', 0):,} packets, {it.get('format')}", err=True)
        for name in result.skipped:
            click.echo(f"skipped: {name} is not a capture", err=True)
