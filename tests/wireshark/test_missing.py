"""Without tshark both commands say in one line how to get it; these tests need none."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Capture, run


@pytest.mark.parametrize("command", [["compare"], ["dissect", "1"]])
def test_tshark_missing(command: list[str], capture: Capture, tmp_path: Path) -> None:
    done = run(command[0], capture("open/three_way"), *command[1:], PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"Error: tshark is not installed; install it with: apt-get install tshark\n"


def test_a_tshark_that_does_not_run(capture: Capture, tmp_path: Path) -> None:
    program = tmp_path / "tshark"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    done = run("compare", capture("open/three_way"), PATH=f"{tmp_path}:/bin")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert b"does not run" in done.stderr


UNUSABLE = ("compare no-such.pcap", "compare README.md", "dissect README.md 1", "dissect tests/scripts 1",
            "compare README.md --annotation nonsense")  # fmt: skip


@pytest.mark.parametrize("words", UNUSABLE)
def test_what_cannot_be_used_is_one_line(words: str) -> None:
    done = run(*words.split())
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith(b"Error: ")
