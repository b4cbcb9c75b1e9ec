"""`tcpscope sockets` as it is used: a process, its output, and --watch on a terminal of its own."""

import csv
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from itertools import pairwise

import pytest

from .test_commands import NORMAL, SAMPLES, error_of, run

WINDOW = SAMPLES / "sliding_window.pcap"


def rows(*arguments, data=None):
    done = run("sockets", *arguments, "--format", "jsonl", data=data)
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_as_ss_prints_it():
    text = run("sockets", WINDOW, "--at", "frame:6").stdout.decode()
    lines = [line.split() for line in text.splitlines()]
    assert ["State", "Recv-Q", "Send-Q", "Local", "Address:Port", "Peer", "Address:Port"] in lines
    assert any(line[:2] == ["LISTEN", "~0"] and line[-1] == "inferred" for line in lines)
    assert any(line[:3] == ["ESTAB", "~3072", "0"] for line in lines)
    assert any(line[:3] == ["ESTAB", "0", "3072"] and line[-1].startswith("timer:(on,") for line in lines)
    assert "\x1b" not in text and not any(line != line.rstrip() for line in text.splitlines())


def test_an_icmp_error_closes_a_socket_though_it_is_no_packet_of_the_table():
    capture = SAMPLES / "unreachable.pcap"  # frame 5 repeats the SYN, frame 6 is the error
    syn_sent = {at: any(it["state"] == "SYN-SENT" for it in rows(capture, "--at", at))
                for at in ("frame:5", "+3.008", "frame:6")}  # fmt: skip
    assert list(syn_sent.values()) == [True, True, False]
    story = run("sockets", capture, "--watch").stdout.decode()
    assert "+3.009000 s  frame 6  ICMP error: unreachable\n* closed " in story


def test_a_connection_that_is_not_there():
    assert "no connection 9: the capture has 1" in error_of(run("sockets", NORMAL, "-c", "9"))


def test_every_format_says_the_same(tmp_path):
    found = rows(WINDOW, "--at", "frame:6")
    assert len(found) == 3
    assert json.loads(run("sockets", WINDOW, "--at", "frame:6", "--format", "json").stdout) == found
    out = tmp_path / "out.csv"
    assert run("sockets", WINDOW, "--at", "frame:6", "--format", "csv", "-o", out).returncode == 0
    with open(out, newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [list(row) for row in table] == [list(row) for row in found]
    assert [row["state"] for row in table] == [row["state"] for row in found]
    assert table[0]["send_q"] == ""


def test_the_keys_are_a_contract():
    keys = ("time", "host", "state", "recv_q", "send_q", "local_ip", "local_port", "peer_ip", "peer_port", "timer",
            "timer_expires", "timer_retries", "connection", "endpoint", "inferred", "recv_q_estimated")  # fmt: skip
    assert all(set(keys) <= set(row) for row in rows(NORMAL))


def test_standard_input_and_the_default_moment():
    data = WINDOW.read_bytes()
    assert rows("-", data=data) == rows(WINDOW)
    assert rows("-", "--at", "+0.005", data=data) == rows(WINDOW, "--at", "+0.005")
    assert [row["state"] for row in rows(WINDOW, "--no-listen")] == ["TIME-WAIT"]


def test_state_filters_know_both_names():
    for name in ("ESTAB", "established", "Established"):
        assert {row["state"] for row in rows(WINDOW, "--at", "frame:6", "--state", name)} == {"ESTAB"}
    assert [row["state"] for row in rows(WINDOW, "--state", "time-wait")] == ["TIME-WAIT"]


def test_counts():
    found = rows(SAMPLES / "short_connections.pcap", "--count", "--every", "0.02")
    assert [row["host"] for row in found[:2]] == [None, None]
    steps = [b["time"] - a["time"] for a, b in pairwise(found)]
    assert max(abs(step - 0.02) for step in steps[:-1]) < 1e-6
    assert found[-1]["TIME-WAIT"] == sum(
        row["state"] == "TIME-WAIT" for row in rows(SAMPLES / "short_connections.pcap")
    )
    hosts = rows(SAMPLES / "short_connections.pcap", "--count", "--host", "10.1.0.0/24")
    assert {row["host"] for row in hosts} == {"10.1.0.1", "10.1.0.2"}
    text = run("sockets", WINDOW, "--count").stdout.decode()
    assert "FIN-WAIT-1" in text and "UNKNOWN" not in text
    assert run("sockets", WINDOW, "--count", "--host", "192.0.2.9").stdout == b"no sockets at any time\n"


def test_watch_in_a_pipe_tells_every_change():
    done = run("sockets", WINDOW, "--watch")
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout
    assert done.stdout.count(b"frame ") == 18
    assert {row["frame"] for row in rows(WINDOW, "--watch")} == set(range(1, 19))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--at", "+99"], "the capture lasts from +0 to +"),
        (["--at", "frame:99"], "frames 1 to 11"),
        (["--at", "frame:-1"], "no such frame"),
        (["--at", "-1"], "the capture lasts"),
        (["--at", "yesterday"], "no time"),
        (["--state", "ESTABLISED"], "did you mean ESTABLISHED"),
        (["--host", "nowhere"], "no address or network"),
        (["--count", "--at", "+0"], "--count"),
        (["--every", "1"], "--every"),
        (["--count", "--every", "0"], "every"),
        (["--count", "--every", "0.0000000001"], "rows"),
        (["--watch", "--at", "+0"], "terminal"),
        (["--watch", "-c", "77"], "nothing to watch"),
        (["--format", "parquet"], "parquet"),
    ],
)
def test_errors_are_one_line_that_helps(arguments, says):
    assert says in error_of(run("sockets", NORMAL, *arguments))


