"""The table of reasons, without tshark."""

from __future__ import annotations

import pytest

from tcpscope.replay.layout import ANNOTATIONS, WIRESHARK
from tcpscope.wireshark.memory import after
from tcpscope.wireshark.reasons import ANY, NONE, OTHERWISE, REASONS, reason


def test_each_row_names_what_there_is() -> None:
    for row in REASONS:
        assert row.wireshark in (NONE, ANY, *WIRESHARK)
        assert row.tcpscope in (NONE, *ANNOTATIONS)
        assert row.says == row.says.strip() and not row.says.endswith(".")


def test_each_row_can_be_reached() -> None:
    for row in REASONS:
        if row.tcpscope == NONE:
            assert reason(row.wireshark, {row.wireshark}, ()) is row
        elif row.wireshark == NONE:
            assert reason(row.tcpscope, (), {row.tcpscope}) is row
        else:
            mark = "duplicate_ack" if row.wireshark == ANY else row.wireshark
            assert reason(mark, {mark}, {row.tcpscope}).tcpscope == row.tcpscope


def test_both_halves_of_one_difference_have_one_reason() -> None:
    for mark, own in (
        ("keep_alive", "zero_window_probe"),
        ("retransmission", "out_of_order"),
        ("out_of_order", "retransmission"),
    ):
        assert reason(mark, {mark}, {own}) is reason(own, {mark}, {own})


def test_no_row_is_no_reason() -> None:
    assert reason("window_full", {"window_full"}, ()) is OTHERWISE


@pytest.mark.parametrize(
    ("a", "b", "later"),
    [(0, 0, False), (1, 0, True), (0, 1, False), (0, 2**32 - 1, True), (2**31 - 1, 0, True), (2**31, 0, False)],
)
def test_sequence_numbers_wrap(a: int, b: int, later: bool) -> None:
    assert after(a, b) is later
