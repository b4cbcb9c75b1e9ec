"""Both hosts' sockets at a moment: states, queues and timers, from scripts in which they can be reckoned by hand."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder.build import write
from ladder.script import parse

import tcpscope
from tcpscope.tables.analysis import analyse, locate, packets
from tcpscope.tables.changes import Story
from tcpscope.tables.past import Past
from tcpscope.tables.queues import COLUMNS, KNOWN, Queues
from tcpscope.tables.socket_counts import counts, nice_step
from tcpscope.tables.sockets import KEYS, Wanted, joined, part, snapshot

SCRIPTS = Path(__file__).parents[1] / "scripts"
SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
MSL = 30.0
FEW = [
    "normal.pcap",
    "zero_window.pcap",
    "fin_lost.pcap",
    "short_connections.pcap",
    "mid_stream.pcap",
    "syn_flood.pcap",
    "time_wait_reuse.pcap",
]


def built(script, folder):
    """The capture of a script, and how many frames it has."""
    found = parse((SCRIPTS / f"{script}.txt").read_text(encoding="utf-8"))
    write(found, folder / "ladder.pcap")
    return folder / "ladder.pcap", len(found.frames)


def at(path, moment=None, **wanted):
    result, chunks = packets(locate(path))
    return list(snapshot(result, chunks, moment, MSL, Wanted(**wanted))[1])


def end(rows, endpoint):
    """The only socket of this endpoint, or None."""
    found = [row for row in rows if row["endpoint"] == endpoint]
    assert len(found) <= 1
    return found[0] if found else None


def timer(row):
    return row and row["timer"] and (row["timer"], row["timer_expires"], row["timer_retries"])


def timers(script, endpoint, folder):
    """The endpoint's timer after each frame."""
    path, count = built(script, folder)
    return [timer(end(at(path, f"frame:{frame}"), endpoint)) for frame in range(1, count + 1)]


