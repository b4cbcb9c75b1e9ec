"""Each finding has a capture that provokes it, and captures in which nothing is odd have none."""

from pathlib import Path
from types import SimpleNamespace

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tcpscope
from tcpscope.check import judge
from tcpscope.diagnose import Collected, diagnose, findings
from tcpscope.diagnose.facts import called
from tcpscope.replay.engine import Engine
from tcpscope.replay.layout import CONNECTION
from tcpscope.tables.analysis import analyse, locate
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.layout import SERVICES
from tests.replay.segments import ACK, FIN, SYN, segment

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"

TLS, HTTP = (SERVICES.index(name) for name in ("tls", "http"))


@pytest.mark.parametrize(
    ("end", "service", "name", "said"),
    [
        ("192.0.2.1:443", TLS, b"example.com", "example.com (192.0.2.1:443, tls)"),
        ("192.0.2.1:80", HTTP, b"192.0.2.1", "192.0.2.1:80 (http)"),
        ("[2001:db8::1]:80", HTTP, b"2001:db8::1", "[2001:db8::1]:80 (http)"),
        ("192.0.2.1:80", len(SERVICES), b"", "192.0.2.1:80"),
    ],
)
def test_services_are_called_by_what_is_known(end, service, name, said):
    one = SimpleNamespace(server_name=end, common={"service": service, "server_name": name.ljust(100, b"\0")})
    assert called([one, one]) == said


