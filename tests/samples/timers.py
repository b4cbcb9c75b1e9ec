"""Scenarios of keep-alive: RFC 9293 3.8.4."""

from __future__ import annotations

import contextlib
import time

from .network import Lab, crash, drain, receive, set_options
from .rules import lose_all
from .scenario import kernel

PROBES = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3}


@kernel()
def keep_alive(lab: Lab) -> None:
    """Idle for 3.5 s: three probes, each answered."""
    client, server = lab.pair()
    client.sendall(b"ping")
    receive(server, 4)
    set_options(client, **PROBES)
    time.sleep(3.6)
    client.close()
    drain(server)
    time.sleep(0.06)
    server.close()
    time.sleep(0.05)


@kernel()
def keep_alive_dead_peer(lab: Lab) -> None:
    """The server is gone without a word: three probes unanswered, then RST."""
    client, server = lab.pair()
    client.sendall(b"ping")
    receive(server, 4)
    time.sleep(0.1)
    lab.rule = lose_all()
    set_options(client, **PROBES)
    with contextlib.suppress(OSError):
        client.recv(1)
    time.sleep(0.2)


@kernel()
def keep_alive_rebooted_peer(lab: Lab) -> None:
    """The server has forgotten the connection: RST to the first probe."""
    client, server = lab.pair()
    client.sendall(b"ping")
    receive(server, 4)
    time.sleep(0.1)
    crash(server)
    set_options(client, **PROBES)
    with contextlib.suppress(OSError):
        client.recv(1)
    time.sleep(0.2)
