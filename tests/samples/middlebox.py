"""Scenarios with something on the path that does more than carry packets: it forgets, forges, or changes options."""

from __future__ import annotations

import contextlib
import os
import time

from .network import ACK, RST, SYN, Lab, Packet, checksummed, receive
from .opening import ANSWER, REQUEST, exchange
from .rules import lose_all
from .scenario import kernel

NOP, SACK_PERMITTED = 1, 4


def offering_sack(packet: Packet) -> tuple[float, ...] | bytes:
    """Two NOPs in the client's SYN become SACK permitted."""
    if packet.sender != "client" or packet.flags & (SYN | ACK) != SYN:
        return (0.0,)
    at = packet.frame.index(bytes([NOP, NOP]), 54)
    frame = bytearray(packet.frame)
    frame[at : at + 2] = bytes([SACK_PERMITTED, 2])
    return checksummed(frame)


def forged(packet: Packet, ttl: int, flags: int = RST) -> bytes:
    """A RST in the name of the packet's sender, as if it followed the packet."""
    frame = bytearray(packet.frame[:54])
    frame[16:18] = (40).to_bytes(2, "big")
    frame[18:20] = (0x9999).to_bytes(2, "big")
    frame[22] = ttl
    frame[38:42] = (packet.seq + packet.length).to_bytes(4, "big")
    frame[46], frame[47] = 5 << 4, flags
    frame[48:50] = b"\0\0"
    return checksummed(frame)


@kernel(at="server")
def rst_injected(lab: Lab) -> None:
    """Something on the path resets the connection in the client's name; the client knows nothing and goes on."""
    client, server = lab.pair()
    seen: list[Packet] = []

    def watch(packet: Packet) -> tuple[float, ...]:
        if packet.sender == "client" and packet.length:
            seen.append(packet)
        return (0.0,)

    lab.rule = watch
    client.sendall(REQUEST)
    receive(server, len(REQUEST))
    server.sendall(ANSWER)
    receive(client, len(ANSWER))
    time.sleep(0.1)
    os.write(lab.server.tap, forged(seen[0], ttl=57))
    time.sleep(0.1)
    client.sendall(REQUEST)
    time.sleep(0.1)
    with contextlib.suppress(ConnectionResetError):
        client.recv(1)


@kernel()
def idle_dropped(lab: Lab) -> None:
    """A box on the path forgets the connection while it is idle for 11 s: what comes then is lost without a word."""
    client, server = lab.pair(TCP_USER_TIMEOUT=3000)
    client.sendall(REQUEST)
    receive(server, len(REQUEST))
    server.sendall(ANSWER)
    receive(client, len(ANSWER))
    time.sleep(11)
    lab.rule = lose_all()
    client.sendall(REQUEST)
    with contextlib.suppress(OSError):
        client.recv(1)
    time.sleep(0.2)


@kernel()
def idle_survived(lab: Lab) -> None:
    """Idle for 11 s, and then it goes on: nothing is wrong."""
    client, server = lab.pair()
    client.sendall(REQUEST)
    receive(server, len(REQUEST))
    server.sendall(ANSWER)
    receive(client, len(ANSWER))
    time.sleep(11)
    exchange(client, server)


@kernel()
def options_rewritten(lab: Lab) -> None:
    """A box offers the server SACK in the client's name, whose SYN has it not: the SYN-ACK has."""
    lab.client.sysctl("net.ipv4.tcp_sack", 0)
    lab.rule = offering_sack
    exchange(*lab.pair())
