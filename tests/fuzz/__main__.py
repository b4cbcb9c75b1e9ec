"""Fuzz the compiled core for a while: `python -m tests.fuzz --time 3600`.

Every target gets its share of the time, in rounds, one process after the other.  What was executed is added up in
FOLDER/counts.json; inputs worth keeping go to FOLDER/corpus, those that ended a process to FOLDER/crashes.
Exit 1 if there are any.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz import build, seeds

# The longest input of each, bytes.
TARGETS = {"container": 4096, "decoder": 2048, "replay": 770, "streams": 514, "pipeline": 4096, "queue": 1200,
           "hints": 700}  # fmt: skip
TIMEOUT = 20  # seconds an input may take, on a busy machine; the slowest known takes milliseconds
MEMORY = 2048  # MB
DONE = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
STATE = re.compile(r"^#(\d+)\t.*", re.M)
RUN = """
import os, sys
sys.path.insert(0, sys.argv[1])
sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL)
import fuzz_core
sys.setdlopenflags(os.RTLD_NOW)
fuzz_core.fuzz(sys.argv[2], ["fuzz", *sys.argv[3:]])
"""


def run(built: Path, target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One process of libFuzzer."""
    command = [sys.executable, "-c", RUN, str(built), target, *arguments]
    environment = os.environ | build.preload(built)
    return subprocess.run(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
    )


def fuzz(folder: Path, target: str, seconds: int) -> tuple[int, str | None]:
    """One round: executions, and what ended it early, if anything."""
    for name in ("corpus", "crashes"):
        (folder / name / target).mkdir(parents=True, exist_ok=True)
    done = run(
        folder / "build", target,
        f"-max_total_time={seconds}", f"-max_len={TARGETS[target]}", f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={folder / 'crashes' / target}/", "-print_final_stats=1", "-use_value_profile=0",
        "-verbosity=1", str(folder / "corpus" / target), *(str(it) for it in (folder / "seeds").glob(target)),
    )  # fmt: skip
    text = done.stderr
    counted = DONE.search(text)
    runs = int(counted[1]) if counted else max((int(it) for it in STATE.findall(text)), default=0)
    if done.returncode == 0:
        return runs, None
    lines = [it for it in text.splitlines() if re.search(r"runtime error|ERROR:|broken promise|Error:|SUMMARY", it)]
    (folder / "crashes" / f"{target}-{int(time.time())}.log").write_text(text[-20000:])
    return runs, " | ".join(lines[:3]) or f"exit {done.returncode}"


def add(folder: Path, target: str, runs: int, seconds: float, crash: str | None) -> dict[str, dict[str, float]]:
    """Add a round to the counts that are kept."""
    path = folder / "counts.json"
    counts: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}
    mine = counts.setdefault(target, {"executions": 0, "seconds": 0, "crashes": 0})
    mine["executions"] += runs
    mine["seconds"] = round(mine["seconds"] + seconds)
    mine["crashes"] += crash is not None
    part = path.with_suffix(".part")
    part.write_text(json.dumps(counts, indent=1) + "\n")
    part.replace(path)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--time", type=int, default=300, metavar="SECONDS", help="of all targets together")
    parser.add_argument("--round", type=int, default=300, metavar="SECONDS", help="of one target at a time")
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this one; may be given again")
    parser.add_argument(
        "--folder", type=Path, default=build.ROOT / "build" / "fuzz", help="build, corpus, crashes, counts"
    )
    parser.add_argument(
        "--captures", type=Path, action="append", default=[], help="a folder of captures, as more seeds"
    )
    parser.add_argument("--jobs", type=int, default=1, help="of the compiler")
    parser.add_argument("--counts", action="store_true", help="only show the counts")
    parser.add_argument("--try", dest="input", type=Path, help="run one input through --target, and show what it says")
    args = parser.parse_args()
    if args.counts:
        return show(json.loads((args.folder / "counts.json").read_text()))
    if (why := build.usable()) is not None:
        parser.error(why)
    build.build(args.folder / "build", args.jobs)
    targets = args.target or list(TARGETS)
    if args.input:
        done = run(args.folder / "build", targets[0], str(args.input))
        print(done.stderr)
        return min(done.returncode, 1)
    shared = build.ROOT.parent / "shared" / "corpus"
    seeds.write(
        args.folder / "seeds", [build.ROOT / "sample_pcaps", *args.captures, *([shared] if shared.is_dir() else [])]
    )
    end = time.monotonic() + args.time
    crashed, counts = False, {}
    while (left := end - time.monotonic()) > 0:
        for target in targets:
            begun = time.monotonic()
            seconds = max(1, min(args.round, round(left / len(targets))))
            runs, crash = fuzz(args.folder, target, seconds)
            counts = add(args.folder, target, runs, time.monotonic() - begun, crash)
            print(
                f"{target}: {runs:,} executions in {time.monotonic() - begun:.0f} s{', ' + crash if crash else ''}",
                flush=True,
            )
            crashed = crashed or crash is not None
    show(counts)
    return int(crashed)


def show(counts: dict[str, dict[str, float]]) -> int:
    for target, it in counts.items():
        print(f"{target:10} {it['executions']:15,} executions {it['seconds']:9,} s {it['crashes']:5} crashes")
    print(f"{'all':10} {sum(it['executions'] for it in counts.values()):15,} executions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
