"""tcpscope live on a real terminal, with a real capture: what it leaves behind."""

import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl

import pytest

from tcpscope.capture.rights import may_capture

PATIENCE = 30.0  # seconds
BACK = b"\x1b[?1049l"  # the terminal's own screen again


def needs_rights():
    if not (may_capture("tcpdump") or may_capture("dumpcap")):
        pytest.skip("no right to capture here")


class Terminal:
    """tcpscope live in a terminal of 100 by 30."""

    def __init__(self, *words, **environment):
        self.master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.seen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tcpscope", "live", *words], stdin=slave, stdout=slave, stderr=slave,
            env={**os.environ, "TERM": "xterm-256color", **environment}, start_new_session=True,
        )  # fmt: skip

    def read(self, wanted=None):
        """What is written until this is seen, or until the program has ended."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 1 << 16)
            elif self.process.poll() is not None:
                break
            if wanted is not None and re.search(wanted, self.seen):
                return
        assert wanted is None and self.process.poll() is not None, self.seen[-3000:]

    def type(self, keys):
        os.write(self.master, keys)

    def restored(self):
        """The terminal is as it was."""
        return BACK in self.seen and termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def ended(how, listener, **environment):
    """A session with one connection, ended so; what was written after the screen was gone."""
    needs_rights()
    port = listener.getsockname()[1]
    terminal = Terminal("-i", "lo", "tcp", "port", str(port), **environment)
    try:
        terminal.read(rb"received")
        with socket.create_connection(listener.getsockname()) as client:
            client.sendall(b"x" * 100)
            terminal.read(f":{port}".encode())
            how(terminal)
            terminal.read()
        assert terminal.restored()
        assert b"Traceback" not in terminal.seen
        return terminal.process.returncode, terminal.seen.rpartition(BACK)[2].decode(), terminal.seen
    finally:
        terminal.close()


@pytest.mark.parametrize(
    "how",
    [lambda it: it.type(b"q"), lambda it: it.type(b"\x03"), lambda it: it.process.send_signal(signal.SIGINT),
     lambda it: it.type(b"\r?\x03"), lambda it: it.process.send_signal(signal.SIGTERM)],
    ids=["q", "ctrl-c", "sigint", "ctrl-c on a page", "sigterm"],
)  # fmt: skip
def test_the_terminal_is_restored_and_the_summary_printed(how, listener):
    code, after, _ = ended(how, listener)
    assert code == 0
    assert "1 connection" in after and "packets received" in after and "ESTABLISHED" in after


def test_without_colour(listener):
    _, _, seen = ended(lambda it: it.type(b"q"), listener, NO_COLOR="1")
    assert not re.search(rb"\x1b\[(\d+;)*(3[0-8]|4[0-8]|9\d|10\d)(;\d+)*m", seen)


def test_a_pipe_has_no_screen():
    done = subprocess.run(
        [sys.executable, "-m", "tcpscope", "live", "--format", "screen"], stdin=subprocess.DEVNULL, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("Error: --format screen needs a terminal") and done.stderr.count("\n") == 1
