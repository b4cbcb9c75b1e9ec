"""What is wrong with the capture itself, and so weakens everything else."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tcpscope.diagnose.facts import Collected, Facts, about, having, times
from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.measure import ROLES, other, scale_cut
from tcpscope.replay import layout
from tcpscope.replay.record import Record

MANY_COPIES = 5  # packets that the network copied
ENOUGH = 3  # packets of one side; fewer may be the end of something, or due no answer
CUT_IN_HEADER = "cut_in_tcp"  # what the decoder calls a frame that ends inside the TCP header


def _damaged(side: Record) -> bool:
    """Some of its checksums are wrong; where all are, they were left to the network card, or the file was edited."""
    return bool(0 < side["bad_checksums"] < side["packets"])


def _both_came(f: Facts, role: str) -> bool:
    """Of most packets of that side that stand in the capture twice both copies came: D-SACK says so (RFC 2883)."""
    return bool(2 * f.side(other(role))["dsack_packets"] >= f.side(role)["duplicate_captures"] > 0)


def _copies(f: Facts) -> int:
    """Packets that were captured twice."""
    return sum(int(f.side(role)["duplicate_captures"]) for role in layout.ROLES if not _both_came(f, role))


def _copied(f: Facts) -> int:
    """Packets that the network copied."""
    return sum(
        int(f.side(role)["network_duplicates"] + f.side(role)["duplicate_captures"] * _both_came(f, role))
        for role in layout.ROLES
    )


def one_sided(f: Facts) -> bool:
    """Only one side was captured of a talk that must have had two; who repeats in vain has heard no more than we."""
    return bool(f.common["one_direction"] and f.close not in ("unanswered", "unreachable", "timeout"))


def recording(
    collected: Collected,
    files: list[dict[str, Any]],
    names: list[str],
    steps: int = 0,
    probes: Collection[int] = (),
) -> list[Finding]:
    """Duplicates, wrong checksums, one direction only, packets the capture missed, drops, damage.

    steps: times that the capture's clock went back.  probes: numbers of connections that are no more than a scanner's
    probes.
    """
    found = collected.facts
    return [
        *(finding for name, file in zip(names, files, strict=False) for finding in _of_file(name, file)),
        *_cut_options(found), *_clock_steps(steps), *_duplicates(found), *_network_duplicates(found),
        *_checksums(found), *_one_direction(found, probes), *_missed(collected), *_not_looked_at(collected),
    ]  # fmt: skip


# ---------------------------------------------------------------- of a file


def _of_file(name: str, file: dict[str, Any]) -> list[Finding]:
    findings = []
    if file.get("damage"):
        findings.append(Finding(
            "damaged", "warning", f"{name} is damaged: {file['damage']}",
            "capture again, or stop the writer before copying the file", "capture",
        ))  # fmt: skip
    dropped = sum(it["dropped"] or 0 for it in file.get("interfaces", ()))
    if dropped:
        findings.append(Finding(
            "dropped", "warning", f"the capture of {name} dropped {times(dropped, 'packet')}: holes may be its own",
            "capture with a larger buffer, a smaller snaplen or a filter", "capture",
            numbers={"packets": dropped},
        ))  # fmt: skip
    cut = file.get("kinds", {}).get(CUT_IN_HEADER, 0)
    if cut:
        findings.append(Finding(
            "cut_headers", "warning", f"{times(cut, 'packet')} of {name} cut inside the TCP header: "
            "no more than the ports can be known",
            "capture with a larger snaplen: 128 bytes hold all headers", "capture", numbers={"packets": cut},
        ))  # fmt: skip
    return findings


def _clock_steps(steps: int) -> list[Finding]:
    if not steps:
        return []
    return [Finding(
        "clock_steps", "warning", f"the capture's clock went back {times(steps, 'time')} by more than a second: "
        "durations across such a step are wrong",
        "a clock that was set while capturing, or files in the wrong order: sort them (reordercap, mergecap)",
        "capture", numbers={"steps": steps},
    )]  # fmt: skip


# ---------------------------------------------------------------- of its connections


def _cut_options(found: list[Facts]) -> list[Finding]:
    shortened = [f for f in found if scale_cut(f) and f.client["data_packets"] + f.server["data_packets"]]
    if not shortened:
        return []
    return [about(
        shortened, "cut_options", "note", "capture",
        f"the options of the SYNs of {times(len(shortened))} were cut off by the snap length: window scale, SACK "
        "and time stamps are not known",
        "what its windows were, and whether one was the limit, cannot be told: capture with a larger snaplen; 128 "
        "bytes hold all headers",
    )]  # fmt: skip


def _duplicates(found: list[Facts]) -> list[Finding]:
    twice = [f for f in having(found, "duplicate_captures") if _copies(f)]
    if not twice:
        return []
    count = sum(map(_copies, twice))
    finding = about(
        twice, "duplicates", "note", "capture",
        f"{times(count, 'packet')} of {times(len(twice))} "
        + ("stands in the capture twice; it is no retransmission" if count == 1 else
           "stand in the capture twice; they are not retransmissions"),
        "a mirror port or `any` shows packets on their way in and out, captures of both ends show them at both: "
        "for exact times look at one interface, one capture",
        shown=["duplicate_capture"], packets=count,
    )  # fmt: skip
    senders = {role for f in twice for role in ROLES if f.side(role)["duplicate_captures"]}
    if len(senders) == 1 and count >= MANY_COPIES:
        finding.doubt(f"all are the {min(senders)}'s: a network that copies packets at once looks the same")
    return [finding]


def _network_duplicates(found: list[Facts]) -> list[Finding]:
    copied = [f for f in having(found, "network_duplicates", "duplicate_captures") if _copied(f)]
    count = sum(map(_copied, copied))
    if count < MANY_COPIES:
        return []
    return [about(
        copied, "network_duplicates", "note", "path",
        f"{times(count, 'packet')} of {times(len(copied))} came twice: copied on the way, not by the sender",
        "a loop, a bond that sends on all its links, or a switch that floods; or captures of two places in one "
        "file: read them as two; where the copies differ in VLAN or tunnel --by-tunnel keeps them apart",
        shown=["network_duplicate", "duplicate_capture"], packets=count,
    )]  # fmt: skip


def _checksums(found: list[Facts]) -> list[Finding]:
    wrong = [f for f in having(found, "bad_checksums") if _damaged(f.client) or _damaged(f.server)]
    if not wrong:
        return []
    count = sum(side["bad_checksums"] for f in wrong for side in (f.client, f.server) if _damaged(side))
    return [about(
        wrong, "checksums", "note", "capture",
        f"{times(count, 'packet')} of {times(len(wrong))} " + ("has" if count == 1 else "have")
        + " a wrong TCP checksum",
        "damaged on the way (the receiver drops such packets), or rewritten after the capture: states may be off",
        shown=["bad_checksum"], packets=count,
    )]  # fmt: skip


def _one_direction(found: list[Facts], probes: Collection[int]) -> list[Finding]:
    single = [f for f in found if one_sided(f) and f.client["packets"] + f.server["packets"] >= ENOUGH
              and f.number not in probes]  # fmt: skip
    if not single:
        return []
    return [about(
        single, "one_direction", "note", "capture",
        f"only one direction of {times(len(single))} was captured",
        "asymmetric routing or a one-way mirror: states of the silent side are inferred",
    )]  # fmt: skip


def _missed(collected: Collected) -> list[Finding]:
    missed = having(collected.facts, "missed_bytes")
    if not missed:
        return []
    size = sum(max(f.client["missed_bytes"], 0) + max(f.server["missed_bytes"], 0) for f in missed)
    filtered = not collected.census.beyond and not any(
        size for size, _ in layout.PAIR.select(collected.census.pairs_of(1), ("bytes", "connections"))
    )
    return [about(
        missed, "missed", "note", "capture",
        f"{times(size, 'byte')} in {times(len(missed))} "
        + ("was transferred but is" if size == 1 else "were transferred but are") + " not in the capture"
        + (", which holds no data at all" if filtered else ""),
        "a filter let SYN, FIN and RST through and little else: sizes and durations are right, but losses, round "
        "trips, windows and waiting cannot be told" if filtered else
        "the capture lost packets, or began or ended in the middle",
        shown=["ack_lost_segment"], bytes=size,
    )]  # fmt: skip


def _not_looked_at(collected: Collected) -> list[Finding]:
    beyond = sum(collected.beyond.values())
    if not beyond:
        return []
    return [Finding(
        "not_looked_at", "note",
        f"{times(len(collected.facts))} with something odd were looked at one by one; of {beyond:,} more only how they "
        "ended is counted above",
        "divide the capture by host or time, or read the table: tcpscope connections FILE --format parquet",
        "capture", count=beyond,
    )]  # fmt: skip
