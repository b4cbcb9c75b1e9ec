"""Which connections are shown in detail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, zip_longest
from operator import itemgetter

from tcpscope.diagnose import Finding
from tcpscope.errors import no_connection
from tcpscope.report.page.gathered import FIRST, Gathered


def chosen(gathered: Gathered) -> list[int]:
    """Their numbers, in the order of the page: those asked for, else an example for each finding, then more of them.

    Where too little is odd, the worst of the table and the first ones join.  UsageError if one asked for is none.
    """
    wanted = gathered.wanted
    for number in wanted.connections:
        if number not in gathered.records:
            raise no_connection(number, gathered.listed.total)
    if wanted.connections:
        return list(dict.fromkeys(wanted.connections))
    worst = [row["connection"] for row in gathered.listed.rows()[: wanted.limit] if row["odd"]]
    found = [n for n in dict.fromkeys([*examples(gathered.findings), *worst]) if n in gathered.records]
    if len(found) < FIRST:
        found = list(dict.fromkeys([*found, *sorted(n for n in gathered.records if n < FIRST)]))[:FIRST]
    return found[: wanted.limit]


def examples(findings: Sequence[Finding]) -> list[int]:
    """The first connection of each finding, then the second of each, and so on, one kind of finding after another."""
    nth: Counter[str] = Counter()
    ranked = []
    for it in findings:
        ranked.append((nth[it.id], it))
        nth[it.id] += 1
    ranked.sort(key=itemgetter(0))
    turns = chain.from_iterable(zip_longest(*(it.connections for _, it in ranked)))
    return list(dict.fromkeys(n for n in turns if n is not None))


def concerned(findings: Sequence[Finding]) -> dict[int, list[int]]:
    """Of each connection that findings name, which findings (by place)."""
    found: dict[int, list[int]] = {}
    for place, it in enumerate(findings):
        for number in it.connections:
            found.setdefault(number, []).append(place)
    return found
