"""Which timer of a socket runs, as `ss -o` shows it, and when it would run out: estimates from the packets.

The host's own numbers are not on the wire.  The round trip is (RFC 6298), as far as the capture point sees it;
the floor of 200 ms, the probe of the tail and the first second of a SYN are Linux's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tcpscope.replay.states import State
from tcpscope.tables.queues import NEVER

Known = Mapping[str, int]  # what `queues` knows of one stream

MS = 1_000_000
SECOND = 1000 * MS
RTO_MIN = 200 * MS  # Linux; RFC 6298 says 1 s
RTO_MAX = 120 * SECOND
PROBE_SLACK = 2 * MS  # Linux adds two ticks to a tail loss probe's time-out
HANDSHAKE = (State.SYN_SENT, State.SYN_RECEIVED)
OWES = (State.SYN_SENT, State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK)  # its SYN or FIN is not acknowledged
NO_TIMER = (State.CLOSED, State.LISTEN, State.UNKNOWN)


class Timer(NamedTuple):
    """name: on, persist, keepalive, timewait; expires: seconds left, None if not known; retries so far."""

    name: str
    expires: float | None
    retries: int


@dataclass(frozen=True)
class Path:
    """Of an endpoint's connection: the part of the round trip that its own samples lack, and what was agreed.

    behind_ns: from the capture point to this endpoint and back, 0 if not known; initial_ns: of the handshake,
    negative if not known; mss: the largest segment it may send; sack: both may report losses selectively.
    """

    behind_ns: int = 0
    initial_ns: int = -1
    mss: int = 1460
    sack: bool = False


def round_trip(k: Known, path: Path) -> int:
    """The smoothed round trip in nanoseconds; negative if nothing was measured."""
    if k["srtt"] >= 0:
        return k["srtt"] + path.behind_ns
    return path.initial_ns


def timeout(k: Known, path: Path) -> int | None:
    """The retransmission time-out in ns, before any back-off (RFC 6298, 2, with Linux's floor); None: not known."""
    trip = round_trip(k, path)
    if trip < 0:
        return None  # the host has measured before the capture began
    varies = 4 * k["rttvar"] if k["srtt"] >= 0 else 2 * trip
    return min(trip + max(varies, RTO_MIN), RTO_MAX)


def timer(state: int, k: Known, peer: Known, path: Path, entered_ns: int, msl_ns: int, now_ns: int) -> Timer | None:
    """The timer of an endpoint in `state` since entered_ns; None: none, or none that the wire shows.

    k: what it sends; peer: what it is sent.
    """
    if state in NO_TIMER:
        return None
    if state == State.TIME_WAIT:  # a repeated FIN starts the time anew (RFC 9293, 3.10.7.4)
        since = max(entered_ns, peer["fin_sent"])
        return _left("timewait", since + 2 * msl_ns, now_ns, 0)
    if state in HANDSHAKE:
        return _handshake(k, now_ns)
    if k["window"] == 0 and k["send_q"] <= 1 and (k["probes"] or k["data_end"] >= k["edge"] > NEVER):
        return _persist(k, path, now_ns)
    if k["send_q"] > 0 or state in OWES:
        return _left("on", _resend_at(k, path), now_ns, k["timeouts"])
    if k["alive"] > NEVER:
        return _keep_alive(k, now_ns)
    return None


def _left(name: str, expires_ns: int | None, now_ns: int, retries: int) -> Timer:
    """A time that has passed without the packet it announces was estimated wrongly: not known."""
    known = expires_ns is not None and expires_ns >= now_ns
    return Timer(name, (expires_ns - now_ns) / 1e9 if known and expires_ns is not None else None, retries)


def _handshake(k: Known, now_ns: int) -> Timer:
    """One second, doubled; Linux since 6.5 repeats a SYN a few times each second first, where that was seen."""
    tries = k["timeouts"]
    since = max(k["first_sent"], k["resent"])
    if since == NEVER:
        return Timer("on", None, tries)
    steady = tries >= 2 and abs(since - k["first_sent"] - tries * SECOND) < SECOND // 2
    wait = SECOND if steady and tries <= 4 else SECOND << min(tries, 7)
    if tries > 4 and k["first_sent"] > NEVER and since - k["first_sent"] < (2 << 4) * SECOND // 2:
        wait = SECOND << min(tries - 4, 7)  # after the steady ones
    return _left("on", since + min(wait, RTO_MAX), now_ns, tries)


def _resend_at(k: Known, path: Path) -> int | None:
    """When the oldest segment under way is sent again: RFC 6298, 5; before that the tail is probed (RFC 8985, 7)."""
    started = max(k["first_sent"], k["acked"], k["resent"])
    rto = timeout(k, path)
    if started == NEVER or rto is None:
        return None
    expires = started + min(rto << min(k["timeouts"], 10), RTO_MAX)
    trip = round_trip(k, path)
    quiet = k["timeouts"] == 0 and k["probed"] == 0 and k["resent"] < max(k["first_sent"], k["acked"])
    if path.sack and quiet and trip >= 0 and k["send_q"] > min(k["last_length"], path.mss + 1):
        expires = min(expires, max(k["new_sent"], k["acked"]) + 2 * trip + PROBE_SLACK)
    return expires


def _persist(k: Known, path: Path, now_ns: int) -> Timer:
    """The time-out first, then twice the interval before (RFC 9293, 3.8.6.1)."""
    if k["probes"]:
        expires = k["probe"] + min(2 * k["probe_gap"], RTO_MAX) if k["probe_gap"] > 0 else None
    else:
        rto = timeout(k, path)
        expires = k["closed"] + rto if k["closed"] > NEVER and rto is not None else None
    return _left("persist", expires, now_ns, k["unanswered"])


def _keep_alive(k: Known, now_ns: int) -> Timer:
    """As the probes came before: so long after the peer's last word, or after the last probe without answer."""
    expires: int | None = None
    if k["alive_unanswered"]:
        expires = k["alive"] + k["alive_gap"] if k["alive_gap"] > 0 else None
    elif k["alive_idle"] > 0:
        expires = k["heard"] + k["alive_idle"]
    return _left("keepalive", expires, now_ns, k["alive_unanswered"])
