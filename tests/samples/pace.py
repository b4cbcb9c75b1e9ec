"""Scenarios of what sets the pace of a transfer: windows, the path, the program, pauses (RFC 9293, 3.8; RFC 5681)."""

from __future__ import annotations

import socket
import struct
import threading
import time

from .flow import send_in_thread
from .loss import MSS, download
from .network import Lab, Packet, drain, receive, set_options
from .opening import REQUEST, exchange
from .rules import bottleneck, data, hold
from .scenario import kernel

SHORT = 96  # bytes kept of a packet: headers and options


def trickle(lab: Lab, writes: int, size: int, pause: float, **options: int) -> None:
    """The server writes `size` bytes again and again, and closes."""
    client, server = lab.pair(**options)
    reader = threading.Thread(target=drain, args=(client,))
    reader.start()
    for _ in range(writes):
        server.sendall(b"d" * size)
        time.sleep(pause)
    time.sleep(6 * lab.delay)
    server.close()
    reader.join()
    client.close()
    time.sleep(0.1)


@kernel(delay=0.04, snaplen=SHORT)
def small_window(lab: Lab) -> None:
    """The client's receive buffer is fixed: one window for each round trip of 80 ms, whatever the path carries."""
    download(*lab.pair(SO_RCVBUF=12000), 200_000)


@kernel(delay=0.04, snaplen=SHORT, sysctls={"net.ipv4.tcp_window_scaling": 0})
def window_scale_off(lab: Lab) -> None:
    """No window scaling: 65,535 bytes a round trip of 80 ms at most."""
    download(*lab.pair(), 800_000)


@kernel()
def dead_reader(lab: Lab) -> None:
    """The client never reads; the server probes its closed window until its user timeout of 3 s."""
    client, server = lab.pair(SO_RCVBUF=8192)
    set_options(server, TCP_USER_TIMEOUT=3000)
    sender = threading.Thread(target=lambda: suppress(server, 20000))
    sender.start()
    time.sleep(5.5)
    client.close()
    sender.join()
    time.sleep(0.1)


def suppress(end: socket.socket, size: int) -> None:
    """Send, and let the peer reset."""
    try:
        end.sendall(b"d" * size)
        end.close()
    except OSError:
        end.close()


@kernel(snaplen=SHORT)
def small_segments(lab: Lab) -> None:
    """Three hundred writes of 40 bytes without Nagle's algorithm."""
    trickle(lab, 300, 40, 0.0005, TCP_NODELAY=1)


@kernel(snaplen=SHORT, delay=0.01)
def limited_by_program(lab: Lab) -> None:
    """The server has 20,000 bytes to send each 50 ms."""
    trickle(lab, 30, 20_000, 0.05)


@kernel(at="server", snaplen=SHORT, delay=0.01, sysctls={"net.ipv4.tcp_congestion_control": "reno"})
def bufferbloat(lab: Lab) -> None:
    """A link of 400 kB/s with a queue that is never full: the round trip grows from 20 ms to over a second."""
    lab.rule = bottleneck("server", 400_000)
    client, server = lab.pair()
    download(client, server, 700_000, 2.2)


@kernel(at="server", delay=0.02, snaplen=SHORT, sysctls={"net.ipv4.tcp_congestion_control": "reno"})
def slow_start_restart(lab: Lab) -> None:
    """Bursts of 70,000 bytes with pauses of 1.2 s: each begins with ten segments again."""
    trickle(lab, 4, 70_000, 1.2)


@kernel(at="server")
def tail_losses(lab: Lab) -> None:
    """Four answers of three segments, the last of each lost."""
    client, server = lab.pair(TCP_NODELAY=1)
    seen: set[int] = set()

    def rule(packet: Packet) -> tuple[float, ...]:
        if packet.sender == "server" and packet.length and packet.seq not in seen:
            seen.add(packet.seq)
            return () if len(seen) % 3 == 0 else (0.0,)
        return (0.0,)

    lab.rule = rule
    for _ in range(4):
        client.sendall(b"more\n")
        receive(server, 5)
        server.sendall(b"d" * 3 * MSS)
        receive(client, 3 * MSS)
    server.close()
    drain(client)
    client.close()
    time.sleep(0.1)