def close(found, wanted):
    """Equal, times to a tenth of a millisecond."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one and (one[0], one[2])) == (other and (other[0], other[2]))
        assert (one and one[1]) == pytest.approx(other and other[1], abs=1e-4)


# ---------------------------------------------------------------- the textbook's eighteen steps

K = 1024
SERVER_READS_LATE = [  # the textbook's buffer column: 6144 less what is advertised
    ("SYN-RECV", 0), ("SYN-RECV", 0), ("ESTAB", 0),
    ("ESTAB", 1 * K), ("ESTAB", 2 * K), ("ESTAB", 3 * K), ("ESTAB", 4 * K), ("ESTAB", 5 * K), ("ESTAB", 6 * K),
    ("ESTAB", 4 * K), ("ESTAB", 2 * K), ("ESTAB", 3 * K), ("CLOSE-WAIT", 4 * K),
    ("CLOSE-WAIT", 4 * K), ("CLOSE-WAIT", 2 * K), ("CLOSE-WAIT", 0), ("LAST-ACK", 0), None,
]  # fmt: skip
CLIENT_SENDS = [
    ("SYN-SENT", 1), ("ESTAB", 0), ("ESTAB", 0),
    ("ESTAB", 1 * K), ("ESTAB", 2 * K), ("ESTAB", 3 * K), ("ESTAB", 4 * K), ("ESTAB", 5 * K), ("ESTAB", 6 * K),
    ("ESTAB", 0), ("ESTAB", 0), ("ESTAB", 1 * K), ("FIN-WAIT-1", 2 * K + 1),
    ("FIN-WAIT-2", 0), ("FIN-WAIT-2", 0), ("FIN-WAIT-2", 0), ("TIME-WAIT", 0), ("TIME-WAIT", 0),
]  # fmt: skip


def test_the_eighteen_steps(tmp_path):
    path, count = built("window/eighteen_steps", tmp_path)
    moments = [at(path, f"frame:{frame}") for frame in range(1, count + 1)]
    servers = [end(rows, "server") for rows in moments]
    clients = [end(rows, "client") for rows in moments]
    assert [row and (row["state"], row["recv_q"]) for row in servers] == SERVER_READS_LATE
    assert [(row["state"], row["send_q"]) for row in clients] == CLIENT_SENDS
    # nothing is estimated before data came, nor when nobody reads any more
    assert [row["recv_q_estimated"] for row in servers[:-1]] == [False] * 3 + [True] * 13 + [False]
    assert {row["recv_q"] for row in clients} == {0}
    assert timer(clients[-1]) == ("timewait", pytest.approx(59.99), 0)


# ---------------------------------------------------------------- timers

RTO = 0.2201  # the scripts' round trip of 20.1 ms with Linux's floor of 200 ms


def test_time_outs_double(tmp_path):
    close(
        timers("loss/timeout_backoff", "client", tmp_path),
        [("on", 1.0, 0), None, None, *(("on", RTO * 2**n, n) for n in range(4)), None],
    )


def test_a_closed_window_is_probed(tmp_path):
    close(
        timers("window/zero_window_linux_probes", "client", tmp_path),
        [("on", 1.0, 0), None, None, ("on", RTO, 0), ("persist", RTO, 0), ("persist", 0.44, 1), ("persist", 0.42, 0),
         ("persist", 0.92, 1), ("persist", 0.9, 0), None, ("on", RTO, 0), None],
    )  # fmt: skip


def test_keep_alive_is_timed_as_it_was_seen(tmp_path):
    close(
        timers("idle/keep_alive_dead", "client", tmp_path),
        [("on", 1.0, 0), None, None, ("keepalive", None, 1), ("keepalive", 75.0, 2), ("keepalive", 75.0, 3), None],
    )


def test_a_syn_is_repeated_after_a_second_then_two(tmp_path):
    assert timers("open/syn_lost", "client", tmp_path)[:3] == [("on", 1.0, 0), ("on", 2.0, 1), None]


def test_a_repeated_fin_starts_time_wait_anew(tmp_path):
    found = timers("close/time_wait_restarts", "client", tmp_path)
    close(found[4:8], [("timewait", left, 0) for left in (60.0, 59.9999, 60.0, 59.9999)])


def test_a_fin_whose_acknowledgment_was_lost_is_still_owed(tmp_path):
    path, _ = built("close/time_wait_restarts", tmp_path)
    server = end(at(path, "frame:6"), "server")
    assert (server["state"], server["send_q"], server["timer"]) == ("LAST-ACK", 1, "on")


def test_what_is_past_its_time_is_not_known(tmp_path):
    path, _ = built("loss/timeout_backoff", tmp_path)
    assert timer(end(at(path, "+0.319"), "client")) == ("on", pytest.approx(0.0011), 0)
    path, _ = built("loss/timeout_never_answered", tmp_path)
    client = end(at(path), "client")
    assert client is None or client["timer_expires"] is None or client["timer_expires"] >= 0


# ---------------------------------------------------------------- which sockets


def test_nothing_is_known_of_what_came_before_the_capture(tmp_path):
    path, _ = built("midstream/established", tmp_path)
    server = end(at(path, "frame:1"), "server")
    assert (server["recv_q"], server["send_q"], server["recv_q_estimated"]) == (None, 0, False)
    client = end(at(path, "frame:1"), "client")
    assert (client["send_q"], client["timer"], client["timer_expires"]) == (100, "on", None)
    assert client["inferred"]


def test_a_refusal_is_no_listener_and_leaves_no_socket(tmp_path):
    path, _ = built("open/refused", tmp_path)
    assert [row["state"] for row in at(path, "frame:1")] == ["SYN-SENT"]
    assert at(path) == []


def test_who_answers_listens_all_the_while(tmp_path):
    path, _ = built("open/three_way", tmp_path)
    for moment in ("frame:1", None):
        first = at(path, moment)[0]
        assert (first["state"], first["local_port"], first["peer_ip"], first["inferred"]) == ("LISTEN", 9, None, True)
        assert (first["recv_q"], first["send_q"]) == (0, None)
    assert all(row["state"] != "LISTEN" for row in at(path, listen=False))


def test_filters_choose():
    from ipaddress import ip_network

    path = SAMPLES / "short_connections.pcap"
    every = at(path, "+0.05")
    hosts = {row["host"] for row in every}
    assert len(hosts) == 2
    for host in hosts:
        mine = at(path, "+0.05", networks=(ip_network(host),))
        assert mine == [row for row in every if row["host"] == host]
    assert at(path, "+0.05", ports=(9999,)) == []
    assert {row["connection"] for row in at(path, "+0.05", connections=(1,))} <= {1}


# ---------------------------------------------------------------- moments


@pytest.mark.parametrize(
    "moment", ["frame:0", "frame:12", "frame:-1", "frame:x", "+1e6", "-5", "1", "2001-01-01", "frame:99999999999"]
)
def test_a_moment_outside_tells_the_span(moment):
    capture = tcpscope.read(SAMPLES / "normal.pcap")
    with pytest.raises(tcpscope.UsageError, match=r"\+0 to \+\d+\.\d{6} s .* frames 1 to 11"):
        capture.sockets(moment)


def test_every_way_to_name_a_moment_agrees():
    import datetime

    capture = tcpscope.read(SAMPLES / "normal.pcap")
    first, last = capture.overview["first"], capture.overview["last"]
    fifth = capture.packets.iloc[4]["time"]
    by_frame = capture.sockets("frame:5").drop(columns=["time", "timer_expires"])
    when = datetime.datetime.fromtimestamp(fifth, datetime.UTC)
    for moment in (fifth, repr(float(fifth)), when, when.isoformat(), f"+{fifth - first:.6f}"):
        assert capture.sockets(moment).drop(columns=["time", "timer_expires"]).equals(by_frame)
    assert capture.sockets(last).equals(capture.sockets())
    assert list(by_frame) == [key for key in KEYS if key not in ("time", "timer_expires")]


def test_several_captures_have_no_frame_numbers_in_common():
    capture = tcpscope.read([SAMPLES / "normal.pcap", SAMPLES / "fin_lost.pcap"])
    with pytest.raises(tcpscope.UsageError, match="give a time"):
        capture.sockets("frame:3")
    assert len(capture.sockets()) > 0


@pytest.mark.parametrize("name", FEW)
def test_states_are_those_of_the_packets_table(name):
    """After each frame of a connection both ends' states are what `packets` says."""
    from tcpscope.tables.sockets import SS_NAMES

    capture = tcpscope.read(SAMPLES / name)
    for packet in capture.packets.iloc[::7].to_dict("records"):
        found = capture.sockets(f"frame:{packet['frame']}")
        mine = found[found["connection"] == packet["connection"]].set_index("endpoint")["state"].to_dict()
        for side in ("client", "server"):
            state = packet[f"{side}_state"]
            if state not in ("CLOSED", "LISTEN", "UNKNOWN"):
                assert mine[side] == SS_NAMES[state], packet["frame"]
            elif state != "UNKNOWN":
                assert side not in mine


