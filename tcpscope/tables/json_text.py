"""JSON by orjson, with nothing a terminal obeys: marks of direction and C1 controls are written as \\uNNNN."""

from __future__ import annotations

import re
from typing import Any

# C1 controls; U+061C, 200B to 200F, 2028 to 202E, 2060 to 206F, FEFF; in UTF-8
OBEYED = re.compile(rb"\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf|\x7f")


def dumps(value: Any, *, indent: bool = False, newline: bool = False) -> bytes:
    """`value` as one JSON text; it reads back as the same."""
    import orjson

    text = orjson.dumps(value, option=indent * orjson.OPT_INDENT_2 | newline * orjson.OPT_APPEND_NEWLINE)
    return OBEYED.sub(_escaped, text)


def _escaped(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())
