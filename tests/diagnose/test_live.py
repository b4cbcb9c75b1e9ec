"""`tcpscope.live` on the loopback interface, and what ends a capture; without the rights, skipped."""

import socket
import threading
from pathlib import Path

import pytest

import tcpscope
from tcpscope.capture.rights import may_capture
from tcpscope.capture.sources import find, open_stream
from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.watch import Until, Watch
from tcpscope.tables.session import Session

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"


@pytest.fixture
def listener():
    if not may_capture("tcpdump"):
        pytest.skip("tcpdump may not capture here")
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def talk(listener, done):
    with socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        client.sendall(b"x" * 100)
        server.recv(1000)
    with server:
        server.recv(10)
    done()


def test_events_as_they_happen(listener, tmp_path):
    port, path = listener.getsockname()[1], tmp_path / "kept.pcap"
    with tcpscope.live("lo", f"tcp port {port}", write=path) as capture:
        threading.Thread(target=talk, args=(listener, capture.stop)).start()
        events = list(capture)
    assert [e["new"] for e in events if e["kind"] == "state" and e["endpoint"] == "server"][-2:] == [
        "LAST_ACK",
        "CLOSED",
    ]
    (ended,) = [e for e in events if e["kind"] == "connection"]
    assert (ended["close"], ended["server_port"], ended["missed_by_capture"]) == ("fin", port, False)
    assert capture.damage is None
    assert capture.findings == []
    assert capture.counters.dropped_by_kernel == 0
    kept = tcpscope.read(path)
    assert list(kept.connections["close"]) == ["fin"]
    assert len(kept.packets) == capture.counters.packets


def test_what_is_open_now(listener):
    with (
        tcpscope.live("lo", f"tcp port {listener.getsockname()[1]}", until="ESTABLISHED") as capture,
        socket.create_connection(listener.getsockname()),
    ):
        kinds = [e["kind"] for e in capture]
        assert kinds.count("state") >= 2
        assert kinds[-1] == "connection"
    assert capture.connections.empty


def told(monkeypatch, *services):
    """Which of these (service, connections) are told, each found at a look of its own."""
    session = Session(open_stream(find([SAMPLES / "refused.pcap"]).captures[0]), name="refused")
    watch, found = Watch(session), []
    for server, count in services:
        now = [Finding("refused", "error", "", "", "server", count=count, server=server)]
        monkeypatch.setattr(watch, "findings", lambda now=now: now)
        found += [(it.server, it.count) for it in watch.fresh()]
    return found


def test_what_befalls_another_service_is_news(monkeypatch):
    """More of the same is only when there are twice as many."""
    found = told(monkeypatch, ("a:1", 1), ("b:1", 1), ("a:1", 1), ("b:1", 2), ("b:1", 3))
    assert found == [("a:1", 1), ("b:1", 1), ("b:1", 2)]


def test_what_was_told_long_ago_is_forgotten(monkeypatch):
    monkeypatch.setattr("tcpscope.diagnose.watch.REMEMBERED", 2)
    services = [("a:1", 1), ("b:1", 1), ("a:1", 2), ("c:1", 1), ("a:1", 3), ("b:1", 1)]
    assert told(monkeypatch, *services) == [("a:1", 1), ("b:1", 1), ("a:1", 2), ("c:1", 1), ("b:1", 1)]


def watched(name):
    """A sample as if it came live, its findings looked at in the middle."""
    session = Session(open_stream(find([SAMPLES / name]).captures[0]), name=name)
    watch = Watch(session)
    while session.step():
        watch.take(session.turn())
        watch.findings()
    watch.take(session.turn())
    for turn in session.finish():
        watch.take(turn)
    return watch


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.pcap*")), ids=lambda it: it.name)
def test_findings_are_at_the_end_those_of_the_file(path):
    late = tcpscope.read(path)
    watch = watched(path.name)
    assert [(f.id, f.count, f.connections, f.frames) for f in watch.final()] == [
        (f.id, f.count, f.connections, f.frames) for f in late.findings
    ]
    assert watch.session.states() == {}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("zero_window", True), ("refused", False), ("time_wait", True), ("CLOSE_WAIT>3", False), ("packets>=5", True),
        ("packets>1e6", False), ("connections>0", True), ("dropped>0", False),
    ],
)  # fmt: skip
def test_what_ends_a_capture(text, holds):
    watch = watched("zero_window.pcap")
    assert Until(text).holds(watch, watch.final()) is holds


@pytest.mark.parametrize("text", ["", "no_such_thing", "packets>", "packets>many", "a b", "packets<5", ">5"])
def test_what_is_no_condition(text):
    with pytest.raises(tcpscope.UsageError, match="--until"):
        Until(text)
