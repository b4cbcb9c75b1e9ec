"""The captures that are measured, made once and kept in the cache folder.

The workload is one recording of real kernel connections, never a copy laid end to end.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .measure import ROOT

GLOBAL_HEADER, RECORD = 24, struct.Struct("<8xI4x")


class UnableError(Exception):
    """What is missing to make a capture."""


def once(path: Path, make: Callable[[Path], None]) -> Path:
    """The file, made if it is not there; a half-made one never has its name."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"making {path.name}", file=sys.stderr, flush=True)
        part = path.with_name(path.name + ".part")
        make(part)
        part.rename(path)
    return path


def workload(cache: Path, packets: int) -> Path:
    """About `packets` packets of real connections; what is known of them stands in the .json beside it."""
    return once(cache / f"workload-{packets}.pcap", lambda part: record(part, packets))


def facts(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return found


def record(path: Path, packets: int) -> None:
    """By a process of its own, as it grows large.  UnableError without root or tools."""
    if os.geteuid():
        raise UnableError("network namespaces and captures need root; run `workload` with sudo")
    for tool in ("ip", "tcpdump"):
        if not shutil.which(tool):
            raise UnableError(f"{tool} is not installed")
    words = [sys.executable, "-m", "tests.benchmarks.recording", str(path), str(packets)]
    subprocess.run(words, cwd=ROOT, check=True)


def part(whole: Path, packets: int) -> Path:
    """The first packets of a capture."""
    return once(whole.with_name(f"{whole.stem}-first-{packets}.pcap"), lambda to: cut(whole, packets, to))


def cut(whole: Path, packets: int, to: Path) -> None:
    with whole.open("rb") as source, to.open("wb") as target:
        target.write(source.read(GLOBAL_HEADER))
        for _ in range(packets):
            head = source.read(RECORD.size)
            if len(head) < RECORD.size:
                break
            target.write(head + source.read(RECORD.unpack(head)[0]))


def compressed(whole: Path, program: str, suffix: str) -> Path | None:
    """By gzip or zstd, at its usual level; None where it is not installed."""
    if not shutil.which(program):
        return None

    def make(to: Path) -> None:
        with whole.open("rb") as source, to.open("wb") as target:
            subprocess.run([program, "-c"], stdin=source, stdout=target, check=True)

    return once(whole.with_name(whole.name + suffix), make)


def synthetic(cache: Path, shape: str, packets: int, connections: int = 0) -> Path:
    """One of `synthetic.py`, made by a process of its own: numpy would make this one large."""

    def make(to: Path) -> None:
        words = [sys.executable, "-m", "tests.benchmarks.synthetic", shape, str(packets), str(connections), str(to)]
        subprocess.run(words, cwd=ROOT, check=True)

    return once(cache / f"{shape}-{packets}{f'-{connections}' if connections else ''}.pcap", make)
