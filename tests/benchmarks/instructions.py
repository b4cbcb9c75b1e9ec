"""Instructions per packet of the core, as callgrind counts them, against the recorded figures.

A count is the same on a busy machine and an idle one.  It is not the same for another compiler, another
optimisation or another processor family, nor quite for another Python (the compiled modules are
C against its headers): the recorded figures name their build, and a build without figures is told, not judged.
gcc's minor version, the Cython release and the C library's choice of memcpy() move a figure by a
percent or two, well inside `TOLERANCE`, and are not told apart.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from . import fixed
from .measure import ROOT

RECORDED = Path(__file__).with_name("instructions.json")
TOLERANCE = 0.10
# callgrind counts `rep movsb` byte by byte, and the C library uses it on some processors only
COPIES = "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000"
TOTALS = re.compile(r"^totals: (\d+)", re.M)

Figures = dict[str, float]


class NotCountedError(Exception):
    """Why there is no count here."""


def build() -> dict[str, Any]:
    """What compiled the core: the compiler's mark in the module itself, and how Python's modules are built."""
    from tcpscope.replay import engine

    mark = re.search(rb"GCC: \([^)]*\) (\d+)\.", Path(engine.__file__).read_bytes())
    flags = (sysconfig.get_config_var("CFLAGS") or "").split() + os.environ.get("CFLAGS", "").split()
    levels = [it for it in flags if it.startswith("-O")][-1:]  # the last one counts
    others = sorted({it for it in flags if it.startswith(("-m", "-fsanitize", "-flto"))})
    return {
        "machine": platform.machine(),
        "gcc": int(mark.group(1)) if mark else None,
        "optimisation": " ".join(levels + others),
        "python": ".".join(platform.python_version_tuple()[:2]),
    }


def count() -> Figures:
    """Instructions per packet of each stage; NotCountedError without valgrind."""
    if not shutil.which("valgrind"):
        raise NotCountedError("valgrind is not installed")
    mix, flood = fixed.mix(), fixed.flood()
    captures = {"mix": mix, "unknown": fixed.without_tcp(mix), "flood": flood}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for it, capture in captures.items():
            (folder / it).write_bytes(capture)
        words = ["valgrind", "--tool=callgrind", "--dump-before=getppid", f"--callgrind-out-file={folder / 'out'}",
                 sys.executable, "-m", "tests.benchmarks.core", *(str(folder / it) for it in captures)]  # fmt: skip
        environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "GLIBC_TUNABLES": COPIES}
        done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotCountedError(f"callgrind failed: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
        found: Figures = {}
        for at, stage in enumerate(done.stdout.splitlines()):
            total = TOTALS.search((folder / f"out.{2 * at + 2}").read_text())  # odd dumps: what lies between the stages
            assert total is not None
            found[stage] = int(total.group(1)) / fixed.count(flood if "half-open" in stage else mix)
    return found


def recorded(wanted: dict[str, Any]) -> Figures | None:
    """The figures of this build; None: none were recorded."""
    entries = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else []
    return next((it["instructions_per_packet"] for it in entries if it["build"] == wanted), None)


def record(mine: dict[str, Any], figures: Figures) -> None:
    entries = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else []
    entries = [it for it in entries if it["build"] != mine]
    entries.append({"build": mine, "instructions_per_packet": {name: round(it, 1) for name, it in figures.items()}})
    RECORDED.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def grown(figures: Figures, before: Figures) -> list[str]:
    """A line for each stage that costs more than a tenth more than recorded; a stage that is missing is one, too."""
    lines = [f"{name}: no longer counted" for name in before if name not in figures]
    for name, now in figures.items():
        if name in before and now > before[name] * (1 + TOLERANCE):
            lines.append(
                f"{name}: {now:,.0f} instructions a packet, {now / before[name] - 1:+.1%} over {before[name]:,.0f}"
            )
    return lines


def said(mine: dict[str, Any]) -> str:
    return f"gcc {mine['gcc']} {mine['optimisation']}, {mine['machine']}, Python {mine['python']}"


def main(check: bool, rewrite: bool) -> int:
    """Exit code: 1 where `check` finds growth."""
    mine = build()
    try:
        figures = count()
    except NotCountedError as error:
        print(f"not counted: {error}")
        return 0
    before = recorded(mine)
    print(f"{said(mine)}; instructions a packet:")
    for name, now in figures.items():
        change = f"{now / before[name] - 1:+8.1%}" if before and name in before else ""
        print(f"  {name:<28}{now:9,.1f}{change}")
    if rewrite:
        record(mine, figures)
        print(f"wrote {RECORDED.name}")
        return 0
    if before is None:
        print("nothing is recorded for this build (--record does it)")
        return 0
    worse = grown(figures, before)
    print("\n".join(worse) if worse else f"nothing grew by more than {TOLERANCE:.0%}")
    return 1 if check and worse else 0
