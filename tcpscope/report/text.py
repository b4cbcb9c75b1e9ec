"""Values as a person reads them, and text from a capture made harmless for a terminal."""

from __future__ import annotations

import os
import unicodedata
from datetime import UTC, datetime


def safe(text: str) -> str:
    """Control characters, escapes and bidirectional marks shown as \\xNN or \\uNNNN."""
    if text.isprintable() and text.isascii():
        return text
    out = []
    for char in text:
        if char.isprintable() and unicodedata.category(char) not in ("Cf", "Cc", "Co", "Cs", "Zl", "Zp"):
            out.append(char)
        else:
            code = ord(char)
            out.append(f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
    return "".join(out)


def named(path: str) -> str:
    """A capture by its file's name; not made harmless."""
    return "standard input" if path == "-" else os.path.basename(path) or path


def size(count: float) -> str:
    """`812 B`, `1.4 kB`, `23 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 9.95 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def span(seconds: float | None) -> str:
    """`312 µs`, `48.2 ms`, `3.21 s`, `2 min 5 s`, `1 h 2 min`."""
    if seconds is None:
        return "-"
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms" if seconds < 0.09995 else f"{seconds * 1e3:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{(hours + minutes / 60) / 24:.1f} days"


def clock(seconds: float, utc: bool) -> str:
    """Date and time of day, microseconds; UTC or local."""
    try:
        when = datetime.fromtimestamp(seconds, UTC if utc else None)
    except (OverflowError, OSError, ValueError):
        return f"{seconds:.6f} s"
    return when.strftime("%Y-%m-%d %H:%M:%S.%f") + (" UTC" if utc else "")
