"""docs/plots/*.svg, a picture of each kind from the sample captures: `python -m tests.plots`."""

from pathlib import Path

import tcpscope

ROOT = Path(__file__).parents[2]
SIZE = (900, 480)
PICTURES = {  # kind: captures, last second
    "sequence": ("two_lost_of_window", 0.06),
    "stevens": ("bulk", 0.26),
    "rtt": ("timeout_back_off", None),
    "window": ("bulk", 0.26),
    "inflight": ("slow_reader", None),
    "throughput": ("bulk", None),
    "buffer": ("sliding_window", None),
    "states": ("short_connections", None),
    "waterfall": ("short_connections", None),
    "retransmissions": ("bulk", None),
}


def draw(kind):
    """The picture of one kind, as it stands in docs/plots."""
    names, until = PICTURES[kind]
    capture = tcpscope.read([ROOT / "sample_pcaps" / f"{name}.pcap" for name in names.split()])
    whole = kind in ("states", "waterfall", "retransmissions")
    figure = (capture if whole else capture.connection(0)).plot(kind).between(None, until)
    return figure.svg(None if kind == "waterfall" else SIZE)


def main():
    for kind in PICTURES:
        (ROOT / "docs" / "plots" / f"{kind}.svg").write_bytes(draw(kind))


if __name__ == "__main__":
    main()