# ---------------------------------------------------------------- carrying from chunk to chunk

SEGMENTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 1500),
              st.sampled_from([2, 16, 17, 18, 24, 4, 20]), st.integers(0, 3000),
              st.sampled_from([0, 1, 1 << 12, 1 << 15, 1 << 16]), st.integers(-1, 10**8)),
    min_size=1, max_size=40,
)  # fmt: skip


def chunk(segments):
    names = ("connection", "sender", "seq", "ack", "length", "flags", "window", "annotations", "rtt_ns")
    values = dict(zip(names, zip(*segments, strict=True), strict=True))
    kinds = dict.fromkeys(("seq", "ack", "length", "window", "connection"), np.uint32) | {
        "annotations": np.uint64, "rtt_ns": np.int64, "flags": np.uint16, "sender": np.uint8}  # fmt: skip
    rows = {name: np.array(found, kinds[name]) for name, found in values.items()}
    count = len(segments)
    rows["time_ns"] = np.arange(count, dtype=np.int64) * 1_000_000
    for name in COLUMNS:
        rows.setdefault(name, np.zeros(count, np.uint64))
    rows["seq"] -= np.uint32(2500)  # around the place where numbers wrap
    rows["ack"] -= np.uint32(2500)
    return rows


@settings(max_examples=60, deadline=None)
@given(segments=SEGMENTS, cuts=st.lists(st.integers(0, 40), max_size=4), points=st.integers(0, 3))
def test_chunks_make_no_difference(segments, cuts, points):
    rows = chunk(segments)
    whole, parts = Queues([points] * 3), Queues([points] * 3)
    whole.follow(rows)
    edges = sorted({0, *(cut for cut in cuts if cut < len(segments)), len(segments)})
    for start, stop in pairwise(edges):
        parts.follow(part(rows, stop, start))
    for name in KNOWN:
        slack = 10 if name in ("srtt", "rttvar") else 0  # nanoseconds, carried whole
        assert (abs(whole.known[name] - parts.known[name]) <= slack).all(), name
    assert (whole.begun == parts.begun).all()


