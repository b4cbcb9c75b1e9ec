"""The estimate of the congestion window against the Linux kernel's own record of it, at every place of capture."""

import json
from pathlib import Path

import numpy
import pytest

import tcpscope
from tcpscope.report.plots.flight import in_flight, rounds
from tcpscope.report.plots.trace import Trace, as_seen_by, of_connection, reach, records

TRUTH = Path(__file__).resolve().parents[3] / "shared" / "truth"
TRANSFERS = ("bulk_loss_2_cubic", "bulk_loss_5_reno", "ecn", "small_segments", "satellite_bulk_loss", "no_sack")


@pytest.mark.skipif(not TRUTH.is_dir(), reason="the shared captures are not here")
@pytest.mark.parametrize("name", TRANSFERS)
@pytest.mark.parametrize("place", ["client", "server"])
def test_the_largest_flight_of_a_round_is_the_congestion_window(name, place):
    truth = json.loads((TRUTH / f"{name}-1.{place}.json").read_text())
    rows = truth["connections"][0]["cwnd"]["server"]  # [time, segments, threshold, state, …]
    capture = tcpscope.read(TRUTH / truth["capture"])
    record = records(capture._result.connections)[0]
    trace = Trace(of_connection(capture._packet_records(), 0), record, 1, "", "")
    seen, _ = as_seen_by(trace, 1)
    found = rounds(seen, in_flight(seen))
    changed = numpy.array([row[0] for row in rows]) - trace.start_ns / 1e9 + reach(trace, 1) / 2e9
    window = numpy.array([row[1] for row in rows])
    segment = int(trace.own("max_segment"))
    shares = []
    for at, after, most in zip(found.starts[:-1], found.starts[1:], found.most[:-1], strict=True):
        low, high = numpy.searchsorted(changed, (seen.time[at], seen.time[after]), side="right")
        if low and rows[low - 1][3] == "Open":
            shares.append(most / segment / window[low - 1 : max(high, low)].max())
    assert len(shares) >= 5
    assert 0.9 <= numpy.median(shares) <= 1.1
    assert numpy.percentile(shares, 10) > 0.6
