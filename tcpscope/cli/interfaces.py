"""`tcpscope interfaces`: what can be captured on."""

from __future__ import annotations

import sys
from typing import Any

import click


@click.command("interfaces")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(form: str) -> None:
    """What can be captured on, with addresses and state; and, where the right is missing, the command that grants it.

    \b
    Examples:
      tcpscope interfaces
      tcpscope live -i lo
    """
    from tcpscope.capture.interfaces import capabilities, interfaces

    found, able = interfaces(), capabilities()
    if form == "json":
        from tcpscope.tables.write import write_json

        document: dict[str, Any] = {
            "interfaces": [it._asdict() for it in found], "programs": [it._asdict() for it in able],
        }  # fmt: skip
        write_json(document, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    from tcpscope.report.interfaces import print_interfaces

    print_interfaces(found, able)
