"""The two hosts of `tests.samples.network` on a link that carries more: a plain queue, one delay, loss by port."""

from __future__ import annotations

import contextlib
import os
import random
import select
import time
from collections import deque

from tests.samples.network import Lab, run

QUEUE = 20_000  # frames that wait at a host for the relay: more than all windows together hold, so that it loses none
BURST = 64  # frames taken from one host before the other has its turn
CLIENTS = 64  # addresses of the client


class Link(Lab):
    """Carries all frames after `delay` seconds; of those of the ports in `lossy` it loses the share `loss`."""

    def __init__(self, name: str, delay: float, lossy: set[int], loss: float) -> None:
        self._lossy = {port.to_bytes(2, "big") for port in lossy}
        self._loss = loss
        self.lost = 0
        super().__init__(name, delay)
        for host in (self.client, self.server):
            with host.inside():
                run("ip", "link", "set", "eth0", "txqueuelen", str(QUEUE))
            host.sysctl("net.ipv4.ip_local_port_range", "10000 65535")
            host.sysctl("net.core.somaxconn", 4096)
            host.sysctl("net.ipv4.tcp_max_syn_backlog", 4096)
        self.addresses = [f"10.1.0.{number}" for number in range(10, 10 + CLIENTS)]
        with self.client.inside():
            for address in self.addresses:
                run("ip", "address", "add", f"{address}/24", "dev", "eth0")

    def _carry(self) -> None:
        """As Lab's, without a queue in order of time: what came first goes first."""
        other = {self.client.tap: self.server.tap, self.server.tap: self.client.tap}
        lossy, loss, luck = self._lossy, self._loss, random.Random(9293).random
        due: deque[tuple[float, int, bytes]] = deque()
        read, write, clock = os.read, os.write, time.monotonic
        while not self._stop.is_set():
            wait = min(0.1, max(0.0, due[0][0] - clock())) if due else 0.1
            for tap in select.select(list(other), [], [], wait)[0]:
                when, to = clock() + self.delay, other[tap]
                with contextlib.suppress(BlockingIOError):
                    for _ in range(BURST):
                        frame = read(tap, 2048)
                        if (frame[34:36] in lossy or frame[36:38] in lossy) and luck() < loss:
                            self.lost += 1
                        else:
                            due.append((when, to, frame))
            now = clock()
            while due and due[0][0] <= now:
                _, to, frame = due.popleft()
                write(to, frame)
