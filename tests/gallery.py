"""docs/gallery.md and its pictures from the sample captures: `python -m tests.gallery`."""

from __future__ import annotations

from pathlib import Path

import tcpscope
from tcpscope.report.ladder import Options, render
from tcpscope.report.ladder.focus import Options as Focus

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_pcaps"
PAGE, PICTURES = ROOT / "docs" / "gallery.md", ROOT / "docs" / "gallery"

# The picture's name, its capture, what it shows, and the part of it.
EXAMPLES: tuple[tuple[str, str, str, Focus], ...] = (
    ("fin_lost", "fin_lost.pcap", "A lost FIN: the server closes only when the repeated one arrives", Options()),
    ("sliding_window", "sliding_window.pcap", "The textbook's eighteen segments", Options()),
    ("zero_window", "zero_window.pcap", "A closed window, its probes and the persist timer", Options(max_rows=22)),
    ("fast_retransmission", "fast_retransmission.pcap", "A loss, told by SACK", Options(around=19)),
    ("timeout_back_off", "timeout_back_off.pcap", "A timer that doubles", Options(max_rows=20)),
    ("bulk", "bulk.pcap", "Two megabytes in twenty rows", Options(max_rows=20)),
    ("simultaneous_open", "simultaneous_open.pcap", "Both ends open at once", Options(handshake=True)),
    ("simultaneous_close", "simultaneous_close.pcap", "Both ends close at once: CLOSING", Options(close=True)),
    ("half_close", "half_close.pcap", "One side closes, the other still sends", Options(close=True)),
    ("last_ack_lost", "last_ack_lost.pcap", "A lost last ACK, answered out of TIME_WAIT", Options(close=True)),
    ("syn_lost", "syn_lost.pcap", "A lost SYN", Options(handshake=True)),
    ("keep_alive_dead_peer", "keep_alive_dead_peer.pcap", "Keep-alive probes that nobody answers", Options()),
    ("refused", "refused.pcap", "Nobody listens", Options()),
)
MERMAID = ("normal.pcap", Options(handshake=True))
TEXT = ("handshake_ack_lost.pcap", Options(handshake=True))


def drawn(capture: str, form: str, focus: Focus, **how: object) -> str:
    connection = tcpscope.read(SAMPLES / capture).connection(0)
    return render(connection._ladder(focus), form, **how)


def command(capture: str, focus: Focus, out: str) -> str:
    words = [f"tcpscope diagram sample_pcaps/{capture}"]
    words += [f"--{name}" for name in ("handshake", "close") if getattr(focus, name)]
    if focus.around is not None:
        words.append(f"--around frame:{focus.around}")
    if focus.max_rows is not None:
        words.append(f"--max-rows {focus.max_rows}")
    return " ".join([*words, out])


def files() -> dict[Path, str]:
    """Every file of the gallery and what stands in it."""
    found = {PICTURES / f"{name}.svg": drawn(capture, "svg", focus, tips=False)
             for name, capture, _, focus in EXAMPLES}  # fmt: skip
    page = [
        "# Gallery",
        "",
        "Written by `python -m tests.gallery`. Client left, server right; both ends' states as bars; solid ends of an",
        "arrow are measured, hollow ones estimated from the round trip at the capture point.",
        "",
    ]
    for name, capture, title, focus in EXAMPLES:
        page += [f"## {title}", "", f"`{command(capture, focus, f'-o {name}.svg')}`", "",
                 f"![{title}](gallery/{name}.svg)", ""]  # fmt: skip
    page += ["## In Markdown", "", f"`{command(*MERMAID, '--format mermaid')}`; GitHub and GitLab draw it:", "",
             "```mermaid", drawn(MERMAID[0], "mermaid", MERMAID[1]).rstrip(), "```", ""]  # fmt: skip
    page += ["## In a terminal", "", f"`{command(*TEXT, '--width 80')}`", "", "```text",
             drawn(TEXT[0], "text", TEXT[1], width=80).rstrip(), "```"]  # fmt: skip
    return found | {PAGE: "\n".join(page) + "\n"}


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
