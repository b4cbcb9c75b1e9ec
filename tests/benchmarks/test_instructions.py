"""The core takes no more instructions a packet than recorded; `instructions.py` says when that is judged."""

import hashlib

import pytest

from tests.benchmarks import fixed, instructions


def test_the_counted_captures_are_the_same_everywhere():
    made = hashlib.sha256(fixed.mix(50) + fixed.flood(50)).hexdigest()
    assert made == "c6c4d7254646e3130ff4e3e53406f762daaa72e95fb7fcde8264cbed9f432380"
    assert fixed.count(fixed.without_tcp(fixed.flood(50))) == 100


def test_growth_is_told():
    before = {"read": 100.0, "replay": 1000.0, "gone": 5.0}
    assert instructions.grown({"read": 109.9, "replay": 1101.0, "new": 7.0}, before) == [
        "gone: no longer counted",
        "replay: 1,101 instructions a packet, +10.1% over 1,000",
    ]


def test_the_core_takes_no_more_instructions_than_recorded():
    before = instructions.recorded(instructions.build())
    if before is None:
        pytest.skip(f"no figures are recorded for {instructions.said(instructions.build())}")
    try:
        figures = instructions.count()
    except instructions.NotCountedError as error:
        pytest.skip(str(error))
    assert not instructions.grown(figures, before)
