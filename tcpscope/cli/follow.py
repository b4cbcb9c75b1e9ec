"""`tcpscope follow`: the bytes that each side of a connection sent."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from tcpscope.cli.common import common, files, progress, refuse_overwriting, warn
from tcpscope.cli.forms import format_option
from tcpscope.errors import UsageError
from tcpscope.tables.analysis import locate

if TYPE_CHECKING:
    from tcpscope.tables.streams import Followed

SIDES = ("client", "server")


@click.command("follow")
@files
@click.option(
    "-c", "--connection", type=click.IntRange(min=0), metavar="N", help="Which connection, where there are several."
)
@click.option("--client", is_flag=True, help="What the client sent.")
@click.option("--server", is_flag=True, help="What the server sent.")
@format_option("text", "hex", "raw", "json", "jsonl")
@click.option(
    "--gaps",
    type=click.Choice(["skip", "zero", "fail"]),
    default="skip",
    show_default=True,
    help="Of raw bytes: leave missing ones out, write zero bytes, or give up.",
)
@click.option(
    "--framing", metavar="HOW", help="Messages against segments: length-prefix:4, delimiter:'\\r\\n' or fixed:N."
)
@click.option("--max-bytes", type=click.IntRange(min=0), metavar="N", help="Stop after N bytes.")
@common
def command(
    files: tuple[str, ...],
    connection: int | None,
    client: bool,
    server: bool,
    form: str,
    gaps: str,
    max_bytes: int | None,
    framing: str | None,
    **options: Any,
) -> None:
    """The bytes that each side of a connection sent, in order, once, with what is missing marked.

    \b
    Examples:
      tcpscope follow capture.pcap -c 3
      tcpscope follow capture.pcap -c 3 --client --format hex
      tcpscope follow capture.pcap -c 3 --server --format raw -o answer.bin
      tcpscope follow capture.pcap -c 3 --framing length-prefix:4,little
      tcpscope follow capture.pcap -c 3 --format jsonl | jq -r 'select(.side == "client").text'

    Both sides in turns, in the order in which they were delivered. Bytes sent again are shown once; copies that
    differ are shown apart. Text is UTF-8; what cannot be printed is escaped (\\xNN), CR LF ends a line as LF does.
    Streams of any length: memory does not grow. A pipe is kept in memory, up to 256 MB.
    """
    found = locate(files)
    output = options["output"]
    refuse_overwriting(found, output)
    sides = (client or not server, server or not client)
    if form == "raw":
        if all(sides):
            raise UsageError("raw bytes are those of one side: add --client or --server")
        if output in (None, "-") and sys.stdout is not None and sys.stdout.isatty():
            raise UsageError("raw bytes are not for a terminal: use -o FILE, or --format text or hex")
    elif gaps != "skip":
        raise UsageError("--gaps is for --format raw; the other formats mark what is missing")
    if framing is not None:
        if form not in ("text", "json", "jsonl") or max_bytes is not None:
            raise UsageError("--framing is for --format text, json or jsonl, and without --max-bytes")
        from tcpscope.tables.framing import framer

        framer(framing)
    from tcpscope.tables.again import called, rereadable
    from tcpscope.tables.output import destination
    from tcpscope.tables.streams import Followed, one_connection

    found = rereadable(found)
    with progress(options["quiet"]) as show:
        result, record = one_connection(found, connection, msl=options["msl"], by_tunnel=options["by_tunnel"],
                                        threads=options["threads"], progress=show)  # fmt: skip
    warn(result, options)
    followed = Followed(found, record, by_tunnel=options["by_tunnel"], sides=sides, merge=form == "raw")
    names = called(result.names)
    with destination(output) as stream:
        if framing is not None:
            write_framed(followed, framing, form, stream)
        elif form == "raw":
            write_raw(followed, gaps, max_bytes, stream, options["quiet"])
        elif form in ("json", "jsonl"):
            write_json(followed, names, max_bytes, form == "jsonl", stream)
        else:
            write_text(followed, names, max_bytes, form == "hex", output, options["utc"], stream)


def write_raw(followed: Followed, gaps: str, most: int | None, stream: BinaryIO, quiet: bool) -> None:
    """One side's bytes; what is not among them is said on stderr."""
    from tcpscope.report.follow import summary
    from tcpscope.tables.streams import raw

    for part in raw(followed, gaps, most):
        stream.write(part)
    if quiet or most is not None:
        return
    counts = followed.counts()
    for side, line in summary(counts):
        count = counts[side]
        if any(count[name] for name in count if name not in ("bytes", "duplicate", "copies", "probes")):
            filled = " (zero bytes in their place)" if gaps == "zero" and count["missing"] + count["cut"] else ""
            click.echo(f"Warning: {line}{filled}", err=True)


def write_text(
    followed: Followed, names: list[str], most: int | None, as_hex: bool, output: str | None, utc: bool,
    stream: BinaryIO,
) -> None:  # fmt: skip
    """Turns as lines, coloured on a terminal."""
    from io import TextIOWrapper

    from tcpscope.replay.layout import CONNECTION
    from tcpscope.report.follow import Writer
    from tcpscope.report.turns import Limited

    colour = output is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    record = next(CONNECTION.dicts(followed.record))
    writer = Writer(record, names, colour=colour, utc=utc, as_hex=as_hex)

    def lines() -> Iterator[str]:
        yield from writer.head()
        spoken = Limited(followed.pieces(), most)
        for turn in spoken.turns():
            yield from writer.turn(turn)
        yield from writer.end(followed.counts(), most if spoken.stopped else None)

    text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
    try:
        text.writelines(line + "\n" for line in lines())
        text.flush()
    finally:
        text.detach()


def write_json(followed: Followed, names: list[str], most: int | None, lines: bool, stream: BinaryIO) -> None:
    """Turns as objects."""
    from tcpscope.replay.layout import CONNECTION
    from tcpscope.report import follow_json
    from tcpscope.report.turns import Limited

    spoken = Limited(followed.pieces(), most)
    follow_json.write(
        follow_json.connection(next(CONNECTION.dicts(followed.record))),
        (follow_json.turn(turn, names) for turn in spoken.turns()),
        lambda: follow_json.summary(followed.counts(), spoken.stopped),
        lines,
        stream,
    )


def write_framed(followed: Followed, framing: str, form: str, stream: BinaryIO) -> None:
    """Messages against segments: lines for people, or a row for each of both."""
    from io import TextIOWrapper

    from tcpscope.tables.framing import Framed
    from tcpscope.tables.rows import rows

    framed = Framed(followed.pieces(), framing)
    if form != "text":
        from tcpscope.replay.layout import CONNECTION
        from tcpscope.report import follow_json

        head = follow_json.connection(next(CONNECTION.dicts(followed.record)))
        follow_json.write(head, framed.rows(), framed.summary, form == "jsonl", stream, "rows")
        return
    from tcpscope.report.framing import lines

    text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
    try:
        text.writelines(line + "\n" for line in lines(next(rows("connections", followed.record)), framed))
        text.flush()
    finally:
        text.detach()
