"""The interfaces of this machine, and who may capture on them."""

from __future__ import annotations

import socket
import sys
from typing import Any, NamedTuple

from tcpscope.capture.rights import PROGRAMS, may_capture, missing, path_of


class Interface(NamedTuple):
    """state: up, down or no carrier.  speed: Mbit/s, None: not known.  packets: received and sent since it came up."""

    name: str
    state: str
    addresses: list[str]
    mac: str | None
    mtu: int | None
    speed: int | None
    packets: int | None


class Capability(NamedTuple):
    """Whether a program may capture, and, where it may not, what is missing and the command that mends it."""

    program: str
    path: str | None
    allowed: bool
    missing: str | None


def interfaces() -> list[Interface]:
    """All of them: those that are up first, then by name; before them `any`, which is all at once (Linux)."""
    import psutil

    flows = psutil.net_io_counters(pernic=True)
    states = psutil.net_if_stats()
    found = []
    for name, addresses in psutil.net_if_addrs().items():
        ips = [it.address.partition("%")[0] for it in addresses if it.family in (socket.AF_INET, socket.AF_INET6)]
        macs = [it.address for it in addresses if it.family == psutil.AF_LINK]
        found.append(_interface(name, states.get(name), flows.get(name), ips, macs))
    named = {it.name for it in found}
    found += [_interface(name, it, flows.get(name), [], []) for name, it in states.items() if name not in named]
    found.sort(key=lambda it: (it.state != "up", it.name))
    if sys.platform.startswith("linux"):
        found.insert(0, Interface("any", "up", [], None, None, None, None))
    return found


def _interface(name: str, stats: Any, flow: Any, ips: list[str], macs: list[str]) -> Interface:
    flags = getattr(stats, "flags", "")
    state = "up" if stats is not None and stats.isup else "down"
    if state == "down" and "up" in flags.split(","):
        state = "no carrier"
    mac = next((it for it in macs if it.strip("0:")), None)
    mtu, speed = (stats.mtu, stats.speed or None) if stats is not None else (None, None)
    packets = flow.packets_recv + flow.packets_sent if flow is not None else None
    return Interface(name, state, ips, mac, mtu, speed, packets)


def capabilities() -> list[Capability]:
    """Of each program that can capture for tcpscope."""
    found = []
    for program in PROGRAMS:
        allowed = may_capture(program)
        found.append(Capability(program, path_of(program), allowed, None if allowed else missing(program)))
    return found
