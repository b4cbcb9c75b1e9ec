"""tcpscope against tshark: what must agree agrees, and the differences have the reasons that belong to them."""

from __future__ import annotations

import csv
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from tcpscope.tables.analysis import DEFAULT_MSL, locate
from tcpscope.wireshark import marked
from tcpscope.wireshark.agreement import COLUMNS, Agreement, compare
from tcpscope.wireshark.tshark import find

from ..ladder import build
from ..ladder.script import parse
from .conftest import ROOT, SCRIPTS, Capture, needs_tshark, run

pytestmark = needs_tshark
NAMES = sorted(
    f"{path.parent.name}/{path.stem}"
    for room in ("loss", "window", "idle", "seq")
    for path in (SCRIPTS / room).glob("*.txt")
)
FOR_ALL = [*NAMES, "open/simultaneous", "open/syn_new_isn", "open/stale_syn", "close/last_ack_lost",
           "close/time_wait_reused", "midstream/established"]  # fmt: skip


def agreement(path: Path, **settings: Any) -> Agreement:
    found = Agreement(**settings)
    compare(locate(path).captures[0], 0, find(), found, msl=DEFAULT_MSL, by_tunnel=False)
    return found


def judged(found: Agreement) -> dict[tuple[int, str], tuple[str, str]]:
    return {(row["frame"], row["name"]): (row["reason"], row["evidence"]) for row in found.differences}


@pytest.mark.parametrize("name", FOR_ALL)
def test_what_must_agree_agrees(name: str, capture: Capture) -> None:
    found = agreement(capture(name))
    assert found.packets > 0
    assert (found.decoded, found.streams_equal) == (found.packets, found.streams)
    assert [row for row in found.differences if row["comparison"] != "judgement"] == []
    assert found.agrees
    for (comparison, mark, why), count in found.found.items():
        assert (comparison, count > 0) == ("judgement", True)
        assert "the rules differ" not in why, mark


EXPECTED = [
    ("window/zero_window_linux_probes", 6, "keep_alive", "persist timer", "frame 5 advertised a window of 0"),
    ("window/zero_window_linux_probes", 6, "zero_window_probe", "persist timer", "frame 5 advertised a window of 0"),
    ("window/zero_window_linux_probes", 7, "zero_window_probe_ack", "a probe of a closed window", "window of 0"),
    ("open/simultaneous", 3, "retransmission", "figure 8", ""),
    ("close/last_ack_lost", 8, "duplicate_ack", "TIME_WAIT acknowledges a repeated FIN", "up to frame 5"),
    ("close/last_ack_lost", 7, "spurious_retransmission", "the peer had it already", "frame 6 had acknowledged all"),
    (
        "loss/capture_duplicate",
        6,
        "duplicate_ack",
        "captured twice",
        "IP ID 0x0065 and checksum as frame 5, 20 µs apart",
    ),
    ("loss/network_duplicate", 6, "retransmission", "the network doubled", "as frame 4, 5 ms apart"),
    ("loss/network_duplicate", 7, "duplicate_ack", "RFC 5681", "all that the peer had sent, up to frame 4"),
    (
        "loss/fast_after_one_sack",
        10,
        "fast_retransmission",
        "RACK",
        "a duplicate ACK up to frame 9; SACK blocks in frame 9",
    ),
    ("loss/spurious_by_dsack", 7, "spurious_retransmission", "D-SACK", "it repeats frame 4; a later packet"),
    ("loss/spurious_by_dsack", 9, "duplicate_ack", "D-SACK", "up to frame 5"),
]


@pytest.mark.parametrize(("name", "frame", "mark", "reason", "evidence"), EXPECTED)
def test_the_reason_and_its_evidence(
    name: str, frame: int, mark: str, reason: str, evidence: str, capture: Capture
) -> None:
    why, shown = judged(agreement(capture(name)))[frame, mark]
    assert reason in why
    assert evidence in shown


def test_reordering_is_told_by_the_ip_id(tmp_path: Path) -> None:
    """A segment that is late by more than Wireshark's 3 ms is sent again for Wireshark."""
    script = (SCRIPTS / "loss" / "reordered_by_ip_id.txt").read_text(encoding="utf-8")
    path = tmp_path / "late.pcap"
    build.write(parse(script.replace("0.103    C", "0.180    C").replace("0.103100 S", "0.190    S")), path)
    shown = judged(agreement(path))
    for mark in ("retransmission", "out_of_order"):
        why, evidence = shown[7, mark]
        assert "reordered" in why
        assert evidence == "IP ID 0x006f comes before frame 5's 0x0070"


# ---------------------------------------------------------------- the command, as a process


def test_exit_0_and_the_table(capture: Capture) -> None:
    done = run("compare", capture("window/zero_window_linux_probes"))
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert f"Wireshark {find().version} (tshark)" in text
    assert "12 TCP packets compared, all header fields equal in 12" in text
    assert "agrees wholly" in text
    assert "frame 6, connection 0, client: Wireshark keep_alive; tcpscope zero_window_probe;" in text


