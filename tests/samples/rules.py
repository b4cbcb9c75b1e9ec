"""What the relay does to which packet: rules for a `Lab`, and predicates to choose packets by."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable

from .network import FIN, SYN, Packet, Rule

Choice = Callable[[Packet], bool]


def syn(packet: Packet) -> bool:
    return bool(packet.flags & SYN)


def fin(packet: Packet) -> bool:
    return bool(packet.flags & FIN)


def data(packet: Packet) -> bool:
    return packet.length > 0


def anything(packet: Packet) -> bool:
    return True


def pure_ack(packet: Packet) -> bool:
    return packet.length == 0 and not packet.flags & (SYN | FIN)


def nth(sender: str, choice: Choice, which: Iterable[int], then: Iterable[float]) -> Rule:
    """`then` for the which-th (from 0) packets of `sender` that `choice` takes; the others pass."""
    chosen, count = frozenset(which), itertools.count()

    def rule(packet: Packet) -> Iterable[float]:
        hit = packet.sender == sender and choice(packet) and next(count) in chosen
        return then if hit else (0.0,)

    return rule


def lose(sender: str, choice: Choice = data, *which: int) -> Rule:
    """Lose the which-th packets."""
    return nth(sender, choice, which, ())


def lose_all(sender: str | None = None, choice: Choice = anything) -> Rule:
    """Lose all that `sender` (None: anybody) sends."""

    def rule(packet: Packet) -> Iterable[float]:
        return () if sender in (None, packet.sender) and choice(packet) else (0.0,)

    return rule


def double(sender: str, choice: Choice, *which: int, gap: float = 0.0003) -> Rule:
    """The network delivers the which-th packets twice, `gap` seconds apart."""
    return nth(sender, choice, which, (0.0, gap))


def hold(sender: str, choice: Choice, *which: int, extra: float) -> Rule:
    """The which-th packets come `extra` seconds late."""
    return nth(sender, choice, which, (extra,))


def congestion_experienced(*which: int) -> Rule:
    """A router marks the server's which-th data segments (RFC 3168): IPv4, ECT(0) to CE, checksum adjusted."""
    count = itertools.count()

    def rule(packet: Packet) -> Iterable[float] | bytes:
        if packet.sender != "server" or not packet.length or next(count) not in which:
            return (0.0,)
        frame = bytearray(packet.frame)
        frame[15] |= 3
        total = int.from_bytes(frame[24:26], "big") - 1  # one's complement: the header's sum grew by one
        frame[24:26] = (total if total >= 0 else 0xFFFE).to_bytes(2, "big")
        return bytes(frame)

    return rule


def damage(sender: str, *which: int) -> Rule:
    """Flip the last byte of the which-th data segments."""
    count = itertools.count()

    def rule(packet: Packet) -> Iterable[float] | bytes:
        if packet.sender != sender or not packet.length or next(count) not in which:
            return (0.0,)
        return packet.frame[:-1] + bytes([packet.frame[-1] ^ 0xFF])

    return rule


def bottleneck(sender: str, rate: float) -> Rule:
    """A link of `rate` bytes a second behind `sender`, with a queue that is never full."""
    free = 0.0

    def rule(packet: Packet) -> Iterable[float]:
        nonlocal free
        if packet.sender != sender:
            return (0.0,)
        now = time.monotonic()
        free = max(now, free) + len(packet.frame) / rate
        return (free - now,)

    return rule
