"""`tcpscope diagram` as it is used."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from .test_commands import NORMAL, SAMPLES, error_of, run


@pytest.mark.parametrize(
    ("suffix", "start"),
    [(".svg", b"<svg "), (".html", b"<!DOCTYPE html>"), (".mmd", b"sequenceDiagram"), (".json", b"{"), (".txt", b"  "),
     (".out", b"  "), (".SVG", b"<svg ")],
)  # fmt: skip
def test_the_name_chooses_the_format(suffix, start, tmp_path):
    out = tmp_path / f"ladder{suffix}"
    done = run("diagram", NORMAL, "-o", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert out.read_bytes().startswith(start)


def test_the_format_is_stronger_than_the_name(tmp_path):
    out = tmp_path / "ladder.svg"
    run("diagram", NORMAL, "--format", "mermaid", "-o", out)
    assert out.read_bytes().startswith(b"sequenceDiagram")


def test_json_holds_the_model():
    model = json.loads(run("diagram", SAMPLES / "zero_window.pcap", "--format", "json").stdout)
    assert {bar["what"] for bar in model["bars"]} == {"zero_window", "persist", "time_wait"}


def test_the_connection_of_the_frame():
    lines = run("diagram", SAMPLES / "short_connections.pcap", "--around", "frame:99").stdout.decode().splitlines()
    assert "10.1.0.1:40008" in lines[0]
    assert any(line.split()[1:2] == ["99"] for line in lines)
    piped = run("diagram", "-", "--around", "frame:99", data=(SAMPLES / "short_connections.pcap").read_bytes())
    assert piped.stdout.decode().splitlines() == lines


def test_parts():
    text = run("diagram", NORMAL, "--handshake").stdout.decode()
    assert "SYN_SENT" in text and "FIN" not in text and "after: 8 segments" in text
    text = run("diagram", SAMPLES / "zero_window.pcap", "--from", "+0.3", "--to", "+1").stdout.decode()
    assert "4 of 39 segments are drawn" in text
    root = ElementTree.fromstring(run("diagram", SAMPLES / "bulk.pcap", "--format", "svg", "--max-rows", "9").stdout)
    assert float(root.get("height")) < 600


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--around", "frame:99"], "no TCP packet in frame 99"),
        (["--around", "frame:99", "-c", "0"], "not a packet of the connection"),
        (["--around", "99.5"], "write frame:N"),
        (["--around", "frame:²"], "write frame:N"),
        (["-c", "-1"], "-1 is not in the range"),
        (["-c", "7"], "no connection 7: the capture has 1"),
        (["--format", "png"], "png"),
        (["--max-rows", "0"], "max-rows"),
        (["--from", "+100"], "--from"),
        (["--from", "noon"], "no time"),
    ],
)
def test_errors(arguments, says):
    assert says in error_of(run("diagram", NORMAL, *arguments))


def test_a_hostile_name_in_html(tmp_path):
    path = tmp_path / "<script>alert(1)<"
    path.write_bytes(Path(NORMAL).read_bytes())
    assert b"<script>alert" not in run("diagram", path, "--format", "html").stdout
