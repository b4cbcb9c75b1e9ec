"""Terminals and pipes that are not UTF-8."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tcpscope.cli.encoding import PLAIN, plain

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
COMMANDS = [
    ["analyze", str(SAMPLES / "fast_retransmission.pcap")],
    ["exchanges", str(SAMPLES / "conversation.pcap")],
    ["explain", "zero_window"],
    ["follow", str(SAMPLES / "conversation.pcap")],
]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda it: it[0])
def test_what_the_encoding_lacks_is_written_plainly(command, encoding):
    said = {
        kind: subprocess.run(
            [sys.executable, "-m", "tcpscope", *command],
            capture_output=True,
            env=os.environ | {"PYTHONIOENCODING": kind, "COLUMNS": "100"},
        )
        for kind in (encoding, "utf-8")
    }
    assert command[0] != "analyze" or said[encoding].stdout != said["utf-8"].stdout
    assert [it.returncode for it in said.values()] == [0, 0], said[encoding].stderr
    raw, whole = said[encoding].stdout, said["utf-8"].stdout
    if raw != whole:  # else what goes to a pipe is UTF-8 in any case
        lines = zip(raw.decode(encoding).splitlines(), whole.decode().splitlines(), strict=True)
        assert all(len(one) == len(other) for one, other in lines)


def test_each_character_becomes_one():
    assert all(len(it) == 1 and it.isascii() for it in PLAIN.values())
    assert plain(UnicodeEncodeError("ascii", "a→é", 1, 3, "")) == (">?", 3)
    with pytest.raises(UnicodeDecodeError):
        plain(UnicodeDecodeError("utf-8", b"\xff", 0, 1, ""))
