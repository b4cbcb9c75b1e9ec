"""Every scenario under tests/scripts: the ladder that tcpscope prints is the ladder in the file.

`pytest --update-ladders` writes the right halves; read the difference before it is committed.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from .run import replay
from .script import parse
from .show import show

SCRIPTS = Path(__file__).parents[1] / "scripts"
FILES = sorted(SCRIPTS.glob("*/*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_script(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    script = parse(path.read_text())
    expected, got = show(script), show(replay(script, tmp_path))
    if request.config.getoption("--update-ladders"):
        path.write_text(got)
    elif got != expected:
        pytest.fail(difference(expected, got), pytrace=False)


def difference(expected: str, got: str) -> str:
    """Both ladders in one: `-` is what the script expects, `+` what tcpscope says."""
    lines = difflib.unified_diff(expected.splitlines(), got.splitlines(), "script", "tcpscope", lineterm="", n=1000)
    return "\n".join(lines)


def test_there_are_scripts() -> None:
    assert len(FILES) >= 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_script_is_written_as_it_would_be_printed(path: Path) -> None:
    text = path.read_text()
    assert show(parse(text)) == text
