"""What the runner writes right of the bar and behind `=>`, from rows of the tables."""

from __future__ import annotations

import pytest

from .run import QUIET, checked, right_half, said
from .script import Check, Right

PACKETS = {2: {"retransmission_of": 1, "window": 2000}}
CONNECTIONS = [{"close": "fin", "closed_by": "both", "conn_state": "SF", "half_close": None}]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), ("", "-"), (float("nan"), "-"), (True, "true"), (False, "false"), (0, "0"), (3.0, "3"),
     (1.99, "1.99"), (0.0000004, "0"), (-1.5, "-1.5"), ("SF", "SF")],
)  # fmt: skip
def test_cells_are_written_shortly(value: object, text: str) -> None:
    assert said(value) == text


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (Check("connections", "7"), "1"),
        (Check("conn_state", "S1"), "SF"),
        (Check("close", "open"), "fin"),
        (Check("close", "fin by client"), "fin by both"),
        (Check("half_close", "1"), "-"),
        (Check("colour", "red"), "(no such column)"),
        (Check("conn_state", "SF", number=1), "(no such connection)"),
        (Check("retransmission_of", "9", "frame", 2), "1"),
        (Check("colour", "red", "frame", 2), "(no such column)"),
        (Check("window", "9", "frame", 3), "(no such frame)"),
    ],
)
def test_checks_tell_what_stands_there(check: Check, text: str) -> None:
    assert checked(check, PACKETS, CONNECTIONS) == text


def test_ordinary_annotations_are_shown_on_demand() -> None:
    row = {"client_state": "ESTABLISHED", "server_state": "CLOSED", "annotations": ["window_update", "dsack"]}
    assert right_half(row, QUIET) == Right("ESTABLISHED", "CLOSED", ("dsack",))
    assert right_half(row, frozenset()) == Right("ESTABLISHED", "CLOSED", ("window_update", "dsack"))
    assert right_half(None, QUIET) is None
