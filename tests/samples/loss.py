"""Scenarios of loss and what looks like it: RFC 5681, 6298, 8985 (RACK and tail loss probe), 2883 (D-SACK)."""

from __future__ import annotations

import itertools
import random
import socket
import threading
import time

from .network import Lab, Packet, drain, receive
from .rules import damage, data, double, hold, lose, lose_all
from .scenario import kernel

MSS = 1448


def download(client: socket.socket, server: socket.socket, size: int, rest: float = 0.4) -> None:
    """The server sends `size` bytes, rests for `rest` seconds, and closes first."""
    reader = threading.Thread(target=drain, args=(client,))
    reader.start()
    server.sendall(b"d" * size)
    time.sleep(rest)
    server.close()
    reader.join()
    time.sleep(0.06)
    client.close()
    time.sleep(0.05)


@kernel(at="server")
def fast_retransmission(lab: Lab) -> None:
    lab.rule = lose("server", data, 2)
    download(*lab.pair(), 10 * MSS)


@kernel(at="server", sysctls={"net.ipv4.tcp_sack": 0})
def loss_without_sack(lab: Lab) -> None:
    lab.rule = lose("server", data, 2)
    download(*lab.pair(), 10 * MSS)


@kernel(at="server")
def tail_loss_probe(lab: Lab) -> None:
    lab.rule = lose("server", data, 5)
    download(*lab.pair(), 6 * MSS, 0.6)


@kernel(at="server")
def timeout_back_off(lab: Lab) -> None:
    """One segment is lost four times: probe, then timeouts that double."""
    client, server = lab.pair()
    lab.rule = lose("server", data, 0, 1, 2, 3)
    download(client, server, 500, 2.5)


@kernel(at="server")
def two_lost_of_window(lab: Lab) -> None:
    lab.rule = lose("server", data, 2, 3, 6)
    download(*lab.pair(), 10 * MSS)


@kernel(at="server")
def lost_retransmission(lab: Lab) -> None:
    """The third segment and its fast retransmission are lost: a timeout follows."""
    client, server = lab.pair()
    seen: dict[int, int] = {}

    def rule(packet: Packet) -> tuple[float, ...]:
        if packet.sender == "server" and packet.length:
            seen[packet.seq] = seen.get(packet.seq, 0) + 1
            if list(seen).index(packet.seq) == 2 and seen[packet.seq] < 3:
                return ()
        return (0.0,)

    lab.rule = rule
    download(client, server, 10 * MSS, 1.0)


@kernel(delay=0.02)
def reordering(lab: Lab) -> None:
    """A segment is overtaken by its successor, twice; nothing is lost and nothing sent again."""
    client, server = lab.pair(TCP_NODELAY=1)
    lab.rule = hold("server", data, 2, 6, extra=0.003)
    for _ in range(10):
        server.sendall(b"d" * 1000)
        time.sleep(0.002)
    download(client, server, 1000)


@kernel()
def network_duplicates(lab: Lab) -> None:
    lab.rule = double("server", data, 1, 4)
    download(*lab.pair(), 6 * MSS)


@kernel(at="server")
def spurious_retransmission(lab: Lab) -> None:
    """The way to the client stalls for 0.6 s: what is sent again was not lost, D-SACK says so."""
    client, server = lab.pair()
    stall, order = time.monotonic() + 0.6, itertools.count()

    def rule(packet: Packet) -> tuple[float, ...]:
        late = stall - time.monotonic() if packet.sender == "server" else 0.0
        return (late + next(order) * 0.0005 if late > 0 else 0.0,)  # a queue: nothing overtakes

    lab.rule = rule
    download(client, server, 4 * MSS, 1.2)


@kernel()
def bad_checksum(lab: Lab) -> None:
    """A segment is damaged on its way; the client drops it and gets it again."""
    lab.rule = damage("server", 2)
    download(*lab.pair(), 8 * MSS)


@kernel()
def peer_vanished(lab: Lab) -> None:
    """The server cannot be reached any more: retransmissions until the user timeout of 3 s."""
    client, server = lab.pair(TCP_USER_TIMEOUT=3000)
    client.sendall(b"ping")
    receive(server, 4)
    time.sleep(0.1)
    lab.rule = lose_all()
    client.sendall(b"ping")
    time.sleep(4.5)


@kernel(at="server", delay=0.01, snaplen=128)
def bulk(lab: Lab) -> None:
    """Two megabytes with 0.5 % loss."""
    client, server = lab.pair()
    luck = random.Random(9293)

    def rule(packet: Packet) -> tuple[float, ...]:
        return () if packet.sender == "server" and packet.length and luck.random() < 0.005 else (0.0,)

    lab.rule = rule
    download(client, server, 2_000_000)
