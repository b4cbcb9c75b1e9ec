"""Capture on one host's interface with tcpdump (pcap) or dumpcap (pcapng) while a scenario runs."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .network import Host

SETTLE = 0.25  # seconds in which the last packets reach the file


def command(path: Path, snaplen: int, nano: bool, only: str) -> list[str]:
    if path.suffix == ".pcapng":
        return ["dumpcap", "-q", "-i", "eth0", "-s", str(snaplen), "-f", only, "-w", str(path)]
    precision = "nano" if nano else "micro"
    return ["tcpdump", "-i", "eth0", "-Z", "root", "-U", "--immediate-mode", f"--time-stamp-precision={precision}",
            "-s", str(snaplen), "-w", str(path), *only.split()]  # fmt: skip


@contextmanager
def recording(host: Host, path: Path, snaplen: int, nano: bool, only: str = "tcp") -> Iterator[None]:
    """only: what is captured, in pcap-filter's language."""
    words = ["ip", "netns", "exec", host.namespace, *command(path, snaplen, nano, only)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        while "istening on" not in said and "File:" not in said:
            if not said:
                raise RuntimeError(f"{words[4]} does not start")
            said = process.stderr.readline()
        time.sleep(0.1)
        try:
            yield
            time.sleep(SETTLE)
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()