@settings(max_examples=60, deadline=None)
@given(segments=SEGMENTS)
def test_send_q_is_what_a_plain_loop_finds(segments):
    rows = chunk(segments)
    queues = Queues([0, 0, 0])
    queues.follow(rows)
    for connection in range(3):
        for side in (0, 1):
            first = sent = acked = None
            for i in np.flatnonzero(rows["connection"] == connection):
                flags = int(rows["flags"][i])
                mine = rows["sender"][i] == side
                if flags & 4 or (not mine and not flags & 16):
                    continue
                at = int(np.int32(rows["seq" if mine else "ack"][i].astype(np.int32)))
                first = at if first is None else first
                if mine:
                    stop = at + int(rows["length"][i]) + (flags >> 1 & 1) + (flags & 1)
                    sent = stop if sent is None else max(sent, stop)
                else:
                    acked = at if acked is None else max(acked, at)
            if first is None:
                assert queues.known["send_q"][connection, side] == 0
                continue
            una = first if acked is None else max(acked, first)
            wanted = max((una if sent is None else sent) - una, 0)
            assert queues.known["send_q"][connection, side] == wanted


# ---------------------------------------------------------------- counts and changes


@pytest.mark.parametrize(("span", "step"), [(0, 1.0), (20, 1.0), (21, 2.0), (60, 5.0), (0.37, 0.02), (86400, 5000.0)])
def test_steps_are_round(span, step):
    assert nice_step(span) == pytest.approx(step)


@pytest.mark.parametrize("name", FEW)
def test_counts_are_the_number_of_rows(name):
    for row in counts(analyse(locate(SAMPLES / name)), None, Wanted()):
        rows = at(SAMPLES / name, row["time"])
        assert row["total"] == len(rows)
        for state in {it["state"] for it in rows}:
            assert row[state] == sum(it["state"] == state for it in rows)


@pytest.mark.parametrize("name", FEW)
def test_a_story_shows_what_a_snapshot_shows(name):
    result, chunks = packets(locate(SAMPLES / name))
    story = Story(result, chunks, MSL, Wanted())
    assert len(story.steps) > 5
    for step in story.steps[::5]:
        if step.by_packet:
            frame = int(story.packets["frame"][step.row])
            rows = [{**row, "frame": frame} for row in at(SAMPLES / name, f"frame:{frame}")]
            if not story.moment(step).end:
                assert story.sockets(step) == rows


def test_a_story_can_be_walked_backwards(monkeypatch):
    """What is left of a chunk is carried on; going back begins anew."""
    from tcpscope.tables import changes

    path = SAMPLES / "zero_window.pcap"
    whole = Story(*packets(locate(path)), MSL, Wanted())
    monkeypatch.setattr(changes, "COALESCED", 5)
    cut = Story(*packets(locate(path)), MSL, Wanted())
    assert cut.steps == whole.steps
    for step in [*whole.steps, *reversed(whole.steps)]:
        for one, other in zip(cut.sockets(step), whole.sockets(step), strict=True):
            left = [row.pop("timer_expires") for row in (one, other)]
            assert one == other
            assert left[0] == pytest.approx(left[1], abs=1e-7)


def test_joining_keeps_the_order():
    rows = chunk([(0, 0, n, 0, 0, 16, 0, 0, -1) for n in range(9)])
    again = joined([part(rows, 4), part(rows, 9, 4)])
    assert all((again[name] == rows[name]).all() for name in COLUMNS)


def test_a_port_that_refuses_later_has_stopped_listening():
    class Told(Past):
        def __init__(self):
            self.__dict__["_words"] = {("a", 80): [(10, True), (20, False)], ("b", 81): [(30, True)],
                                        ("c", 82): [(5, False)]}  # fmt: skip

    past = Told()
    assert past.listeners(0) == [("a", 80), ("b", 81)]
    assert past.listeners(15) == [("a", 80), ("b", 81)]
    assert past.listeners(20) == [("b", 81)]


def test_whether_the_program_has_read_the_fin_is_not_known(tmp_path):
    """ss counts an unread FIN in CLOSE-WAIT's Recv-Q, nothing shows when it is read."""
    path, _ = built("close/server_first", tmp_path)
    found = {row["state"]: row for row in (end(at(path, f"frame:{n}"), "client") for n in range(3, 7)) if row}
    assert found["ESTAB"]["recv_q_estimated"] is False
    assert (found["CLOSE-WAIT"]["recv_q"], found["CLOSE-WAIT"]["recv_q_estimated"]) == (0, True)
