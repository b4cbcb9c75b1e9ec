"""One packet in full, as Wireshark shows it."""

from __future__ import annotations

import subprocess
import tempfile

from tcpscope.errors import CaptureError, UsageError
from tcpscope.wireshark.tshark import environment, find

SECONDS = 300


def dissect(path: str, frame: int, as_json: bool = False) -> str:
    """tshark's tree of the frame (from 1), as text or JSON; UsageError if the file has no such frame."""
    program, _ = find()
    form = ["-T", "json"] if as_json else ["-V"]
    command = [program, "-n", "-r", path, "-c", str(frame), "-Y", f"frame.number == {frame}", *form]
    with tempfile.TemporaryDirectory(prefix="tcpscope-") as folder:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment(folder), timeout=SECONDS,
            check=False,
        )  # fmt: skip
    if not done.stdout.strip() or done.stdout.strip() == "[]" or done.stdout.split() == ["[", "]"]:
        said = [text for text in done.stderr.splitlines() if text and not text.startswith("Running as")]
        if done.returncode and said:
            raise CaptureError(f"{path}: tshark cannot read it: {said[0]}")
        raise UsageError(f"{path} has no frame {frame}")
    return done.stdout
