"""The tables as pandas DataFrames: columns of `schema`, with types that know "not known"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tcpscope.tables.schema import TABLES

if TYPE_CHECKING:
    import pandas

KINDS = {"int": "Int64", "float": "float64", "str": "object", "bool": "bool", "list": "object"}
CATEGORIES = {"sender", "client_state", "server_state", "old", "new", "endpoint", "kind", "event", "close",
              "closed_by", "conn_state", "role_evidence", "capture_point", "checksum", "flags"}  # fmt: skip


def frame(table: str, rows: Iterable[dict[str, Any]]) -> pandas.DataFrame:
    """A DataFrame of rows of `connections`, `packets` or `events`.

    Whole numbers are Int64 (NA where not known), times and rates float64 (NaN), words
    categories, annotations lists of str.
    """
    import pandas

    found = list(rows)
    columns = {}
    for column in TABLES[table]:
        values = [row[column.name] for row in found]
        if column.name in CATEGORIES:
            columns[column.name] = pandas.Series(pandas.Categorical(values))
        else:
            columns[column.name] = pandas.Series(values, dtype=KINDS[column.type])
    return pandas.DataFrame(columns)
