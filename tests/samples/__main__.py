"""`python -m tests.samples [NAME…]`: make the captures in `sample_pcaps/` again."""

from __future__ import annotations

import os
import sys
import time

from . import built, closing, flow, loss, opening, timers, variety  # noqa: F401  (each adds its samples)
from .scenario import FOLDER, SAMPLES


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in SAMPLES]:
        print(f"Error: no sample {', '.join(unknown)}; there are {', '.join(SAMPLES)}", file=sys.stderr)
        return 2
    if os.geteuid():
        print("Error: network namespaces and captures need root; run this with sudo", file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    for name in names or SAMPLES:
        started = time.monotonic()
        path = FOLDER / SAMPLES[name].file
        SAMPLES[name].make(path)
        print(f"{path.name:<34} {path.stat().st_size:>8} bytes {time.monotonic() - started:6.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
