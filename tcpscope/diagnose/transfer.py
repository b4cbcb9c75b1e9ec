"""Data that was lost or had to wait: retransmissions, time-outs, closed windows."""

from __future__ import annotations

from tcpscope.diagnose.facts import Facts, about, by_server, times
from tcpscope.diagnose.finding import Finding

LOSSY = 0.01  # share of data packets sent again that a user feels
NOTABLE = 0.001
FEW = 3  # repetitions that are worth a word whatever their share
STALL_NS = 100_000_000


CAUSES = ("fast_retransmission", "timeout_retransmission", "tail_loss_probe", "rto_recovery")
_COUNTS = ("fast_retransmissions", "timeout_retransmissions", "tail_loss_probes", "recovery_retransmissions")


def again(side: dict[str, int]) -> int:
    """Segments with data or FIN that a side sent again, whatever the cause."""
    return sum(side[cause] for cause in _COUNTS)


def _sides(group: list[Facts], name: str) -> dict[str, int]:
    return {"client": sum(f.client[name] for f in group), "server": sum(f.server[name] for f in group)}


def transfer(found: list[Facts]) -> list[Finding]:
    """Loss and flow control, service by service."""
    findings = []
    for server, group in by_server(found).items():
        findings += _loss(server, group)
        findings += _windows(server, group)
        findings += _nagle(server, group)
    return findings


def _loss(server: str, group: list[Facts]) -> list[Finding]:
    findings = []
    hit = [f for f in group if again(f.client) or again(f.server)]
    if not hit:
        return []
    repeated = {"client": sum(again(f.client) for f in hit), "server": sum(again(f.server) for f in hit)}
    who = max(repeated, key=lambda side: repeated[side])
    share = repeated[who] / max(_sides(hit, "data_packets")[who], 1)
    if share >= NOTABLE or sum(repeated.values()) >= FEW:
        findings.append(about(
            hit, "retransmissions", "warning" if share >= LOSSY else "note", "path",
            f"the {who} sent {times(repeated[who], 'segment')} again ({share:.2%} of its data) in {times(len(hit))} "
            f"with {server}",
            f"loss on the path from the {who}; `tcpscope packets --annotation retransmission` names each and its cause",
            shown=CAUSES, by=who, share=share, segments=repeated[who],
        ))  # fmt: skip
    late = [f for f in group if f.client["timeout_retransmissions"] or f.server["timeout_retransmissions"]]
    if late:
        count = sum(_sides(late, "timeout_retransmissions").values())
        findings.append(about(
            late, "timeouts", "warning", "path",
            f"{times(count, 'retransmission time-out')} in {times(len(late))} with {server}: each stopped the "
            "transfer for 200 ms or more",
            "losses that duplicate ACKs could not tell: whole windows, last segments, or a dead path",
            shown=["timeout_retransmission"], timeouts=count,
        ))  # fmt: skip
    needless = [f for f in group if f.client["spurious_retransmissions"] or f.server["spurious_retransmissions"]]
    if needless:
        count = sum(_sides(needless, "spurious_retransmissions").values())
        findings.append(about(
            needless, "spurious", "note", "path",
            f"{times(count, 'retransmission')} in {times(len(needless))} with {server} "
            + ("was" if count == 1 else "were") + " not needed",
            "delay spikes, reordering or lost ACKs made the sender repeat what had arrived",
            shown=["spurious_retransmission"], segments=count,
        ))  # fmt: skip
    return findings


def _windows(server: str, group: list[Facts]) -> list[Finding]:
    findings = []
    for side in ("client", "server"):
        shut = [f for f in group if getattr(f, side)["zero_window_ns"] >= STALL_NS]
        if not shut:
            continue
        total = sum(getattr(f, side)["zero_window_ns"] for f in shut) / 1e9
        spells = sum(getattr(f, side)["zero_window_spells"] for f in shut)
        findings.append(about(
            shut, "zero_window", "warning", side,
            f"the {side}'s receive window was closed for {total:.2f} s ({times(spells, 'time')}) in "
            f"{times(len(shut))} with {server}",
            f"the program on the {side} reads too slowly: look at what it does, not at the network",
            shown=["zero_window"], by=side, seconds=total, spells=spells,
        ))  # fmt: skip
    return findings


def _nagle(server: str, group: list[Facts]) -> list[Finding]:
    findings = []
    for side in ("client", "server"):
        held = [f for f in group if getattr(f, side)["nagle_stalls"]]
        if not held:
            continue
        stalls = sum(getattr(f, side)["nagle_stalls"] for f in held)
        lost = sum(getattr(f, side)["nagle_ns"] for f in held) / 1e6
        findings.append(about(
            held, "nagle", "warning", side,
            f"the {side} waited {times(stalls, 'time')} for a delayed ACK before it sent a small segment: "
            f"{lost:.0f} ms lost in {times(len(held))} with {server}",
            f"write each message at once, or set TCP_NODELAY on the {side}",
            shown=["nagle_stall"], by=side, stalls=stalls, milliseconds=lost,
        ))  # fmt: skip
    return findings
