"""A record read field by field is the one read as a whole."""

import random

import pytest

from tcpscope.replay.layout import CONNECTION
from tcpscope.replay.record import Record

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
