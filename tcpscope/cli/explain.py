"""`tcpscope explain`: what a finding means, how it is told, and what to do."""

from __future__ import annotations

import click

from tcpscope.cli.forms import format_option, output_option
from tcpscope.cli.words import Words
from tcpscope.diagnose.catalogue import ENTRIES
from tcpscope.errors import UsageError
from tcpscope.tables.output import destination
from tcpscope.tables.write import write_json


@click.command("explain")
@click.argument("id", required=False, type=Words(ENTRIES))
@format_option("table", "json")
@output_option
def command(id: str | None, form: str, output: str | None) -> None:
    """What a finding means: the mechanism, the rule it is told by, the RFC, a ladder, what to try.

    \b
    Examples:
      tcpscope explain                 (all kinds of findings, a line each)
      tcpscope explain zero_window
      tcpscope explain reset --format json

    ID is a finding's id, as `tcpscope analyze` prints it.
    """
    from tcpscope.report.explain import as_dict, listed, told
    from tcpscope.tables.filters import nearest

    if id is not None and id not in ENTRIES:
        raise UsageError(f"no finding {id!r}{nearest(id, ENTRIES)}; all: tcpscope explain")
    with destination(output) as stream:
        if form == "json":
            write_json(as_dict(ENTRIES[id]) if id else [as_dict(it) for it in ENTRIES.values()], stream)
        else:
            stream.write((told(ENTRIES[id]) if id else listed()).encode())
