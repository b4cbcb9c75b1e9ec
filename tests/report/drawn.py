"""Ladders for the tests: of sample captures, and of the scripts under tests/scripts."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tcpscope.report.ladder import COLUMNS, Ladder, Options, ladder
from tcpscope.tables.analysis import locate
from tcpscope.tables.one import load

from ..ladder.build import write
from ..ladder.script import parse

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT.parent / "sample_pcaps"
SCRIPTS = sorted((ROOT / "scripts").glob("*/*.txt"))


@cache
def told(path: Path, number: int = 0):
    """The connection's row, packets and events."""
    _, row, packets, events = load(locate([path]), number, msl=30.0, by_tunnel=False, only=COLUMNS)
    return row, list(packets), events


def sample(name: str, number: int = 0, **focus: object) -> Ladder:
    """The ladder of a sample capture's connection."""
    return ladder(*told(SAMPLES / name, number), Options(**focus))


@cache
def scripted(name: str, number: int = 0):
    """What a connection of a script (`loss/tail_loss_probe`) gives."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ladder.pcap"
        write(parse((ROOT / "scripts" / f"{name}.txt").read_text()), path)
        return told(path, number)


def script(name: str, number: int = 0, **focus: object) -> Ladder:
    return ladder(*scripted(name, number), Options(**focus))


def script_names() -> list[str]:
    return [f"{path.parent.name}/{path.stem}" for path in SCRIPTS]
