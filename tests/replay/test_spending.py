"""Where the time went: every interval is attributed once, and the reasons are those of a sender that is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tcpscope
from tcpscope.replay.layout import ROLES, TIMES
from tests.replay.segments import ACK, FIN, PSH, RST, SYN, Replayed, segment
from tests.samples.test_samples import FOLDER, replay

REASONS = ("application", "receiver", "congestion", "loss", "closing")
TRUTH = Path(__file__).parents[3] / "shared" / "truth"
MS = 1_000_000


def whole(c):
    """The sums that must be the duration: of the connection, and of each side, as far as they are known."""
    times = [c[f"time_{name}_ns"] for name in TIMES]
    if min(times) >= 0:
        yield sum(times)
    for role in ROLES:
        reasons = [c[f"{role}_limited_{name}_ns"] for name in REASONS]
        if min(reasons) >= 0:
            yield max(c["time_opening_ns"], 0) + sum(reasons)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.pcap*")), ids=lambda it: it.name)
def test_the_shares_add_up(path):
    for c in replay(path)[0]:
        assert set(whole(c)) == {c["end_ns"] - c["start_ns"]}


@example([(0, 0, SYN, 0, 0, 0, 0), (1, 0, SYN, 0, 0, 0, 0), (0, 0, ACK, 0, 0, 0, 0), (-1, 0, ACK, 1, 0, 1, 0),
          (1, 0, SYN, 0, 0, 0, 0)])  # fmt: skip
@given(st.lists(st.tuples(st.integers(-5, 40), st.integers(0, 1), st.sampled_from([SYN, SYN | ACK, ACK, PSH | ACK,
       FIN | ACK, RST]), st.integers(0, 9), st.integers(0, 9), st.integers(0, 1400), st.integers(0, 70_000)),
       max_size=40))  # fmt: skip
def test_the_shares_add_up_whatever_is_sent(steps):
    """Clocks that go back, nonsense numbers and all; or nothing is said."""
    now, made = 10**18, []
    for wait, sender, flags, seq, ack, length, window in steps:
        now += wait * MS
        made.append(segment(len(made) + 1, sender, flags, 100 + seq * 700, 100 + ack * 700, length, time_ns=now,
                            window=window % 65536))  # fmt: skip
    for c in Replayed(made).connections:
        assert set(whole(c)) <= {c["end_ns"] - c["start_ns"]}


class Talk:
    """Segments at a capture point near the server: `to` the client and back takes `trip` milliseconds."""

    def __init__(self, window=60_000):
        self.now, self.made, self.window = 0.0, [], window
        self.say(0, SYN, 0, 0, mss=1000, options=1)
        self.say(1, SYN | ACK, 0, 1, mss=1000, options=1)
        self.wait(20).say(0, ACK, 1, 1)

    def wait(self, ms):
        self.now += ms
        return self

    def say(self, sender, flags, seq, ack=0, length=0, **more):
        more.setdefault("window", self.window if sender == 0 else 60_000)
        at = 10**18 + round(self.now * MS)
        self.made.append(segment(len(self.made) + 1, sender, flags, 1000 + seq, 1000 + ack, length, time_ns=at, **more))
        return self

    def limits(self):
        (c,) = Replayed(self.made).connections
        return {name: c[f"server_limited_{name}_ns"] / MS for name in REASONS}


def test_a_window_of_one_segment_is_the_receivers_fault():
    talk = Talk(window=1500)
    for n in range(10):
        talk.say(1, ACK, 1 + 1000 * n, 1, 1000).wait(20).say(0, ACK, 1, 1001 + 1000 * n)
    assert talk.limits() == {"application": 0, "receiver": 200, "congestion": 0, "loss": 0, "closing": 0}


def test_full_segments_within_a_large_window_are_limited_by_the_path():
    talk = Talk()
    for n in range(0, 20, 2):
        talk.say(1, ACK, 1 + 1000 * n, 1, 1000).say(1, ACK, 1001 + 1000 * n, 1, 1000)
        talk.wait(20).say(0, ACK, 1, 2001 + 1000 * n)
    assert talk.limits() == {"application": 0, "receiver": 0, "congestion": 200, "loss": 0, "closing": 0}


def test_a_program_that_pauses_is_its_own_limit():
    talk = Talk()
    for n in range(10):
        talk.say(1, ACK, 1 + 300 * n, 1, 300).wait(20).say(0, ACK, 1, 301 + 300 * n).wait(80)
    assert talk.limits() == {"application": 920, "receiver": 0, "congestion": 0, "loss": 0, "closing": 0}


def test_a_timer_is_a_loss():
    talk = Talk().say(1, ACK, 1, 1, 1000).wait(300).say(1, ACK, 1, 1, 1000).wait(20).say(0, ACK, 1, 1001)
    assert talk.limits() == {"application": 0, "receiver": 0, "congestion": 0, "loss": 320, "closing": 0}


@pytest.mark.parametrize(("name", "reason", "least"), [
    ("bulk_clean-1", "congestion", 0.5), ("zero_window-1", "receiver", 0.7), ("slow_server-1", "application", 0.7),
    ("outage_recovered-1", "loss", 0.5),
])  # fmt: skip
@pytest.mark.parametrize("point", ["client", "server"])
def test_the_reason_is_the_same_at_both_ends(name, reason, least, point):
    """Captured beside the sender and beside the receiver; the sender is the side that sent more."""
    path = TRUTH / f"{name}.{point}.pcap"
    if not path.is_file():
        pytest.skip("the captures with known truth are not here")
    (c,) = replay(path)[0]
    role = max(ROLES, key=lambda it: c[f"{it}_bytes"])
    active = c["end_ns"] - c["start_ns"] - c["time_opening_ns"] - c[f"{role}_limited_closing_ns"]
    assert c[f"{role}_limited_{reason}_ns"] >= least * active


@pytest.mark.parametrize(("words", "whose"), [(b"GET / HTTP/1.0", "server"), (b"an entry, not ", "idle")])
def test_who_waits_for_an_answer_to_the_end_waits_for_the_server(tmp_path, words, whose):
    """Where the service answers all that it is asked; else nobody may have waited."""
    path, raw = tmp_path / "asked.pcap", (FOLDER / "no_answer.pcap").read_bytes()
    assert b"GET / HTTP/1.0" in raw
    path.write_bytes(raw.replace(b"GET / HTTP/1.0", words))
    times = {name: tcpscope.read(path).connection(0).row[f"time_{name}"] for name in ("server", "idle")}
    assert times.pop(whose) == pytest.approx(2.0, abs=0.1) and max(times.values()) < 0.1
