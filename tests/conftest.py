"""Options of the test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-ladders", action="store_true", help="write the right halves of tests/scripts anew")
