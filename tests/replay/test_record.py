"""A record read field by field is the one read as a whole."""

import random

import pytest

from tcpscope.replay.layout import CONNECTION
from tcpscope.replay.record import Record, having

RAW = random.Random(1).randbytes(CONNECTION.size)


def test_every_field_is_as_in_the_whole():
    (row,) = CONNECTION.dicts(RAW)
    record = Record(RAW, CONNECTION.places(CONNECTION.names))
    assert {name: repr(record[name]) for name in row} == {name: repr(value) for name, value in row.items()}


def test_a_prefix_stands_for_a_side():
    (row,) = CONNECTION.dicts(RAW)
    assert Record(RAW, CONNECTION.places(["ttl"], "server_"))["ttl"] == row["server_ttl"]


def test_what_is_not_there():
    with pytest.raises(KeyError):
        Record(RAW, CONNECTION.places(["service"]))["ttl"]
    with pytest.raises(ValueError, match="too short"):
        Record(RAW[:-200], CONNECTION.places(["server_hint"]))["server_hint"]


class Bearer:
    def __init__(self, **values):
        whole = {name: 0 if code != "d" else 0.0 for name, code in zip(CONNECTION.names, CONNECTION.codes, strict=True)}
        whole |= {
            name: b"" for name, code in zip(CONNECTION.names, CONNECTION.codes, strict=True) if code.endswith("s")
        }
        self.common = Record(CONNECTION.struct.pack(*(whole | values).values()), {})


def test_those_that_have_something():
    few, many, other, none = (
        Bearer(client_bytes=5),
        Bearer(server_bytes=1 << 40),
        Bearer(start_ns=9),
        Bearer(end_ns=-1),
    )
    bearers = [few, many, other, none]
    places = tuple(CONNECTION.offset(name) for name in ("client_bytes", "server_bytes", "end_ns"))
    assert having(bearers, places) == [few, many]
    assert having(bearers, places, 5) == [many]
    assert having(bearers, ()) == having([], places) == []


def test_a_place_must_lie_within_the_record():
    for place in (-8, CONNECTION.size - 7, CONNECTION.size):
        with pytest.raises(ValueError, match="too short"):
            having([Bearer()], (place,))
    with pytest.raises(ValueError, match="at most"):
        having([Bearer()], (0,) * 33)
