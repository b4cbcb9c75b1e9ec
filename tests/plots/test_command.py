"""`tcpscope plot` as a process: what it writes where, and how it refuses."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_pcaps"
BULK = SAMPLES / "bulk.pcap"
BEGIN = {"svg": b"<?xml", "png": b"\x89PNG", "html": b"<!DOCTYPE html>", "json": b"{"}


def run(*arguments, data=None, where=ROOT):
    return subprocess.run(
        [sys.executable, "-m", "tcpscope", "plot", *map(str, arguments)],
        input=data, capture_output=True, cwd=where, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("form", BEGIN)
def test_a_file_of_each_format(tmp_path, form):
    done = run(BULK, "sequence", "-c", 0, "-o", tmp_path / f"x.{form}", "--size", "500x400")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    written = (tmp_path / f"x.{form}").read_bytes()
    assert written.startswith(BEGIN[form])
    if form != "png":
        piped = run("sequence", BULK, "--format", form, "--size", "500x400")
        assert piped.stdout == written, "the same bytes each time, wherever the kind stands"


def test_standard_input(tmp_path):
    data = BULK.read_bytes()
    for kind in ("window", "states", "retransmissions"):
        done = run("-", kind, "--from", "+0.05", "--to", "+0.3", "--format", "json", data=data)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b'"view":' in done.stdout and b"standard input" in done.stdout


def test_on_a_terminal_a_file_is_written(tmp_path):
    reader, writer = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "tcpscope", "plot", str(BULK), "rtt"],
        stdout=writer, stderr=subprocess.PIPE, cwd=tmp_path, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(writer)
    os.close(reader)
    assert (done.returncode, done.stderr) == (0, b"Written: bulk-0-rtt.svg\n")
    assert (tmp_path / "bulk-0-rtt.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([BULK, "sequense"], "did you mean sequence"),
        ([BULK, "rtt", "--size", "300x200"], "400x250 to 8000x8000"),
        ([SAMPLES / "refused.pcap", "window"], "the client sent no data in this capture"),
        ([BULK], "which plot?"),
        (["sequence"], "which capture?"),
        ([BULK, "sequence", "-c", 5], "no connection 5"),
        ([BULK, "sequence", "-c", -1], "-1 is not in the range"),
        ([BULK, "states", "-c", 0], "the whole capture"),
        ([BULK, "sequence", "-o", "x.gif"], ".svg, .png, .html or .json"),
        ([BULK, "sequence", "--size", "1x1"], "is no size"),
        ([BULK, "sequence", "--from", "+9"], "nothing to plot between"),
        ([BULK, "throughput", "--side", "client"], "sent no data"),
        ([SAMPLES / "normal.pcap", "retransmissions"], "nothing was sent again"),
        ([SAMPLES / "refused.pcap", "rtt", "--side", "server"], "nothing to plot"),
        (["no-such.pcap", "states"], "no such file"),
    ],
)
def test_errors_are_one_line(arguments, says):
    done = run(*arguments)
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, len(lines), done.stdout) == (2, 1, b"")
    assert lines[0].startswith("Error: ") and says in lines[0]


def test_the_capture_is_not_overwritten(tmp_path):
    capture = tmp_path / "x.svg"
    capture.write_bytes(BULK.read_bytes())
    assert run(capture, "states", "-o", capture).returncode == 2
    assert capture.read_bytes() == BULK.read_bytes()
