"""What these tests share: tshark or a skip, captures from ladder scripts, commands as real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..ladder import build
from ..ladder.script import parse

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "tests" / "scripts"
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

Capture = Callable[[str], Path]


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    """The capture of a script, by its path below tests/scripts without the suffix."""

    def written(name: str) -> Path:
        path = tmp_path / f"{name.replace('/', '-')}.pcap"
        build.write(parse((SCRIPTS / f"{name}.txt").read_text(encoding="utf-8")), path)
        return path

    return written


def run(*arguments: str | Path, data: bytes | None = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """`tcpscope ARGUMENTS` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tcpscope", *map(str, arguments)],
        input=data, capture_output=True, env={**os.environ, "COLUMNS": "132", **environment}, cwd=ROOT, check=False,
    )  # fmt: skip
