"""Live capture on the loopback interface: real capturers, real sockets; without the rights, skipped."""

import os
import signal
import socket
import threading
import time

import pytest

from tcpscope.capture.capturer import Drops, Wish
from tcpscope.capture.live import LiveStream, capturing
from tcpscope.capture.rights import grant, may_capture, path_of
from tcpscope.errors import CaptureError, UsageError
from tcpscope.replay.engine import Engine
from tcpscope.replay.layout import CONNECTION
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.reader import SegmentReader

PROGRAMS = ["tcpdump", "dumpcap"]
CONNECTIONS = 3


def needs(program):
    if not may_capture(program):
        pytest.skip(f"{program} may not capture here")


def talk(listener, connections=CONNECTIONS):
    """Connections that the client closes."""
    for _ in range(connections):
        with socket.create_connection(listener.getsockname()) as client:
            server, _ = listener.accept()
            client.sendall(b"x" * 100)
            server.recv(1000)
        with server:
            server.recv(10)


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def ends(stream):
    """(close, client state, server state) of each connection."""
    reader, batch, engine = SegmentReader(stream, verify_checksums=False), SegmentBatch(4096), Engine()
    while reader.fill(batch):
        engine.replay(batch)
    engine.finish()
    assert reader.damage is None
    return [
        (row["close_kind"], row["client_state"], row["server_state"])
        for row in CONNECTION.dicts(engine.take_connections())
    ]


@pytest.mark.parametrize("program", PROGRAMS)
def test_all_that_the_block_sent_is_in_the_file(program, listener, tmp_path):
    needs(program)
    path = tmp_path / "some.pcap"
    for _ in range(5):  # the first packet follows the start at once, the last precedes the stop
        with capturing("lo", f"tcp port {listener.getsockname()[1]}", file=path, program=program) as running:
            talk(listener)
        assert running.drops == Drops(0, 0)
        assert running.reason is None
        with open(path, "rb") as file:
            assert ends(file) == [(1, 10, 0)] * CONNECTIONS  # fin, TIME_WAIT, CLOSED


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_stream_gives_all_up_to_the_stop(program, listener):
    needs(program)
    stream = LiveStream(Wish(("lo",), f"tcp port {listener.getsockname()[1]}", immediate=True, program=program))
    work = threading.Thread(target=lambda: (talk(listener), stream.stop()))
    work.start()
    assert ends(stream) == [(1, 10, 0)] * CONNECTIONS
    work.join()
    assert stream.damage is None
    assert stream.drops == Drops(0, 0)
    assert stream.held == 0 < stream.received_bytes


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_capturer_that_is_killed_is_told(program, listener):
    needs(program)
    stream = LiveStream(Wish(("lo",), f"tcp port {listener.getsockname()[1]}", immediate=True, program=program))
    reader, batch = SegmentReader(stream, verify_checksums=False), SegmentBatch(64)
    talk(listener, 1)
    got, deadline = 0, time.monotonic() + 20
    while got < 8 and time.monotonic() < deadline:
        assert reader.fill(batch)
        got += len(batch)
    assert got >= 8
    os.kill(stream.capturer.process.pid, signal.SIGKILL)
    while reader.fill(batch):
        assert time.monotonic() < deadline
    assert "SIGKILL" in stream.damage
    assert program in stream.damage
    assert stream.damage in reader.damage
    stream.close()


def test_several_interfaces_at_once(listener, tmp_path):
    needs("dumpcap")
    path = tmp_path / "some.pcapng"
    with capturing(["lo", "any"], f"tcp port {listener.getsockname()[1]}", file=path) as running:
        talk(listener, 1)
    assert running.name == "dumpcap"
    with open(path, "rb") as file:
        reader, batch = SegmentReader(file, verify_checksums=False), SegmentBatch(64)
        while reader.fill(batch):
            pass
    assert [it["name"] for it in reader.statistics()["interfaces"]] == ["lo", "any"]
    assert all(it["packets"] for it in reader.statistics()["interfaces"])


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"interfaces": "lo", "filter": "tcp prot 80"}, "filter 'tcp prot 80': can't parse filter expression"),
        ({"interfaces": "lo", "filter": "host no.such.host.invalid"}, "filter 'host no.such.host.invalid': "),
        ({"interfaces": "no-such-0"}, "no-such-0: no such interface"),
    ],
)
def test_what_cannot_be_captured_is_told_before_the_start(program, wrong, said, tmp_path):
    needs(program)
    with pytest.raises(CaptureError) as raised, capturing(**wrong, program=program, file=tmp_path / "none"):
        pytest.fail("it began")
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)


def test_without_an_interface(tmp_path):
    needs("tcpdump")
    with pytest.raises(UsageError), capturing([], file=tmp_path / "none"):
        pytest.fail("it began")


def test_the_command_that_grants_the_right_names_the_program():
    program = next((it for it in PROGRAMS if path_of(it)), None)
    if program is None:
        pytest.skip("neither tcpdump nor dumpcap is here")
    assert os.path.realpath(path_of(program)) in grant(program)
