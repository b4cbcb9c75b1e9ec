"""The bounds that the fuzzed build makes small are where it looks for them."""

from pathlib import Path

import pytest

from tests.fuzz import build


@pytest.mark.parametrize("source", build.LIMITS)
def test_a_bound_is_made_small_in_the_copy(source: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "limits"
    if not folder.exists():
        build.copy(folder)
    lines = (folder / "tcpscope" / source).read_text().splitlines()
    for name, value in build.LIMITS[source].items():
        assert any(line.split("#")[0].strip() == f"{name} = {value}" for line in lines), name
        assert Path(build.ROOT / "tcpscope" / source).read_text().splitlines() != lines
