"""Captures that are read more than once: what a pipe gave is kept in memory, within a limit."""

from __future__ import annotations

import os
from io import BytesIO
from typing import BinaryIO, cast

from tcpscope.capture.sources import STDIN, Source, Sources
from tcpscope.errors import UsageError

MOST = 256 << 20  # bytes of a pipe that are kept, as they come (compressed ones stay compressed)


def rereadable(found: Sources, most: int = MOST) -> Sources:
    """The same captures; those that can be read only once are read now.  UsageError past `most` bytes."""
    return found._replace(captures=[it if is_file(it) else _kept(it, most) for it in found.captures])


def is_file(source: Source) -> bool:
    """Whether the source can be opened again."""
    return source.name != STDIN and os.path.isfile(source.name)


def _kept(source: Source, most: int) -> Source:
    data = bytearray()
    stream = source.opener()
    try:
        while part := stream.read(1 << 20):
            data += part
            if len(data) > most:
                raise UsageError(
                    f"{source.name}: more than {most >> 20} MB come through this pipe, which is to be read several "
                    "times: write it to a file first"
                )
    finally:
        stream.close()
    return Source(source.name, lambda: cast(BinaryIO, BytesIO(data)), source.explicit)


def called(paths: list[str]) -> list[str]:
    """What the captures are called in comments: their names without the folder, if that tells them apart."""
    names = ["standard input" if path == STDIN else os.path.basename(path) for path in paths]
    return names if len(set(names)) == len(names) else paths
