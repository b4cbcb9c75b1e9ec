"""The column `wireshark` is tshark's, and tcpscope's own view differs with the right reason."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tcpscope.replay.layout import ANNOTATIONS, WIRESHARK
from tcpscope.wireshark.compare import compare
from tcpscope.wireshark.reasons import ONLY_TCPSCOPE, ONLY_WIRESHARK, REASONS, reason

ROOT = Path(__file__).parents[2]
SAMPLES = sorted(path for path in (ROOT / "sample_pcaps").iterdir() if path.name != "README.md")
tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tcpscope", *map(str, arguments)], cwd=ROOT, capture_output=True, check=False,
        env=environment or None,
    )  # fmt: skip


@tshark
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_the_column_agrees_on_every_sample(path):
    done = run("compare", path, "--format", "json", "-q")
    answer = json.loads(done.stdout)
    assert [entry for entry in answer["differences"] if "column" in entry["reason"]] == []
    assert (done.returncode, answer["agrees"], answer["only_wireshark"]) == (0, True, 0)


EXPECTED = [
    ("zero_window.pcap", "keep_alive", "persist timer"),
    ("simultaneous_open.pcap", "retransmission", "simultaneous open"),
    ("span_duplicates.pcap", "retransmission", "captured twice"),
    ("span_duplicates.pcap", "duplicate_ack", "captured twice"),
    ("last_ack_lost.pcap", "duplicate_ack", "repeated FIN"),
]


@tshark
@pytest.mark.parametrize(("name", "mark", "why"), EXPECTED)
def test_the_reasons(name, mark, why):
    lines = run("compare", ROOT / "sample_pcaps" / name, "--annotation", mark, "--format", "jsonl").stdout.splitlines()
    reasons = {json.loads(line)["reason"] for line in lines if json.loads(line)["only"] == "Wireshark"}
    assert reasons and all(why in text for text in reasons)


def test_reasons_name_what_exists():
    for who, mark, annotation, text in REASONS:
        assert who in (ONLY_WIRESHARK, ONLY_TCPSCOPE) and text
        assert mark in ("", *WIRESHARK) and annotation in ("", *ANNOTATIONS)
    nothing = {"annotations": [], "retransmission_of": None}
    assert "different rules" in reason(ONLY_WIRESHARK, "window_full", nothing)


PACKET = {"frame": 1, "connection": 0, "seq_raw": 5, "ack_raw": 0, "length": 0, "window_raw": 1, "flags": "SYN",
          "wireshark": [], "annotations": [], "retransmission_of": None}  # fmt: skip
THEIRS = {"frame": 1, "stream": 0, "seq_raw": 5, "ack_raw": 9, "length": 0, "window_raw": 1, "flags": 2, "marks": set()}


def test_what_must_not_differ_is_found():
    assert compare([PACKET], [THEIRS]).agrees  # without the ACK flag the acknowledgment number does not count
    assert not compare([PACKET], [dict(THEIRS, seq_raw=6)]).agrees
    assert not compare([PACKET], [dict(THEIRS, marks={"zero_window"})]).agrees
    assert not compare([], [THEIRS]).agrees
    other = dict(THEIRS, frame=2, stream=1)
    assert not compare([PACKET, dict(PACKET, frame=2)], [THEIRS, other]).agrees


def test_without_tshark_one_line_says_how_to_get_it(tmp_path):
    done = run("compare", SAMPLES[0], PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.decode().splitlines() == ["Error: tshark is not installed; on Debian: apt-get install tshark"]


@tshark
def test_a_packet_in_full():
    text = run("dissect", ROOT / "sample_pcaps" / "normal.pcap", "2").stdout.decode()
    assert "Transmission Control Protocol" in text and "Frame 2:" in text
    missing = run("dissect", ROOT / "sample_pcaps" / "normal.pcap", "99")
    assert missing.returncode == 2 and b"no frame 99" in missing.stderr
    tree = json.loads(run("dissect", ROOT / "sample_pcaps" / "normal.pcap", "2", "--format", "json").stdout)
    assert tree[0]["_source"]["layers"]["frame"]["frame.number"] == "2"
