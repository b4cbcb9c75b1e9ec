"""Scenarios of capturing: begun late, both ways busy."""

from __future__ import annotations

import threading
import time

from .loss import MSS
from .network import Lab, drain, receive
from .opening import exchange
from .rules import lose
from .scenario import kernel


@kernel(late=True)
def mid_stream(lab: Lab) -> None:
    """The capture begins when the connection is half a second old: no SYN, window scale unknown."""
    client, server = lab.pair()
    client.sendall(b"early")
    receive(server, 5)
    time.sleep(0.5)
    with lab.capture():
        exchange(client, server)


@kernel(suffix="pcapng")
def both_ways(lab: Lab) -> None:
    """Data both ways at once; each side loses one segment."""
    client, server = lab.pair()
    losses = lose("client", lambda packet: packet.length > 0, 3), lose("server", lambda packet: packet.length > 0, 5)
    lab.rule = lambda packet: losses[packet.sender == "server"](packet)
    ends = [threading.Thread(target=end.sendall, args=(b"d" * 9 * MSS,)) for end in (client, server)]
    for end in ends:
        end.start()
    receive(client, 9 * MSS)
    receive(server, 9 * MSS)
    time.sleep(0.06)
    client.close()
    drain(server)
    time.sleep(0.06)
    server.close()
    time.sleep(0.05)
