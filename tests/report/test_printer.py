"""Styled words, wrapped, and columns: plain in a pipe, coloured on a terminal, never wider than there is room."""

import io

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpscope.report.printer import PIPE_WIDTH, Printer, cells, words


class Terminal(io.StringIO):
    def isatty(self):
        return True


def lines(show, width=20, page=None):
    page = page or io.StringIO()
    show(Printer(page, width))
    return page.getvalue().splitlines()


def test_a_line_is_broken_at_blanks_and_keeps_its_indent():
    assert lines(lambda out: out.line("it was the best of times", indent=2), 12) == [
        "  it was the", "  best of", "  times",
    ]  # fmt: skip


def test_a_word_longer_than_a_line_is_broken_anywhere():
    assert lines(lambda out: out.line("a bcdefghijkl m"), 5) == ["a", "bcdef", "ghijk", "l m"]


def test_lines_of_their_own_stay_so():
    assert lines(lambda out: out.line("\nabc\n  def")) == ["", "abc", "  def"]


def test_whole_lines_are_not_broken():
    assert lines(lambda out: out.whole("abc def ghi"), 5) == ["abc def ghi"]


def test_columns_stand_under_each_other_and_end_without_blanks():
    rows = [["name", "count", "x"], ["a", "10", ""], ["much longer", "2", "y"]]
    assert lines(lambda out: out.columns(rows, right=[1]), 10) == [
        "name         count  x", "a               10", "much longer      2  y",
    ]  # fmt: skip


def test_the_wrapped_column_takes_what_room_there_is():
    rows = [["error", words("it broke ", "bold") + words("twice today"), "9"], ["note", "fine", "10"]]
    assert lines(lambda out: out.columns(rows, right=[2], wrapped=1), 22) == [
        "error  it broke      9", "       twice today", "note   fine         10",
    ]  # fmt: skip
    assert lines(lambda out: out.columns([]), 22) == []


def test_text_is_no_markup():
    """rich would take these for its own marks, and leave them out."""
    assert lines(lambda out: out.line("[fd00::1]:80 [bold] [/x] :smile:"), 60) == ["[fd00::1]:80 [bold] [/x] :smile:"]
    assert lines(lambda out: out.columns([["[fd00::1]:80", "[/x]"]])) == ["[fd00::1]:80  [/x]"]


def test_wide_and_combining_letters_take_their_columns():
    assert [cells(it) for it in ("abc", "日本", "e\u0301")] == [3, 4, 1]
    assert lines(lambda out: out.columns([["日本", "x"], ["abcd", "y"]])) == ["日本  x", "abcd  y"]
    assert lines(lambda out: out.line("日本日本"), 5) == ["日本", "日本"]


def test_colours_are_for_a_terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)

    def show(out):
        out.line(words("bad", "bold red") + words(" and ") + words("so", "dim"))

    (line,) = lines(show, page=Terminal())
    assert click.unstyle(line) == "bad and so"
    assert line == click.style("bad", fg="red", bold=True) + " and " + click.style("so", dim=True)
    assert lines(show) == ["bad and so"]
    monkeypatch.setenv("NO_COLOR", "1")
    assert lines(show, page=Terminal()) == ["bad and so"]


@pytest.mark.parametrize(("columns", "width"), [("70", 70), ("", PIPE_WIDTH), ("wide", PIPE_WIDTH)])
def test_a_pipe_has_the_width_it_is_told(columns, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert Printer(io.StringIO()).width == width


@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "Zs"])), max_size=6), st.integers(1, 30))
def test_wrapping_loses_nothing_but_blanks(texts, width):
    told = tuple((it, "dim" if at % 2 else "") for at, it in enumerate(texts))
    shown = lines(lambda out: out.line(told), width)
    assert all(len(it) <= width for it in shown)
    assert "".join("".join(shown).split()) == "".join("".join(texts).split())
