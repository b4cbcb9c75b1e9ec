"""Captures of many small connections, each as it is wanted: from whom, to where, how it ends."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from ..packet_builder import ethernet, ipv4, pcap, record, tcp

SYN, SYN_ACK, ACK, DATA, FIN, RST = 0x02, 0x12, 0x10, 0x18, 0x11, 0x14
START = 1_700_000_000


class Talk(NamedTuple):
    """One connection with a request and an answer.  begun_before: the handshake was not captured."""

    client: str = "10.1.0.1"
    end: str = "fin"  # or reset: by the server
    rtt: float = 0.01
    port: int = 80
    begun_before: bool = False


def write(path: Path, talks: list[Talk]) -> Path:
    """A pcap file of these connections, one a second; each client's ports count up from 40000."""
    ports: dict[str, int] = {}
    records = []
    for at, talk in enumerate(talks):
        ports[talk.client] = ports.get(talk.client, 39_999) + 1
        records += [
            record(frame, second=START + at + int(after), fraction=int(after % 1 * 1e6))
            for after, frame in _frames(talk, ports[talk.client])
        ]
    path.write_bytes(pcap([]) + b"".join(records))
    return path


def _frames(talk: Talk, port: int) -> list[tuple[float, bytes]]:
    client, server = ip_address(talk.client).packed, ip_address("10.1.0.2").packed
    step = talk.rtt

    def sent(mine: bool, flags: int, seq: int, ack: int, payload: bytes = b"") -> bytes:
        ends = {"src": client, "dst": server} if mine else {"src": server, "dst": client}
        ports = {"sport": port, "dport": talk.port} if mine else {"sport": talk.port, "dport": port}
        return ethernet(ipv4(tcp(payload, seq=seq, ack=ack, flags=flags, window=60_000, **ends, **ports), **ends))

    opening = [
        (0.0, sent(True, SYN, 1000, 0)),
        (step, sent(False, SYN_ACK, 5000, 1001)),
        (step + 1e-4, sent(True, ACK, 1001, 5001)),
    ]
    middle = [
        (2 * step, sent(True, DATA, 1001, 5001, b"ask")),
        (3 * step, sent(False, DATA, 5001, 1004, b"answer")),
        (3 * step + 1e-4, sent(True, ACK, 1004, 5007)),
    ]
    ending = [
        (4 * step, sent(True, FIN, 1004, 5007)),
        (5 * step, sent(False, FIN, 5007, 1005)),
        (5 * step + 1e-4, sent(True, ACK, 1005, 5008)),
    ]
    if talk.end == "reset":
        ending = [(4 * step, sent(False, RST, 5007, 1004))]
    return [*([] if talk.begun_before else opening), *middle, *ending]
