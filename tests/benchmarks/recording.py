"""Record the workload: `… recording FILE.pcap.part PACKETS` writes the capture, and FILE.json beside it."""

from __future__ import annotations

import contextlib
import json
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .link import Link
from .measure import ROOT
from .traffic import LOSSY

SNAPLEN = 128
DELAY = 0.001  # seconds, one way
LOSS = 0.01
BUFFER = 524_288  # KiB that the kernel keeps for tcpdump while it writes


@contextlib.contextmanager
def recording(namespace: str, path: Path, snaplen: int) -> Iterator[dict[str, int]]:
    """tcpdump on the host; afterwards the dictionary tells how many packets it "captured" and "dropped"."""
    words = ["ip", "netns", "exec", namespace, "tcpdump", "-i", "eth0", "-Z", "root", "-n", "-B", str(BUFFER),
             "-s", str(snaplen), "-w", str(path), "tcp"]  # fmt: skip
    told: dict[str, int] = {}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        if "istening on" not in said:
            raise RuntimeError(f"tcpdump does not start: {said}")
        time.sleep(0.2)
        try:
            yield told
            time.sleep(1)
        finally:
            process.send_signal(signal.SIGINT)
            for line in process.stderr:
                count, _, rest = line.partition(" packets ")
                if count.isdigit() and rest:
                    told["dropped" if "dropped by kernel" in rest else rest.split()[0]] = int(count)


def record(path: Path, packets: int) -> None:
    """Two namespaces talk over a relay; tcpdump listens at the server."""
    began = time.time()
    link = Link("b", DELAY, LOSSY, LOSS)
    try:
        with recording(link.server.namespace, path, SNAPLEN) as told:
            words = [link.client.namespace, link.server.namespace, link.server.address, str(packets), *link.addresses]
            words = [sys.executable, "-m", "tests.benchmarks.traffic", *words]
            done = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    finally:
        link.close()
    known = {
        "packets": told["captured"], "connections": int(done.stdout),
        "dropped_by_kernel": told["dropped"], "lost_on_the_way": link.lost,
        "bytes": path.stat().st_size, "seconds": round(time.time() - began),
        "kernel": platform.release().partition("-")[0], "snaplen": SNAPLEN, "delay": DELAY, "loss": LOSS,
    }  # fmt: skip
    capture = path.with_suffix("")  # without .part
    capture.with_suffix(".json").write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record(Path(sys.argv[1]), int(sys.argv[2]))