PROVOKED = {
    "refused.pcap": "refused",
    "syn_unanswered.pcap": "unanswered",
    "syn_flood.pcap": "syn_flood",
    "syn_lost.pcap": "syn_lost",
    "timeout_back_off.pcap": "timeouts",
    "bulk.pcap": "retransmissions",
    "spurious_retransmission.pcap": "spurious",
    "zero_window.pcap": "zero_window",
    "nagle_delayed_ack.pcap": "nagle",
    "reset_unread_data.pcap": "reset_unread",
    "reset_linger.pcap": "reset_abort",
    "data_after_close.pcap": "reset_after_close",
    "half_open_crash.pcap": "reset_half_open",
    "crash_and_reconnect.pcap": "reset_half_open",
    "keep_alive_train.pcap": "vanished",
    "keep_alive_dead_peer.pcap": "vanished",
    "keep_alive_rebooted_peer.pcap": "peer_rebooted",
    "peer_vanished.pcap": "vanished",
    "idle_reset.pcap": "idle_timeout",
    "syn_ack_lost.pcap": "syn_ack_lost",
    "handshake_ack_lost.pcap": "handshake_ack_lost",
    "short_connections.pcap": "short_connections",
    "backlog_overflow.pcap": "backlog_overflow",
    "fast_open_refused.pcap": "fast_open_refused",
    "connect_abandoned.pcap": "handshake_reset",
    "options_rewritten.pcap": "options_stripped",
    "port_scan.pcap": "port_scan",
    "host_scan.pcap": "host_scan",
    "network_down.pcap": "unanswered",
    "service_down.pcap": "refused",
    "rst_injected.pcap": "reset_injected",
    "reset_at_close.pcap": "reset_at_close",
    "port_reuse_risky.pcap": "port_reuse",
    "idle_dropped.pcap": "idle_timeout",
    "tail_losses.pcap": "tail_loss",
    "reordered.pcap": "reordering",
    "path_mtu.pcap": "path_mtu",
    "dead_reader.pcap": "dead_reader",
    "small_window.pcap": "small_window",
    "window_scale_off.pcap": "window_scale_off",
    "silly_window.pcap": "silly_window",
    "small_segments.pcap": "small_segments",
    "bufferbloat.pcap": "bufferbloat",
    "slow_start_restart.pcap": "slow_start_restart",
    "limited_by_program.pcap": "limited_by_program",
    "span_duplicates.pcap": "duplicates",
    "bad_checksum.pcap": "checksums",
    "half_open.pcap": "half_open",
    "unreachable.pcap": "unreachable",
    "slow_handshake.pcap": "slow_handshake",
    "slow_server.pcap": "slow_server",
    "slow_greeting.pcap": "slow_greeting",
    "slow_client.pcap": "slow_client",
    "no_answer.pcap": "no_answer",
    "answer_lost.pcap": "answer_lost",
    "reader_behind.pcap": "slow_reader",
    "limited_by_path.pcap": "limited_by_path",
    "close_wait_leak.pcap": "close_wait",
    "one_direction.pcap": "one_direction",
}
NEARLY = [  # what looks like the finding, and is not
    ("deferred_accept.pcap", "backlog_overflow"),
    ("handshake_ack_lost.pcap", "backlog_overflow"),
    ("service_down.pcap", "port_scan"),
    ("network_down.pcap", "host_scan"),
    ("syn_unanswered.pcap", "syn_lost"),
    ("syn_lost.pcap", "syn_ack_lost"),
    ("syn_ack_lost.pcap", "syn_lost"),
    ("fast_open.pcap", "fast_open_refused"),
    ("fast_open_refused.pcap", "backlog_overflow"),
    ("loss_without_sack.pcap", "options_stripped"),
    ("syn_flood.pcap", "half_open"),
    ("reset_linger.pcap", "reset_unread"),
    ("reset_unread_data.pcap", "reset_abort"),
    ("half_open_crash.pcap", "reset_injected"),
    ("data_after_close.pcap", "reset_half_open"),
    ("keep_alive_dead_peer.pcap", "reset_abort"),
    ("keep_alive_rebooted_peer.pcap", "reset_half_open"),
    ("peer_vanished.pcap", "idle_timeout"),
    ("idle_dropped.pcap", "vanished"),
    ("time_wait_reuse.pcap", "port_reuse"),
    ("refused.pcap", "handshake_reset"),
    ("handshake_ack_lost.pcap", "half_open"),
    ("refused.pcap", "unreachable"),
    ("slow_server.pcap", "slow_client"),
    ("slow_server.pcap", "slow_greeting"),
    ("slow_greeting.pcap", "slow_server"),
    ("slow_greeting.pcap", "slow_client"),
    ("slow_client.pcap", "slow_server"),
    ("slow_server.pcap", "no_answer"),
    ("answer_lost.pcap", "no_answer"),
    ("no_answer.pcap", "answer_lost"),
    ("slow_client.pcap", "no_answer"),
    ("syn_lost.pcap", "slow_handshake"),
    ("slow_handshake.pcap", "slow_server"),
    ("slow_reader.pcap", "slow_reader"),
    ("zero_window.pcap", "slow_reader"),
    ("bulk.pcap", "limited_by_path"),
    ("close_wait.pcap", "close_wait"),
    ("mid_stream.pcap", "one_direction"),
    ("deferred_accept.pcap", "handshake_ack_lost"),
    ("syn_ack_lost.pcap", "handshake_ack_lost"),
    ("connect_abandoned.pcap", "refused"),
    ("unreachable.pcap", "refused"),
    ("half_open.pcap", "unanswered"),
    ("half_open.pcap", "syn_flood"),
    ("short_connections.pcap", "syn_flood"),
    ("reader_behind.pcap", "zero_window"),
    ("small_window.pcap", "zero_window"),
    ("service_down.pcap", "short_connections"),
    ("network_duplicates.pcap", "duplicates"),
    ("ecn.pcap", "checksums"),
    ("keep_alive_dead_peer.pcap", "peer_rebooted"),
    ("half_open_crash.pcap", "peer_rebooted"),
    ("reset_at_close.pcap", "reset_after_close"),
    ("one_direction.pcap", "missed"),
]
QUIET = ["normal.pcap", "ipv6.pcapng", "server_closes_first.pcap", "three_segment_close.pcap", "close_wait.pcap",
         "simultaneous_close.pcap", "simultaneous_open.pcap", "sliding_window.pcap", "keep_alive.pcap",
         "half_close.pcap", "conversation.pcap", "fast_open.pcap", "time_wait_reuse.pcap",
         "mid_stream.pcap", "idle_survived.pcap"]  # fmt: skip


