"""The ladder as one HTML file: the SVG cut at its folds, which open; every row tells what is known of it.

Rows take the keyboard's focus (Tab, or arrow up and down); nothing is loaded from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from json import dumps

from tcpscope.report.ladder import words
from tcpscope.report.ladder.model import Fold, Ladder, Row, Segment
from tcpscope.report.ladder.style import DARK, LIGHT, variables
from tcpscope.report.ladder.svg import Drawing, markup
from tcpscope.report.ladder.text import segments

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root{{color-scheme:light dark;{light}}}
@media(prefers-color-scheme:dark){{:root{{{dark}}}}}
body{{margin:1.5rem auto;max-width:{width}px;padding:0 1rem;background:var(--bg);color:var(--fg);
font:14px/1.45 system-ui,sans-serif}}
h1{{font-size:1.15rem;margin:0}} p{{margin:.3rem 0 1rem;color:var(--dim)}}
main{{overflow-x:auto}} svg.tl{{display:block;width:100%;min-width:720px;height:auto}}
.tl-row:hover .tl-hit,.tl-row:focus .tl-hit{{fill:var(--probe);fill-opacity:.12}} .tl-row:focus{{outline:none}}
.tl-row:focus .tl-hit{{stroke:var(--probe);stroke-width:1}}
details.fold{{margin:0;min-width:720px;border-radius:4px;background:var(--band)}}
details.fold summary{{text-align:center;padding:.35rem;cursor:pointer;font-size:12px;color:var(--dim)}}
details.fold pre{{margin:0;padding:.5rem 1rem 1rem;overflow-x:auto;font:11px/1.5 ui-monospace,Menlo,Consolas,
'DejaVu Sans Mono',monospace}}
#tip{{position:absolute;z-index:2;max-width:34rem;padding:.5rem .7rem;border:1px solid var(--line);border-radius:6px;
background:var(--bg);color:var(--fg);box-shadow:0 3px 12px #0004;font-size:12px;pointer-events:none}}
#tip[hidden]{{display:none}} #tip dl{{display:grid;grid-template-columns:max-content 1fr;gap:0 .8rem;margin:0}}
#tip dt{{color:var(--dim)}} #tip dd{{margin:0}}
</style></head><body>
<h1>{title}</h1><p>{lead}</p>
<main>{body}</main>
<div id="tip" role="tooltip" hidden></div>
<script type="application/json" id="rows">{rows}</script>
<script>{script}</script>
</body></html>
"""

SCRIPT = """
const told = JSON.parse(document.getElementById('rows').textContent);
const tip = document.getElementById('tip');
const all = [...document.querySelectorAll('.tl-row')];
function show(row) {
  const list = document.createElement('dl');
  for (const [name, value] of told[row.dataset.row] || []) {
    const dt = document.createElement('dt'), dd = document.createElement('dd');
    dt.textContent = name; dd.textContent = value; list.append(dt, dd);
  }
  if (!list.children.length) return hide();
  tip.replaceChildren(list); tip.hidden = false;
  const box = row.getBoundingClientRect(), high = tip.offsetHeight;
  const below = box.bottom + high + 8 < innerHeight || box.top < high + 8;
  tip.style.top = scrollY + (below ? box.bottom + 4 : box.top - high - 4) + 'px';
  tip.style.left = scrollX + Math.max(8, Math.min(box.left + box.width / 4, innerWidth - tip.offsetWidth - 16)) + 'px';
}
function hide() { tip.hidden = true; }
for (const row of all) {
  row.addEventListener('mouseenter', () => show(row));
  row.addEventListener('mouseleave', hide);
  row.addEventListener('focus', () => show(row));
  row.addEventListener('blur', hide);
  row.addEventListener('keydown', event => {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (event.key === 'Escape') hide();
    if (!step) return;
    event.preventDefault();
    (all[all.indexOf(row) + step] || row).focus();
  });
}
"""


def html(ladder: Ladder, raw: bool = False, title: str | None = None) -> str:
    """The page.  title: what was read, for instance a file's name; raw: numbers as in the header."""
    drawing = Drawing(ladder, raw, live=True)
    name = f"Connection {ladder.connection}: {words.ends(ladder)}"
    return PAGE.format(
        title=markup(f"{name}, {title}" if title else name),
        lead=markup(words.summary(ladder)),
        light=variables(LIGHT),
        dark=variables(DARK),
        width=round(drawing.width) + 40,
        body="".join(_pieces(ladder, drawing, raw)),
        rows=_json([_told(ladder, row) for row in ladder.rows]),
        script=SCRIPT,
    )


def _told(ladder: Ladder, row: Row) -> list[tuple[str, str]]:
    return words.details(ladder, row) if isinstance(row, Segment) else []


def _json(thing: object) -> str:
    """JSON that cannot end its script element."""
    return dumps(thing, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _pieces(ladder: Ladder, drawing: Drawing, raw: bool) -> Iterator[str]:
    """The drawing from fold to fold, and the folds between."""
    folds = [(row, place) for row, place in zip(ladder.rows, drawing.at.places, strict=True)
             if isinstance(row, Fold) and row.rows]  # fmt: skip
    cuts = [(0.0, 0.0, None), *((place.top, place.bottom, row) for row, place in folds),
            (drawing.height, drawing.height, None)]  # fmt: skip
    for (_, start, _), (end, _, fold) in pairwise(cuts):
        yield drawing.piece(start, end)
        if fold is not None:
            yield _fold(ladder, fold, raw)


def _fold(ladder: Ladder, fold: Fold, raw: bool) -> str:
    lines = list(segments(fold.rows, ladder.start, raw=raw))
    if fold.segments > len(fold.rows):
        lines.append(f"… and {fold.segments - len(fold.rows):,} more")
    return (f'<details class="fold"><summary>{markup(words.folded(fold))}</summary>'
            f"<pre>{chr(10).join(map(markup, lines))}</pre></details>")  # fmt: skip
