"""In which format a command writes: as it is told, or as the name of its output says."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from tcpscope.errors import UsageError

FORMATS = ("table", "json", "jsonl", "csv", "parquet")
SUFFIXES = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet",
            ".xml": "junit", ".sarif": "sarif", ".md": "markdown"}  # fmt: skip
# What such a name promises no table holds.
OTHERS = frozenset({".html", ".htm", ".svg", ".png", ".jpg", ".pdf", ".xlsx", ".gz", ".zst"})

Command = TypeVar("Command", bound=Callable[..., Any])

# Eager: `--format` looks at it.
output_option = click.option(
    "-o", "--output", metavar="FILE", is_eager=True, help="Write to FILE (only when all went well)."
)


def format_option(*forms: str) -> Callable[[Command], Command]:
    """`--format`, one of these; the first is for names that say nothing."""
    known = forms or FORMATS
    wanted = {suffix: form for suffix, form in SUFFIXES.items() if form in known}

    def chosen(context: click.Context, _: click.Parameter, given: str | None) -> str:
        return given or by_suffix(context.params.get("output"), wanted, known[0])

    return click.option(
        "--format", "form", type=click.Choice(known), callback=chosen,
        help=f"[default: by -o's suffix ({' '.join(wanted)}), else {known[0]}]",
    )  # fmt: skip


def by_suffix(output: str | None, known: Mapping[str, str], default: str) -> str:
    """The format that the output's name asks for, else `default`; UsageError for one that is not to be had here."""
    suffix = os.path.splitext(output or "")[1].lower()
    if suffix not in known and (suffix in OTHERS or suffix in SUFFIXES):
        raise UsageError(f"-o {output}: no {suffix} is written here; end the name in one of {' '.join(known)}")
    return known.get(suffix, default)