@pytest.mark.parametrize(("name", "id"), PROVOKED.items())
def test_it_is_found(name, id):
    capture = tcpscope.read(SAMPLES / name)
    found = {finding.id: finding for finding in capture.findings}
    assert id in found, sorted(found)
    finding = found[id]
    assert finding.count >= 1 and finding.frames and finding.connections
    assert finding.text and finding.advice and finding.severity in ("error", "warning", "note")


@pytest.mark.parametrize(("name", "id"), NEARLY)
def test_what_is_nearly_so_is_not_found(name, id):
    assert id not in [finding.id for finding in tcpscope.read(SAMPLES / name).findings]


def test_an_episode_is_one_finding():
    """Repetitions and time-outs are part of it."""
    for name in ("peer_vanished.pcap", "idle_dropped.pcap", "port_scan.pcap", "network_down.pcap", "syn_lost.pcap"):
        assert len(tcpscope.read(SAMPLES / name).findings) == 1, name


@pytest.mark.parametrize("name", QUIET)
def test_nothing_is_odd(name):
    assert [finding.id for finding in tcpscope.read(SAMPLES / name).findings] == []


@pytest.mark.parametrize(("seconds", "found"), [(0.5, []), (5, ["close_wait"])])
def test_a_socket_left_in_close_wait(seconds, found):
    """The client has closed, the server has not, and the capture goes on for a while with another connection."""
    steps = [
        segment(1, 0, SYN, 100),
        segment(2, 1, SYN | ACK, 200, 101),
        segment(3, 0, ACK, 101, 201),
        segment(4, 0, FIN | ACK, 101, 201),
        segment(5, 1, ACK, 201, 102),
        segment(6, 0, ACK, 1, 1, sport=50000, time_ns=int(seconds * 1e9)),
        segment(7, 1, ACK, 1, 1, dport=50000, time_ns=int(seconds * 1e9)),
    ]
    box, engine = SegmentBatch(len(steps)), Engine()
    box.load(b"".join(steps))
    engine.replay(box)
    engine.finish()
    assert [finding.id for finding in diagnose(engine.take_connections(), [], [])] == found


def test_a_cut_file_is_a_finding(tmp_path):
    path = tmp_path / "cut.pcap"
    path.write_bytes((SAMPLES / "normal.pcap").read_bytes()[:-5])
    assert [finding.id for finding in tcpscope.read(path).findings] == ["damaged"]


def test_worst_comes_first():
    order = [f.severity for f in tcpscope.read([SAMPLES / "bulk.pcap", SAMPLES / "refused.pcap"]).findings]
    assert order == sorted(order, key=["error", "warning", "note"].index)


def conversation(handshake=0.02, pause=0.0, answer=0.03):
    """A client near the capture point asks, a server answers; seconds."""
    at, steps = 0, []

    def then(seconds, *fields, **more):
        nonlocal at
        at += round(seconds * 1e9)
        steps.append(segment(len(steps) + 1, *fields, time_ns=at, **more))

    then(1, 0, SYN, 100)
    then(handshake, 1, SYN | ACK, 200, 101)
    then(0.0001, 0, ACK, 101, 201)
    then(pause, 0, ACK, 101, 201, length=50)
    then(handshake, 1, ACK, 201, 151)
    then(answer, 1, ACK, 201, 151, length=70)
    then(0.0001, 0, ACK, 151, 271)
    box, engine = SegmentBatch(len(steps)), Engine()
    box.load(b"".join(steps))
    engine.replay(box)
    engine.finish()
    return diagnose(engine.take_connections(), [], [], engine.take_evidence())


@pytest.mark.parametrize(
    ("delays", "id", "side", "frames"),
    [
        ({}, None, None, None),
        ({"handshake": 0.9}, "slow_handshake", "path", [1]),
        ({"pause": 1.3}, "slow_client", "client", [1, 4]),
        ({"answer": 1.0}, "slow_server", "server", [6]),
    ],
)
def test_a_slow_server_client_and_network_are_told_apart(delays, id, side, frames):
    found = conversation(**delays)
    assert [(f.id, f.side, f.frames) for f in found] == ([] if id is None else [(id, side, frames)])


