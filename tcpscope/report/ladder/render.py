"""Which format a ladder is drawn in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tcpscope.errors import UsageError
from tcpscope.report.ladder.model import Ladder, plain

FORMATS = ("text", "mermaid", "svg", "html", "json")
SUFFIXES = {".txt": "text", ".mmd": "mermaid", ".mermaid": "mermaid", ".svg": "svg", ".html": "html", ".htm": "html",
            ".json": "json"}  # fmt: skip
MOST_ROWS: dict[str, int | None] = {"text": None, "json": None, "mermaid": 200, "svg": 400, "html": 400}
KEPT = {"html": 200}  # segments that a fold holds, to open it


def render(ladder: Ladder, form: str = "text", **options: Any) -> str:
    """The drawing as a string.

    form: text (options width, ascii_only, raw), mermaid, svg, html (raw, title), json.  UsageError for others.
    """
    return _renderer(form)(ladder, **options)


def _renderer(form: str) -> Callable[..., str]:
    if form == "text":
        from tcpscope.report.ladder.text import text

        return text
    if form == "json":
        return _json
    if form == "mermaid":
        from tcpscope.report.ladder.mermaid import mermaid

        return mermaid
    if form == "svg":
        from tcpscope.report.ladder.svg import svg

        return svg
    if form == "html":
        from tcpscope.report.ladder.html import html

        return html
    raise UsageError(f"no format {form!r}; there are: {', '.join(FORMATS)}")


def _json(ladder: Ladder) -> str:
    from json import dumps

    return dumps(plain(ladder), ensure_ascii=True, indent=1) + "\n"
