"""docs/tables.md from the schema: `python -m tcpscope.tables.document > docs/tables.md`."""

from __future__ import annotations

from tcpscope.replay.layout import ANNOTATIONS, WIRESHARK
from tcpscope.tables.schema import TABLES, Column

TITLES = {
    "connections": "`tcpscope connections`: a row a connection",
    "packets": "`tcpscope packets`: a row a TCP packet",
    "events": "`tcpscope events`: a row a change of state",
}
SIDES = ("client_", "server_")


def _line(column: Column, name: str) -> str:
    return f"| `{name}` | {column.type} | {column.unit} | {column.meaning} |"


def document() -> str:
    """The page, in Markdown."""
    out = [
        "# The tables",
        "",
        "Written by `python -m tcpscope.tables.document`. The columns are the same in every format and in the",
        "DataFrames of `tcpscope.read()`. Not known is null (NA, an empty CSV cell); CSV joins lists by `|`.",
        "Frames are counted in each file from 1: where several were read, `file` says which one a row's own frame is",
        "of, and the other frames of a row may be of another.",
        "",
    ]
    for table, title in TITLES.items():
        out += [f"## {title}", "", "| column | type | unit | meaning |", "|---|---|---|---|"]
        seen = set()
        for column in TABLES[table]:
            base = column.name.removeprefix("client_").removeprefix("server_")
            paired = all(any(c.name == side + base for c in TABLES[table]) for side in SIDES)
            if table == "connections" and paired and column.name.startswith(SIDES):
                if base in seen:
                    continue
                seen.add(base)
                out.append(_line(column, f"client_{base}` `server_{base}"))
            else:
                out.append(_line(column, column.name))
        out.append("")
    out += [
        "A direction's columns (`client_…`, `server_…`) are about what that side *sent*; `duplicate_acks` and round",
        "trips are about the answers that came back for it, as in tcptrace.",
        "",
        "## Annotations",
        "",
        "Under Wireshark's names where they mean the same: " + ", ".join(f"`{word}`" for word in WIRESHARK) + ".",
        "",
        "tcpscope's own: " + ", ".join(f"`{word}`" for word in ANNOTATIONS[len(WIRESHARK) :]) + ".",
        "",
        "[differences.md](differences.md) says where `annotations` and `wireshark` differ, and why.",
        "",
    ]
    return "\n".join(out)


if __name__ == "__main__":
    print(document(), end="")
