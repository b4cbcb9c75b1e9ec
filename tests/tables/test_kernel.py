"""The lines of `ss`, and whose sockets are whose."""

import os
import socket
import time

from tcpscope.tables.kernel import parse
from tcpscope.tables.processes import Processes

LINES = """\
LISTEN    0 128         0.0.0.0:22        0.0.0.0:*
ESTAB     0 0         127.0.0.1:22      127.0.0.1:51000
TIME-WAIT 0 0      127.0.0.1%lo:22      127.0.0.1:51001
SYN-SENT  0 1   [fe80::1%eth0]:40000      [fe80::2]:80
CLOSE-WAIT 1 0  [::ffff:10.0.0.1]:80 [::ffff:10.0.0.2]:4000
nonsense
""".splitlines()


def test_what_ss_says():
    assert dict(parse(LINES)) == {
        (("127.0.0.1", 22), ("127.0.0.1", 51000)): "ESTABLISHED",
        (("127.0.0.1", 22), ("127.0.0.1", 51001)): "TIME_WAIT",
        (("fe80::1", 40000), ("fe80::2", 80)): "SYN_SENT",
        (("10.0.0.1", 80), ("10.0.0.2", 4000)): "CLOSE_WAIT",
    }


def test_whose_socket():
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        processes = Processes()
        processes.refresh()
        here, there = client.getsockname(), listener.getsockname()
        assert processes.owner(here, there).process == os.getpid()
        assert processes.owner(there, here).process == os.getpid()  # the listener's: it was never accepted
        assert processes.owner(("192.0.2.77", there[1]), here) is None
        assert processes.owner(there, here, time.time_ns()) is None, "who listens may be another by now"


def test_who_listens_is_forgotten_with_the_socket(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = listener.getsockname()
        processes = Processes()
        processes.refresh()
        assert processes.owner(there, ("127.0.0.1", 1)).process == os.getpid()
    monkeypatch.setattr(processes, "_next", 0.0)
    processes.refresh()
    assert processes.owner(there, ("127.0.0.1", 1)) is None
