"""The colours of the SVG ladder, on white and on black; every text has a contrast of 4.5 at least."""

from __future__ import annotations

LIGHT = {
    "bg": "#ffffff", "fg": "#1f2328", "dim": "#59636e", "line": "#8c959f", "again": "#a04100", "probe": "#0969da",
    "bad": "#cf222e", "open": "#d4a72c", "est": "#2da44e", "close": "#8250df", "wait": "#afb8c1", "band": "#f0f3f6",
}  # fmt: skip
DARK = {
    "bg": "#0d1117", "fg": "#e6edf3", "dim": "#9198a1", "line": "#6e7681", "again": "#f0883e", "probe": "#58a6ff",
    "bad": "#ff7b72", "open": "#bb8009", "est": "#2ea043", "close": "#a371f7", "wait": "#484f58", "band": "#1b222b",
}  # fmt: skip


def variables(colours: dict[str, str]) -> str:
    """The colours as CSS variables."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())


# `tl-` keeps the classes apart from those of a page that holds the drawing; HATCH is the pattern's id.
STYLE = (
    f".tl{{{variables(LIGHT)}font:11px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}}"
    f"@media(prefers-color-scheme:dark){{.tl{{{variables(DARK)}}}}}"
    ".tl text{fill:var(--fg);pointer-events:none}"
    ".tl-paper{fill:var(--bg)}.tl-line{stroke:var(--line);stroke-width:1.4;fill:none}"
    ".tl-tap{stroke:var(--line);stroke-dasharray:1 5;fill:none}"
    ".tl text.tl-dim,.tl text.tl-small{fill:var(--dim)}.tl-small,.tl-note{font-size:10px}"
    ".tl-end{font-weight:600;font-size:12px}.tl-state{font-weight:600}"
    ".tl-label{paint-order:stroke;stroke:var(--bg);stroke-width:3px;stroke-linejoin:round}"
    ".tl text.tl-note{fill:var(--again);paint-order:stroke;stroke:var(--bg);stroke-width:3px}"
    ".tl text.tl-mid{stroke:none;fill:var(--dim)}"
    ".tl-arrow{stroke:var(--fg);stroke-width:1.3;fill:none}.tl-head{fill:var(--fg);stroke:var(--fg)}"
    ".tl-again.tl-arrow{stroke:var(--again);stroke-dasharray:7 4}"
    ".tl-again.tl-head{fill:var(--again);stroke:var(--again)}"
    ".tl-probe.tl-arrow{stroke:var(--probe);stroke-dasharray:1.5 4;stroke-linecap:round}"
    ".tl-probe.tl-head{fill:var(--probe);stroke:var(--probe)}"
    ".tl-duplicate.tl-arrow{stroke-width:.7}"
    ".tl-reset.tl-arrow{stroke:var(--bad)}.tl-reset.tl-head{fill:var(--bad);stroke:var(--bad)}"
    ".tl-hollow.tl-head{fill:var(--bg)}"
    ".tl-known{fill:var(--fg);stroke:var(--fg)}.tl-guess{fill:var(--bg);stroke:var(--fg)}"
    ".tl-cross{stroke:var(--bad);stroke-width:2;fill:none}.tl text.tl-query{fill:var(--bad);font-weight:700}"
    ".tl-open{fill:var(--open)}.tl-est{fill:var(--est)}.tl-close{fill:var(--close)}.tl-wait{fill:var(--wait)}"
    ".tl-over{fill:url(#HATCH)}.tl-hatch{stroke:var(--fg);stroke-width:1.5}"
    ".tl-shut{fill:var(--bad)}.tl-persist{stroke:var(--again);stroke-width:4;stroke-dasharray:3 3;fill:none}"
    ".tl-link{stroke:var(--again);stroke-dasharray:2 2;fill:none}"
    ".tl-fold,.tl-idle{fill:var(--band)}.tl-timer{fill:none;stroke:var(--line);stroke-dasharray:4 3}"
    ".tl-break{stroke:var(--bg);stroke-width:4}.tl-zig{stroke:var(--line);stroke-width:1.2;fill:none}"
    ".tl-hit{fill:transparent}"
)
