"""`python -m tests.benchmarks`: everything, or the steps that are named."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from .measure import ROOT
from .workload import UnableError

RESULTS = ROOT / "docs" / "performance"


def keep(folder: Path, step: str, found: dict[str, Any]) -> None:
    from .machine import describe

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{step}.json"
    path.write_text(json.dumps({"machine": describe(), **found}, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)


@dataclass
class Given:
    """The options of all steps."""

    quick: bool
    folder: Path | None

    @property
    def cache(self) -> Path:
        from platformdirs import user_cache_path

        return (self.folder or user_cache_path("tcpscope") / "benchmarks").resolve()

    @property
    def results(self) -> Path:
        return self.cache / "quick" if self.quick else RESULTS


@click.group(invoke_without_command=True, chain=True)
@click.option("--quick", is_flag=True, help="A run of a minute, to see that all works; its results stay in the cache.")
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), help="Where the captures are kept (5 GB).")
@click.pass_context
def main(context: click.Context, quick: bool, cache: Path | None) -> None:
    """Make the workload, measure tcpscope and its peers in turn, write docs/performance.md."""
    context.obj = Given(quick, cache)
    if context.invoked_subcommand is None:
        for step in (workload, peers, curves, instructions, document):
            context.invoke(step)


@main.command()
@click.pass_obj
def workload(given: Given) -> None:
    """Record real connections in two namespaces (root, some minutes)."""
    from .peers import Sizes
    from .workload import facts
    from .workload import workload as make

    path = make(given.cache, Sizes(given.quick).workload)
    print(f"{path}: {facts(path)['packets']:,} packets")


@main.command()
@click.pass_obj
def peers(given: Given) -> None:
    """tcpscope and its peers in turn."""
    from .peers import measure
    from .table import show

    found = measure(given.cache, given.quick)
    keep(given.results, "peers", found)
    show(found)


@main.command()
@click.pass_obj
def curves(given: Given) -> None:
    """The cost per packet by number of packets and of open connections."""
    from .curves import measure

    keep(given.results, "curves", measure(given.cache, given.quick))


@main.command()
@click.option("--check", is_flag=True, help="Exit with 1 where a figure grew by more than a tenth.")
@click.option("--record", is_flag=True, help="Make what is counted now the recorded figures.")
def instructions(check: bool, record: bool) -> None:
    """Instructions per packet of the core, by callgrind."""
    from .instructions import main

    if code := main(check, record):
        sys.exit(code)


@main.command()
@click.pass_obj
def live(given: Given) -> None:
    """Packets a second that a live capture bears, and a day of packets through a pipe (root, tcpreplay)."""
    from .live import measure

    keep(given.results, "live", measure(given.cache, given.quick))


@main.command()
@click.pass_obj
def document(given: Given) -> None:
    """Write docs/performance.md and its plots from the results (--quick: into the cache)."""
    from .document import write

    write(given.results, given.results.with_name("performance.md"))


if __name__ == "__main__":
    try:
        main()
    except UnableError as error:
        sys.exit(f"Error: {error}")
    except ModuleNotFoundError as error:
        sys.exit(f"Error: {error.name} is not installed; pip install -e '.[benchmark]'")
