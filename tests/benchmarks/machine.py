"""Where and with what a measurement was made."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PROGRAMS = {
    "capinfos": ("capinfos", "--version"),
    "tshark": ("tshark", "--version"),
    "tcptrace": ("tcptrace", "-v"),
    "gzip": ("gzip", "--version"),
    "zstd": ("zstd", "--version"),
    "valgrind": ("valgrind", "--version"),
}
LIBRARIES = ("nfstream", "dpkt", "scapy", "pyshark")


def processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found.group(1) if found else platform.processor() or platform.machine()


def version(words: tuple[str, ...]) -> str | None:
    if not shutil.which(words[0]):
        return None
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
    return found.group(0) if found else "unknown"


def library(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def load() -> float | None:
    """How many processes wanted to run, of late; None where nobody counts."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def describe() -> dict[str, Any]:
    versions = {name: version(words) for name, words in PROGRAMS.items()} | {it: library(it) for it in LIBRARIES}
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "versions": {name: it for name, it in versions.items() if it},
    }
