"""docs/policy.md from the grammar and the measures: `python -m tcpscope.check.document > docs/policy.md`."""

from __future__ import annotations

from collections.abc import Iterator

from tcpscope.check.grammar import AGGREGATES, GATES, SECTIONS, Key
from tcpscope.check.measures import measures
from tcpscope.check.units import UNITS, written

TITLES = {
    "policy": ("The whole", "At the top of the file."),
    "select": ("`[[select]]`", "A selection of connections that rules call by its name. All that is set must be true."),
    "rules": ("`[[rules]]`", "One thing that must be true. At least one of max, min, require, forbid, findings."),
    "assertions": ("`where`", "Of single connections: what is not known is not true."),
    "allow": (
        "`[[allow]]`",
        "Connections that rules leave out: their violations are excused, and shares, groups and findings "
        "are judged without them. What is about no connection needs an entry without `select`. An entry past its "
        "day excuses nothing, and is told.",
    ),
    "quality": ("`[quality]`", "Past these bounds the result is inconclusive, not pass. What is not set stays."),
    "profile": ("`[profile]`", "How the captures are read; the command line goes before."),
}
KINDS = {
    "version": "1", "text": "text", "id": "text", "texts": "text or list", "hosts": "text or list",
    "ports": "port or list", "time": "time", "span": "time", "date": "date", "quantifier": "text",
    "names": "table of texts or lists", "selects": "list of tables", "rules": "list of tables",
    "allows": "list of tables", "profile": "table", "quality": "table", "gate": "table", "assertions": "table",
    "bounds": "table", "values": "table", "selection": "text, list or table", "findings": "text or list",
}  # fmt: skip


def _kind(key: Key) -> str:
    return ", ".join(key.choices) if key.choices else KINDS[key.kind]


def _section(name: str) -> Iterator[str]:
    title, told = TITLES[name]
    yield from (f"## {title}", "", told, "", "| key | takes | meaning |", "|---|---|---|")
    for key in SECTIONS[name]:
        yield f"| `{key.name}`{' (needed)' if key.required else ''} | {_kind(key)} | {key.meaning} |"
    yield ""


def _measures() -> Iterator[str]:
    yield from (
        "## What can be measured", "",
        "Every column of the [connections table](tables.md), and what is derived from several of them. Of the columns",
        "of one side (`client_…`, `server_…`) there are also those of both sides together, without the prefix.", "",
        "### Derived", "", "| measure | kind | meaning |", "|---|---|---|",
    )  # fmt: skip
    known = measures()
    for it in known.values():
        if (
            it.derived
            and it.fields
            and f"client_{it.name}" not in known
            and not it.name.startswith(("client_", "server_"))
        ):
            yield f"| `{it.name}` | {it.kind} | {it.meaning} |"
    for it in known.values():
        if it.derived and f"client_{it.name}" in known and known[f"client_{it.name}"].derived:
            yield f"| `{it.name}` `client_{it.name}` `server_{it.name}` | {it.kind} | {it.meaning} |"
    yield from ("", "### Both sides together", "", "| measure | kind | meaning |", "|---|---|---|")
    for it in known.values():
        if it.derived and f"client_{it.name}" in known and not known[f"client_{it.name}"].derived:
            yield f"| `{it.name}` | {it.kind} | {it.meaning} |"
    yield from ("", "### Columns", "", "| measure | kind | words |", "|---|---|---|")
    for it in known.values():
        if not it.derived and not it.name.startswith("server_"):
            other = f" `{it.name.replace('client_', 'server_', 1)}`" if it.name.startswith("client_") else ""
            yield f"| `{it.name}`{other} | {it.kind} | {_words(it.choices)} |"
    yield ""


def _words(choices: tuple[str, ...]) -> str:
    words = [word for word in choices if word]
    return ", ".join(words[:16]) + (" …" if len(words) > 16 else "")


def document() -> str:
    """The page, in Markdown."""
    out = [
        "# The policy's reference",
        "",
        "Written by `python -m tcpscope.check.document` from what the loader itself uses; [check.md](check.md)",
        "tells how a policy is written. `tcpscope check --print-schema` gives the same as JSON Schema, for editors.",
        "",
    ]
    for name in TITLES:
        out += _section(name)
    out += [
        "## Of several connections",
        "",
        "With `per` other than connection, `max` and `min` say which number of a group:",
        "",
        "| key | meaning |",
        "|---|---|",
    ]
    out += [f"| `{name}` | {meaning} |" for name, meaning in AGGREGATES.items()]
    out += ["", "Without any of them: counts and bytes are added up, rates are of all their packets together, and",
            "`connections` is how many connections there are.", ""]  # fmt: skip
    out += ["## Units", "", "| kind | units |", "|---|---|"]
    out += [f"| {kind} | {', '.join(units) or 'none'} |" for kind, units in UNITS.items()]
    out += ["| moment | ISO 8601, or seconds since the epoch |", "", "## The quality gate", "",
            "| measure | kind | without a bound of one's own | meaning |", "|---|---|---|---|"]  # fmt: skip
    for gate in GATES:
        bound = f"at most {written(gate.most, gate.kind)}" if gate.most is not None else ""
        bound = f"at least {written(gate.least, gate.kind)}" if gate.least is not None else bound
        out.append(f"| `{gate.name}` | {gate.kind} | {bound} | {gate.meaning} |")
    out += ["", *_measures()]
    return "\n".join(out)


if __name__ == "__main__":
    print(document(), end="")
