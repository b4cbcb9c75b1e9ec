"""Every scenario under tests/scripts: the ladder that tcpscope prints is the ladder in the file.

`pytest --update-ladders` writes the right halves; read the difference before it is committed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .run import replay
from .script import parse
from .show import show

SCRIPTS = Path(__file__).parents[1] / "scripts"
FILES = sorted(SCRIPTS.glob("*/*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_script(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    text = path.read_text()
    got = show(replay(parse(text), tmp_path))
    if request.config.getoption("--update-ladders"):
        path.write_text(got)
        return
    assert got.splitlines() == text.splitlines()


def test_there_are_scripts() -> None:
    assert len(FILES) >= 60
