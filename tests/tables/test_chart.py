"""The documentation's diagram is printed from the table that moves the states."""

from pathlib import Path

from tcpscope.tables.chart import chart


def test_the_documentation_is_up_to_date():
    page = Path(__file__).parents[2] / "docs" / "states.md"
    assert page.read_text(encoding="utf-8") == chart(), "python -m tcpscope.tables.chart > docs/states.md"
