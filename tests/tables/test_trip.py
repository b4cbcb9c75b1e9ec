"""The round trip that a table shows: the path's, not what else a handshake may have measured."""

import pytest

from tcpscope.tables.trip import FIELDS, round_trip

MS = 1_000_000
BLANK = dict.fromkeys(FIELDS, 0)


@pytest.mark.parametrize(
    ("fields", "ms"),
    [
        ({"initial_rtt_ns": 41 * MS, "syn_rtt_ns": 41 * MS}, 41),  # nothing else is known
        ({"initial_rtt_ns": 41 * MS, "client_rtt_min_ns": 90 * MS, "server_rtt_min_ns": 1 * MS}, 41),  # late answers
        ({"initial_rtt_ns": 291 * MS, "client_rtt_min_ns": 1 * MS, "server_rtt_min_ns": 41 * MS}, 42),  # ACK lost
        ({"initial_rtt_ns": 12 * MS, "client_rtt_min_ns": 24 * MS, "server_rtt_min_ns": 0,
          "client_syn_retransmissions": 1}, 24),
        ({"initial_rtt_ns": 3000 * MS, "client_rtt_min_ns": 1 * MS, "server_rtt_min_ns": 40 * MS,
          "server_syn_retransmissions": 2}, 41),
        ({"initial_rtt_ns": 300_000, "client_rtt_min_ns": 200_000, "server_rtt_min_ns": 41 * MS, "fast_open": 1}, 41),
        ({"initial_rtt_ns": 20 * MS, "client_rtt_min_ns": 40 * MS, "server_rtt_min_ns": 0, "simultaneous_open": 1}, 40),
        ({"initial_rtt_ns": -1, "syn_rtt_ns": 30 * MS}, 30),
        ({"initial_rtt_ns": -1, "client_rtt_min_ns": 30 * MS, "server_rtt_min_ns": 2 * MS}, 32),  # begun before
    ],
)  # fmt: skip
def test_round_trip(fields, ms):
    unknown = {"syn_rtt_ns": -1, "client_rtt_min_ns": -1, "server_rtt_min_ns": -1}
    assert round(round_trip(BLANK | unknown | fields) / MS) == ms


def test_not_known():
    assert round_trip(BLANK | {"initial_rtt_ns": -1, "syn_rtt_ns": -1, "client_rtt_min_ns": -1}) <= 0
