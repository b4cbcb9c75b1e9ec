"""docs/gallery is what the samples give; `python -m tests.gallery` writes it."""

from ..gallery import PICTURES, files


def test_the_gallery_is_current():
    for path, text in files().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m tests.gallery"


def test_the_gallery_is_small_and_holds_nothing_else():
    pictures = set(PICTURES.iterdir())
    assert pictures == {path for path in files() if path.suffix == ".svg"}
    assert sum(path.stat().st_size for path in pictures) < 400_000
