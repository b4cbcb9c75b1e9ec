"""Numbers as a person reads them; text from a capture cannot steer a terminal."""

import pytest

from tcpscope.report.text import clock, safe, size, span


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("über", "über"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\r\tc", "a\\x0ab\\x0d\\x09c"),
        ("\u202eevil", "\\u202eevil"),
        ("\x9b31m", "\\x9b31m"),
        ("\udc80", "\\udc80"),
    ],
)
def test_safe(text, shown):
    assert safe(text) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_940, "9.9 kB"), (20_000, "20 kB"), (999_600, "1.0 MB"),
     (5_000_000_000_000, "5.0 TB")],
)  # fmt: skip
def test_size(count, shown):
    assert size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-"), (0, "0 µs"), (0.00031, "310 µs"), (0.0482, "48.2 ms"), (0.25, "250 ms"), (3.214, "3.21 s"),
     (125, "2 min 5 s"), (3720, "1 h 2 min"), (86400 * 3, "3.0 days")],
)  # fmt: skip
def test_span(seconds, shown):
    assert span(seconds) == shown


def test_clock():
    assert clock(1_700_000_000.25, True) == "2023-11-14 22:13:20.250000 UTC"
    assert clock(1e18, True).endswith(" s")
