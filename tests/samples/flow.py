"""Scenarios of flow control and of small segments: RFC 9293 3.8.6, RFC 896 (Nagle), RFC 3168 (ECN)."""

from __future__ import annotations

import socket
import threading
import time

from .loss import MSS, download
from .network import Lab, drain, receive, set_options
from .rules import congestion_experienced
from .scenario import kernel


def send_in_thread(end: socket.socket, size: int) -> threading.Thread:
    sender = threading.Thread(target=end.sendall, args=(b"d" * size,))
    sender.start()
    return sender


# no tail loss probe into a delayed ACK, and an answer to every window probe
@kernel(sysctls={"net.ipv4.tcp_early_retrans": 0, "net.ipv4.tcp_invalid_ratelimit": 0})
def zero_window(lab: Lab) -> None:
    """The client does not read for three seconds; the server probes the closed window."""
    client, server = lab.pair(SO_RCVBUF=8192)
    sender = send_in_thread(server, 20000)
    time.sleep(3.0)
    got = len(receive(client, 20000))
    sender.join()
    assert got == 20000
    server.close()
    drain(client)
    client.close()
    time.sleep(0.1)


@kernel()
def slow_reader(lab: Lab) -> None:
    """The client reads 2,000 bytes each 30 ms."""
    client, server = lab.pair(SO_RCVBUF=8192)
    sender = send_in_thread(server, 30000)
    for _ in range(15):
        time.sleep(0.03)
        receive(client, 2000)
    sender.join()
    server.close()
    drain(client)
    client.close()
    time.sleep(0.1)


@kernel()
def nagle_delayed_ack(lab: Lab) -> None:
    """Write, write, read: the second write waits for the delayed ACK of the first, 40 ms each round."""
    client, server = lab.pair()
    for _ in range(6):
        set_options(server, TCP_QUICKACK=0)
        client.sendall(b"h" * 20)
        client.sendall(b"b" * 200)
        receive(server, 220)
        server.sendall(b"a" * 100)
        receive(client, 100)
    client.close()
    drain(server)
    server.close()
    time.sleep(0.05)


@kernel()
def conversation(lab: Lab) -> None:
    """Request and answer in turn: every ACK rides on data."""
    client, server = lab.pair(TCP_NODELAY=1)
    for _ in range(5):
        set_options(server, TCP_QUICKACK=0)
        set_options(client, TCP_QUICKACK=0)
        client.sendall(b"How are you?\n")
        receive(server, 13)
        server.sendall(b"Fine, thank you.\n")
        receive(client, 17)
    client.close()
    drain(server)
    time.sleep(0.06)
    server.close()
    time.sleep(0.05)


@kernel(sysctls={"net.ipv4.tcp_ecn": 1})
def ecn(lab: Lab) -> None:
    """A router marks one segment: CE, ECE on the ACKs, CWR."""
    lab.rule = congestion_experienced(4)
    download(*lab.pair(), 30 * MSS)


@kernel()
def urgent(lab: Lab) -> None:
    client, server = lab.pair()
    client.sendall(b"text")
    receive(server, 4)
    client.send(b"!", socket.MSG_OOB)
    time.sleep(0.1)
    client.close()
    drain(server)
    time.sleep(0.06)
    server.close()
    time.sleep(0.05)
