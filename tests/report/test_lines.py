"""The table format: aligned, in the time zone asked for, longer values push the others on."""

import io

import pytest

from tcpscope.report.lines import print_lines, short
from tests.tables.records import V4, record


def lines(widths, *records, utc=True):
    stream = io.StringIO()
    print_lines("events", [b"".join(records)], widths, utc, stream)
    return stream.getvalue().splitlines()


def test_columns_are_aligned():
    event = record("events", frame=7, ip=V4[0], ip_version=4, port=80)
    assert lines({"frame": -7, "ip": 10, "port": -4}, event) == [
        "  frame  ip          port",
        "      7  10.0.0.1      80",
    ]


def test_times_are_shown_in_a_zone(monkeypatch):
    import time

    event = record("events", time_ns=1_700_000_000_250_000_000, ip_version=4)
    assert lines({"time": 26}, event) == ["time (UTC)", "2023-11-14 22:13:20.250000"]
    monkeypatch.setenv("TZ", "XYZ-3")
    time.tzset()
    assert lines({"time": 26}, event, utc=False) == ["time (local)", "2023-11-15 01:13:20.250000"]
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (1.5, "1.5"),
        (2e-06, "0.000002"),
        (["a", "b"], "a,b"),
        ([[1, 2]], "1-2"),
        ("\x1b", "\\x1b"),
        (7, "7"),
    ],
)
def test_short(value, shown):
    assert short(value) == shown
