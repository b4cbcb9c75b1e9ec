"""A short round of every target under the sanitizers, and every input that once ended a process.

Run by `pytest -m fuzz`, as building takes minutes; `python -m tests.fuzz` goes on for hours.
SECONDS a target: TCPSCOPE_FUZZ_SECONDS, 10 without it; 0 leaves the round out.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fuzz import __main__ as fuzzing
from tests.fuzz import build, seeds

SECONDS = int(os.environ.get("TCPSCOPE_FUZZ_SECONDS", "10"))
CRASHES = Path(__file__).with_name("crashes")
FOLDER = build.ROOT / "build" / "fuzz"

pytestmark = [pytest.mark.fuzz, pytest.mark.xdist_group("fuzz")]


@pytest.fixture(scope="module")
def folder() -> Path:
    """The build, made once and then brought up to date; corpora grow there from run to run."""
    why = build.usable()
    if why is not None:
        pytest.skip(why)
    build.build(FOLDER / "build", jobs=os.cpu_count() or 1)
    seeds.write(FOLDER / "seeds", [build.ROOT / "sample_pcaps"])
    return FOLDER


def test_what_ended_a_process_once_does_not_again(folder: Path) -> None:
    for target in sorted(it.name for it in CRASHES.iterdir()):
        inputs = sorted(str(it) for it in (CRASHES / target).iterdir())
        done = fuzzing.run(folder / "build", target, "-timeout=60", *inputs)
        assert done.returncode == 0, done.stderr[-4000:]
        assert done.stderr.count("Executed ") == len(inputs)


@pytest.mark.skipif(SECONDS == 0, reason="no seconds given")
@pytest.mark.parametrize("target", fuzzing.TARGETS)
def test_a_short_round(target: str, folder: Path) -> None:
    runs, crash = fuzzing.fuzz(folder, target, SECONDS)
    assert crash is None, f"{crash}; the input is in {folder / 'crashes' / target}"
    assert runs > 0
