"""Scenarios of the handshake: RFC 9293 3.5, RFC 7413 (Fast Open)."""

from __future__ import annotations

import contextlib
import socket
import time

from .network import Lab, crash, drain, receive
from .rules import lose, pure_ack, syn
from .scenario import kernel

REQUEST, ANSWER = b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 600


def exchange(client: socket.socket, server: socket.socket) -> None:
    """A request and its answer; the client closes first."""
    client.sendall(REQUEST)
    receive(server, len(REQUEST))
    server.sendall(ANSWER)
    receive(client, len(ANSWER))
    client.close()
    drain(server)
    time.sleep(0.06)  # let the delayed acknowledgment of the FIN go, so that the close takes four segments
    server.close()
    time.sleep(0.05)


@kernel(nano=True)
def normal(lab: Lab) -> None:
    exchange(*lab.pair())


@kernel()
def refused(lab: Lab) -> None:
    with contextlib.suppress(ConnectionRefusedError):
        lab.connect(81)


@kernel()
def syn_lost(lab: Lab) -> None:
    lab.rule = lose("client", syn, 0)
    exchange(*lab.pair())


@kernel()
def syn_unanswered(lab: Lab) -> None:
    lab.rule = lose("client", syn, *range(10))
    with contextlib.suppress(TimeoutError):
        lab.connect(80, TCP_SYNCNT=3)


@kernel(at="server")
def syn_ack_lost(lab: Lab) -> None:
    lab.rule = lose("server", syn, 0)
    exchange(*lab.pair())


@kernel(at="server")
def handshake_ack_lost(lab: Lab) -> None:
    lab.rule = lose("client", pure_ack, 0)
    listener = lab.listen()
    client = lab.connect()
    server, _ = listener.accept()  # after the SYN-ACK was repeated and acknowledged
    time.sleep(0.1)
    exchange(client, server)


@kernel(suffix="pcapng")
def ipv6(lab: Lab) -> None:
    listener = lab.listen(80, socket.AF_INET6)
    client = lab.connect(80, 40000, socket.AF_INET6)
    server, _ = listener.accept()
    exchange(client, server)


@kernel(sysctls={"net.ipv4.tcp_fastopen": 3})
def fast_open(lab: Lab) -> None:
    listener = lab.listen(80, TCP_FASTOPEN=16)
    for source in (40000, 40001):  # the first asks for the cookie, the second uses it
        client = lab.client.socket(source)
        client.settimeout(None)  # with a timeout the first would be EINPROGRESS
        client.sendto(REQUEST, socket.MSG_FASTOPEN, (lab.server.address, 80))
        server, _ = listener.accept()
        receive(server, len(REQUEST))
        server.sendall(ANSWER)
        receive(client, len(ANSWER))
        client.close()
        drain(server)
        time.sleep(0.06)
        server.close()
        time.sleep(0.05)


@kernel()
def crash_and_reconnect(lab: Lab) -> None:
    """The client forgets its connection and opens it again: challenge ACK, RST, and the second SYN is taken."""
    listener = lab.listen()
    client = lab.connect()
    old, _ = listener.accept()
    client.sendall(REQUEST)
    receive(old, len(REQUEST))
    time.sleep(0.1)
    crash(client)
    client = lab.connect()
    new, _ = listener.accept()
    exchange(client, new)
    old.close()
