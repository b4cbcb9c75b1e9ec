"""Scenarios of the close and of resets: RFC 9293 3.6 and 3.10.7, RFC 1122 4.2.2.13 (TIME_WAIT)."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

from .network import Lab, crash, drain, receive, set_options
from .opening import ANSWER, REQUEST, exchange
from .rules import fin, lose, lose_all, pure_ack
from .scenario import kernel


def ask(client: socket.socket, server: socket.socket) -> None:
    client.sendall(REQUEST)
    receive(server, len(REQUEST))
    server.sendall(ANSWER)
    receive(client, len(ANSWER))
    time.sleep(0.06)


@kernel()
def server_closes_first(lab: Lab) -> None:
    client, server = lab.pair()
    client.sendall(REQUEST)
    receive(server, len(REQUEST))
    server.sendall(ANSWER)
    server.close()
    drain(client)
    time.sleep(0.06)
    client.close()
    time.sleep(0.05)


@kernel()
def three_segment_close(lab: Lab) -> None:
    """The server delays its ACK and closes at once: its FIN acknowledges the client's."""
    client, server = lab.pair()
    ask(client, server)
    set_options(server, TCP_QUICKACK=0)

    def close_at_once() -> None:
        drain(server)
        server.close()

    closer = threading.Thread(target=close_at_once)
    closer.start()
    client.close()
    closer.join()
    time.sleep(0.05)


@kernel(delay=0.02)
def simultaneous_close(lab: Lab) -> None:
    client, server = lab.pair()
    ask(client, server)
    server.close()
    client.close()
    time.sleep(0.15)


@kernel()
def half_close(lab: Lab) -> None:
    client, server = lab.pair()
    client.sendall(REQUEST)
    client.shutdown(socket.SHUT_WR)
    drain(server)
    for _ in range(3):
        time.sleep(0.1)
        server.sendall(b"x" * 1000)
    time.sleep(0.06)
    server.close()
    drain(client)
    client.close()
    time.sleep(0.05)


@kernel()
def last_ack_lost(lab: Lab) -> None:
    """The server repeats its FIN; the client acknowledges it again out of TIME_WAIT."""
    client, server = lab.pair()
    ask(client, server)
    client.close()
    drain(server)
    time.sleep(0.06)
    lab.rule = lose("client", pure_ack, 0)
    server.close()
    time.sleep(0.6)


@kernel()
def fin_lost(lab: Lab) -> None:
    client, server = lab.pair()
    ask(client, server)
    lab.rule = lose("client", fin, 0)
    client.close()
    drain(server)
    time.sleep(0.06)
    server.close()
    time.sleep(0.05)


@kernel()
def reset_unread_data(lab: Lab) -> None:
    """The server closes with the request unread in its buffer."""
    client, server = lab.pair()
    client.sendall(REQUEST)
    time.sleep(0.1)
    server.close()
    time.sleep(0.05)
    with contextlib.suppress(ConnectionResetError):
        client.recv(1)


@kernel()
def reset_linger(lab: Lab) -> None:
    """SO_LINGER with time 0: RST instead of FIN."""
    client, server = lab.pair()
    ask(client, server)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    time.sleep(0.05)


@kernel()
def data_after_close(lab: Lab) -> None:
    """The server closed both ways; what the client still sends finds nobody."""
    client, server = lab.pair()
    ask(client, server)
    server.close()
    time.sleep(0.1)
    client.sendall(REQUEST)
    time.sleep(0.1)


@kernel()
def half_open_crash(lab: Lab) -> None:
    """The server's machine forgets the connection; the client's next request is answered by RST."""
    client, server = lab.pair()
    ask(client, server)
    crash(server)
    client.sendall(REQUEST)
    time.sleep(0.1)
    with contextlib.suppress(ConnectionResetError):
        client.recv(1)


@kernel()
def time_wait_reuse(lab: Lab) -> None:
    """The server rests in TIME_WAIT; a SYN with a higher ISN and time stamp opens the same four-tuple again."""
    listener = lab.listen()
    for _ in range(2):
        client = lab.connect()
        server, _ = listener.accept()
        client.sendall(REQUEST)
        receive(server, len(REQUEST))
        server.sendall(ANSWER)
        server.close()
        drain(client)
        time.sleep(0.06)
        client.close()
        time.sleep(0.5)


@kernel()
def close_wait(lab: Lab) -> None:
    """The server's program never closes: CLOSE_WAIT until the capture ends."""
    client, server = lab.pair()
    ask(client, server)
    client.close()
    time.sleep(1.0)
    lab.rule = lose_all()  # what closes when this ends is not captured
    server.close()


@kernel()
def short_connections(lab: Lab) -> None:
    """Twenty connections, one request each."""
    listener = lab.listen()
    for number in range(20):
        client = lab.connect(80, 40000 + number)
        server, _ = listener.accept()
        exchange(client, server)


@kernel()
def reset_at_close(lab: Lab) -> None:
    """The server closes, the client aborts instead of closing as well; nothing is under way."""
    client, server = lab.pair()
    ask(client, server)
    server.close()
    time.sleep(0.1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    time.sleep(0.05)


@kernel()
def close_wait_leak(lab: Lab) -> None:
    """The server's program has answered, and forgets the connection; it serves another three seconds later."""
    listener = lab.listen()
    client = lab.connect()
    leaked, _ = listener.accept()
    ask(client, leaked)
    client.close()
    time.sleep(3.0)
    client = lab.connect(80, 40001)
    server, _ = listener.accept()
    exchange(client, server)
    lab.rule = lose_all()
    leaked.close()
