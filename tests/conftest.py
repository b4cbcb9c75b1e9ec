"""Options of the test run."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# HYPOTHESIS_PROFILE=brief: fewer examples, where the time for a run is bounded; by default Hypothesis' own hundred.
settings.register_profile("brief", max_examples=30, deadline=None)
if os.environ.get("HYPOTHESIS_PROFILE"):
    settings.load_profile(os.environ["HYPOTHESIS_PROFILE"])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-ladders", action="store_true", help="write the right halves of tests/scripts anew")
