"""The core's instructions per packet stay within a tenth of the recorded figures (see `instructions.py` for when they compare)."""

import hashlib

import pytest

from tests.benchmarks import fixed, instructions


def test_the_counted_captures_are_the_same_everywhere():
    assert (
        hashlib.sha256(fixed.mix(50)).hexdigest() == "57767f72a11285405db050376dfb6e4e24e33aab893f8803b791b518c412397d"
    )
    assert (
        hashlib.sha256(fixed.flood(50)).hexdigest()
        == "13d00884c4b103a9f9cc38bcbb3fd9e2d341745c0216d5151c83aef2505317f7"
    )
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
