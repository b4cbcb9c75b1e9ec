"""What tests of findings are made of: segments by hand, and captures with known truth."""

from pathlib import Path

import pytest

import tcpscope
from tcpscope.diagnose import diagnose
from tcpscope.replay.engine import Engine
from tcpscope.wire.batch import SegmentBatch
from tests.replay.segments import ACK, FIN, SYN, segment

TRUTH = Path(__file__).parents[3] / "shared" / "truth"
CLIENT, SERVER = 0, 1
MS, SECOND = 10**6, 10**9
RTT = 0.03  # s, of a Talk
DAWN = 10**15  # when the captures begin, ns


def found(steps, files=(), steps_back=0):
    """The findings of these segments, by id."""
    box, engine = SegmentBatch(len(steps)), Engine()
    box.load(b"".join(steps))
    engine.replay(box)
    engine.finish()
    told = diagnose(engine.take_connections(), list(files), ["a.pcap"], engine.take_evidence(), steps_back)
    return {f.id: f for f in told}


def opened(sport, at, frame=1):
    """A handshake and one byte each way."""
    there, back = {"sport": sport, "time_ns": at + 2000}, {"dport": sport, "time_ns": at + 1000}
    return [
        segment(frame, 0, SYN, 100, sport=sport, time_ns=at), segment(frame + 1, 1, SYN | ACK, 200, 101, **back),
        segment(frame + 2, 0, ACK, 101, 201, **there), segment(frame + 3, 0, ACK, 101, 201, length=1, **there),
        segment(frame + 4, 1, ACK, 201, 102, length=1, dport=sport, time_ns=at + 3000),
        segment(frame + 5, 0, ACK, 102, 202, sport=sport, time_ns=at + 4000),
    ]  # fmt: skip


def at(ms):
    return DAWN + round(ms * MS)


def truth(name):
    path = TRUTH / f"{name}.pcap"
    if not path.is_file():
        pytest.skip("the captures with known truth are not here")
    return {f.id: f for f in tcpscope.read(path).findings}


class Talk:
    """A connection as a list of segments; seconds, captured at the client."""

    def __init__(self):
        self.steps, self.now = [], 0.0
        self.next, self.known = [101, 201], [201, 101]  # what each would send, and has heard
        self.raw(0, CLIENT, SYN, 100, options=2)
        self.raw(RTT, SERVER, SYN | ACK, 200, 101, options=2)
        self.raw(0.0001, CLIENT, ACK, 101, 201)

    def raw(self, after, side, flags, seq, ack=0, length=0, **more):
        self.now += after
        time_ns = DAWN + round(self.now * 1e9)
        self.steps.append(segment(len(self.steps) + 1, side, flags, seq, ack, length, time_ns=time_ns, **more))

    def say(self, after, side, length=0, flags=0, heard=True, **more):
        """The side's next bytes; heard: it acknowledges all that the other has said."""
        if heard:
            self.known[side] = self.next[1 - side]
        self.raw(after, side, flags | ACK, self.next[side], self.known[side], length, **more)
        self.next[side] += length + (flags & FIN)

    def exchange(self, after, length=50, answer=80):
        self.say(after, CLIENT, length)
        self.say(RTT, SERVER, answer)
        self.say(0.0001, CLIENT)

    def told(self):
        return found(self.steps)
