"""Plots made fit for a page that holds many: half the size, ids that differ, colours that follow the theme.

matplotlib repeats the same few styles over and over, numbers every group, and writes six digits.  Here each style
becomes a class of the page, only ids that are referred to remain, and what is smaller than a pixel is rounded away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from xml.etree import ElementTree

# what plots draw on white, and what stands for it on black; other colours are seen on both
ON_BLACK = {
    "#222222": "#e6edf3", "#ffffff": "#0d1117", "#e6e6e6": "#2b313a", "#767676": "#9aa3ad", "#c8c8c8": "#565e68",
    "#0072b2": "#4a94ff", "#56b4e9": "#93d6ff", "#6a3d9a": "#b392f0", "#7a4a00": "#b8862e", "#d55e00": "#f0762a",
    "#009e73": "#1fb88c",
}  # fmt: skip
FONT = "'DejaVu Sans'"
FONTS = "'DejaVu Sans',Verdana,system-ui,sans-serif"
DROPPED = ("metadata", "style", "title")
LONG = 400  # characters of a path whose points may be rounded to a tenth
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_NUMBER = re.compile(r"-?\d+\.\d+")
_UNTURNED = re.compile(r"^rotate\(-?0 [^)]*\)$")


class Plots:
    """The styles and colours of all plots of a page, as they come in."""

    def __init__(self) -> None:
        self._classes: dict[str, str] = {}
        self._colours: set[str] = set()
        self._drawn = 0

    def inline(self, svg: bytes, label: str) -> str:
        """The drawing as an element of the page.  svg: matplotlib's; label: what it shows, for those who cannot see."""
        self._drawn += 1
        root = ElementTree.fromstring(svg)
        ids = {name: f"p{self._drawn}-{n}" for n, name in enumerate(sorted(set(_referred(root))))}
        inside = "".join(part for child in root for part in self._element(child, ids))
        box = root.get("viewBox", "")
        return f'<svg class="plot" viewBox="{box}" role="img" aria-label="{escape(label)}">{inside}</svg>'

    def css(self) -> str:
        """The rules that the drawings need."""
        rules = (f".{name}{{{style}}}" for style, name in self._classes.items())
        return ".plot *{stroke-linejoin:round}" + "".join(rules)

    def variables(self, dark: bool) -> str:
        """The colours of the drawings, on white or on black."""
        return "".join(f"--{c[1:]}:{ON_BLACK.get(c, c) if dark else c};" for c in sorted(self._colours))

    def _element(self, node: ElementTree.Element, ids: dict[str, str]) -> Iterator[str]:
        tag = _local(node.tag)
        if tag in DROPPED:
            return
        attributes = "".join(self._attributes(node, ids))
        inside = "".join(part for child in node for part in self._element(child, ids))
        if tag in ("g", "defs") and not (inside and attributes) and not (tag == "defs" and inside):
            yield inside
            return
        said = escape((node.text or "").strip()) if tag == "text" else ""
        yield f"<{tag}{attributes}>{said}{inside}</{tag}>" if said or inside else f"<{tag}{attributes}/>"

    def _attributes(self, node: ElementTree.Element, ids: dict[str, str]) -> Iterator[str]:
        for key, value in node.attrib.items():
            name = _local(key)
            if name == "id":
                if value in ids:
                    yield f' id="{ids[value]}"'
            elif name == "style":
                yield f' class="{self._class(value)}"'
            elif name == "href":
                yield f' href="#{ids[value[1:]]}"'
            elif name == "clip-path":
                yield f' clip-path="url(#{ids[value[5:-1]]})"'
            elif name == "d":
                yield f' d="{_path(value)}"'
            elif not (name == "transform" and _UNTURNED.match(value)):
                yield f' {name}="{escape(_rounded(value, 2))}"'

    def _class(self, style: str) -> str:
        self._colours.update(_COLOUR.findall(style))
        compact = re.sub(r"\s*([:;,])\s*", r"\1", _COLOUR.sub(lambda it: f"var(--{it[0][1:]})", style))
        compact = compact.replace(FONT, FONTS)
        return self._classes.setdefault(compact, f"k{len(self._classes)}")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _referred(root: ElementTree.Element) -> Iterator[str]:
    for node in root.iter():
        for key, value in node.attrib.items():
            if _local(key) == "href":
                yield value[1:]
            elif key == "clip-path":
                yield value[5:-1]


def _path(d: str) -> str:
    points = re.sub(r"\s*\n\s*", "", d.strip())
    return re.sub(r"([A-Za-z]) ", r"\1", _rounded(points, 1 if len(points) > LONG else 2)).strip()


def _rounded(text: str, digits: int) -> str:
    return _NUMBER.sub(lambda it: f"{float(it[0]):.{digits}f}".rstrip("0").rstrip("."), text)
