"""Run programs in turn and note what each costs."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = Path(__file__).with_name("launch.py")
TCPSCOPE = (sys.executable, "-m", "tcpscope")


@dataclass(frozen=True)
class Cost:
    """Seconds of wall and of processor (all its threads and children), bytes at the peak."""

    wall: float
    cpu: float
    memory: int


@dataclass(frozen=True)
class Program:
    """A command on one capture.

    `stdin` is opened for it; `output` takes what it prints (default: nowhere) and is removed.  `times`: runs in
    a row when its turn comes, for what is over too soon.
    """

    name: str
    words: tuple[str, ...]
    packets: int
    stdin: Path | None = None
    output: Path | None = None
    times: int = 1

    def missing(self) -> str:
        """Why it cannot run here; empty: it can."""
        return "" if shutil.which(self.words[0]) else f"{self.words[0]} is not installed"


@dataclass
class Measured:
    """All runs of a program."""

    program: Program
    runs: list[Cost] = field(default_factory=list)
    skipped: str = ""

    def summary(self) -> dict[str, Any]:
        told: dict[str, Any] = {"name": self.program.name, "packets": self.program.packets}
        if self.skipped:
            return told | {"skipped": self.skipped}
        return told | {
            "wall": {"min": min(it.wall for it in self.runs), "median": statistics.median(it.wall for it in self.runs)},
            "cpu": {"min": min(it.cpu for it in self.runs), "median": statistics.median(it.cpu for it in self.runs)},
            "memory": max(it.memory for it in self.runs),
            "runs": [asdict(it) for it in self.runs],
        }


class FailedError(Exception):
    """The program ended with an error; its last line."""


def run(program: Program) -> Cost:
    """Once, from start to end; FailedError if it does not end well."""
    stdin = program.stdin.open("rb") if program.stdin else subprocess.DEVNULL
    stdout = program.output.open("wb") if program.output else subprocess.DEVNULL
    from_child, to = os.pipe()
    words = [sys.executable, "-I", "-S", str(LAUNCH), str(to), *program.words]
    with open(from_child, "rb") as told, tempfile.TemporaryFile() as errors:
        try:
            subprocess.run(words, stdin=stdin, stdout=stdout, stderr=errors, cwd=ROOT, pass_fds=[to], check=False)
        finally:
            os.close(to)
            for it in (stdin, stdout):
                if not isinstance(it, int):
                    it.close()
        code, wall, cpu, memory = told.read().split() or (b"1", b"0", b"0", b"0")
        if int(code):
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
            raise FailedError((said.splitlines() or [f"exit code {int(code)}"])[-1])
    return Cost(float(wall), float(cpu), int(memory) * (1 if sys.platform == "darwin" else 1024))


def floor() -> int:
    """The least peak memory that can be told, bytes: that of the process that starts the programs."""
    return run(Program("true", ("true",), 0)).memory


def warm(path: Path) -> None:
    """Read a file, so that all find it in memory."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def alternate(programs: Iterable[Program], rounds: int) -> list[Measured]:
    """Each once, in order, and so `rounds` times: what slows the machine slows all of them."""
    table = [Measured(it, skipped=it.missing()) for it in programs]
    for turn in range(rounds):
        for it in table:
            if it.skipped:
                continue
            try:
                it.runs += [run(it.program) for _ in range(it.program.times)]
            except FailedError as error:
                it.skipped = str(error)
                continue
            finally:
                if it.program.output is not None:
                    it.program.output.unlink(missing_ok=True)
            print(f"{turn + 1}/{rounds} {it.program.name:<44} {it.runs[-1].wall:9.3f} s", file=sys.stderr, flush=True)
    for it in table:
        if it.skipped:
            print(f"skipped: {it.program.name}: {it.skipped}", file=sys.stderr)
    return table