def test_every_format_holds_the_same_differences(capture: Capture) -> None:
    path = capture("window/zero_window_linux_probes")
    document = json.loads(run("compare", path, "--format", "json").stdout)
    lines = [json.loads(line) for line in run("compare", path, "--format", "jsonl").stdout.splitlines()]
    cells = list(csv.DictReader(run("compare", path, "--format", "csv").stdout.decode().splitlines()))
    assert document["agrees"] is True
    assert document["wireshark"] == {"version": find().version, "rules": "4.0", "same_rules": find().same_rules}
    assert lines == document["differences"]
    assert [tuple(row) for row in (lines[0], cells[0])] == [COLUMNS, COLUMNS]
    assert [row["reason"] for row in cells] == [row["reason"] for row in lines]
    counts = {row["annotation"]: row for row in document["annotations"]}
    assert counts["keep_alive"] == {
        "annotation": "keep_alive", "wireshark": 2, "emulation": 2, "emulation_equal": 2, "tcpscope": 0, "both": 0,
    }  # fmt: skip
    assert sum(row["count"] for row in document["reasons"]) == len(lines) == 6


def test_one_annotation_and_a_limit(capture: Capture) -> None:
    path = capture("window/zero_window_linux_probes")
    document = json.loads(run("compare", path, "--format", "json", "--annotation", "KEEP_ALIVE", "--most", "1").stdout)
    assert [(row["frame"], row["name"]) for row in document["differences"]] == [(6, "keep_alive")]
    assert [row["count"] for row in document["reasons"]] == [2]


@pytest.mark.parametrize("pack", [None, gzip.compress, lzma.compress])
def test_standard_input_and_compressed_files(pack: Any, capture: Capture, tmp_path: Path) -> None:
    raw = capture("loss/capture_duplicate").read_bytes()
    (tmp_path / "packed").write_bytes((pack or bytes)(raw))
    for arguments in (["-"], [str(tmp_path / "packed")]):
        done = run("compare", *arguments, "--format", "jsonl", data=(pack or bytes)(raw))
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 5)


def test_a_cut_capture_is_compared_up_to_the_cut(capture: Capture) -> None:
    path = capture("loss/capture_duplicate")
    path.write_bytes(path.read_bytes()[:-20])
    done = run("compare", path, "--format", "json")
    assert (done.returncode, json.loads(done.stdout)["packets"]["compared"]) == (0, 10)
    assert done.stderr.startswith(b"Warning: ")
    assert run("compare", path, "--strict").returncode == 2


def otherwise(folder: Path, column: str, frame: int, value: str, version: str) -> str:
    """A PATH on which tshark is of another version, and says `value` in one column of one frame."""
    real = find().path
    program = folder / "tshark"
    program.write_text(
        f"""#!/bin/sh
if [ "$1" = -v ]; then echo "TShark (Wireshark) {version} (Git v{version})."; exit; fi
{real} "$@" | awk 'BEGIN {{ FS = OFS = "\t" }} NR == {frame} {{ ${marked.AT[column] + 1} = "{value}" }} 1'
"""
    )
    program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("tcp.analysis.keep_alive", "1", "adds it|misses it"),
        ("tcp.len", "999", "tcp.len differs"),
        ("tcp.stream", "7", "began another stream"),
    ],
)
def test_exit_1_where_tshark_says_otherwise(
    column: str, value: str, says: str, capture: Capture, tmp_path: Path
) -> None:
    path = capture("loss/capture_duplicate")
    done = run("compare", path, PATH=otherwise(tmp_path, column, 4, value, "4.0.17"))
    text = " ".join(done.stdout.decode().split())
    assert any(one in text for one in says.split("|")), text
    assert done.returncode == (0 if column == "tcp.stream" else 1)
    assert ("does not agree" in text) == (column != "tcp.stream")


def test_streams_grouped_otherwise_are_an_error(capture: Capture, tmp_path: Path) -> None:
    """One of the two SYNs captured twice is in a stream of its own."""
    path = capture("loss/capture_duplicate")
    done = run("compare", path, "--format", "json", PATH=otherwise(tmp_path, "tcp.stream", 2, "7", "4.0.17"))
    document = json.loads(done.stdout)
    assert (done.returncode, document["streams"]) == (1, {"wireshark": 2, "equal": 0})
    errors = [row for row in document["differences"] if row["comparison"] == "streams"]
    assert [(row["frame"], row["wireshark"], row["tcpscope"]) for row in errors] == [(1, [0, 7], [0]), (2, [0, 7], [0])]


def test_another_version_is_warned_of(capture: Capture, tmp_path: Path) -> None:
    path = capture("window/window_update")
    done = run("compare", path, PATH=otherwise(tmp_path, "frame.number", 1, "1", "4.4.1"))
    assert done.returncode == 0
    assert done.stderr.decode() == "Warning: Wireshark 4.4.1: 4.0's rules, followed here, may differ\n"
    assert "Wireshark 4.4.1" in done.stdout.decode()
    assert run("compare", path, "-q", PATH=f"{tmp_path}:/usr/bin:/bin").stderr == b""


def test_the_documentation_shows_what_is_printed() -> None:
    page = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    command, _, shown = page.split("```console\n$ tcpscope ")[1].split("```")[0].partition("\n")
    printed = run(*command.split()).stdout.decode()
    assert printed.replace(find().version, "4.0.17") == shown
