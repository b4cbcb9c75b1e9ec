"""Where sequence numbers, time stamps and clocks begin is chance: shifting them changes nothing that is said."""

import random
from pathlib import Path

import numpy
import pytest

from tcpscope.replay.engine import Engine
from tcpscope.replay.layout import CONNECTION, EVENT, EVIDENCE, PACKET
from tcpscope.tables.analysis import locate
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.layout import SEGMENT, SEGMENT_FIELDS
from tcpscope.wire.merge import MergedReader
from tests.replay.segments import ACK, RST

SAMPLES = sorted((Path(__file__).parents[2] / "sample_pcaps").glob("*.pcap*"))
CODES = {"q": "i8", "Q": "u8", "I": "u4", "H": "u2", "B": "u1", "16s": "V16", "32s": "8u4"}
RECORD = numpy.dtype([(name, CODES[code]) for name, code in SEGMENT_FIELDS], align=True)
TIMESTAMPS = 0x10  # of `options`
MOMENTS = {"start_ns", "end_ns", "syn_ack_ns", "ack_ns", "pause_end_ns", "reset_ns", "time_wait_start_ns",
           "time_wait_end_ns", "time_ns"}  # fmt: skip


def is_moment(name):
    return name in MOMENTS or name.endswith(("_first_data_ns", "_last_data_ns", "_last_ns"))


def segments(path):
    found, batch = [], SegmentBatch(1024)
    with MergedReader(locate([path]).captures) as reader:
        while reader.fill(batch):
            found.append(batch.tobytes())
    return numpy.frombuffer(b"".join(found), RECORD).copy()


def replayed(given):
    """Connections, packets, events and evidence, each in an order of their own."""
    engine, raw, many = Engine(packets=True), given.tobytes(), 1024 * SEGMENT.size
    for at in range(0, len(raw), many):
        batch = SegmentBatch(1024)
        batch.load(raw[at : at + many])
        engine.replay(batch)
    engine.finish()
    packets = bytearray(engine.take_packets())
    engine.settle(packets)
    return [
        numpy.sort(numpy.frombuffer(rows, layout.dtype()), order=order)
        for rows, layout, order in (
            (engine.take_connections(), CONNECTION, ["connection"]),
            (bytes(packets), PACKET, ["order"]),
            (engine.take_events(), EVENT, ["connection", "endpoint", "order", "new"]),
            (engine.take_evidence(), EVIDENCE, ["connection", "frame", "annotation"]),
        )
    ]


def told_apart(one, other, ignored):
    return [
        name
        for a, b in zip(one, other, strict=True)
        for name in a.dtype.names
        if not ignored(name) and a[name].tobytes() != b[name].tobytes()
    ]


def by_side(given, value):
    """An array for the segments' senders and one for their peers: of each side the same value."""
    ends = [[(bytes(it["src"]), int(it["sport"])), (bytes(it["dst"]), int(it["dport"]))] for it in given]
    known = {}
    for at, (sender, peer) in enumerate(ends):
        for side in ((sender, peer), (peer, sender)):
            if side not in known:
                known[side] = value(at, side == (sender, peer))
    return (
        numpy.array([known[sender, peer] for sender, peer in ends], "u4"),
        numpy.array([known[peer, sender] for sender, peer in ends], "u4"),
    )


def with_other_numbers(given, chance):
    """Both streams begin somewhere else, and often wrap early: but for a RST without ACK's own 0, and no ACK."""
    shifted = given.copy()

    def begin(at, is_sender):
        wraps = (1 << 32) - chance.randrange(2, 3000) - int(given["seq" if is_sender else "ack"][at])
        return (wraps if chance.random() < 0.7 else chance.getrandbits(32)) & 0xFFFFFFFF

    mine, theirs = by_side(given, begin)
    plain_reset = (given["flags"] & RST != 0) & (given["seq"] == 0)
    shifted["seq"] += numpy.where(plain_reset, 0, mine).astype("u4")
    shifted["ack"] += numpy.where(given["flags"] & ACK != 0, theirs, 0).astype("u4")
    blocks = numpy.arange(8) < 2 * given["n_sack"][:, None]
    shifted["sack"] += numpy.where(blocks, theirs[:, None], 0).astype("u4")
    return shifted


def with_other_stamps(given, chance):
    shifted = given.copy()
    mine, theirs = by_side(given, lambda *_: chance.getrandbits(32))
    stamped = given["options"] & TIMESTAMPS != 0
    shifted["ts_val"] += numpy.where(stamped, mine, 0).astype("u4")
    shifted["ts_ecr"] += numpy.where(stamped & (given["ts_ecr"] != 0), theirs, 0).astype("u4")
    return shifted


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_where_the_numbers_begin_changes_nothing(path):
    given = segments(path)
    # Wireshark takes the 0 in the acknowledgment field of a SYN for a number: which round trip it shows depends on it
    raw = {"seq_raw", "ack_raw", "client_isn", "server_isn", "ack_rtt_ns"}
    chance = random.Random(path.name)
    for _ in range(3):
        shifted = with_other_numbers(given, chance)
        assert told_apart(replayed(given), replayed(shifted), raw.__contains__) == []


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_where_the_time_stamps_begin_changes_nothing(path):
    given = segments(path)
    shifted = with_other_stamps(given, random.Random(path.name))
    assert told_apart(replayed(given), replayed(shifted), {"ts_val", "ts_ecr"}.__contains__) == []


@pytest.mark.parametrize("start", [0, 1, 4 * 10**18])
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_capture_may_begin_at_any_time(path, start):
    """Also at 0, as captures do that are made by text2pcap or by a script."""
    given = segments(path)
    shifted = given.copy()
    shifted["time_ns"] += start - given["time_ns"].min()
    assert told_apart(replayed(given), replayed(shifted), is_moment) == []
