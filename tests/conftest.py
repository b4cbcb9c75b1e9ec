"""Options of the test run."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# HYPOTHESIS_PROFILE=brief: fewer examples, the same each time, where a run must be short and no matter of luck;
# by default a hundred, and others each time.
settings.register_profile("brief", max_examples=30, deadline=None, derandomize=True)
if os.environ.get("HYPOTHESIS_PROFILE"):
    settings.load_profile(os.environ["HYPOTHESIS_PROFILE"])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-ladders", action="store_true", help="write the right halves of tests/scripts anew")
