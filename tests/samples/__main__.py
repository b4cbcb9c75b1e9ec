"""`python -m tests.samples [NAME…]`: make the captures in `sample_pcaps/` again."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed

from . import built, closing, flow, loss, middlebox, opening, pace, timers, variety  # noqa: F401  (each adds its samples)
from .scenario import FOLDER, SAMPLES

AT_ONCE = 3  # the scenarios mostly wait


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in SAMPLES]:
        print(f"Error: no sample {', '.join(unknown)}; there are {', '.join(SAMPLES)}", file=sys.stderr)
        return 2
    if os.geteuid():
        print("Error: network namespaces and captures need root; run this with sudo", file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = {pool.submit(SAMPLES[name].make, FOLDER / SAMPLES[name].file): name for name in names or SAMPLES}
        for job in as_completed(jobs):
            path = FOLDER / SAMPLES[jobs[job]].file
            if error := job.exception():
                raise RuntimeError(f"{path.name} was not made") from error
            print(f"{path.name:<34} {path.stat().st_size:>8} bytes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