# ---------------------------------------------------------------- a terminal


class Terminal:
    """`sockets --watch` on a pseudo-terminal."""

    def __init__(self, *arguments):
        self.master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (30, 110))
        self.modes = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tcpscope", "sockets", *map(str, arguments)], cwd=SAMPLES.parent,
            stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        self.seen = ""

    def until(self, text, seconds=30):
        """Read until the text is shown."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            left = end - time.monotonic()
            assert left > 0, (text, self.seen[-3000:])
            if select.select([self.master], [], [], min(left, 0.5))[0]:
                self.seen += os.read(self.master, 65536).decode("utf-8", "replace")
        self.seen = self.seen.partition(text)[2]

    def type(self, keys):
        os.write(self.master, keys.encode())

    def left_as_it_was(self):
        """The process has ended, and the terminal's modes, screen and cursor are back."""
        code = self.process.wait(30)
        while select.select([self.master], [], [], 0.2)[0]:
            self.seen += os.read(self.master, 65536).decode("utf-8", "replace")
        assert termios.tcgetattr(self.slave) == self.modes
        assert "\x1b[?1049l" in self.seen and "\x1b[?25h" in self.seen
        os.close(self.master)
        os.close(self.slave)
        return code


def test_keys_step_through_the_changes():
    terminal = Terminal(WINDOW, "--watch")
    terminal.until("change 1 of")
    terminal.type("nn ")  # typed at once
    terminal.until("change 4 of")
    terminal.type("\x1b[C")
    terminal.until("change 5 of")
    terminal.type("\x1b[Dp")
    terminal.until("change 3 of")
    terminal.type("gframe:13\r")
    terminal.until("change 13 of")
    terminal.until("FIN-WAIT-1")
    terminal.type("g+99\r")
    terminal.until("the capture lasts")
    terminal.type("\x1b[F")
    terminal.until("change 18 of 18")
    terminal.type("q")
    assert terminal.left_as_it_was() == 0


@pytest.mark.parametrize("how", ["ctrl-c", "terminated"])
def test_the_terminal_is_restored_whatever_happens(how):
    terminal = Terminal(WINDOW, "--watch", "--at", "frame:6")
    terminal.until("change 6 of")
    if how == "ctrl-c":
        terminal.process.send_signal(signal.SIGINT)
    else:
        terminal.process.terminate()
    assert terminal.left_as_it_was() == (130 if how == "ctrl-c" else 143)


def test_an_error_while_watching_restores_the_terminal(tmp_path):
    broken = tmp_path / "sitecustomize.py"
    broken.write_text("import tcpscope.report.watch as w\ndef page(*_): raise ZeroDivisionError\nw.page = page\n")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{tmp_path}:{SAMPLES.parent}"
    try:
        terminal = Terminal(WINDOW, "--watch")
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
    assert terminal.left_as_it_was() not in (0, 2)