def test_frames_prove_the_finding():
    """They bear the annotation that the finding is about."""
    capture = tcpscope.read(SAMPLES / "zero_window.pcap")
    (finding,) = [f for f in capture.findings if f.id == "zero_window"]
    packets = capture.packets.set_index("frame")
    assert finding.frames and all("zero_window" in packets.loc[frame, "annotations"] for frame in finding.frames)


def test_a_flood_beyond_what_is_looked_at_is_counted(monkeypatch):
    monkeypatch.setattr("tcpscope.diagnose.facts.MOST", 10)
    found = {f.id: f for f in tcpscope.read(SAMPLES / "syn_flood.pcap").findings}
    whole = found["syn_flood"].count
    assert whole >= 50 and f"{whole:,} connections" in found["syn_flood"].text
    assert found["not_looked_at"].count == whole - 10


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_which_are_looked_at_does_not_depend_on_the_order(chance):
    capture = analyse(locate(SAMPLES / "syn_flood.pcap"), threads=1)
    size = CONNECTION.size
    each = [capture.connections[at : at + size] for at in range(0, len(capture.connections), size)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tcpscope.diagnose.facts.MOST", 10)
        straight, shuffled = Collected(), Collected()
        straight.take(capture.connections, capture.evidence)
        chance.shuffle(each)
        while each:
            some = [each.pop() for _ in range(min(chance.randrange(1, 9), len(each)))]
            shuffled.take(b"".join(some), capture.evidence)
        told = [[it.as_dict() for it in findings(odd, [{}], ["flood"])] for odd in (straight, shuffled)]
    assert told[0] == told[1]
    assert [it.number for it in straight.facts] == list(range(10))


def test_of_several_captures_the_frames_are_of_one_that_is_named():
    names = ["refused.pcap", "normal.pcap", "zero_window.pcap"]
    capture = tcpscope.read([SAMPLES / name for name in names])
    told = {f.id: {Path(name).name for name in f.files} for f in capture.findings}
    assert told == {"refused": {"refused.pcap"}, "zero_window": {"zero_window.pcap"}}
    assert all(len(f.files) == len(f.frames) for f in capture.findings)
    assert all(f.files == [] for f in tcpscope.read(SAMPLES / "refused.pcap").findings)


def test_of_a_capture_in_pieces_each_frame_is_of_the_piece_that_holds_it(tmp_path):
    """As tcpdump -C writes them: a connection's frames are spread over files, and counted anew in each."""
    with (SAMPLES / "fast_retransmission.pcap").open("rb") as stream:
        packets = list(dpkt.pcap.Reader(stream))
    pieces = []
    for at in range(0, len(packets), 20):
        pieces.append(tmp_path / f"piece{at // 20}.pcap")
        with pieces[-1].open("wb") as stream:
            writer = dpkt.pcap.Writer(stream)
            for time, data in packets[at : at + 20]:
                writer.writepkt(data, time)
    whole, parts = tcpscope.read(SAMPLES / "fast_retransmission.pcap"), tcpscope.read(pieces)
    for one, other in zip(whole.findings, parts.findings, strict=True):
        there = [20 * pieces.index(Path(file)) + frame for file, frame in zip(other.files, other.frames, strict=True)]
        assert (one.id, one.frames) == (other.id, there)
    changes = parts.events.dropna(subset="frame")
    assert list(20 * changes["file"] + changes["frame"]) == list(whole.events["frame"].dropna())
    (first,), (last,) = parts.connections["first_frame"], parts.connections["last_frame"]
    assert (first, last) == (1, (len(packets) - 1) % 20 + 1)
    rule = {"id": "r", "max": {"retransmissions": 0}}
    (violation,) = judge(parts, {"version": 1, "rules": [rule]}).violations
    assert 20 * violation.file + violation.frames[0] == whole.findings[0].frames[0]
