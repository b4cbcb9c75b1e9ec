"""`tcpscope report` as a process: what it writes where, and how it refuses."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_pcaps"
CAPTURE = SAMPLES / "zero_window.pcap"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def run(*arguments, data=None):
    return subprocess.run(
        [sys.executable, "-m", "tcpscope", "report", *map(str, arguments)],
        input=data, capture_output=True, check=False, env=ENVIRONMENT,
    )  # fmt: skip


def test_a_file_and_a_pipe(tmp_path):
    done = run(CAPTURE, "-o", tmp_path / "report.html")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    written = (tmp_path / "report.html").read_bytes()
    assert written.startswith(b"<!DOCTYPE html>")
    assert run(CAPTURE).stdout == written, "the same bytes each time"
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_standard_input(tmp_path):
    done = run("-", data=CAPTURE.read_bytes())
    assert (done.returncode, done.stderr) == (0, b"")
    from_file = run(CAPTURE).stdout.replace(b"zero_window.pcap", b"standard input")
    assert done.stdout.replace(b"captures/", b"") == from_file


def test_no_file_is_left_behind(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tcpscope", "report", "-"], input=CAPTURE.read_bytes(), capture_output=True,
        check=False, env=ENVIRONMENT | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_it_becomes_a_file(tmp_path):
    main, side = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "tcpscope", "report", str(CAPTURE)], stdout=side, stderr=subprocess.PIPE, cwd=tmp_path,
        check=False, env=ENVIRONMENT,
    )  # fmt: skip
    os.close(side)
    os.close(main)
    assert (done.returncode, done.stderr) == (0, b"Written: zero_window-report.html\n")
    assert (tmp_path / "zero_window-report.html").read_bytes().startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((CAPTURE, "-c", 1), "no connection 1: the capture has 1, counted from 0"),
        ((CAPTURE, "-o", CAPTURE), "is the capture itself"),
        ((SAMPLES / "nothing.pcap",), "no such file"),
        ((CAPTURE, "--limit", "-1"), "not in the range"),
        ((SAMPLES / "README.md",), "README.md"),
    ],
)
def test_what_it_refuses(arguments, said):
    done = run(*arguments)
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, len(lines), done.stdout) == (2, 1, b"")
    assert lines[0].startswith("Error: ")
    assert said in lines[0]


def test_damage_is_told(tmp_path):
    path = tmp_path / "cut.pcap"
    path.write_bytes(CAPTURE.read_bytes()[:-10])
    done = run(path, "-o", tmp_path / "x.html")
    assert done.returncode == 0
    assert done.stderr.startswith(b"Warning: ")
    assert run(path, "--strict").returncode == 2
    assert run(path, "-o", tmp_path / "x.html", "--quiet").stderr == b""


def test_options_are_those_of_the_page():
    from tcpscope.cli import report
    from tcpscope.report.page import gathered

    assert (report.DETAILED, report.ROWS) == (gathered.DETAILED, gathered.ROWS)