@kernel(delay=0.02, snaplen=SHORT)
def reordered(lab: Lab) -> None:
    """Six of forty segments are overtaken by two or three others."""
    client, server = lab.pair(TCP_NODELAY=1)
    lab.rule = hold("server", data, 3, 9, 15, 21, 27, 33, extra=0.005)
    for _ in range(40):
        server.sendall(b"d" * 1000)
        time.sleep(0.002)
    download(client, server, 1000)


@kernel(at="server", snaplen=SHORT)
def path_mtu(lab: Lab) -> None:
    """A link carries no more than 1,400 bytes and says nothing: full segments vanish, the short last one arrives."""
    lab.rule = lambda packet: () if len(packet.frame) > 1414 else (0.0,)
    client, server = lab.pair()
    client.sendall(b"GET /\n")
    receive(server, 6)
    sender = send_in_thread(server, 4 * MSS + 200)
    time.sleep(4.0)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    sender.join()
    client.close()
    time.sleep(0.1)


@kernel()
def slow_server(lab: Lab) -> None:
    """The server's TCP acknowledges the request at once; its program takes 1.2 s to answer."""
    exchange(*lab.pair(), meanwhile=1.2)


@kernel()
def slow_greeting(lab: Lab) -> None:
    """A mail server greets 1.1 s after the connection is open: the client, as it must, waits for it."""
    client, server = lab.pair()
    time.sleep(1.1)
    server.sendall(b"220 mail.example ESMTP ready\r\n")
    client.recv(4096)
    client.sendall(b"EHLO client.example\r\n")
    server.recv(4096)
    server.sendall(b"250 mail.example\r\n")
    client.recv(4096)
    client.close()
    drain(server)
    server.close()


@kernel()
def no_answer(lab: Lab) -> None:
    """The request is acknowledged at once and never answered; the client gives up after 2 s."""
    client, server = lab.pair()
    client.sendall(REQUEST)
    server.recv(4096)
    time.sleep(2.0)
    client.close()
    drain(server)
    server.close()


@kernel(snaplen=SHORT)
def answer_lost(lab: Lab) -> None:
    """A link carries no more than 1,400 bytes: the request passes, nothing of the answer does, the client gives up."""
    lab.rule = lambda packet: () if len(packet.frame) > 1414 else (0.0,)
    client, server = lab.pair()
    client.sendall(REQUEST)
    receive(server, len(REQUEST))
    sender = send_in_thread(server, 8 * MSS)
    time.sleep(2.0)
    client.close()
    time.sleep(0.3)
    lab.rule = lambda packet: ()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    sender.join()


@kernel()
def slow_client(lab: Lab) -> None:
    """The client connects, and asks only 1.2 s later."""
    exchange(*lab.pair(), before=1.2)


@kernel(delay=0.2)
def slow_handshake(lab: Lab) -> None:
    """A path of 400 ms: nobody's program is slow."""
    exchange(*lab.pair())


@kernel(snaplen=SHORT, delay=0.01)
def reader_behind(lab: Lab) -> None:
    """The client reads little and often: its window is never closed, and never wide open."""
    client, server = lab.pair(SO_RCVBUF=60_000)
    sender = threading.Thread(target=server.sendall, args=(b"d" * 600_000,))
    sender.start()
    got = 0
    while got < 600_000:
        time.sleep(0.004)
        got += len(client.recv(2 * MSS))
    sender.join()
    server.close()
    drain(client)
    client.close()
    time.sleep(0.1)


@kernel(at="server", snaplen=SHORT, delay=0.1)
def limited_by_path(lab: Lab) -> None:
    """600 kB over 200 ms of path: round trip after round trip, the congestion window is the limit."""
    download(*lab.pair(), 600_000)
