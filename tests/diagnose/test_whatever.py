"""Findings about whatever is sent: odd flags, jumps, clocks that go back.  They are made, and have what each needs."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tests.diagnose.made import found
from tests.replay.segments import ACK, FIN, PSH, RST, SYN, segment

MS = 1_000_000
USUAL = [SYN, SYN | ACK, ACK, ACK, PSH | ACK, PSH | ACK, FIN | ACK, RST, RST | ACK]
waits = st.one_of(st.integers(-5, 40), st.sampled_from([200, 1000, 3000, 60_000, 10**7]))
steps = st.tuples(
    waits, st.integers(0, 1), st.sampled_from(USUAL) | st.integers(0, 255), st.integers(0, 6) | st.integers(0, 2**20),
    st.integers(0, 6) | st.integers(0, 2**20), st.sampled_from([0, 0, 0, 1, 100, 700, 1400, 40_000]),
    st.sampled_from([0, 1, 512, 65535]), st.integers(0, 3) | st.integers(0, 40), st.sampled_from([0, 0, 1, 700, 1460]),
)  # fmt: skip


@given(st.lists(steps, min_size=1, max_size=60))
def test_findings_about_anything(sent: list[tuple[int, ...]]) -> None:
    now, made = 10**18, []
    for wait, sender, flags, seq, ack, length, window, port, mss in sent:
        now += wait * MS
        ends = {"sport": 40_000 + port, "dport": 80} if sender == 0 else {"sport": 80, "dport": 40_000 + port}
        made.append(
            segment(
                len(made) + 1, sender, flags, 100 + 700 * seq, 100 + 700 * ack, length, time_ns=now, window=window,
                mss=mss, options=int(mss > 0), **ends,
            )
        )  # fmt: skip
    for id, finding in found(made).items():
        assert finding.id == id
        assert finding.text and finding.advice
        assert all(1 <= it <= len(made) for it in finding.frames)
        assert all(math.isfinite(it) for it in finding.numbers.values())
        assert "nan" not in finding.text and "-1" not in finding.text.split()
