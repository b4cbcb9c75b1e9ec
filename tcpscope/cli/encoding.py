"""Output that is not UTF-8: what its encoding does not have is written in plain characters, never a traceback."""

from __future__ import annotations

import codecs
import sys
from io import TextIOWrapper

HANDLER = "tcpscope.plain"
PLAIN = dict(zip("→←▶◀↔↑↓─│╎╌┈┇⋮…·✗✓µ≤≥–—½Δ█▓▒░▲▴▼▾●○•×", "><><-^v-||~.!:..xvu<>--/d##%:^^vv*o*x", strict=True))


def plain(error: UnicodeError) -> tuple[str, int]:
    """For `codecs`: one character for each, so that columns stay under each other."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(it, "?") for it in error.object[error.start : error.end]), error.end


def plainly() -> None:
    """Let stdout and stderr write anything, whatever their encoding."""
    codecs.register_error(HANDLER, plain)
    for stream in (sys.stdout, sys.stderr):
        encoding = getattr(stream, "encoding", None) or "utf-8"
        if isinstance(stream, TextIOWrapper) and codecs.lookup(encoding).name != "utf-8":
            stream.reconfigure(errors=HANDLER)
