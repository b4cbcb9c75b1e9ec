"""What a live capture bears: packets a second without a drop, and a day of packets through a pipe in flat memory.

    python -m tests.benchmarks live               # as root, with tcpreplay: some minutes

`rate`: tcpreplay sends a capture over a veth pair in a namespace, `tcpscope live` watches the other end.
`day`: so many packets, spread over 24 hours of capture time, are made by one process and go through a pipe into
`tcpscope live -i -`, whose resident memory is looked at every second.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.samples.network import run

from .measure import ROOT
from .workload import UnableError

RATES = (50_000, 100_000, 200_000, 300_000)  # packets a second
LONG = 10  # seconds of each
DAY = 86_400  # seconds of capture time
PACKETS = 50_000_000
HERE = [sys.executable, "-m"]


def measure(cache: Path, quick: bool) -> dict[str, Any]:
    """rate: for each rate what came of it; day: packets, seconds, megabytes as time went on."""
    rates = [rate(cache, it, 2 if quick else LONG) for it in (RATES[:2] if quick else RATES)]
    return {"rate": rates, "day": day(1_000_000 if quick else PACKETS)}


# ---------------------------------------------------------------- packets a second


def rate(cache: Path, wanted: int, seconds: int) -> dict[str, Any]:
    """Send so many packets a second; what was received, dropped, and how far behind the analyser was."""
    from .synthetic import churn, write

    if os.geteuid() != 0 or not shutil.which("tcpreplay"):
        raise UnableError("live needs root and tcpreplay: sudo apt install tcpreplay")
    capture = cache / "live.pcap"
    if not capture.exists():
        cache.mkdir(parents=True, exist_ok=True)
        write(capture, churn, 600_000)
    space = f"tsrate{os.getpid()}"
    enter = ["ip", "netns", "exec", space]
    run("ip", "netns", "add", space)
    try:
        run("ip", "-n", space, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        for name in ("v0", "v1"):
            run("ip", "-n", space, "link", "set", name, "up")
        packets = wanted * seconds
        watcher = subprocess.Popen(
            [*enter, *HERE, "tcpscope", "live", "-i", "v1", "tcp", "--format", "jsonl", "-q"], cwd=ROOT,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        rows: list[dict[str, Any]] = []
        reader = threading.Thread(target=_read, args=(watcher, rows))
        reader.start()
        while not rows:
            time.sleep(0.05)
        done = subprocess.run(
            [*enter, "tcpreplay", "-q", "-i", "v0", "--preload-pcap", f"--pps={wanted}", f"--limit={packets}",
             "--loop=1000", str(capture)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
        )  # fmt: skip
        time.sleep(2)
        used = _cpu(watcher.pid)
        watcher.send_signal(signal.SIGINT)
        reader.join()
        watcher.wait()
    finally:
        run("ip", "netns", "del", space)
    end = rows[-1]
    sent = float(re.findall(r"([\d.]+) pps", done.stdout)[-1])
    return {
        "wanted": wanted, "sent_per_second": sent, "sent": packets, "received": end["packets"],
        "dropped_by_kernel": end["dropped_by_kernel"], "dropped_by_interface": end["dropped_by_interface"],
        "most_lag": max(it["lag"] for it in rows if it["kind"] == "counters"),
        "analyser_cpu_per_million": used / packets * 1e6, "load": os.getloadavg()[0],
    }  # fmt: skip


def _read(watcher: subprocess.Popen[bytes], rows: list[dict[str, Any]]) -> None:
    assert watcher.stdout is not None
    for line in watcher.stdout:
        if line.startswith((b'{"kind":"start"', b'{"kind":"counters"', b'{"kind":"end"')):
            rows.append(json.loads(line))


def _cpu(process: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---------------------------------------------------------------- a day


def day(packets: int) -> dict[str, Any]:
    """A day's packets through a pipe; the analyser's resident megabytes at every look."""
    maker = subprocess.Popen([*HERE, "tests.benchmarks.live", str(packets)], cwd=ROOT, stdout=subprocess.PIPE)
    began = time.monotonic()
    watcher = subprocess.Popen(
        [*HERE, "tcpscope", "live", "-i", "-", "--format", "jsonl", "-q"], cwd=ROOT, stdin=maker.stdout,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert maker.stdout is not None
    maker.stdout.close()
    rows: list[dict[str, Any]] = []
    reader = threading.Thread(target=_read, args=(watcher, rows))
    reader.start()
    memory = []
    while watcher.poll() is None:
        if found := re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{watcher.pid}/status").read_text()):
            memory.append(round(int(found.group(1)) / 1024, 1))
        time.sleep(1)
    reader.join()
    maker.wait()
    half = memory[len(memory) // 10 : len(memory) // 2] or memory
    return {
        "packets": rows[-1]["packets"], "connections": rows[-1]["connections"], "seconds": time.monotonic() - began,
        "megabytes_first_half": max(half), "megabytes": max(memory), "memory": memory, "load": os.getloadavg()[0],
    }  # fmt: skip


def make(packets: int) -> None:
    """The capture of `day`, on standard output."""
    import numpy as np

    from . import synthetic

    synthetic.TICK = DAY * 10**9 // packets
    out = sys.stdout.buffer
    out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, synthetic.HEADERS, 1))
    for start in range(0, packets, synthetic.BATCH):
        at = np.arange(start, min(start + synthetic.BATCH, packets), dtype=np.int64)
        out.write(synthetic.churn(at).tobytes())


if __name__ == "__main__":
    make(int(sys.argv[1]))
