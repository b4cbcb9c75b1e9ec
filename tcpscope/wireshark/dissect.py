"""One packet in full, as Wireshark dissects it.

The tshark that pyshark finds is run directly, not through pyshark's FileCapture: that one keeps an
asyncio event loop, which a second call, a thread without a loop, or a caller's running loop breaks,
and it warns on stderr when it is collected.  A process has none of these.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tcpscope.capture.sources import Source
from tcpscope.errors import CaptureError, UsageError
from tcpscope.report.text import safe
from tcpscope.wireshark.tshark import Tshark, complaint, on_disk


def dissect(source: Source, frame: int, tshark: Tshark) -> list[str]:
    """The lines of `tshark -V` for this frame (from 1), control characters made visible."""
    text = _ask(source, frame, tshark, "-V")
    return [safe(line) for line in text.rstrip("\n").split("\n")]


def dissect_json(source: Source, frame: int, tshark: Tshark) -> dict[str, Any]:
    """The same as data: the layers of `tshark -T json`, field names as in Wireshark's display filters."""
    found: list[dict[str, Any]] = json.loads(_ask(source, frame, tshark, "-T", "json", "--no-duplicate-keys"))
    layers: dict[str, Any] = found[0]["_source"]["layers"]
    return layers


def _ask(source: Source, frame: int, tshark: Tshark, *form: str) -> str:
    """What tshark prints of the frame.  All frames before it are read too: what it says depends on them.

    The user's own preferences hold, keys and dissectors included; names are not resolved.
    """
    with on_disk(source) as path:
        command = [tshark.path, "-n", "-r", path, "-c", str(frame), "-Y", f"frame.number == {frame}", *form]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        said = done.stdout.decode("utf-8", "replace")
        if said.strip() not in ("", "[]", "[\n\n]"):
            return said
        why = complaint(done.stderr, path) if done.returncode else ""
    if why:
        raise CaptureError(f"{safe(source.name)}: no frame {frame}; tshark: {why}")
    raise UsageError(f"no frame {frame} in {safe(source.name)}: it has fewer (frames count from 1)")
