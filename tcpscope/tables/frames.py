"""The tables as pandas DataFrames and Arrow tables: columns of `schema`, with types that know "not known"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tcpscope.tables.rows import Raw
from tcpscope.tables.schema import LAYOUTS, TABLES, Column
from tcpscope.tables.values import Array

if TYPE_CHECKING:
    import pandas
    import pyarrow

CATEGORIES = {"flags", "closed_by", "time_wait_owner"}  # words too, though they do not come from a list


def arrays(table: str, chunks: Iterable[Raw]) -> Iterator[list[Array]]:
    """The columns of each chunk of packed records."""
    import numpy

    dtype = LAYOUTS[table].dtype()
    for chunk in chunks:
        records = numpy.frombuffer(chunk, dtype)
        yield [column.value.array(records) for column in TABLES[table]]


def frame(table: str, chunks: Iterable[Raw]) -> pandas.DataFrame:
    """A DataFrame of packed records of `connections`, `packets` or `events`.

    Whole numbers are Int64 (NA where not known), times and rates float64 (NaN), words
    categories, addresses str, annotations lists of str.
    """
    import pandas

    found = list(arrays(table, chunks)) or list(arrays(table, [b""]))
    return pandas.DataFrame(
        {column.name: _series(column, [chunk[at] for chunk in found]) for at, column in enumerate(TABLES[table])},
        copy=False,
    )


def _series(column: Column, parts: list[Array]) -> Any:
    import numpy
    import pandas

    if column.type == "list" or (column.type == "str" and parts[0].words is None):
        objects = [it for part in parts for it in part.values]
        if column.type == "list":  # a list of their own each: the values are shared
            return pandas.Series([list(it) for it in objects], dtype="object")
        return pandas.Series(pandas.Categorical(objects) if column.name in CATEGORIES else objects, dtype=None)
    values = numpy.concatenate([part.values for part in parts])
    unknown = None
    if parts[0].unknown is not None:
        unknown = numpy.concatenate([part.unknown for part in parts])
    if column.type == "str":
        codes = values.astype(numpy.int16)
        if unknown is not None:
            codes[unknown] = -1
        return pandas.Series(pandas.Categorical.from_codes(codes, pandas.Index(list(parts[0].words or ()))))
    if column.type == "int":
        mask = numpy.zeros(len(values), bool) if unknown is None else unknown
        return pandas.Series(pandas.arrays.IntegerArray(values.astype(numpy.int64), mask))
    if column.type == "float":
        values = values.astype(numpy.float64)
        if unknown is not None:
            values[unknown] = numpy.nan
    return pandas.Series(values)


def arrow_schema(table: str) -> pyarrow.Schema:
    """Names, types, units and meanings of a table's columns for Arrow and Parquet."""
    import pyarrow

    kinds = {
        "int": pyarrow.int64(),
        "float": pyarrow.float64(),
        "str": pyarrow.string(),
        "bool": pyarrow.bool_(),
        "list": pyarrow.list_(pyarrow.string()),
    }
    fields = []
    for column in TABLES[table]:
        kind = pyarrow.list_(pyarrow.list_(pyarrow.int64())) if column.name == "sack" else kinds[column.type]
        note = {b"unit": column.unit.encode(), b"meaning": column.meaning.encode()}
        fields.append(pyarrow.field(column.name, kind, metadata=note))
    return pyarrow.schema(fields)


def arrow(table: str, chunks: Iterable[Raw]) -> Iterator[pyarrow.RecordBatch]:
    """An Arrow batch for each chunk of packed records."""
    import pyarrow

    schema = arrow_schema(table)
    for found in arrays(table, chunks):
        yield pyarrow.record_batch(
            [_arrow_array(part, field.type) for part, field in zip(found, schema, strict=True)], schema=schema
        )


def _arrow_array(part: Array, kind: pyarrow.DataType) -> Any:
    import numpy
    import pyarrow

    if part.words is not None:
        codes = pyarrow.array(part.values.astype(numpy.int16), mask=part.unknown)
        return pyarrow.DictionaryArray.from_arrays(codes, list(part.words)).cast(kind)
    if part.unknown is None:
        return pyarrow.array(part.values, type=kind)
    return pyarrow.array(part.values, mask=part.unknown).cast(kind, safe=False)
