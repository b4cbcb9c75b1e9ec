"""Asking tshark: found through pyshark, read as fields.

pyshark knows where tshark is and which version; its packet objects, made from XML one by one,
are left alone here, because a capture of any size would take minutes.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

from tcpscope.errors import CaptureError, UsageError
from tcpscope.replay.layout import WIRESHARK

FIELDS = ("frame.number", "tcp.stream", "tcp.seq_raw", "tcp.ack_raw", "tcp.len", "tcp.flags",
          "tcp.window_size_value", "ip.proto")  # fmt: skip
MARKS = tuple("tcp.analysis." + word for word in WIRESHARK)
RULES_OF = "4.0"  # the version whose rules the column `wireshark` follows


def find() -> tuple[str, str]:
    """tshark's path and version; UsageError with the way to install it where it is missing."""
    from pyshark.tshark import tshark

    try:
        path = tshark.get_process_path()
        return path, str(tshark.get_tshark_version(path))
    except (tshark.TSharkNotFoundException, tshark.TSharkVersionException, OSError) as error:
        if isinstance(error, tshark.TSharkNotFoundException):
            raise UsageError("tshark is not installed; on Debian: apt-get install tshark") from None
        raise UsageError(f"tshark does not run: {str(error).splitlines()[0]}") from None


def environment(folder: str) -> dict[str, str]:
    """Without personal preferences, which could change the analysis."""
    return {**os.environ, "HOME": folder, "XDG_CONFIG_HOME": folder, "LC_ALL": "C.UTF-8"}


def fields(path: str) -> Iterator[dict[str, Any]]:
    """For each frame with one readable TCP header: frame, stream, seq_raw …, and `marks`, a set of names.

    One pass, names not resolved, default preferences.
    """
    program, _ = find()
    command = [program, "-n", "-r", path, "-Y", "tcp", "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]
    for field in FIELDS + MARKS:
        command += ["-e", field]
    with (
        tempfile.TemporaryDirectory(prefix="tcpscope-") as folder,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(folder), text=True
        ) as process,
    ):
        assert process.stdout is not None and process.stderr is not None
        found = False
        for line in process.stdout:
            found = True
            row = _row(line.rstrip("\n").split("\t"))
            if row is not None:
                yield row
        said = [text for text in process.stderr.read().splitlines() if text and not text.startswith("Running as")]
        if process.wait() and not found:
            raise CaptureError(f"{path}: tshark cannot read it: {said[0] if said else 'no reason given'}")


def _row(cells: list[str]) -> dict[str, Any] | None:
    """None where the header is cut, or a frame holds several (an ICMP error's quote, a tunnel's two)."""
    frame, stream, seq, ack, length, flags, window, _ = cells[: len(FIELDS)]
    if "," in stream or not (stream and seq and length and flags and window):
        return None
    marks = {word for word, cell in zip(WIRESHARK, cells[len(FIELDS) :], strict=True) if cell}
    if marks & {"fast_retransmission", "spurious_retransmission"}:
        marks.add("retransmission")  # 4.0 sets both; other versions may not
    return {
        "frame": int(frame),
        "stream": int(stream),
        "seq_raw": int(seq),
        "ack_raw": int(ack or 0),
        "length": int(length),
        "flags": int(flags, 16) & 0x1FF,
        "window_raw": int(window),
        "marks": marks,
    }
