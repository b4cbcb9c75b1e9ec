"""Scenarios of the handshake: RFC 9293 3.5, RFC 7413 (Fast Open)."""

from __future__ import annotations

import contextlib
import socket
import time

from .network import SYN, Lab, crash, drain, receive
from .rules import hold, lose, lose_all, pure_ack, syn
from .scenario import kernel

REQUEST, ANSWER = b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 600


def exchange(client: socket.socket, server: socket.socket, *, before: float = 0, meanwhile: float = 0) -> None:
    """A request, `before` seconds from now, and its answer, `meanwhile` seconds later; the client closes first."""
    time.sleep(before)
    client.sendall(REQUEST)
    receive(server, len(REQUEST))
    time.sleep(meanwhile)
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


@kernel(at="server", sysctls={"net.ipv4.tcp_syncookies": 0})
def backlog_overflow(lab: Lab) -> None:
    """The program does not accept, and its queue holds three: the ACK and data of the fourth are ignored, and the SYN
    of the fifth is not answered until there is room."""
    listener = lab.server.socket(80)
    listener.listen(2)
    clients = [lab.connect(80, 40000), lab.connect(80, 40001)]
    clients += [lab.client.socket(40002 + number) for number in range(3)]
    for client in clients[2:4]:
        client.setblocking(False)
        client.connect_ex((lab.server.address, 80))
    time.sleep(0.1)
    for client in clients[2:4]:
        client.send(REQUEST)
    clients[4].setblocking(False)
    clients[4].connect_ex((lab.server.address, 80))
    time.sleep(0.8)
    ends = [listener.accept()[0] for _ in range(5)]
    time.sleep(0.1)
    for end in [*clients, *ends]:
        end.close()
    time.sleep(0.1)


@kernel(at="server")
def deferred_accept(lab: Lab) -> None:
    """TCP_DEFER_ACCEPT: the server takes no notice of the last ACK, and repeats its SYN-ACK until data comes."""
    listener = lab.listen(80, TCP_DEFER_ACCEPT=1)
    client = lab.connect()
    time.sleep(2.5)
    client.sendall(REQUEST)
    server, _ = listener.accept()
    receive(server, len(REQUEST))
    server.sendall(ANSWER)
    receive(client, len(ANSWER))
    client.close()
    drain(server)
    time.sleep(0.06)
    server.close()
    time.sleep(0.05)


@kernel(sysctls={"net.ipv4.tcp_fastopen": 3})
def fast_open_refused(lab: Lab) -> None:
    """The client has a cookie; the server has changed its key: it acknowledges the SYN without its data."""
    for source in (40000, 40001):
        listener = lab.listen(80, TCP_FASTOPEN=16)
        client = lab.client.socket(source)
        client.settimeout(None)
        client.sendto(REQUEST, socket.MSG_FASTOPEN, (lab.server.address, 80))
        server, _ = listener.accept()
        receive(server, len(REQUEST))
        exchange(client, server)
        listener.close()
        lab.server.sysctl("net.ipv4.tcp_fastopen_key", "11111111-22222222-33333333-44444444")


@kernel()
def connect_abandoned(lab: Lab) -> None:
    """The client's program gives up before the SYN-ACK comes: RST to the SYN-ACK."""
    with lab.listen():
        lab.rule = hold("server", syn, 0, extra=0.3)
        client = lab.client.socket(40000)
        client.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            client.connect((lab.server.address, 80))
        client.close()
        time.sleep(0.4)


@kernel(nano=True)
def port_scan(lab: Lab) -> None:
    """Twenty ports of the server, one of them open, each tried once by connect()."""
    with lab.listen(8080):
        for port in (*range(8071, 8090), 22):
            with contextlib.suppress(ConnectionRefusedError):
                lab.connect(port, 41000 + port).close()
    time.sleep(0.1)


@kernel()
def service_down(lab: Lab) -> None:
    """One port tried twenty times in vain: no scan, the service is down."""
    for number in range(20):
        with contextlib.suppress(ConnectionRefusedError):
            lab.connect(80, 40000 + number)


@kernel(at="server")
def half_open(lab: Lab) -> None:
    """The client's machine is gone after its SYN: the server repeats its SYN-ACK to nobody."""
    lab.rule = lose("client", lambda packet: not packet.flags & SYN, *range(50))
    with lab.listen():
        client = lab.connect()
        time.sleep(3.2)
        lab.rule = lose_all()
        client.close()


@kernel(only="tcp and src host 10.1.0.2")
def one_direction(lab: Lab) -> None:
    """A mirror port that copies one direction only: what the server sent."""
    exchange(*lab.pair())
